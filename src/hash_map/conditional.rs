//! Operations that depend on the value that is there, each in one atomic step.

use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::HashMap;
use super::operations::current;
use super::raw::Decision;
use super::raw::boxed::{Draft, Entry, Outcome};
use crate::compute::{Compute, Operation};
use crate::reclaim::Reclaim;

/// What a value is computed from: there is one, or it is to be made.
pub(super) enum Start<V, F> {
    Value(V),
    With(F),
}

impl<K: Hash + Eq, V, S: BuildHasher, R: Reclaim> HashMap<K, V, S, R> {
    /// Replaces a key's value by what a closure makes of it, and returns the new one; `None` if the key is not there.
    ///
    /// The closure runs again when the value was changed meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("visits", 1)].into();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.update("visits", |n| n + 1, &guard), Some(&2));
    /// assert_eq!(map.update("faults", |n| n + 1, &guard), None);
    /// ```
    #[inline]
    #[track_caller]
    pub fn update<'g>(&'g self, key: K, update: impl FnMut(&V) -> V, guard: &'g R::Guard) -> Option<&'g V> {
        R::check(guard);
        let hash = self.hash(&key);
        self.update_hashed(hash, key, update, guard)
    }

    #[inline]
    pub(super) fn update_hashed<'g>(
        &'g self,
        hash: u64,
        key: K,
        mut update: impl FnMut(&V) -> V,
        guard: &'g R::Guard,
    ) -> Option<&'g V> {
        let mut draft = self.raw.draft(Some(key), None, guard);
        let decide = |draft: &mut Draft<'g, K, V, R>, entry: Option<&'g Entry<K, V>>| match entry {
            Some(entry) => {
                draft.value = Some(update(&entry.value));
                Decision::Put
            }
            None => Decision::Leave,
        };
        match self.raw.apply(hash, |draft, other| draft.key() == other, &mut draft, decide, guard) {
            Outcome::Replaced { new, .. } => Some(&new.value),
            _ => None,
        }
    }

    /// As [`update`](Self::update), with a borrowed key; the entry's key is cloned.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: latchfree::HashMap<_, _> = [("visits".to_string(), 1)].into();
    /// assert_eq!(map.update_ref("visits", |n| n + 1, &latchfree::pin()), Some(&2));
    /// ```
    #[inline]
    #[track_caller]
    pub fn update_ref<'g, Q>(
        &'g self,
        key: &Q,
        mut update: impl FnMut(&V) -> V,
        guard: &'g R::Guard,
    ) -> Option<&'g V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        K: Clone,
    {
        R::check(guard);
        let hash = self.hash(key);
        let mut draft = self.raw.draft(None, None, guard);
        let decide = |draft: &mut Draft<'g, K, V, R>, entry: Option<&'g Entry<K, V>>| match entry {
            Some(entry) => {
                draft.value = Some(update(&entry.value));
                if !draft.has_key() {
                    draft.set_key((*entry.key).clone());
                }
                Decision::Put
            }
            None => Decision::Leave,
        };
        match self.raw.apply(hash, |_, other| key.equivalent(other), &mut draft, decide, guard) {
            Outcome::Replaced { new, .. } => Some(&new.value),
            _ => None,
        }
    }

    /// Replaces a key's value by what a closure makes of it, or inserts one; returns what is there then.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.update_or_insert("visits", |n| n + 1, 1, &guard), &1);
    /// assert_eq!(map.update_or_insert("visits", |n| n + 1, 1, &guard), &2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn update_or_insert<'g>(
        &'g self,
        key: K,
        update: impl FnMut(&V) -> V,
        value: V,
        guard: &'g R::Guard,
    ) -> &'g V {
        R::check(guard);
        let hash = self.hash(&key);
        self.update_or(hash, key, update, Start::<V, fn() -> V>::Value(value), guard)
    }

    /// As [`update_or_insert`](Self::update_or_insert), with the value to be inserted made by a closure, which runs at
    /// most once.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = latchfree::HashMap::new();
    /// let guard = latchfree::pin();
    /// assert_eq!(map.update_or_insert_with("visits", |n| n + 1, || 1, &guard), &1);
    /// assert_eq!(map.update_or_insert_with("visits", |n| n + 1, || 1, &guard), &2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn update_or_insert_with<'g>(
        &'g self,
        key: K,
        update: impl FnMut(&V) -> V,
        value: impl FnOnce() -> V,
        guard: &'g R::Guard,
    ) -> &'g V {
        R::check(guard);
        let hash = self.hash(&key);
        self.update_or(hash, key, update, Start::With(value), guard)
    }

    pub(super) fn update_or<'g>(
        &'g self,
        hash: u64,
        key: K,
        mut update: impl FnMut(&V) -> V,
        start: Start<V, impl FnOnce() -> V>,
        guard: &'g R::Guard,
    ) -> &'g V {
        let mut draft = self.raw.draft(Some(key), None, guard);
        // The value to be inserted. It is kept here while the draft has an updated one; `inserting` says that the
        // draft has it.
        let mut start = Some(start);
        let mut inserting = false;
        let decide = |draft: &mut Draft<'g, K, V, R>, entry: Option<&'g Entry<K, V>>| {
            match entry {
                Some(entry) => {
                    let updated = update(&entry.value);
                    if core::mem::take(&mut inserting) {
                        start = draft.take_value().map(Start::Value);
                    }
                    draft.value = Some(updated);
                }
                None => {
                    let value = match start.take() {
                        Some(Start::Value(value)) => value,
                        Some(Start::With(value)) => value(),
                        None => unreachable!("the value to be inserted is here unless it is in the draft"),
                    };
                    draft.value = Some(value);
                    inserting = true;
                }
            }
            Decision::Put
        };
        let eq = |draft: &Draft<'g, K, V, R>, other: &K| draft.key() == other;
        &current(self.raw.apply(hash, eq, &mut draft, decide, guard)).value
    }

    /// Does what a closure says about an entry, or about there being none, in one step.
    ///
    /// The closure runs again when the entry was changed meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Compute, HashMap, Operation};
    ///
    /// let map = HashMap::new();
    /// let guard = latchfree::pin();
    /// // Takes one of at most two places, and tells if there is none.
    /// let take = |entry: Option<(&_, &u32)>| match entry {
    ///     None => Operation::Insert(1),
    ///     Some((_, n)) if *n < 2 => Operation::Insert(n + 1),
    ///     Some(_) => Operation::Abort("full"),
    /// };
    /// assert_eq!(map.compute("gate", take, &guard), Compute::Inserted(&"gate", &1));
    /// assert!(matches!(map.compute("gate", take, &guard), Compute::Updated { new: (_, 2), .. }));
    /// assert_eq!(map.compute("gate", take, &guard), Compute::Aborted("full"));
    /// ```
    #[inline]
    #[track_caller]
    pub fn compute<'g, T>(
        &'g self,
        key: K,
        compute: impl FnMut(Option<(&'g K, &'g V)>) -> Operation<V, T>,
        guard: &'g R::Guard,
    ) -> Compute<'g, K, V, T> {
        R::check(guard);
        let hash = self.hash(&key);
        let draft = self.raw.draft(Some(key), None, guard);
        self.compute_hashed(hash, |draft, other| draft.key() == other, draft, |_| (), compute, guard)
    }

    /// As [`compute`](Self::compute), with a borrowed key, which is cloned if it is inserted.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::hash_map::{Compute, HashMap, Operation};
    ///
    /// let map: HashMap<_, _> = [("a".to_string(), 1)].into();
    /// let guard = latchfree::pin();
    /// let remove = |_: Option<(&String, &i32)>| Operation::<i32>::Remove;
    /// assert!(matches!(map.compute_ref(&"a".to_string(), remove, &guard), Compute::Removed(_, 1)));
    /// ```
    #[inline]
    #[track_caller]
    pub fn compute_ref<'g, T>(
        &'g self,
        key: &K,
        compute: impl FnMut(Option<(&'g K, &'g V)>) -> Operation<V, T>,
        guard: &'g R::Guard,
    ) -> Compute<'g, K, V, T>
    where
        K: Clone,
    {
        R::check(guard);
        let hash = self.hash(key);
        let draft = self.raw.draft(None, None, guard);
        let fill = |draft: &mut Draft<'g, K, V, R>| {
            if !draft.has_key() {
                draft.set_key(key.clone());
            }
        };
        self.compute_hashed(hash, |_, other| key == other, draft, fill, compute, guard)
    }

    #[inline]
    fn compute_hashed<'g, T>(
        &'g self,
        hash: u64,
        eq: impl Fn(&Draft<'g, K, V, R>, &K) -> bool,
        mut draft: Draft<'g, K, V, R>,
        fill: impl Fn(&mut Draft<'g, K, V, R>),
        mut compute: impl FnMut(Option<(&'g K, &'g V)>) -> Operation<V, T>,
        guard: &'g R::Guard,
    ) -> Compute<'g, K, V, T> {
        let mut aborted = None;
        let decide = |draft: &mut Draft<'g, K, V, R>, entry: Option<&'g Entry<K, V>>| match compute(
            entry.map(|entry| (&*entry.key, &*entry.value)),
        ) {
            Operation::Insert(value) => {
                draft.value = Some(value);
                fill(draft);
                Decision::Put
            }
            Operation::Remove if entry.is_some() => Decision::Remove,
            Operation::Remove => Decision::Leave,
            Operation::Abort(with) => {
                aborted = Some(with);
                Decision::Leave
            }
        };
        match self.raw.apply(hash, eq, &mut draft, decide, guard) {
            Outcome::Inserted(entry) => Compute::Inserted(&entry.key, &entry.value),
            Outcome::Replaced { old, new } => {
                Compute::Updated { old: (&old.key, &old.value), new: (&new.key, &new.value) }
            }
            Outcome::Removed(entry) => Compute::Removed(&entry.key, &entry.value),
            Outcome::Left(_) => match aborted {
                Some(with) => Compute::Aborted(with),
                None => Compute::Absent,
            },
        }
    }
}
