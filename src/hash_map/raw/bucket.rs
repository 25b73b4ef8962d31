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
//! 3. A second line is linked by an operation that has claimed one of its places, and gives that back later; or for a block, which
//!    `FROZEN` announces. So behind a header that a migration froze and that has neither a claim on such a place nor `FROZEN`, nothing
//!    is linked any more. Behind others the migration seals the link if there is no line, and freezes the block: none comes later,
//!    which nobody would free.

use alloc::boxed::Box;
use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::block::{Block, Listed};
use super::header::{EXTRAS, Header, Layout as _};
use super::tagged::{Tagged, frozen, is_frozen, object, sealed};
use crate::reclaim::Retired;
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use crate::util::prefetch::prefetch;
use crate::util::recycle;

/// What a bucket's places hold: atomics for which zero will do where nothing was written yet.
pub(in crate::hash_map) trait Slot: Sized {
    /// An entry, as lists and blocks have it.
    type Item: Copy;
    type Layout: super::header::Layout;
    /// As many as the layout has lanes.
    type Lanes: AsRef<[Self]>;
    /// Entries a bucket, on average, from which on a table grows.
    const LOAD: usize;
    /// So many entries are moved into a bucket's lines.
    const MOST: usize;

    fn never() -> Self;
    fn lanes() -> Self::Lanes;

    /// Writes a slot that is the caller's alone.
    fn write(&self, entry: Self::Item);

    /// Asks for the entries in the lines, if they are elsewhere.
    fn prefetch_all(bucket: &Bucket<Self>);

    /// Freezes what a frozen header leaves changeable in the lines: what they hold is fixed from then on.
    fn freeze_lines(bucket: &Bucket<Self>, header: Header<Self::Layout>);

    /// Puts the entries of the lines into `out`, with their hashes if these are asked for. Exact if the lines are frozen. Else each is an entry that was in the map at some
    /// time since the call, and those are among them that were throughout. The header that it goes by may be newer than `header`.
    fn read(
        bucket: &Bucket<Self>,
        header: Header<Self::Layout>,
        hash: Option<impl Fn(Self::Item) -> u64>,
        out: &mut alloc::vec::Vec<Listed<Self::Item>>,
    );
}

#[repr(align(64))]
pub(in crate::hash_map) struct Bucket<T: Slot> {
    pub(super) header: AtomicU64,
    pub(super) slots: T::Lanes,
    link: AtomicPtr<Extra<T>>,
}

/// A bucket's second line. It comes when the first is full, and stays as long as the bucket. Its memory goes round, as entries' does:
/// asked for whole lines, allocators take several times as long, and a migration makes and frees many.
pub(super) struct Extra<T: Slot> {
    pub(super) slots: [T; EXTRAS],
    /// The block that has replaced the lines, if there is one.
    block: AtomicPtr<Block<T::Item>>,
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

    /// Asks for the second line.
    #[inline]
    pub(super) fn prefetch_extra(&self) {
        // Relaxed: a hint; nothing is read through it.
        if let Some(extra) = object(self.link.load(Ordering::Relaxed)) {
            prefetch(extra.as_ptr());
            // It may lie across two.
            prefetch(extra.as_ptr().wrapping_add(1).cast::<u8>().wrapping_sub(1));
        }
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
        // Made before, for there may be no memory for it; linked after (invariant 3).
        let extra = (place >= T::Layout::LANES && self.extra().is_none()).then(NewExtra::new);
        // Acquire: after the place was freed. Release: who sees the header frozen with the claim seals the link. Losing means that
        // the header changed: another claim, commit or removal. No model can tell: who frees a place that it did not commit has
        // lost to a commit, so the header that is expected here is not one from before, and was acquired when it was read; and a
        // claim says what it says by its value.
        let new = header.claimed(place);
        self.header.compare_exchange(header.0, new.0, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        if extra.is_some_and(|extra| !self.link(extra)) {
            self.free(place);
            return None;
        }
        Some(new)
    }

    /// Frees a place that is the caller's to free.
    #[inline(always)]
    pub(super) fn free(&self, place: usize) {
        // Release: who claims the place comes after what was done with the slot. On a frozen bucket it does not matter.
        self.header.fetch_and(!Header::<T::Layout>::mask(place), Ordering::Release);
    }

    /// Links a second line, unless there is one; false if the link is sealed.
    pub(super) fn need_extra(&self) -> bool {
        self.extra().is_some() || self.link(NewExtra::new())
    }

    /// As `need_extra`, with a line that was made.
    fn link(&self, extra: NewExtra<T>) -> bool {
        let new = extra.0.as_ptr();
        // Release: publishes the line; pairs with the Acquire in `extra`. Losing means that there is one, or that the link is
        // sealed; Relaxed, for `extra` acquires it.
        match self.link.compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => {
                core::mem::forget(extra);
                true
            }
            Err(now) => object(now).is_some(),
        }
    }

    /// Freezes the header of a bucket that becomes a block: no claim, no commit any more.
    pub(super) fn freeze_for_block(&self) {
        // SeqCst: as in `freeze_for_move`. No model can tell: whoever goes by it, its setter included, has read the header again.
        self.header.fetch_or(Header::<T::Layout>::FROZEN, Ordering::SeqCst);
    }

    /// Freezes the header of a bucket that is moved: no claim, no commit any more. True for the one who did it.
    pub(super) fn freeze_for_move(&self) -> (Header<T::Layout>, bool) {
        let moving = Header::<T::Layout>::MOVING;
        let mut old = self.header();
        if old.0 & moving == 0 {
            // SeqCst: after all commits; whoever sees the bit sees what its setter saw, the next table above all, and who does not
            // comes before all that is done elsewhere because of it. No model can tell: what loom has for the order of this
            // follows with the opening of the child; the language's own model can (`tools/litmus`, "frozen, and then changed
            // elsewhere").
            old = Header::new(self.header.fetch_or(moving, Ordering::SeqCst));
        }
        (Header::new(old.0 | moving), old.0 & moving == 0)
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
        // that the block was frozen. The linearization point of all changes in a block. No model can tell: what it replaces was
        // acquired when it was read, and is not put there again.
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
            // Relaxed: a seal passes nothing on. Losing means that there is a line, which `extra` acquires, or a seal.
            match self.link.compare_exchange(ptr::null_mut(), sealed(), Ordering::Relaxed, Ordering::Relaxed)
            {
                Err(now) if object(now).is_some() => return self.freeze_block(),
                _ => return None,
            }
        };
        // Acquire: as in `block`.
        let mut tagged = extra.block.load(Ordering::Acquire);
        while !is_frozen(tagged) {
            // SeqCst: as in `freeze_for_move`. Losing means that it was frozen or changed, which cannot go on for ever without operations
            // that succeed. No model can tell: as there (`tools/litmus`, "frozen, and then changed elsewhere"); what it
            // replaces was acquired when it was read.
            match extra.block.compare_exchange(tagged, frozen(tagged), Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => tagged = now,
            }
        }
        object(tagged)
    }

    /// Fills a bucket of a new table, which only the caller may do, and opens it. False if it does not hold so many entries, or
    /// another helper makes it a block; then the caller has to, too.
    #[must_use]
    #[inline(always)]
    pub(super) fn fill(&self, mut entries: impl Iterator<Item = Listed<T::Item>>) -> bool {
        let mut header = Header::EMPTY;
        for (place, slot) in self.slots.as_ref().iter().enumerate() {
            let Some((hash, entry)) = entries.next() else { return self.open(Header::UNINIT, header) };
            slot.write(entry);
            header = header.filled(place, Header::<T::Layout>::tag(hash));
        }
        self.fill_behind(header, entries)
    }

    /// Goes on with a line that is full.
    #[inline(never)]
    fn fill_behind(
        &self,
        mut header: Header<T::Layout>,
        mut entries: impl Iterator<Item = Listed<T::Item>>,
    ) -> bool {
        let Some(mut next) = entries.next() else { return self.open(Header::UNINIT, header) };
        let extra = NewExtra::<T>::new();
        for place in T::Layout::LANES..T::MOST {
            let (hash, entry) = next;
            extra.slot(place).write(entry);
            header = header.filled(place, Header::<T::Layout>::tag(hash));
            match entries.next() {
                Some(entry) => next = entry,
                None => {
                    // That there is one means that another helper makes it a block, and what was written here is never read.
                    self.link(extra);
                    return self.open(Header::UNINIT, header);
                }
            }
        }
        false
    }

    /// Fills a bucket of a new table as a block, which any number of helpers can do, and opens it, unless it is open.
    pub(super) fn fill_as_block(&self, entries: &[Listed<T::Item>]) {
        self.open(Header::UNINIT, Header::BLOCKING);
        if self.header() == Header::BLOCKING {
            self.need_extra();
            // Losing means that another helper was first.
            self.set_block(ptr::null_mut(), Block::new(entries));
            self.open(Header::BLOCKING, Header::BLOCK);
        }
    }

    /// Changes the header of a bucket of a new table, if it is as it should be.
    fn open(&self, from: Header<T::Layout>, to: Header<T::Layout>) -> bool {
        // SeqCst: publishes what is in the bucket, after what other helpers did with it, and sends look-ups here. Losing means that
        // another helper opened it, or fills it another way. From the opening on the bucket is where its entries are, and the
        // buckets they came from are not. No model can tell: what loom has for the order of this follows with the first change
        // in the child (`tools/litmus`, "frozen, and then changed elsewhere": the opening for the freeze); and nothing is
        // acquired from a bucket that was not open.
        self.header.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Frees the second line and the block, and no entries.
    pub(super) fn free_extra(&mut self) {
        if let Some(extra) = object(self.link.with_mut(|extra| *extra)) {
            // SAFETY: linked, and the bucket is not shared any more.
            unsafe { Extra::<T>::free(extra.cast()) };
        }
    }

    /// The second line and the block of a bucket that was moved, as garbage.
    pub(super) fn retired_extra(&self) -> Option<Retired> {
        let object = NonNull::from(self.extra()?).cast();
        Some(Retired { object, reclaim: Extra::<T>::free, bytes: Extra::<T>::LAYOUT.size() })
    }
}

impl<T: Slot> Extra<T> {
    /// Whole lines. A migration frees hundreds of thousands, and glibc leaves what is freed of up to 120 bytes alone until a large block
    /// comes or goes, and then walks over all of it: with 120 instead of 128, one insertion of ten million took 79 ms, and with 128
    /// none more than 6.
    const LAYOUT: Layout =
        match Layout::from_size_align(size_of::<Self>().next_multiple_of(64), align_of::<Self>()) {
            Ok(layout) => layout,
            Err(_) => unreachable!(),
        };

    /// # Safety
    ///
    /// From [`NewExtra::new`], and nobody reaches it any more.
    unsafe fn free(extra: NonNull<u8>) {
        // SAFETY: the caller's promise; read out once, and never looked at again.
        let mut contents = unsafe { extra.cast::<Self>().read() };
        // SAFETY: allocated so, and what was in it is ours.
        unsafe { recycle::free(extra, Self::LAYOUT) };
        if let Some(block) = object(contents.block.with_mut(|block| *block)) {
            // SAFETY: from `Box::into_raw`, and reached from here only; a block that was replaced was retired apart.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}

/// A second line that is not linked yet; freed if it never is.
struct NewExtra<T: Slot>(NonNull<Extra<T>>);

impl<T: Slot> NewExtra<T> {
    fn new() -> Self {
        let extra = recycle::allocate(Extra::<T>::LAYOUT).cast::<Extra<T>>();
        // SAFETY: allocated for it.
        unsafe {
            extra.write(Extra {
                slots: core::array::from_fn(|_| T::never()),
                block: AtomicPtr::new(ptr::null_mut()),
            });
        }
        Self(extra)
    }

    fn slot(&self, place: usize) -> &T {
        // SAFETY: ours.
        &unsafe { self.0.as_ref() }.slots[place - T::Layout::LANES]
    }
}

impl<T: Slot> Drop for NewExtra<T> {
    fn drop(&mut self) {
        // SAFETY: from `new`, and nobody else reaches it.
        unsafe { Extra::<T>::free(self.0.cast()) };
    }
}
