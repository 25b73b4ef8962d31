//! serde and rayon for hash maps and sets.

#[cfg(feature = "rayon")]
mod parallel {
    use alloc::vec::Vec;
    use core::hash::{BuildHasher, Hash};

    use rayon::iter::plumbing::{Folder, UnindexedConsumer, UnindexedProducer, bridge_unindexed};
    use rayon::iter::{FromParallelIterator, IntoParallelIterator, ParallelExtend, ParallelIterator};

    use crate::hash_map::{HashMap, HashMapRef, HashSet, HashSetRef, Iter};
    use crate::reclaim::{Accepts, Reclaim};

    /// The entries of a map, lent to rayon's threads. The caller's guard protects them, not one of each thread: they may
    /// outlive the job.
    ///
    /// # Examples
    ///
    /// ```
    /// use rayon::prelude::*;
    ///
    /// let map: latchfree::HashMap<u64, u64> = (0..1000).map(|n| (n, n * 2)).collect();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.par_iter().map(|(_, n)| n).sum::<u64>(), 999_000);
    /// ```
    #[derive(Debug)]
    pub struct ParIter<'g, K, V>(Iter<'g, K, V>);

    impl<'g, K: Sync, V: Sync> ParallelIterator for ParIter<'g, K, V> {
        type Item = (&'g K, &'g V);

        fn drive_unindexed<C: UnindexedConsumer<Self::Item>>(self, consumer: C) -> C::Result {
            bridge_unindexed(Producer(self.0), consumer)
        }
    }

    struct Producer<'g, K, V>(Iter<'g, K, V>);

    impl<'g, K: Sync, V: Sync> UnindexedProducer for Producer<'g, K, V> {
        type Item = (&'g K, &'g V);

        fn split(mut self) -> (Self, Option<Self>) {
            let rest = self.0.split();
            (self, rest.map(Producer))
        }

        fn fold_with<F: Folder<Self::Item>>(self, folder: F) -> F {
            folder.consume_iter(self.0)
        }
    }

    impl<K: Sync, V: Sync, S, R: Reclaim> HashMap<K, V, S, R> {
        /// The entries, lent to rayon's threads; promises what [`Iter`] does. The caller's guard protects them.
        ///
        /// # Examples
        ///
        /// ```
        /// use rayon::prelude::*;
        ///
        /// let map: latchfree::HashMap<_, _> = (0..1000).map(|n| (n, n)).collect();
        /// assert_eq!(map.par_iter(&latchfree::pin()).map(|(_, n)| n).sum::<i32>(), 499_500);
        /// ```
        #[track_caller]
        pub fn par_iter<'g>(&'g self, guard: &'g R::Guard) -> ParIter<'g, K, V> {
            ParIter(self.iter(guard))
        }
    }

    impl<'a, K: Sync, V: Sync, S, R: Reclaim> IntoParallelIterator for &'a HashMapRef<'_, K, V, S, R> {
        type Item = (&'a K, &'a V);
        type Iter = ParIter<'a, K, V>;

        fn into_par_iter(self) -> Self::Iter {
            ParIter(self.iter())
        }
    }

    impl<K: Send, V: Send, S, R: Reclaim> IntoParallelIterator for HashMap<K, V, S, R> {
        type Item = (K, V);
        type Iter = rayon::vec::IntoIter<(K, V)>;

        fn into_par_iter(self) -> Self::Iter {
            self.into_iter().collect::<Vec<_>>().into_par_iter()
        }
    }

    impl<K, V, S, R> ParallelExtend<(K, V)> for &HashMap<K, V, S, R>
    where
        K: Hash + Eq + Send + Sync,
        V: Send + Sync,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        /// Inserts the entries as the pool's threads produce them: of several for one key, any may be the last.
        fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
            let map: &HashMap<K, V, S, R> = self;
            entries.into_par_iter().for_each(|(key, value)| {
                map.insert(key, value, &R::pin());
            });
        }
    }

    impl<K, V, S, R> ParallelExtend<(K, V)> for HashMap<K, V, S, R>
    where
        K: Hash + Eq + Send + Sync,
        V: Send + Sync,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
            (&*self).par_extend(entries);
        }
    }

    impl<K, V, S, R> FromParallelIterator<(K, V)> for HashMap<K, V, S, R>
    where
        K: Hash + Eq + Send + Sync,
        V: Send + Sync,
        S: BuildHasher + Default + Sync,
        R: Accepts<(K, V)> + Reclaim<Garbage: Sync>,
    {
        fn from_par_iter<I: IntoParallelIterator<Item = (K, V)>>(entries: I) -> Self {
            let mut map = Self::default();
            map.par_extend(entries);
            map
        }
    }

    impl<T, S, R> ParallelExtend<T> for &HashSet<T, S, R>
    where
        T: Hash + Eq + Send + Sync,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        /// Adds the elements as the pool's threads produce them.
        fn par_extend<I: IntoParallelIterator<Item = T>>(&mut self, elements: I) {
            let set: &HashSet<T, S, R> = self;
            elements.into_par_iter().for_each(|element| {
                set.insert(element, &R::pin());
            });
        }
    }

    impl<T, S, R> ParallelExtend<T> for HashSet<T, S, R>
    where
        T: Hash + Eq + Send + Sync,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        fn par_extend<I: IntoParallelIterator<Item = T>>(&mut self, elements: I) {
            (&*self).par_extend(elements);
        }
    }

    impl<T, S, R> FromParallelIterator<T> for HashSet<T, S, R>
    where
        T: Hash + Eq + Send + Sync,
        S: BuildHasher + Default + Sync,
        R: Accepts<(T, ())> + Reclaim<Garbage: Sync>,
    {
        fn from_par_iter<I: IntoParallelIterator<Item = T>>(elements: I) -> Self {
            let mut set = Self::default();
            set.par_extend(elements);
            set
        }
    }

    impl<'a, T: Sync, S, R: Reclaim> IntoParallelIterator for &'a HashSetRef<'_, T, S, R> {
        type Item = &'a T;
        type Iter = rayon::iter::Map<ParIter<'a, T, ()>, fn((&'a T, &'a ())) -> &'a T>;

        /// The elements, lent by the handle's guard.
        fn into_par_iter(self) -> Self::Iter {
            self.set.map.par_iter(self.guard()).map(|(element, ())| element)
        }
    }

    impl<T: Send, S, R: Reclaim> IntoParallelIterator for HashSet<T, S, R> {
        type Item = T;
        type Iter = rayon::vec::IntoIter<T>;

        fn into_par_iter(self) -> Self::Iter {
            self.into_iter().collect::<Vec<_>>().into_par_iter()
        }
    }
}

#[cfg(feature = "rayon")]
pub use parallel::ParIter;

#[cfg(feature = "serde")]
mod serial {
    use core::hash::{BuildHasher, Hash};

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    use super::super::serde_fill::{self, Fill, Unsized};
    use crate::hash_map::{HashMap, HashMapRef, HashSet, HashSetRef};
    use crate::reclaim::{Accepts, Reclaim};

    impl<K: Serialize, V: Serialize, S, R: Reclaim> Serialize for HashMap<K, V, S, R> {
        /// The entries that an iteration meets, under a guard for as long as that takes.
        fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
            self.pin().serialize(serializer)
        }
    }

    impl<K: Serialize, V: Serialize, S, R: Reclaim> Serialize for HashMapRef<'_, K, V, S, R> {
        fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
            serializer.collect_map(Unsized(self.iter()))
        }
    }

    impl<T: Serialize, S, R: Reclaim> Serialize for HashSet<T, S, R> {
        /// The elements that an iteration meets, under a guard for as long as that takes.
        fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
            self.pin().serialize(serializer)
        }
    }

    impl<T: Serialize, S, R: Reclaim> Serialize for HashSetRef<'_, T, S, R> {
        fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
            serializer.collect_seq(Unsized(self.iter()))
        }
    }

    impl<K: Hash + Eq, V, S: BuildHasher + Default, R: Accepts<(K, V)>> Fill<(K, V)> for HashMap<K, V, S, R> {
        fn fill(&mut self, (key, value): (K, V)) {
            self.insert(key, value, &R::pin());
        }
    }

    impl<T: Hash + Eq, S: BuildHasher + Default, R: Accepts<(T, ())>> Fill<T> for HashSet<T, S, R> {
        fn fill(&mut self, element: T) {
            self.insert(element, &R::pin());
        }
    }

    impl<'de, K, V, S, R> Deserialize<'de> for HashMap<K, V, S, R>
    where
        K: Deserialize<'de> + Hash + Eq,
        V: Deserialize<'de>,
        S: BuildHasher + Default,
        R: Accepts<(K, V)>,
    {
        /// Reads a map; of entries with one key the last stays. What it says of its length is not relied on.
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde_fill::map(deserializer)
        }
    }

    impl<'de, T, S, R> Deserialize<'de> for HashSet<T, S, R>
    where
        T: Deserialize<'de> + Hash + Eq,
        S: BuildHasher + Default,
        R: Accepts<(T, ())>,
    {
        /// Reads a sequence. What it says of its length is not relied on.
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde_fill::sequence(deserializer)
        }
    }
}
