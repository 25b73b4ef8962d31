//! The engine of [`HashMap`](super::HashMap) and [`CopyMap`](super::CopyMap): buckets of one cache line, in tables that are
//! migrated by helping.
//!
//! The layout and the two-step insertion are of the DLHT family ([A. Katsarakis, V. Gavrielatos, N. Ntarmos,
//! *DLHT: A Non-blocking Resizable Hashtable with Fast Deletes and Memory-awareness*, 2024](https://arxiv.org/abs/2406.09986)).
//! What differs: a tag per place stands in the header word, so that a look-up compares all of a bucket's tags at once; no
//! compare-exchange is wider than a word; buckets that are migrated hold up nobody; a version that is used up confuses nobody;
//! and buckets that run full, by equal hashes or by stopped threads, go on as copy-on-write blocks.
//!
//! ```text
//!   root -> table: | bucket | bucket | ...  a bucket: header, slots, a link         (bucket, header)
//!              |                 slot -> entry: hash, key, value                    (boxed)
//!              |                 slot = key, value                                  (inline)
//!              |                 link -> more slots, then -> block                  (block)
//!              next -> table, while it is migrated                                  (migration)
//! ```
//! Shared by both maps: tables, migration, the header's bits, second lines, blocks, walks, and here where a key is to be
//! changed. Each map's own is what a slot holds, and so how entries are found, committed, and taken out of lines: a pointer is
//! exchanged in its slot and protected by guards; two words are not, so there all changes are exchanges of the header.
//!
//! **Invariants** are in [`bucket`] (places), [`boxed`] and [`inline`] (commits), and in [`migration`] (where a key is). Over all:
//! *a key has one place.* An insertion commits under a header in which the key was absent, and all insertions into a bucket
//! commit in its header; a child opens once, with what its sources held.
//!
//! *All keys have one order.* Linearizability composes: who inserts into one bucket and misses what another thread inserted into
//! a second bucket, or map, came first, and is not missed there in turn. The orders of single words do not give that. So all
//! steps that change what is in the map, and those that say where it is (a freeze, an opening, the first table), are `SeqCst`
//! exchanges, and the loads at which a look-up takes effect are `SeqCst` loads. These are instructions that `AcqRel` and
//! `Acquire` are on x86 and baseline ARM too; a fence would not be, and one on the writers' side would not do for readers alone.
//! A look-up may be in an old place: what it then reads comes before the freeze in that order, which comes before the opening
//! and everything that was done in the new place.
//!
//! **Progress.** An operation repeats when an exchange failed: another operation's commit, replacement or removal (which is
//! progress), a claim (an operation claims each place of a line once), a freeze (once for each bucket of a table), a migration's
//! step (finitely many). A stopped thread leaves behind, at the most: a claimed place, which the bucket can do without, down to
//! none, when it becomes a block; a chunk that others do again; an unlinked entry that is not reclaimed.
//!
//! **Who frees what.** Boxed entries belong to the map: the operation that unlinks one retires it. Second lines and
//! blocks belong to their bucket, and are retired once it was moved; a block that was replaced is retired by whoever replaced
//! it; tables belong to the map, the old one is retired by whoever exchanged the root. Dropping the map frees what is in it, in a
//! loop; its garbage frees the rest.

pub(super) mod ahead;
mod block;
pub(super) mod boxed;
mod bucket;
mod header;
pub(super) mod inline;
#[cfg(not(any(latchfree_loom, latchfree_stall)))]
mod lines;
mod migration;
mod table;
mod tagged;
mod walk;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};
use core::ptr;

use self::block::Block;
use self::bucket::{Bucket, Slot};
use self::header::Header;
use self::table::Table;
use self::tagged::{Tagged, is_frozen, object};
pub(super) use self::walk::Cursor;
use crate::reclaim::{Reclaim, Retired};
use crate::sync::{AtomicPtr, Ordering, const_fn};
use crate::util::backoff::{self, Place};
use crate::util::count::Count;
use crate::util::prefetch::prefetch;

/// What the entries of a map are.
pub(super) trait Kind {
    /// An entry, as lists and blocks have it.
    type Item: Copy;
    type Slot: Slot<Item = Self::Item>;

    /// Frees the entries of a map that nobody shares and that is going to be dropped; all of them, even if a destructor panics.
    fn free_entries<R: Reclaim>(map: &mut Raw<Self, R>)
    where
        Self: Sized;
}

/// Entries that can be moved.
pub(super) trait Hashed: Kind {
    /// An entry's hash. May be the user's code.
    fn hash(&self, entry: Self::Item) -> u64;
}

/// The hash of a key, with its bits mixed: the table takes its bits from both ends, and some hashers leave them alone.
#[inline(always)]
pub(super) fn hash<Q: Hash + ?Sized>(hasher: &impl BuildHasher, key: &Q) -> u64 {
    let product = u128::from(hasher.hash_one(key)) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

pub(super) struct Raw<M: Kind, R: Reclaim> {
    root: AtomicPtr<Table<M::Slot>>,
    count: Count,
    pub(super) kind: M,
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

/// In which form a bucket has its entries.
enum Form<'g, T: Slot> {
    Lines(Header<T::Layout>),
    /// Not frozen.
    Block(Tagged<Block<T::Item>>, &'g Block<T::Item>),
}

/// Where a key is to be read: in the block if there is one, else in the lines.
type Reached<'g, T> = (&'g Bucket<T>, Header<<T as Slot>::Layout>, Option<&'g Block<<T as Slot>::Item>>);
/// Where a key is to be changed.
type Located<'g, T> = (&'g Table<T>, &'g Bucket<T>, Form<'g, T>);

impl<M: Kind, R: Reclaim> Raw<M, R> {
    const_fn! {
        pub(super) const fn new(kind: M, garbage: R::Garbage) -> Self {
            Self { root: AtomicPtr::new(ptr::null_mut()), count: Count::new(), kind, garbage }
        }
    }

    /// With room for so many entries; none, if there is no memory for them.
    pub(super) fn with_capacity(capacity: usize, kind: M, garbage: R::Garbage) -> Option<Self> {
        let map = Self::new(kind, garbage);
        if capacity > 0 {
            let table = Box::into_raw(Table::new(table::bits_for::<M::Slot>(capacity), None)?);
            // Relaxed: not shared yet.
            map.root.store(table, Ordering::Relaxed);
        }
        Some(map)
    }

    /// Where threads race, for their memory of it: all of the map, since most races are about one key at a time.
    #[inline(always)]
    pub(super) fn place(&self) -> Place {
        (&raw const self.root).cast()
    }

    /// After a change of a shared map, and after its guard if it had one of its own: the pause that is due.
    #[inline(always)]
    pub(super) fn rest(&self) {
        backoff::rest(self.place());
    }

    #[inline(always)]
    fn root<'g>(&'g self, _guard: &'g R::Guard) -> Option<&'g Table<M::Slot>> {
        // SeqCst: pairs with the exchange that put it there, for its buckets. Where there is none, this is where a look-up
        // takes effect. No model can tell: what loom has for the order of the first table follows with the first commit. The
        // language's own model can (`tools/litmus`, "frozen, and then changed elsewhere": the table for the freeze).
        // SAFETY: tables are freed through the reclaimer, after they were unlinked from the root.
        unsafe { self.root.load(Ordering::SeqCst).as_ref() }
    }

    #[cold]
    fn make_root<'g>(&'g self, guard: &'g R::Guard) -> &'g Table<M::Slot> {
        if let Some(table) = Table::new(0, None).map(Box::into_raw) {
            // SeqCst: publishes the table, to look-ups that found none. Losing means that there is one. No model can tell: as in
            // `root`; and it takes the place of null, from which nothing is acquired.
            if self
                .root
                .compare_exchange(ptr::null_mut(), table, Ordering::SeqCst, Ordering::Relaxed)
                .is_err()
            {
                // SAFETY: from above, and not published.
                drop(unsafe { Box::from_raw(table) });
            }
        }
        self.root(guard)
            .unwrap_or_else(|| alloc::alloc::handle_alloc_error(core::alloc::Layout::new::<Table<M::Slot>>()))
    }

    /// Where a key is to be read, if its bucket is frozen: if it was not moved yet, what it holds now is what it will be moved
    /// with.
    #[cold]
    fn reached<'g>(&'g self, mut table: &'g Table<M::Slot>, hash: u64) -> Reached<'g, M::Slot> {
        loop {
            let bucket = table.bucket(hash);
            let header = bucket.header();
            if header.is_frozen() {
                if let Some(next) = self.opened(table, hash) {
                    table = next;
                    continue;
                }
                // SAFETY: reached from a bucket, under the caller's guard.
                let block = object(bucket.block()).map(|block| unsafe { block.as_ref() });
                return (bucket, header, block);
            }
            return (bucket, header, None);
        }
    }

    /// Asks for the line of the bucket of a key that will be looked up soon.
    #[inline(always)]
    pub(super) fn prefetch_bucket(&self, hash: u64, guard: &R::Guard) {
        if let Some(table) = self.root(guard) {
            prefetch(table.bucket(hash));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count.sum()
    }

    /// How many entries the table takes before it grows.
    pub(super) fn capacity(&self, guard: &R::Guard) -> usize {
        self.root(guard).map_or(0, |table| {
            let table = self.next(table).unwrap_or(table);
            table::capacity::<M::Slot>(table.bits())
        })
    }

    /// The table that this one is moved to.
    #[inline]
    pub(super) fn next<'g>(&'g self, table: &'g Table<M::Slot>) -> Option<&'g Table<M::Slot>> {
        // SeqCst: pairs with the exchange in `start`, for its buckets; if there is none, none is in use yet. No model can tell: for
        // loom the fence before the header's load stands for this one, too.
        // SAFETY: a table that is reached under a guard is not freed before that ends, and it has its next table's life:
        // that is retired after it, or with the map.
        unsafe { table.next.load(Ordering::SeqCst).as_ref() }
    }

    /// The next table, if the child of a hash is open there.
    fn opened<'g>(&'g self, table: &'g Table<M::Slot>, hash: u64) -> Option<&'g Table<M::Slot>> {
        self.next(table).filter(|next| !next.bucket(hash).header().is_uninit())
    }
}

impl<M: Hashed, R: Reclaim> Raw<M, R> {
    /// Where a key is to be changed: in a bucket that is not frozen, or in a block that is not. Moves a bucket that is in
    /// between.
    #[inline(always)]
    fn locate<'g>(&'g self, table: &'g Table<M::Slot>, hash: u64) -> Located<'g, M::Slot> {
        let bucket = table.bucket(hash);
        let header = bucket.header();
        if header.is_live() {
            return (table, bucket, Form::Lines(header));
        }
        self.locate_moving(table, hash)
    }

    #[cold]
    fn locate_moving<'g>(&'g self, mut table: &'g Table<M::Slot>, hash: u64) -> Located<'g, M::Slot> {
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
                    M::Slot::freeze_lines(bucket, header);
                    let mut entries = Vec::new();
                    M::Slot::read(bucket, header, Some(|entry| self.kind.hash(entry)), &mut entries);
                    // Losing either means that another thread did it, or that a migration began.
                    if bucket.need_extra() {
                        bucket.set_block(ptr::null_mut(), Block::new(&entries));
                    }
                }
            }
        }
    }

    /// Hands over what this call unlinked. That may run destructors of values that were retired earlier: the map is whole, and
    /// if one panics, the rest is handed over all the same.
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
    fn full(&self, table: &Table<M::Slot>, bucket: &Bucket<M::Slot>, hash: u64) {
        self.crowded(table);
        match self.next(table) {
            Some(next) => self.move_unit_of(table, next, hash),
            None => bucket.freeze_for_block(),
        }
    }

    /// Makes the table at least, or at most, as large as `entries` need, whatever others do meanwhile: ends when a table was seen
    /// that will do. False if there is no memory for it.
    pub(super) fn resize(&self, entries: usize, at_least: bool, guard: &R::Guard) -> bool {
        let bits = table::bits_for::<M::Slot>(entries);
        if at_least && table::capacity::<M::Slot>(bits) < entries {
            return false;
        }
        loop {
            let Some(table) = self.root(guard) else {
                if entries == 0 || !at_least {
                    return true;
                }
                let Some(table) = Table::new(bits, None).map(Box::into_raw) else { return false };
                // As in `make_root`. No model can tell: as there.
                if self
                    .root
                    .compare_exchange(ptr::null_mut(), table, Ordering::SeqCst, Ordering::Relaxed)
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
            if at_least && !Table::<M::Slot>::is_affordable(bits) {
                return false;
            }
            self.start(table, bits);
            // Relaxed: only whether it is that one.
            if self.next(table).is_none() && ptr::eq(self.root.load(Ordering::Relaxed), table) {
                return false;
            }
        }
    }
}

impl<M: Kind, R: Reclaim> Drop for Raw<M, R> {
    fn drop(&mut self) {
        /// Even if a destructor panics.
        struct Tables<'a, M: Kind, R: Reclaim>(&'a mut Raw<M, R>);
        impl<M: Kind, R: Reclaim> Drop for Tables<'_, M, R> {
            fn drop(&mut self) {
                self.0.free_tables();
            }
        }
        M::free_entries(Tables(self).0);
    }
}

impl<M: Kind, R: Reclaim> Raw<M, R> {
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
