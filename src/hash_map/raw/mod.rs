//! The engine of [`HashMap`](super::HashMap): boxed entries in buckets of one cache line, in tables that are migrated by
//! helping.
//!
//! The layout and the two-step insertion are of the DLHT family ([A. Katsarakis, V. Gavrielatos, N. Ntarmos,
//! *DLHT: A Non-blocking Resizable Hashtable with Fast Deletes and Memory-awareness*, 2024](https://arxiv.org/abs/2406.09986)).
//! What differs: a tag per place stands in the header word, so that a look-up compares all of a bucket's tags at once; no
//! compare-exchange is wider than a word; buckets that are migrated hold up nobody; a version that wraps revokes what it
//! could confuse; and buckets that run full, by equal hashes or by stopped threads, go on as copy-on-write blocks.
//!
//! ```text
//!   root -> table: | bucket | bucket | ...  a bucket: header, six slots, a link     (bucket, header)
//!              |                 slot -> entry: hash, key, value                    (entry)
//!              next -> table, while it is migrated                                  (migration)
//! ```
//!
//! **Invariants** are in [`bucket`] (places, commits), and in [`migration`] (where a key is). Over both: *a key has one place.*
//! An insertion commits under a header in which the key was absent, and all insertions into a bucket commit in its
//! header; a child opens once, with what its sources held.
//!
//! **Linearization.** Insertion: the commit, an exchange of the header. Replacement and removal: the exchange of the slot. In a
//! block, all of them: the exchange of the block. A look-up that finds an entry: the load of the header between the two loads of the
//! slot. One that finds none: the load of the header, or the removal of the key after it (see [`Bucket::find`]).
//!
//! **Progress.** An operation repeats when an exchange failed: another operation's commit, replacement or removal (which is
//! progress), a claim (an operation claims each place of a line once), a freeze (once for each bucket of a table), a migration's
//! step (finitely many). A stopped thread leaves behind, at the most: a claimed place, which the bucket can do without, down to
//! none, when it becomes a block; a chunk that others do again; an unlinked entry that is not reclaimed.
//!
//! **Who frees what.** Entries belong to the map: the operation that unlinks one retires it. Second lines and
//! blocks belong to their bucket, and are retired once it was moved; a block that was replaced is retired by whoever replaced
//! it; tables belong to the map, the old one is retired by whoever exchanged the root. Dropping the map frees what is in it, in a loop; its garbage frees the rest.

mod block;
mod bucket;
mod entry;
mod header;
mod migration;
mod table;
mod walk;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::{self, NonNull};

use self::block::Block;
use self::bucket::{Bucket, Tagged, is_frozen, object};
pub(super) use self::entry::{Draft, Entry};
use self::header::{Header, LANES, Place};
use self::table::Table;
use self::walk::Walk;
pub(super) use self::walk::{Lent, Owned};
use crate::reclaim::{Reclaim, Retired};
use crate::sync::{AtomicPtr, Ordering, const_fn};
use crate::util::count::Count;
use crate::util::prefetch::prefetch;

/// A list of entries, which are not owned by it.
pub(super) type Shared<K, V> = Vec<NonNull<Entry<K, V>>>;

pub(super) struct Raw<K, V, R: Reclaim> {
    root: AtomicPtr<Table<K, V>>,
    count: Count,
    pub(super) garbage: R::Garbage,
}

/// What an operation does about the entry it found, or did not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing.
    Leave,
    /// Puts its draft in the place of the entry, or into the map.
    Put,
    /// Removes the entry.
    Remove,
}

/// What an operation did.
pub(super) enum Outcome<'g, K, V> {
    Left(Option<&'g Entry<K, V>>),
    Inserted(&'g Entry<K, V>),
    Replaced { old: &'g Entry<K, V>, new: &'g Entry<K, V> },
    Removed(&'g Entry<K, V>),
}

/// In which form a bucket has its entries.
enum Form<'g, K, V> {
    Lines(Header),
    /// Not frozen.
    Block(Tagged<Block<K, V>>, &'g Block<K, V>),
}

/// Where a key is to be changed.
type Located<'g, K, V> = (&'g Table<K, V>, &'g Bucket<K, V>, Form<'g, K, V>);

/// A place that an operation has claimed; given back when it is dropped.
struct Claim<'g, K, V> {
    bucket: &'g Bucket<K, V>,
    place: usize,
}

impl<K, V> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        self.bucket.release(self.place);
    }
}

impl<K, V, R: Reclaim> Raw<K, V, R> {
    const_fn! {
        pub(super) const fn new(garbage: R::Garbage) -> Self {
            Self { root: AtomicPtr::new(ptr::null_mut()), count: Count::new(), garbage }
        }
    }

    /// With room for so many entries; none, if there is no memory for them.
    pub(super) fn with_capacity(capacity: usize, garbage: R::Garbage) -> Option<Self> {
        let map = Self::new(garbage);
        if capacity > 0 {
            let table = Box::into_raw(Table::new(table::bits_for(capacity), None)?);
            // Relaxed: not shared yet.
            map.root.store(table, Ordering::Relaxed);
        }
        Some(map)
    }

    /// A draft of an entry for this map.
    #[inline(always)]
    pub(super) fn draft<'a>(
        &'a self,
        key: Option<K>,
        value: Option<V>,
        guard: &'a R::Guard,
    ) -> Draft<'a, K, V, R> {
        Draft::new(key, value, &self.garbage, guard)
    }

    #[inline(always)]
    fn root<'g>(&'g self, _guard: &'g R::Guard) -> Option<&'g Table<K, V>> {
        // Acquire: pairs with the Release that put it there, for its buckets.
        // SAFETY: tables are freed through the reclaimer, after they were unlinked from the root.
        unsafe { self.root.load(Ordering::Acquire).as_ref() }
    }

    #[cold]
    fn make_root<'g>(&'g self, guard: &'g R::Guard) -> &'g Table<K, V> {
        if let Some(table) = Table::new(0, None).map(Box::into_raw) {
            // Release: publishes the table. Losing means that there is one.
            if self
                .root
                .compare_exchange(ptr::null_mut(), table, Ordering::AcqRel, Ordering::Relaxed)
                .is_err()
            {
                // SAFETY: from above, and not published.
                drop(unsafe { Box::from_raw(table) });
            }
        }
        self.root(guard)
            .unwrap_or_else(|| alloc::alloc::handle_alloc_error(core::alloc::Layout::new::<Table<K, V>>()))
    }

    /// The entry with a key.
    #[inline(always)]
    pub(super) fn get<'g>(
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

    /// As `get`, where the bucket is frozen: if it was not moved yet, what it holds now is what it will be moved with.
    #[cold]
    fn get_moving<'g>(
        &'g self,
        mut table: &'g Table<K, V>,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<&'g Entry<K, V>> {
        loop {
            let bucket = table.bucket(hash);
            let header = bucket.header();
            if header.is_frozen() {
                if let Some(next) = self.opened(table, hash) {
                    table = next;
                    continue;
                }
                if let Some(block) = object(bucket.block()) {
                    // SAFETY: reached from a bucket, under the caller's guard.
                    let (_, entry) = unsafe { block.as_ref() }.find(hash, eq)?;
                    // SAFETY: found under the guard.
                    return Some(unsafe { Entry::at(entry) });
                }
            }
            // SAFETY: as above.
            return bucket.find(header, hash, eq).map(|found| unsafe { Entry::at(found.entry) });
        }
    }

    /// The next table, if the child of a hash is open there.
    fn opened<'g>(&'g self, table: &'g Table<K, V>, hash: u64) -> Option<&'g Table<K, V>> {
        self.next(table).filter(|next| !next.bucket(hash).header().is_uninit())
    }

    /// Where a key is to be changed: in a bucket that is not frozen, or in a block that is not. Moves a bucket that is in
    /// between.
    #[inline(always)]
    fn locate<'g>(&'g self, table: &'g Table<K, V>, hash: u64) -> Located<'g, K, V> {
        let bucket = table.bucket(hash);
        let header = bucket.header();
        if header.is_live() {
            return (table, bucket, Form::Lines(header));
        }
        self.locate_moving(table, hash)
    }

    #[cold]
    fn locate_moving<'g>(&'g self, mut table: &'g Table<K, V>, hash: u64) -> Located<'g, K, V> {
        loop {
            let bucket = table.bucket(hash);
            let header = bucket.header();
            if header.is_live() {
                return (table, bucket, Form::Lines(header));
            }
            // A bucket is frozen for a migration, whose table is seen by whoever sees that, or to become a block.
            if let Some(next) = self.next(table) {
                self.move_unit_of(table, next, hash);
                table = next;
                continue;
            }
            let tagged = bucket.block();
            match object(tagged) {
                _ if is_frozen(tagged) => {} // a migration began
                // SAFETY: reached from a bucket, under the caller's guard.
                Some(block) => return (table, bucket, Form::Block(tagged, unsafe { block.as_ref() })),
                None => {
                    bucket.freeze_lines();
                    let entries: Shared<K, V> = bucket.entries(bucket.header()).collect();
                    // Losing means that another thread did it, or that a migration began.
                    drop(bucket.set_block(ptr::null_mut(), Block::new(&entries)));
                }
            }
        }
    }

    /// Looks for a key, asks `decide` what to do about the entry, or about there being none, and does it in one step.
    ///
    /// `decide` is asked again if the entry has changed meanwhile, and not for the same entry twice in a row. It sees the draft,
    /// which must have a key and a value when it says `Put`. It must not say `Remove` where there is no entry.
    #[inline]
    pub(super) fn apply<'g>(
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
                            }
                            Decision::Remove => {
                                if bucket.remove(&found) {
                                    drop((claim, revoked));
                                    return self.removed(table, old, None, guard);
                                }
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
                                return self.inserted(table, entry, None, guard);
                            }
                        }
                        None => match header.free() {
                            Some(place) => {
                                if place >= LANES {
                                    self.crowded(table);
                                }
                                if bucket.claim(header, place, entry) {
                                    draft.show();
                                    claim = Some(Claim { bucket, place });
                                }
                            }
                            None => self.full(table, bucket, hash),
                        },
                    }
                }
                Form::Block(tagged, block) => match block.find(hash, &mut |key| eq(draft, key)) {
                    Some((index, found)) => {
                        // SAFETY: found under the guard.
                        let old = unsafe { Entry::at(found) };
                        match decide(draft, Some(found)) {
                            Decision::Leave => return Outcome::Left(Some(old)),
                            Decision::Put => {
                                let new = draft.entry(hash);
                                if bucket.set_block(tagged, block.with_replaced(index, new)).is_ok() {
                                    draft.given();
                                    drop((claim, revoked));
                                    return self.replaced(old, new, Some(block), guard);
                                }
                            }
                            Decision::Remove => {
                                if bucket.set_block(tagged, block.without(index)).is_ok() {
                                    drop((claim, revoked));
                                    self.thinned(table, block.len() - 1);
                                    return self.removed(table, old, Some(block), guard);
                                }
                            }
                        }
                    }
                    None => {
                        if decide(draft, None) != Decision::Put {
                            return Outcome::Left(None);
                        }
                        let new = draft.entry(hash);
                        if bucket.set_block(tagged, block.with_inserted(hash, new)).is_ok() {
                            draft.given();
                            drop((claim, revoked));
                            self.crowded(table);
                            return self.inserted(table, new, Some(block), guard);
                        }
                    }
                },
            }
        }
    }

    /// Removes the entry that has the key of a given one, if `remove` says so.
    pub(super) fn remove_like<'g>(
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

    /// Asks for the lines of keys that will be looked up soon: the buckets, then the entries that may be theirs.
    pub(super) fn prefetch(&self, hashes: impl Iterator<Item = u64> + Clone, guard: &R::Guard) {
        let Some(table) = self.root(guard) else { return };
        for hash in hashes.clone() {
            prefetch(table.bucket(hash));
        }
        for hash in hashes {
            table.bucket(hash).prefetch(hash);
        }
    }

    #[inline(always)]
    fn replaced<'g>(
        &'g self,
        old: &'g Entry<K, V>,
        new: NonNull<Entry<K, V>>,
        block: Option<&'g Block<K, V>>,
        guard: &'g R::Guard,
    ) -> Outcome<'g, K, V> {
        self.retire(block, Some(old), guard);
        // SAFETY: it was in the map while we were pinned.
        Outcome::Replaced { old, new: unsafe { Entry::at(new) } }
    }

    #[inline(always)]
    fn inserted<'g>(
        &'g self,
        table: &'g Table<K, V>,
        new: NonNull<Entry<K, V>>,
        block: Option<&'g Block<K, V>>,
        guard: &'g R::Guard,
    ) -> Outcome<'g, K, V> {
        self.count.add(1);
        self.retire(block, None, guard);
        self.help(table, guard);
        // SAFETY: it was in the map while we were pinned.
        Outcome::Inserted(unsafe { Entry::at(new) })
    }

    #[inline(always)]
    fn removed<'g>(
        &'g self,
        table: &'g Table<K, V>,
        old: &'g Entry<K, V>,
        block: Option<&'g Block<K, V>>,
        guard: &'g R::Guard,
    ) -> Outcome<'g, K, V> {
        self.count.sub(1);
        self.retire(block, Some(old), guard);
        self.help(table, guard);
        Outcome::Removed(old)
    }

    /// Hands over what this call unlinked. That may run destructors of values that were retired earlier: the map is whole, and
    /// if one panics, the rest is handed over all the same.
    #[inline(always)]
    fn retire(&self, block: Option<&Block<K, V>>, entry: Option<&Entry<K, V>>, guard: &R::Guard) {
        let block = block.map(|block| Block::retired(NonNull::from(block)));
        let entry = entry.map(|entry| Entry::retired(NonNull::from(entry)));
        self.retire_all(block.into_iter().chain(entry), guard);
    }

    /// As `retire`.
    #[inline(always)]
    fn retire_all(&self, objects: impl Iterator<Item = Retired>, guard: &R::Guard) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, R: Reclaim, I: Iterator<Item = Retired>>(I, &'a R::Garbage, &'a R::Guard);
        impl<R: Reclaim, I: Iterator<Item = Retired>> Rest<'_, R, I> {
            #[inline(always)]
            fn retire(&mut self) {
                for retired in &mut self.0 {
                    // SAFETY: all callers pass what their own successful exchange unlinked, once, under the guard.
                    unsafe { R::retire(self.1, retired, self.2) };
                }
            }
        }
        impl<R: Reclaim, I: Iterator<Item = Retired>> Drop for Rest<'_, R, I> {
            #[inline(always)]
            fn drop(&mut self) {
                self.retire();
            }
        }
        Rest::<R, _>(objects, &self.garbage, guard).retire();
    }

    /// All places of a bucket are taken: moves it if the table is being moved, or is to be; else it becomes a block.
    #[cold]
    fn full(&self, table: &Table<K, V>, bucket: &Bucket<K, V>, hash: u64) {
        self.crowded(table);
        match self.next(table) {
            Some(next) => self.move_unit_of(table, next, hash),
            None => drop(bucket.freeze_header()),
        }
    }

    /// A block shrank to `len` entries: when many would fit into lines again, the table is rebuilt.
    fn thinned(&self, table: &Table<K, V>, len: usize) {
        // Relaxed: a count.
        if len == LANES && table.thin.fetch_add(1, Ordering::Relaxed) >= table.len() / 16 {
            self.start(table, table.bits());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count.sum()
    }

    /// How many entries the table takes before it grows.
    pub(super) fn capacity(&self, guard: &R::Guard) -> usize {
        self.root(guard).map_or(0, |table| {
            let table = self.next(table).unwrap_or(table);
            table::capacity(table.bits())
        })
    }

    /// Makes the table at least, or at most, as large as `entries` need, whatever others do meanwhile: ends when a table was seen
    /// that will do. False if there is no memory for it.
    pub(super) fn resize(&self, entries: usize, at_least: bool, guard: &R::Guard) -> bool {
        let bits = table::bits_for(entries);
        if at_least && table::capacity(bits) < entries {
            return false;
        }
        loop {
            let Some(table) = self.root(guard) else {
                if entries == 0 || !at_least {
                    return true;
                }
                let Some(table) = Table::new(bits, None).map(Box::into_raw) else { return false };
                // As in `make_root`.
                if self
                    .root
                    .compare_exchange(ptr::null_mut(), table, Ordering::AcqRel, Ordering::Relaxed)
                    .is_err()
                {
                    // SAFETY: from above, and not published.
                    drop(unsafe { Box::from_raw(table) });
                }
                continue;
            };
            if self.next(table).is_some() {
                self.finish(table, guard);
                continue;
            }
            if if at_least { table.bits() >= bits } else { table.bits() <= bits } {
                return true;
            }
            // Before anything is moved into the tables on the way there.
            if at_least && !Table::<K, V>::is_affordable(bits) {
                return false;
            }
            self.start(table, bits);
            if self.next(table).is_none() && ptr::eq(self.root.load(Ordering::Acquire), table) {
                return false;
            }
        }
    }
}

impl<K, V, R: Reclaim> Drop for Raw<K, V, R> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, K, V, R: Reclaim>(&'a mut Raw<K, V, R>, Walk<K, V>);
        impl<K, V, R: Reclaim> Rest<'_, K, V, R> {
            fn free(&mut self) {
                // SAFETY: nobody shares the map, and the walk yields each entry once.
                while let Some(entry) = unsafe { self.1.next() } {
                    // SAFETY: as above.
                    unsafe { Entry::<K, V>::free(entry.cast()) };
                }
            }
        }
        impl<K, V, R: Reclaim> Drop for Rest<'_, K, V, R> {
            fn drop(&mut self) {
                self.free();
                self.0.free_tables();
            }
        }
        let walk = self.walk_mut();
        Rest(self, walk).free();
    }
}

impl<K, V, R: Reclaim> Raw<K, V, R> {
    /// Frees the tables and leaves an empty map; the entries are somebody else's.
    pub(super) fn free_tables(&mut self) {
        let mut table = core::mem::replace(&mut self.root, AtomicPtr::new(ptr::null_mut()));
        self.count = Count::new();
        loop {
            // Relaxed: nobody shares the map.
            let pointer = table.load(Ordering::Relaxed);
            if pointer.is_null() {
                return;
            }
            // SAFETY: from `Box::into_raw`, and not retired: it is the root, or after it.
            let mut freed = unsafe { Box::from_raw(pointer) };
            table = core::mem::replace(&mut freed.next, AtomicPtr::new(ptr::null_mut()));
            // SAFETY: as above.
            freed.free_extras(unsafe { table.load(Ordering::Relaxed).as_ref() });
        }
    }
}
