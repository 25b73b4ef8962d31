//! serde and rayon for hash maps of inline entries.

#[cfg(feature = "rayon")]
mod parallel {
    use alloc::vec::Vec;
    use core::hash::{BuildHasher, Hash};

    use bytemuck::NoUninit;
    use rayon::iter::plumbing::{Folder, UnindexedConsumer, UnindexedProducer, bridge_unindexed};
    use rayon::iter::{FromParallelIterator, IntoParallelIterator, ParallelExtend, ParallelIterator};

    use crate::hash_map::copy_map::{CopyMap, Iter};
    use crate::reclaim::{Accepts, Reclaim};

    /// Copies of a map's entries, for rayon's threads; promises what [`Iter`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use rayon::prelude::*;
    ///
    /// let map: latchfree::CopyMap<u64, u64> = (0..1000).map(|n| (n, n * 2)).collect();
    /// assert_eq!(map.par_iter().map(|(_, n)| n).sum::<u64>(), 999_000);
    /// ```
    #[derive(Debug)]
    pub struct ParIter<'a, K, V, S, R: Reclaim>(Iter<'a, K, V, S, R>);

    impl<K, V, S, R> ParallelIterator for ParIter<'_, K, V, S, R>
    where
        K: NoUninit + Hash + Eq + Send,
        V: NoUninit + Send,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        type Item = (K, V);

        fn drive_unindexed<C: UnindexedConsumer<Self::Item>>(self, consumer: C) -> C::Result {
            bridge_unindexed(Producer(self.0), consumer)
        }
    }

    struct Producer<'a, K, V, S, R: Reclaim>(Iter<'a, K, V, S, R>);

    impl<K, V, S, R> UnindexedProducer for Producer<'_, K, V, S, R>
    where
        K: NoUninit + Hash + Eq + Send,
        V: NoUninit + Send,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        type Item = (K, V);

        fn split(mut self) -> (Self, Option<Self>) {
            let rest = self.0.split();
            (self, rest.map(Producer))
        }

        fn fold_with<F: Folder<Self::Item>>(self, folder: F) -> F {
            folder.consume_iter(self.0)
        }
    }

    impl<'a, K, V, S, R> IntoParallelIterator for &'a CopyMap<K, V, S, R>
    where
        K: NoUninit + Hash + Eq + Send,
        V: NoUninit + Send,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        type Item = (K, V);
        type Iter = ParIter<'a, K, V, S, R>;

        fn into_par_iter(self) -> Self::Iter {
            ParIter(self.iter())
        }
    }

    impl<K, V, S, R> IntoParallelIterator for CopyMap<K, V, S, R>
    where
        K: NoUninit + Hash + Eq + Send,
        V: NoUninit + Send,
        S: BuildHasher,
        R: Reclaim,
    {
        type Item = (K, V);
        type Iter = rayon::vec::IntoIter<(K, V)>;

        fn into_par_iter(self) -> Self::Iter {
            self.into_iter().collect::<Vec<_>>().into_par_iter()
        }
    }

    impl<K, V, S, R> ParallelExtend<(K, V)> for &CopyMap<K, V, S, R>
    where
        K: NoUninit + Hash + Eq + Send,
        V: NoUninit + Send,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        /// Inserts the entries as the pool's threads produce them: of several for one key, any may be the last.
        fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
            let map: &CopyMap<K, V, S, R> = self;
            entries.into_par_iter().for_each(|(key, value)| {
                map.insert(key, value);
            });
        }
    }

    impl<K, V, S, R> ParallelExtend<(K, V)> for CopyMap<K, V, S, R>
    where
        K: NoUninit + Hash + Eq + Send,
        V: NoUninit + Send,
        S: BuildHasher + Sync,
        R: Reclaim<Garbage: Sync>,
    {
        fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
            (&*self).par_extend(entries);
        }
    }

    impl<K, V, S, R> FromParallelIterator<(K, V)> for CopyMap<K, V, S, R>
    where
        K: NoUninit + Hash + Eq + Send,
        V: NoUninit + Send,
        S: BuildHasher + Default + Sync,
        R: Accepts<(K, V)> + Reclaim<Garbage: Sync>,
    {
        fn from_par_iter<I: IntoParallelIterator<Item = (K, V)>>(entries: I) -> Self {
            let mut map = Self::default();
            map.par_extend(entries);
            map
        }
    }
}

#[cfg(feature = "rayon")]
pub use parallel::ParIter;

#[cfg(feature = "serde")]
mod serial {
    use core::hash::{BuildHasher, Hash};

    use bytemuck::NoUninit;
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    use super::super::serde_fill::{self, Fill, Unsized};
    use crate::hash_map::copy_map::CopyMap;
    use crate::reclaim::{Accepts, Reclaim};

    impl<K, V, S, R> Serialize for CopyMap<K, V, S, R>
    where
        K: Serialize + NoUninit + Hash + Eq,
        V: Serialize + NoUninit,
        S: BuildHasher,
        R: Reclaim,
    {
        /// The entries that an iteration meets.
        fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
            serializer.collect_map(Unsized(self.iter()))
        }
    }

    impl<K, V, S, R> Fill<(K, V)> for CopyMap<K, V, S, R>
    where
        K: NoUninit + Hash + Eq,
        V: NoUninit,
        S: BuildHasher + Default,
        R: Accepts<(K, V)>,
    {
        fn fill(&mut self, (key, value): (K, V)) {
            self.insert(key, value);
        }
    }

    impl<'de, K, V, S, R> Deserialize<'de> for CopyMap<K, V, S, R>
    where
        K: Deserialize<'de> + NoUninit + Hash + Eq,
        V: Deserialize<'de> + NoUninit,
        S: BuildHasher + Default,
        R: Accepts<(K, V)>,
    {
        /// Reads a map; of entries with one key the last stays. What it says of its length is not relied on.
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde_fill::map(deserializer)
        }
    }
}
