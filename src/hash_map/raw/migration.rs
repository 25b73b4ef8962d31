//! Migration: moving a map to a table of another size, by helping, in which nobody waits for anybody.
//!
//! ```text
//!   table   | b0 frozen | b1 frozen | b2 live   | b3 live   |        root points here until all is done
//!   next    | opened | opened | opened | (uninit) | (uninit) | ...     children of b: 2b, 2b + 1
//! ```
//! A bucket is moved in three steps:
//!
//! 1. *Freeze*: the header becomes `MOVING` (no insertion commits any more), then the block is frozen, if there can be one, or each
//!    entry's slot (no replacement, no removal). From then on what the bucket holds is fixed, so everybody reads the same
//!    entries.
//! 2. *Fill* the children. Whoever made the header `MOVING` (of a unit, the first one's: see below) is the unit's *mover*. The
//!    children's lines are the mover's alone, who writes them with plain stores.
//! 3. *Open* each child, by a compare-exchange of its header from `UNINIT`.
//!
//! **If the mover stops.** Who needs the bucket gives the mover a bounded time to open it. Then it takes over, as any number of
//! threads can: it freezes what the mover has not, makes each child that is not open `BLOCKING`, after which the mover cannot
//! open it any more and what that writes is never read, and puts the child's entries behind its link as a block.
//!
//! Lines and `MOVING` are one exchange a bucket and one a child, whatever they hold (but for the slots of boxed entries). When all
//! helpers wrote each slot by an exchange from null, and sealed each link, growth of a `CopyMap` took two threads 63 and 74 ns an entry
//! instead of 48 and 49.
//!
//! **Where a key is.** Until its child is open, in the old bucket, frozen or not; from then on, in the child. Replacements and
//! removals in slots that are not frozen yet are legal, since no child is open before all slots are frozen. So a reader of a
//! frozen bucket looks whether the child is open, and if not, reads the bucket: what it finds there was current when it read it, or
//! when the child was opened, which was after the look. It writes nothing and waits for nobody. A writer moves the bucket that it needs, and goes on in the
//! child.
//!
//! **Order.** Only the root is moved, and the next table becomes the root when all its buckets are open; so at most two tables
//! are in use, and none that is frozen has a bucket that is not open. Shrinking is the same with several sources for one child; a
//! *unit* is what must be moved together: one bucket and its children, or one child and its sources.
//!
//! **Who does it**: each insertion and removal during a migration takes a chunk of units by a shared cursor, marks it done, and
//! moves the frontier over chunks that are done. When the cursor is at its end, what the frontier finds undone (its taker
//! stopped, or is slow) is done again by whoever comes. Whoever brings the frontier to the end exchanges the root and retires
//! the old table. Its second lines and blocks are retired before, by whoever is first to find their chunk done: so no operation
//! pays for all. Entries stay where they are throughout.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::{self, NonNull};

use super::block::Listed;
use super::bucket::{Bucket, Slot};
use super::table::{self, CHUNK, Table};
use super::{Hashed, Raw};
use crate::reclaim::Reclaim;
use crate::sync::{Ordering, spin_loop};
use crate::util::prefetch::prefetch;

/// Chunks that the frontier is moved over by one helper. More than one, so that it keeps up with helpers that do a chunk
/// each; and no more than a few, so that no operation pays for all.
const STRIDE: usize = 4;
/// After a migration so many operations look whether the old table can be freed, each time after so many. Only what is retired drives
/// reclamation otherwise, and insertions retire nothing: the old table stayed until the next one followed it, which was a third of
/// the memory of a map that was filled.
const TENDED: usize = 64;
const TENDED_EVERY: usize = 8;
/// Tables of fewer buckets are left to the usual course.
const TENDED_FROM: usize = 1 << 10;
/// A migration makes a table at most 2^WIDEST times as large, or as small, so that a unit is not large.
const WIDEST: u32 = 4;
/// Tables of fewer than 2^6 buckets grow fourfold, larger ones twofold: by so many bits.
const fn growth(bits: u32) -> u32 {
    if cfg!(any(latchfree_loom, latchfree_stall)) || bits >= 6 { 1 } else { 2 }
}

/// How often a helper looks whether the mover of a unit has opened its children: some time longer than that takes if it runs. Growth by
/// two threads on two cores was the same with 0, 8, 64, 512 and 4096.
const PATIENCE: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 0 } else { 64 };

impl<M: Hashed, R: Reclaim> Raw<M, R> {
    /// Starts a migration if a table is crowded, is the root, and none is under way.
    #[cold]
    pub(super) fn crowded(&self, table: &Table<M::Slot>) {
        // Relaxed: only whether there is one. The sum is not taken while a migration is under way.
        if table.next.load(Ordering::Relaxed).is_null()
            && self.len() >= table::capacity::<M::Slot>(table.bits())
        {
            self.start(table, table.bits() + growth(table.bits()));
        }
    }

    /// Starts the migration of the root to a table of about 2^bits buckets; none is started if there is one, or no memory.
    pub(super) fn start(&self, table: &Table<M::Slot>, bits: u32) {
        // Acquire: as in `root`. If it is another, `table` is not in use yet, or no more. No model can tell: the exchange below
        // decides, and what is in the table's buckets is acquired with their headers.
        if !ptr::eq(self.root.load(Ordering::Acquire), table) || !table.next.load(Ordering::Acquire).is_null()
        {
            return;
        }
        let bits = bits.clamp(table.bits().saturating_sub(WIDEST), table.bits() + WIDEST);
        let Some(next) = Table::new(bits, Some(table.len())) else { return };
        let next = Box::into_raw(next);
        // SeqCst: publishes the table, to look-ups that found none. Losing means that another thread started one. No model can tell:
        // what loom has for the order of this follows with the first freeze (`tools/litmus`, "frozen, and then changed
        // elsewhere": the table for the freeze); and it takes the place of null, from which nothing is acquired.
        if table.next.compare_exchange(ptr::null_mut(), next, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            // SAFETY: from above, and not published.
            drop(unsafe { Box::from_raw(next) });
        }
    }

    /// Moves what a hash's child needs.
    #[cold]
    pub(super) fn move_unit_of(&self, table: &Table<M::Slot>, next: &Table<M::Slot>, hash: u64) {
        let unit = if table.bits() < next.bits() { table.index(hash) } else { next.index(hash) };
        self.move_unit(table, next, unit, &mut Vec::new());
    }

    /// `list` is empty memory, for units to come as well.
    fn move_unit(
        &self,
        table: &Table<M::Slot>,
        next: &Table<M::Slot>,
        unit: usize,
        list: &mut Vec<Listed<M::Item>>,
    ) {
        let sources = 1 << table.bits().saturating_sub(next.bits());
        let children = 1 << next.bits().saturating_sub(table.bits());
        let children = unit * children..(unit + 1) * children;
        let are_open = || children.clone().all(|child| !next.at(child).header().is_uninit());
        if are_open() {
            return;
        }
        list.clear();
        let mut is_mover = false;
        for source in unit * sources..(unit + 1) * sources {
            let bucket = table.at(source);
            let (header, is_first) = bucket.freeze_for_move();
            if source == unit * sources {
                is_mover = is_first;
                if !is_mover
                    && (0..PATIENCE).any(|_| {
                        spin_loop();
                        are_open()
                    })
                {
                    return;
                }
            }
            let block = if header.is_open_behind() { bucket.freeze_block() } else { None };
            if let Some(block) = block {
                // SAFETY: reached from a bucket, under the caller's guard.
                list.extend(unsafe { block.as_ref() }.entries());
            } else {
                M::Slot::freeze_lines(bucket, header);
                M::Slot::read(bucket, header, Some(|entry| self.kind.hash(entry)), list);
            }
        }
        for child in children {
            let bucket = next.at(child);
            let entries = list.iter().copied().filter(|(hash, _)| next.index(*hash) == child);
            if !is_mover || !bucket.fill(entries.clone()) {
                bucket.fill_as_block(&entries.collect::<Vec<_>>());
            }
        }
    }

    /// Does a part of the migration that is under way, if one is; true if there may be more to do.
    #[inline]
    pub(super) fn help(&self, table: &Table<M::Slot>, guard: &R::Guard) -> bool {
        match self.next(table) {
            None => {
                // Relaxed: a hint. Not in models, whose tables are small.
                if !cfg!(latchfree_loom) && table.tended.load(Ordering::Relaxed) > 0 {
                    self.tend(table);
                }
                false
            }
            Some(next) => self.help_with(table, next, guard),
        }
    }

    #[cold]
    fn tend(&self, table: &Table<M::Slot>) {
        // Relaxed, both: a hint; that several threads count at once does not matter.
        let left = table.tended.load(Ordering::Relaxed).saturating_sub(1);
        table.tended.store(left, Ordering::Relaxed);
        if left % TENDED_EVERY == 0 {
            R::collect(&self.garbage);
            if R::backlog(&self.garbage).objects == 0 {
                // Relaxed: as above.
                table.tended.store(0, Ordering::Relaxed);
            }
        }
    }

    #[cold]
    fn help_with(&self, table: &Table<M::Slot>, next: &Table<M::Slot>, guard: &R::Guard) -> bool {
        let chunks = next.done.len();
        // Relaxed, all about the cursor: what it gives out may be done twice, or by nobody yet.
        if next.cursor.load(Ordering::Relaxed) < chunks {
            let chunk = next.cursor.fetch_add(1, Ordering::Relaxed);
            if chunk < chunks {
                self.move_chunk(table, next, chunk, guard);
                self.move_frontier(table, next, STRIDE, false, guard);
                return true;
            }
        }
        self.move_frontier(table, next, STRIDE, true, guard)
    }

    fn move_chunk(&self, table: &Table<M::Slot>, next: &Table<M::Slot>, chunk: usize, guard: &R::Guard) {
        let units = table.len().min(next.len());
        let (sources, children) = (table.len() / units, next.len() / units);
        let units = chunk * CHUNK..units.min((chunk + 1) * CHUNK);
        let sources = || (units.start * sources..units.end * sources).map(|source| table.at(source));
        sources().for_each(|source| prefetch(source));
        (units.start * children..units.end * children).for_each(|child| prefetch(next.at(child)));
        for source in sources() {
            source.prefetch_extra();
            M::Slot::prefetch_all(source);
        }
        let mut list = Vec::new();
        for unit in units.clone() {
            self.move_unit(table, next, unit, &mut list);
        }
        // Release: who sees it done sees its children open, which we have seen ourselves.
        if next.done[chunk].swap(1, Ordering::Release) == 0 {
            // Whoever enters from now on finds the children open, and does not look at the sources' second lines. Only the
            // thread that was first to find the chunk done comes to this line.
            self.retire_all(sources().filter_map(Bucket::retired_extra), guard);
        }
    }

    /// Moves the frontier over up to `stride` chunks, doing what is not done if `insist`; the end of it is the new root. True if
    /// there is more to do.
    fn move_frontier(
        &self,
        table: &Table<M::Slot>,
        next: &Table<M::Slot>,
        stride: usize,
        insist: bool,
        guard: &R::Guard,
    ) -> bool {
        for _ in 0..stride {
            // Relaxed: which is the next; that those before it are done is acquired below.
            let chunk = next.frontier.load(Ordering::Relaxed);
            let Some(done) = next.done.get(chunk) else { break };
            // Acquire: pairs with the Release in `move_chunk`.
            if done.load(Ordering::Acquire) == 0 {
                if !insist {
                    return true;
                }
                self.move_chunk(table, next, chunk, guard);
            }
            // Release: passes on that the chunks are done. Losing means that another helper moved it.
            let _ = next.frontier.compare_exchange(chunk, chunk + 1, Ordering::Release, Ordering::Relaxed);
        }
        // Acquire: all chunks are done, and their children open.
        if next.frontier.load(Ordering::Acquire) < next.done.len() {
            return true;
        }
        if !cfg!(latchfree_loom) && table.len() >= TENDED_FROM {
            // Relaxed: a hint.
            next.tended.store(TENDED, Ordering::Relaxed);
        }
        let (old, new) = (ptr::from_ref(table).cast_mut(), ptr::from_ref(next).cast_mut());
        // Release: passes on the table. Losing means that another helper was first; it cannot come back to `table`, which is not
        // freed while our guard stands.
        if self.root.compare_exchange(old, new, Ordering::Release, Ordering::Relaxed).is_ok() {
            // SAFETY: not reached from the root any more, and from no other table: it was the oldest. Only the thread whose
            // exchange succeeded comes to this line.
            unsafe { R::retire(&self.garbage, Table::retired(NonNull::from(table)), guard) };
        }
        false
    }

    /// Completes the migration that is under way, if one is.
    pub(super) fn finish(&self, table: &Table<M::Slot>, guard: &R::Guard) {
        while self.help(table, guard) {}
    }
}
