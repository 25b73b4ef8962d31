//! Boxed entries: a slot is a pointer to hash, key and value, which are never moved, so that they can be lent.
//!
//! **Linearization.** Insertion: the commit, an exchange of the header. Replacement and removal: the exchange of the slot. In a
//! block, all of them: the exchange of the block. A look-up that finds an entry: the load of the header between the two loads of
//! the slot. One that finds none: the load of the header, or the removal of the key after it (see [`Bucket::find`]).

mod entry;
mod slot;
mod walks;

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

pub(in crate::hash_map) use self::entry::{Draft, Entry};
use self::slot::Pointer;
use self::walks::Walk;
pub(in crate::hash_map) use self::walks::{Lent, Owned};
use super::block::Block;
use super::bucket::Bucket;
use super::header::{Layout, Place, Six};
use super::table::Table;
use super::{Decision, Form, Hashed, Kind};
use crate::reclaim::Reclaim;
use crate::sync::Ordering;
use crate::util::backoff;

/// What a map of boxed entries is made of.
pub(in crate::hash_map) struct Boxed<K, V>(PhantomData<(K, V)>);

/// Entries are pointed to and never move with the map.
impl<K, V> Unpin for Boxed<K, V> {}

impl<K, V> Boxed<K, V> {
    pub(in crate::hash_map) const NEW: Self = Self(PhantomData);
}

impl<K, V> Kind for Boxed<K, V> {
    type Item = NonNull<Entry<K, V>>;
    type Slot = Pointer<K, V>;

    fn free_entries<R: Reclaim>(map: &mut Raw<K, V, R>) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<K, V>(Walk<K, V>);
        impl<K, V> Rest<K, V> {
            fn free(&mut self) {
                // SAFETY: nobody shares the map, and the walk yields each entry once.
                while let Some(entry) = unsafe { self.0.next() } {
                    // SAFETY: as above.
                    unsafe { Entry::<K, V>::free(entry.cast()) };
                }
            }
        }
        impl<K, V> Drop for Rest<K, V> {
            fn drop(&mut self) {
                self.free();
            }
        }
        Rest(map.walk_mut()).free();
    }
}

impl<K, V> Hashed for Boxed<K, V> {
    #[inline(always)]
    fn hash(&self, entry: Self::Item) -> u64 {
        // SAFETY: the engine has it from a bucket, under a guard or unshared.
        unsafe { Entry::at(entry) }.hash
    }
}

type Entries<K, V> = Block<NonNull<Entry<K, V>>>;
pub(in crate::hash_map) type Raw<K, V, R> = super::Raw<Boxed<K, V>, R>;

/// What an operation did.
pub(in crate::hash_map) enum Outcome<'g, K, V> {
    Left(Option<&'g Entry<K, V>>),
    Inserted(&'g Entry<K, V>),
    Replaced { old: &'g Entry<K, V>, new: &'g Entry<K, V> },
    Removed(&'g Entry<K, V>),
}

/// A place that an operation has claimed; given back when it is dropped.
struct Claim<'g, K, V> {
    bucket: &'g Bucket<Pointer<K, V>>,
    place: usize,
}

impl<K, V> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        self.bucket.release(self.place);
    }
}

/// What a change remembers of lost exchanges. The pause that is due then is taken when the guard has ended, or else when the next
/// change begins (see [`held`](super::super::held)).
struct Race {
    place: backoff::Place,
    lost: bool,
}

impl Race {
    #[inline(always)]
    fn begin(place: backoff::Place) -> Self {
        backoff::rest(place);
        Self { place, lost: false }
    }

    #[cold]
    fn lose(&mut self) {
        self.lost = true;
        backoff::lost(self.place);
    }
}

impl Drop for Race {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.lost {
            backoff::won(self.place);
        }
    }
}

impl<K, V, R: Reclaim> Raw<K, V, R> {
    /// A draft of an entry for this map.
    #[inline(always)]
    pub(in crate::hash_map) fn draft<'a>(
        &'a self,
        key: Option<K>,
        value: Option<V>,
        guard: &'a R::Guard,
    ) -> Draft<'a, K, V, R> {
        Draft::new(key, value, &self.garbage, guard)
    }

    /// The entry with a key.
    #[inline(always)]
    pub(in crate::hash_map) fn get<'g>(
        &'g self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
        guard: &'g R::Guard,
    ) -> Option<&'g Entry<K, V>> {
        let table = self.root(guard)?;
        let bucket = table.bucket(hash);
        let header = bucket.header();
        if header.is_live() {
            let found = bucket.find(header, hash, &mut eq)?;
            // SAFETY: found under the guard.
            return Some(unsafe { Entry::at(found.entry) });
        }
        self.get_moving(table, hash, &mut eq)
    }

    #[cold]
    fn get_moving<'g>(
        &'g self,
        table: &'g Table<Pointer<K, V>>,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<&'g Entry<K, V>> {
        let entry = match self.reached(table, hash) {
            (_, _, Some(block)) => Self::find_in(block, hash, eq)?.1,
            (bucket, header, None) => bucket.find(header, hash, eq)?.entry,
        };
        // SAFETY: found under the guard.
        Some(unsafe { Entry::at(entry) })
    }

    fn find_in(
        block: &Entries<K, V>,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<(usize, NonNull<Entry<K, V>>)> {
        // SAFETY: the block was reached under a guard, and what is in it is not freed before that ends.
        block.find(hash, |entry| eq(unsafe { &Entry::at(entry).key }).then_some(entry))
    }

    /// Looks for a key, asks `decide` what to do about the entry, or about there being none, and does it in one step.
    ///
    /// `decide` is asked again if the entry has changed meanwhile, and not for the same entry twice in a row. It sees the draft,
    /// which must have a key and a value when it says `Put`. It must not say `Remove` where there is no entry.
    #[inline]
    pub(in crate::hash_map) fn apply<'g>(
        &'g self,
        hash: u64,
        eq: impl Fn(&Draft<'g, K, V, R>, &K) -> bool,
        draft: &mut Draft<'g, K, V, R>,
        mut decide: impl FnMut(&mut Draft<'g, K, V, R>, Option<&'g Entry<K, V>>) -> Decision,
        guard: &'g R::Guard,
    ) -> Outcome<'g, K, V> {
        let mut decided = None;
        // One answer for one entry, however often it is found again.
        let mut decide = |draft: &mut Draft<'g, K, V, R>, entry: Option<NonNull<Entry<K, V>>>| match decided {
            Some((last, decision)) if last == entry => decision,
            _ => {
                // SAFETY: found under the guard.
                let decision = decide(draft, entry.map(|entry| unsafe { Entry::at(entry) }));
                decided = Some((entry, decision));
                decision
            }
        };
        let mut race = Race::begin(self.place());
        // Dropped before the draft, which they show.
        let mut claim: Option<Claim<'g, K, V>> = None;
        let mut revoked: Vec<Claim<'g, K, V>> = Vec::new();
        loop {
            let root = match self.root(guard) {
                Some(table) => table,
                None if decide(draft, None) != Decision::Put => return Outcome::Left(None),
                None => self.make_root(guard),
            };
            let (table, bucket, form) = self.locate(root, hash);
            if claim.as_ref().is_some_and(|claim| !ptr::eq(claim.bucket, bucket)) {
                claim = None; // in a bucket that was frozen
            }
            match form {
                Form::Lines(header) => {
                    if let Some(found) = bucket.find(header, hash, &mut |key| eq(draft, key)) {
                        // SAFETY: found under the guard.
                        let old = unsafe { Entry::at(found.entry) };
                        match decide(draft, Some(found.entry)) {
                            Decision::Leave => return Outcome::Left(Some(old)),
                            Decision::Put => {
                                let new = draft.entry(hash);
                                if bucket.replace(&found, new) {
                                    draft.given();
                                    drop((claim, revoked));
                                    return self.replaced(old, new, None, guard);
                                }
                                race.lose();
                            }
                            Decision::Remove => {
                                if bucket.remove(&found) {
                                    drop((claim, revoked));
                                    return self.removed(root, old, None, guard);
                                }
                                race.lose();
                            }
                        }
                        continue;
                    }
                    if decide(draft, None) != Decision::Put {
                        return Outcome::Left(None);
                    }
                    let entry = draft.entry(hash);
                    match &claim {
                        // In this form a bucket has the place that was claimed.
                        Some(claimed) if header.place(claimed.place) == Place::Dead => {
                            revoked.extend(claim.take())
                        }
                        Some(claimed) => {
                            if bucket.commit(header, claimed.place, hash) {
                                draft.given();
                                core::mem::forget(claim.take());
                                drop(revoked);
                                return self.inserted(root, entry, None, guard);
                            }
                            race.lose();
                        }
                        None => match header.free() {
                            Some(place) => {
                                if place >= Six::LANES {
                                    self.crowded(table);
                                }
                                if bucket.claim_showing(header, place, entry) {
                                    draft.show();
                                    claim = Some(Claim { bucket, place });
                                }
                            }
                            None => self.full(table, bucket, hash),
                        },
                    }
                }
                Form::Block(tagged, block) => match Self::find_in(block, hash, &mut |key| eq(draft, key)) {
                    Some((index, found)) => {
                        // SAFETY: found under the guard.
                        let old = unsafe { Entry::at(found) };
                        match decide(draft, Some(found)) {
                            Decision::Leave => return Outcome::Left(Some(old)),
                            Decision::Put => {
                                let new = draft.entry(hash);
                                if bucket.set_block(tagged, block.with_replaced(index, new)) {
                                    draft.given();
                                    drop((claim, revoked));
                                    return self.replaced(old, new, Some(block), guard);
                                }
                                race.lose();
                            }
                            Decision::Remove => {
                                if bucket.set_block(tagged, block.without(index)) {
                                    drop((claim, revoked));
                                    self.thinned(table, block.len() - 1);
                                    return self.removed(root, old, Some(block), guard);
                                }
                                race.lose();
                            }
                        }
                    }
                    None => {
                        if decide(draft, None) != Decision::Put {
                            return Outcome::Left(None);
                        }
                        let new = draft.entry(hash);
                        if bucket.set_block(tagged, block.with_inserted(hash, new)) {
                            draft.given();
                            drop((claim, revoked));
                            self.crowded(table);
                            return self.inserted(root, new, Some(block), guard);
                        }
                        race.lose();
                    }
                },
            }
        }
    }

    /// Removes the entry that has the key of a given one, if `remove` says so.
    pub(in crate::hash_map) fn remove_like<'g>(
        &'g self,
        like: &'g Entry<K, V>,
        mut remove: impl FnMut(&Entry<K, V>) -> bool,
        guard: &'g R::Guard,
    ) -> Option<&'g Entry<K, V>>
    where
        K: Eq,
    {
        let mut draft = self.draft(None, None, guard);
        let decide = |_: &mut Draft<'g, K, V, R>, entry: Option<&'g Entry<K, V>>| match entry {
            Some(entry) if remove(entry) => Decision::Remove,
            _ => Decision::Leave,
        };
        match self.apply(like.hash, |_, other| *other == *like.key, &mut draft, decide, guard) {
            Outcome::Removed(entry) => Some(entry),
            _ => None,
        }
    }

    /// Asks for the entry that may be a key's, whose bucket was asked for.
    #[inline(always)]
    pub(in crate::hash_map) fn prefetch_entry(&self, hash: u64, guard: &R::Guard) {
        if let Some(table) = self.root(guard) {
            table.bucket(hash).prefetch(hash);
        }
    }

    #[inline(always)]
    fn replaced<'g>(
        &'g self,
        old: &'g Entry<K, V>,
        new: NonNull<Entry<K, V>>,
        block: Option<&'g Entries<K, V>>,
        guard: &'g R::Guard,
    ) -> Outcome<'g, K, V> {
        self.retire(block, Some(old), guard);
        // SAFETY: it was in the map while we were pinned.
        Outcome::Replaced { old, new: unsafe { Entry::at(new) } }
    }

    #[inline(always)]
    fn inserted<'g>(
        &'g self,
        root: &'g Table<Pointer<K, V>>,
        new: NonNull<Entry<K, V>>,
        block: Option<&'g Entries<K, V>>,
        guard: &'g R::Guard,
    ) -> Outcome<'g, K, V> {
        self.count.add(1);
        self.retire(block, None, guard);
        // The root: so that operations which find their bucket moved take part as well.
        self.help(root, guard);
        // SAFETY: it was in the map while we were pinned.
        Outcome::Inserted(unsafe { Entry::at(new) })
    }

    #[inline(always)]
    fn removed<'g>(
        &'g self,
        root: &'g Table<Pointer<K, V>>,
        old: &'g Entry<K, V>,
        block: Option<&'g Entries<K, V>>,
        guard: &'g R::Guard,
    ) -> Outcome<'g, K, V> {
        self.count.sub(1);
        self.retire(block, Some(old), guard);
        // The root: so that operations which find their bucket moved take part as well.
        self.help(root, guard);
        Outcome::Removed(old)
    }

    #[inline(always)]
    fn retire(&self, block: Option<&Entries<K, V>>, entry: Option<&Entry<K, V>>, guard: &R::Guard) {
        let block = block.map(|block| Block::retired(NonNull::from(block)));
        let entry = entry.map(|entry| Entry::retired(NonNull::from(entry)));
        self.retire_all(block.into_iter().chain(entry), guard);
    }

    /// A block shrank to `len` entries: when many would fit into lines again, the table is rebuilt.
    fn thinned(&self, table: &Table<Pointer<K, V>>, len: usize) {
        // Relaxed: a count.
        if len == Six::LANES && table.thin.fetch_add(1, Ordering::Relaxed) >= table.len() / 16 {
            self.start(table, table.bits());
        }
    }
}
