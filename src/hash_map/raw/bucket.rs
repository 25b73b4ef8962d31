//! A bucket: one cache line of a header, slots and a link, and what comes behind it when it runs full. What the slots hold,
//! and the steps by which entries come and go, is each map's own ([`boxed`](super::boxed), [`inline`](super::inline)).
//!
//! ```text
//!   bucket  | header | slot 0 | ... | slot n | link |      one line
//!   link -> | slot n + 1 | ... | block |                   a second line, once the first was full
//!   block -> [(hash, entry) ...]                           copy-on-write, once both were full
//! ```
//!
//! **Invariants**
//!
//! 1. A place changes hands only by way of `Free`: claimed by an operation (`Trying`), committed by it (`Valid`), freed by the
//!    operation that takes its entry out, or by the one that claimed it and did not commit.
//! 2. All commits of a bucket are exchanges of its header. A frozen header admits no claim and no commit.
//! 3. A migration seals the link of a bucket that has no second line: none comes later, which nobody would free, and with it
//!    no block.

use alloc::boxed::Box;
use core::ptr::{self, NonNull};

use super::block::{Block, Listed};
use super::header::{EXTRAS, Header, Layout};
use super::tagged::{Tagged, frozen, is_frozen, object, sealed};
use crate::reclaim::Retired;
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// What a bucket's places hold: atomics whose zero is *never written*.
pub(in crate::hash_map) trait Slot: Sized {
    /// An entry, as lists and blocks have it.
    type Item: Copy;
    type Layout: Layout;
    /// As many as the layout has lanes.
    type Lanes: AsRef<[Self]>;
    /// Entries a bucket, on average, from which on a table grows.
    const LOAD: usize;

    fn never() -> Self;
    fn lanes() -> Self::Lanes;

    /// Freezes what a frozen header leaves changeable in the lines: what they hold is fixed from then on.
    fn freeze_lines(bucket: &Bucket<Self>);

    /// Puts the entries of the lines into `out`. Exact if the lines are frozen. Else each is an entry that was in the map at some
    /// time since the call, and those are among them that were throughout. The header that it goes by may be newer than `header`.
    fn read(
        bucket: &Bucket<Self>,
        header: Header<Self::Layout>,
        hash: impl Fn(Self::Item) -> u64,
        out: &mut alloc::vec::Vec<Listed<Self::Item>>,
    );

    /// Fills a bucket of a new table with entries that every helper finds the same and in the same order, and opens it.
    fn fill(bucket: &Bucket<Self>, entries: &[Listed<Self::Item>]);
}

#[repr(align(64))]
pub(in crate::hash_map) struct Bucket<T: Slot> {
    pub(super) header: AtomicU64,
    pub(super) slots: T::Lanes,
    link: AtomicPtr<Extra<T>>,
}

/// A bucket's second line. It comes when the first is full, and stays as long as the bucket.
#[repr(align(64))]
pub(super) struct Extra<T: Slot> {
    pub(super) slots: [T; EXTRAS],
    /// The block that has replaced the lines, if there is one.
    block: AtomicPtr<Block<T::Item>>,
}

impl<T: Slot> Extra<T> {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { slots: core::array::from_fn(|_| T::never()), block: AtomicPtr::new(ptr::null_mut()) })
    }
}

impl<T: Slot> Bucket<T> {
    #[cfg_attr(
        not(any(latchfree_loom, latchfree_stall)),
        allow(dead_code, reason = "an uninitialised bucket is zeroed memory there")
    )]
    pub(super) fn new(header: Header<T::Layout>) -> Self {
        Self { header: AtomicU64::new(header.0), slots: T::lanes(), link: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline(always)]
    pub(super) fn header(&self) -> Header<T::Layout> {
        // SeqCst: pairs with commits, for the entries, and keeps the slots' loads behind it. It is where a look-up that
        // finds nothing takes effect. No model can tell: for loom the fence before the root's load stands for this one, too. The
        // language's own model can (`tools/litmus`, "a slot behind its header", where that is the bucket behind the root).
        Header::new(self.header.load(Ordering::SeqCst))
    }

    /// The second line, if there is one.
    #[inline]
    pub(super) fn extra(&self) -> Option<&Extra<T>> {
        // Acquire: pairs with the Release that linked it.
        // SAFETY: linked once, and freed with the bucket.
        object(self.link.load(Ordering::Acquire)).map(|extra| unsafe { extra.as_ref() })
    }

    /// A place's slot. The second line is there if the place was claimed, or is valid.
    #[inline(always)]
    pub(super) fn slot(&self, place: usize) -> &T {
        match self.slots.as_ref().get(place) {
            Some(slot) => slot,
            None => &self.extra().expect("a claimed place's line").slots[place - T::Layout::LANES],
        }
    }

    /// Claims a free place of a header that was read; the header with the claim.
    #[inline(always)]
    pub(super) fn claim(&self, header: Header<T::Layout>, place: usize) -> Option<Header<T::Layout>> {
        if place >= T::Layout::LANES && !self.need_extra() {
            return None;
        }
        // Acquire: after the place was freed. Release: who sees the second line full sees the line. Losing means that the
        // header changed: another claim, commit or removal. No model can tell: who frees a place that it did not commit
        // has lost to a commit, so the header that is expected here is not one from before, and was acquired when it was read;
        // and who sees the claim but not the line tries again.
        let new = header.claimed(place);
        let claimed =
            self.header.compare_exchange(header.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        claimed.then_some(new)
    }

    /// Frees a place that is the caller's to free.
    #[inline(always)]
    pub(super) fn free(&self, place: usize) {
        // Release: who claims the place comes after what was done with the slot. On a frozen bucket it does not matter.
        self.header.fetch_and(!Header::<T::Layout>::mask(place), Ordering::Release);
    }

    /// Links a second line, unless there is one; false if the link is sealed.
    pub(super) fn need_extra(&self) -> bool {
        self.extra().is_some() || self.link(Extra::new())
    }

    /// As `need_extra`, with a line that was made.
    pub(super) fn link(&self, extra: Box<Extra<T>>) -> bool {
        let extra = Box::into_raw(extra);
        // Release: publishes the line; pairs with the Acquire in `extra`. Losing means that there is one, or that the link is
        // sealed; Relaxed, for `extra` acquires it.
        match self.link.compare_exchange(ptr::null_mut(), extra, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => true,
            Err(now) => {
                // SAFETY: ours, from above, and not published.
                drop(unsafe { Box::from_raw(extra) });
                object(now).is_some()
            }
        }
    }

    /// Freezes the header: no claim, no commit any more.
    pub(super) fn freeze_header(&self) -> Header<T::Layout> {
        let header = self.header();
        if header.is_frozen() {
            return header;
        }
        let freeze = Header::<T::Layout>::FREEZE;
        // SeqCst: after all commits; whoever sees the bit sees what its setter saw, and who does not comes before all that is done
        // elsewhere because of it. No model can tell: what loom has for the order of this follows with the opening of the
        // child; the language's own model can (`tools/litmus`, "frozen, and then changed elsewhere"). That it acquires is not
        // needed where the header is read once more before the slots are.
        Header::new(self.header.fetch_or(freeze, Ordering::SeqCst) | freeze)
    }

    /// The block that has replaced the lines, with its tag.
    pub(super) fn block(&self) -> Tagged<Block<T::Item>> {
        // SeqCst: pairs with the exchange that put it there. It is where a look-up in it takes effect. No model can tell: as for
        // the header (`tools/litmus`, "a slot behind its header").
        self.extra().map_or(ptr::null_mut(), |extra| extra.block.load(Ordering::SeqCst))
    }

    /// Puts a block in the place of another, or of the lines (null); false if that was not there any more.
    pub(super) fn set_block(&self, old: Tagged<Block<T::Item>>, new: Box<Block<T::Item>>) -> bool {
        let Some(extra) = self.extra() else { return false };
        let new = Box::into_raw(new);
        // SeqCst: publishes the block and its entries, after the changes before. Losing means that another change was made, or
        // that the block was frozen. The linearization point of all changes in a block. No model can tell: in loom other
        // steps order what this does, too. The language's own model can (`tools/litmus`, "two changes, and
        // looks at the other"). What it replaces was acquired when it was read, and is not put there again.
        let set = extra.block.compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if !set {
            // SAFETY: from above, and not published.
            drop(unsafe { Box::from_raw(new) });
        }
        set
    }

    /// Freezes the block, or that there is none.
    pub(super) fn freeze_block(&self) -> Option<NonNull<Block<T::Item>>> {
        let Some(extra) = self.extra() else {
            // Release: who finds it sealed finds the header frozen. Losing means that there is a line, or that the link is sealed;
            // Relaxed, for `extra` acquires it.
            match self.link.compare_exchange(ptr::null_mut(), sealed(), Ordering::Release, Ordering::Relaxed)
            {
                Err(now) if object(now).is_some() => return self.freeze_block(),
                _ => return None,
            }
        };
        // Acquire: as in `block`.
        let mut tagged = extra.block.load(Ordering::Acquire);
        while !is_frozen(tagged) {
            // SeqCst: as in `freeze_header`. Losing means that it was frozen or changed, which cannot go on for ever without operations
            // that succeed. No model can tell: as there (`tools/litmus`, "frozen, and then changed elsewhere"); what it
            // replaces was acquired when it was read.
            match extra.block.compare_exchange(tagged, frozen(tagged), Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => tagged = now,
            }
        }
        object(tagged)
    }

    /// Fills a bucket of a new table with a block, behind a second line that is there or comes with it; the header says
    /// already that nothing else will be done with them.
    pub(super) fn fill_block(&self, entries: &[Listed<T::Item>]) {
        self.need_extra();
        // Losing means that another helper was first.
        self.set_block(ptr::null_mut(), Block::new(entries));
    }

    /// Opens a bucket of a new table, if it is as it should be.
    pub(super) fn open(&self, from: Header<T::Layout>, to: Header<T::Layout>) {
        // Losing means that another helper opened it, or does it another way. From here on the bucket is where its entries are,
        // and the buckets they came from are not.
        self.take(from, to);
    }

    /// Changes the header of a bucket of a new table, if it is as it should be.
    pub(super) fn take(&self, from: Header<T::Layout>, to: Header<T::Layout>) -> bool {
        // SeqCst: publishes what is in the bucket, after what other helpers did with it, and sends look-ups here.
        self.header.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Frees the second line and the block, and no entries.
    pub(super) fn free_extra(&mut self) {
        if let Some(extra) = object(self.link.with_mut(|extra| *extra)) {
            // SAFETY: from `Box::into_raw`; the bucket is not shared any more.
            unsafe { Extra::<T>::free(extra.cast()) };
        }
    }

    /// The second line and the block of a bucket that was moved, as garbage.
    pub(super) fn retired_extra(&self) -> Option<Retired> {
        let object = NonNull::from(self.extra()?).cast();
        Some(Retired { object, reclaim: Extra::<T>::free, bytes: size_of::<Extra<T>>() })
    }
}

impl<T: Slot> Extra<T> {
    /// # Safety
    ///
    /// From `Box::into_raw`, and nobody reaches it any more.
    unsafe fn free(extra: NonNull<u8>) {
        // SAFETY: the caller's promise.
        let mut extra = unsafe { Box::from_raw(extra.cast::<Self>().as_ptr()) };
        if let Some(block) = object(extra.block.with_mut(|block| *block)) {
            // SAFETY: as above; a block that was replaced was retired apart.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}
