//! Chunks of the stack, and the tagged words that name the items in them.
//!
//! ```text
//!   word = address of the chunk | generation | index        the slots up to `index` hold items, and then comes `next`
//!          [ next | len | a state a slot ... | slot 1 | slot 2 | ... | slot len ]
//! ```
//! Why generations make immediate reuse sound is told in [`treiber`](super::treiber). On 64-bit machines they lie in bits 48
//! to 55, which no system sets in an address unless it was asked to, and which are clear of the tags that some keep in the
//! topmost byte; elsewhere in low bits that the alignment leaves free, as the index does. A chunk of one slot that nobody owns,
//! used once between two grace periods, has no generations and an index of its own ([`ALONE`]).
//!
//! A chunk's `next` is read by whoever ever saw its word, so it is accessed atomically only. A slot is touched by who holds it: its
//! state says whether that is the chunk's owner.

use alloc::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use core::hint::assert_unchecked;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::sync::{AtomicBool, AtomicPtr, AtomicU8, Ordering, UnsafeCell};

const SMALL_WORLD: bool = cfg!(any(latchfree_loom, latchfree_stall));

/// Slots of a chunk at most: so many states fill a line with the rest of the header.
const MOST: usize = if SMALL_WORLD { 2 } else { 54 };
/// ... and what they take, in bytes, if there is more than one.
const BYTES: usize = 16 << 10;
/// What the slots of a thread's first chunks take, in bytes, and of those that are soon covered by another thread's.
const FIRST_BYTES: usize = 64;

const HIGH: bool = cfg!(all(target_pointer_width = "64", not(latchfree_loom)));
/// Alignment of chunks.
const ALIGN: usize = if HIGH { 64 } else { 256 };
/// Where the index lies.
const INDEX: usize = 63;
/// The index of an item that is alone in a chunk without generations and owner.
const ALONE: usize = INDEX;
/// Where the generation lies.
const SHIFT: u32 = if HIGH { 48 } else { 6 };
const LAST: usize = if cfg!(latchfree_loom) {
    1
} else if HIGH {
    255
} else {
    3
};
const GENERATION: usize = LAST << SHIFT;

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// The header; the slots lie behind it.
#[repr(C)]
pub(super) struct Chunk<T> {
    next: AtomicPtr<Chunk<T>>,
    len: u8,
    spoiled: AtomicBool,
    states: [AtomicU8; MOST],
}

/// State of a slot: an item is in it, or is on its way in or out.
pub(super) const USED: u8 = 0;
/// The slot is the owner's; 2 says the same of the next one too, and so on.
pub(super) const FREE: u8 = 1;
/// Readers may look at it: not to be used before a grace period.
pub(super) const SPOILED: u8 = u8::MAX;

impl<T> Chunk<T> {
    /// Slots of the largest chunks, and of the first ones.
    pub(super) const LEN: usize = Self::fit(BYTES);
    pub(super) const FIRST_LEN: usize = Self::fit(FIRST_BYTES);
    /// What the largest take, in bytes.
    pub(super) const MAX_BYTES: usize = Self::FIRST + Self::LEN * size_of::<Slot<T>>();

    const FIRST: usize = size_of::<Self>().next_multiple_of(align_of::<Slot<T>>());

    const fn fit(bytes: usize) -> usize {
        let fit = if size_of::<T>() == 0 { MOST } else { bytes / size_of::<T>() };
        if SMALL_WORLD || fit > MOST {
            MOST
        } else if fit == 0 {
            1
        } else {
            fit
        }
    }

    fn layout(len: usize) -> Layout {
        let size = Self::FIRST + len * size_of::<Slot<T>>();
        let align = ALIGN.max(align_of::<Self>()).max(align_of::<Slot<T>>());
        Layout::from_size_align(size, align).expect("a few slots").pad_to_align()
    }

    /// A chunk of free slots.
    pub(super) fn allocate(len: usize) -> NonNull<Self> {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not 0.
        let Some(chunk) = NonNull::new(unsafe { alloc(layout) }.cast::<Self>()) else {
            handle_alloc_error(layout)
        };
        // SAFETY: allocated above, with room for the header and, behind it, the slots.
        unsafe {
            chunk.write(Self {
                next: AtomicPtr::new(ptr::null_mut()),
                len: len as u8,
                spoiled: AtomicBool::new(false),
                states: core::array::from_fn(|_| AtomicU8::new(FREE)),
            });
            (1..=len).for_each(|index| {
                Self::slot(chunk.as_ptr(), index).write(UnsafeCell::new(MaybeUninit::uninit()))
            });
        }
        chunk
    }

    /// # Safety
    ///
    /// The chunk is the caller's, holds no items that would have to be dropped, and nobody else will look at it.
    pub(super) unsafe fn free(chunk: NonNull<Self>) {
        // SAFETY: the caller's promise; made by `allocate`.
        unsafe {
            let len = chunk.as_ref().len.into();
            (1..=len).for_each(|index| ptr::drop_in_place(Self::slot(chunk.as_ptr(), index)));
            ptr::drop_in_place(chunk.as_ptr());
            dealloc(chunk.as_ptr().cast(), Self::layout(len));
        }
    }

    /// # Safety
    ///
    /// As for `free`; the object is a chunk.
    pub(super) unsafe fn reclaim(object: NonNull<u8>) {
        // SAFETY: the caller's promise.
        unsafe { Self::free(object.cast()) }
    }

    /// # Safety
    ///
    /// The chunk is allocated and has that slot.
    #[inline(always)]
    unsafe fn slot(chunk: *mut Self, index: usize) -> *mut Slot<T> {
        // SAFETY: the caller's promise.
        unsafe { chunk.byte_add(Self::FIRST).cast::<Slot<T>>().add(index - 1) }
    }

    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        Self::layout(self.len()).size()
    }

    /// The word below its items; see [`Word::next`].
    #[inline(always)]
    pub(super) fn next(&self) -> Word<T> {
        // Relaxed: ordered by the access that found the chunk's word, if that still stands for the same use of the chunk; else the
        // value is not used.
        Word(self.next.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn state_of(&self, index: usize) -> &AtomicU8 {
        debug_assert!((1..=self.len()).contains(&index));
        // SAFETY: every index that there is is one of a slot: `len` is at most MOST.
        unsafe { self.states.get_unchecked(index - 1) }
    }

    /// What the owner knows of a slot.
    #[inline(always)]
    pub(super) fn state(&self, index: usize) -> u8 {
        // Acquire: pairs with the Release in `release`: the value was read before the slot is written again, and its last item
        // taken before the chunk is put elsewhere.
        self.state_of(index).load(Ordering::Acquire)
    }

    /// The owner's own mark.
    #[inline(always)]
    pub(super) fn mark(&self, index: usize, state: u8) {
        // Relaxed: others look at states never, and write them only of items that they took, whose publication orders this.
        self.state_of(index).store(state, Ordering::Relaxed);
    }

    /// Gives `count` slots from `index` on back to the owner. The last access of who took the items.
    #[inline(always)]
    pub(super) fn release(&self, index: usize, count: u8) {
        // Release: pairs with the Acquire in `state`.
        self.state_of(index).store(count, Ordering::Release);
    }

    /// Gives back a slot that readers may look at.
    #[cold]
    pub(super) fn spoil(&self, index: usize) {
        // Relaxed: a hint, which is there when the state is.
        self.spoiled.store(true, Ordering::Relaxed);
        self.release(index, SPOILED);
    }

    /// Whether a slot was spoiled; may be late.
    pub(super) fn is_spoiled(&self) -> bool {
        // Relaxed: a hint.
        self.spoiled.load(Ordering::Relaxed)
    }

    /// Whether it is not in the stack: its lowest item was taken, and what lay above before that.
    #[inline(always)]
    pub(super) fn is_out(&self) -> bool {
        self.state(1) != USED
    }

    /// Whether all who took its items are done with it. The owner asks.
    pub(super) fn is_clear(&self) -> bool {
        let mut index = 1;
        while index <= self.len() {
            index += match self.state(index) {
                USED => return false,
                SPOILED => 1,
                run => usize::from(run),
            };
        }
        true
    }

    /// How many slots from `index` on are the owner's, `most` or more; they are marked as used. The rest keeps its states.
    pub(super) fn claim(&self, index: usize, most: usize) -> usize {
        let mut found = 0;
        while found < most && index + found <= self.len() {
            let at = index + found;
            match self.state(at) {
                USED | SPOILED => break,
                run => {
                    self.mark(at, USED);
                    found += usize::from(run);
                }
            }
        }
        if found > most {
            self.mark(index + most, (found - most) as u8);
        }
        found.min(most)
    }

    /// Takes back the mark of slots that were claimed.
    pub(super) fn unclaim(&self, index: usize, count: usize) {
        if count > 0 {
            self.mark(index, count as u8);
        }
    }

    /// Of a chunk that came back from the reclaimer.
    pub(super) fn renew(&self) {
        // Relaxed, both: nobody else knows it.
        self.spoiled.store(false, Ordering::Relaxed);
        (1..=self.len()).for_each(|index| self.mark(index, FREE));
    }
}

/// The items of a chunk up to an index and what lies below, or a chunk with its generation; null for none.
pub(super) struct Word<T>(*mut Chunk<T>);

impl<T> Clone for Word<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Word<T> {}

impl<T> PartialEq for Word<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Word<T> {
    pub(super) const NULL: Self = Self(ptr::null_mut());

    pub(super) fn from_raw(raw: *mut Chunk<T>) -> Self {
        Self(raw)
    }

    #[inline(always)]
    pub(super) fn raw(self) -> *mut Chunk<T> {
        self.0
    }

    #[inline(always)]
    pub(super) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// A new chunk, as its owner knows it; `None` if its address leaves no room for generations.
    pub(super) fn owned(chunk: NonNull<Chunk<T>>) -> Option<Self> {
        (chunk.addr().get() & GENERATION == 0).then_some(Self(chunk.as_ptr()))
    }

    /// The item of a chunk that nobody owns.
    pub(super) fn alone(chunk: NonNull<Chunk<T>>) -> Self {
        Self(chunk.as_ptr().map_addr(|address| address | ALONE))
    }

    #[inline(always)]
    pub(super) fn is_alone(self) -> bool {
        self.0.addr() & INDEX == ALONE
    }

    /// The chunk itself. Not of null.
    #[inline(always)]
    pub(super) fn chunk(self) -> NonNull<Chunk<T>> {
        if self.is_alone() {
            return self.lone_chunk();
        }
        // SAFETY: the address of a chunk.
        unsafe { NonNull::new_unchecked(self.0.map_addr(|address| address & !(GENERATION | INDEX))) }
    }

    /// The same word, known not to be alone: nothing has to be compared to find its chunk.
    ///
    /// # Safety
    ///
    /// It is not alone.
    #[inline(always)]
    pub(super) unsafe fn owned_by_somebody(self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { assert_unchecked(!self.is_alone()) };
        self
    }

    /// Out of the way, so that the usual case waits for no comparison.
    #[cold]
    #[inline(never)]
    fn lone_chunk(self) -> NonNull<Chunk<T>> {
        // SAFETY: the address of a chunk.
        unsafe { NonNull::new_unchecked(self.0.map_addr(|address| address & !INDEX)) }
    }

    /// # Safety
    ///
    /// The chunk is allocated, and is so for as long as the reference is used.
    #[inline(always)]
    pub(super) unsafe fn header<'a>(self) -> &'a Chunk<T> {
        // SAFETY: the caller's promise.
        unsafe { self.chunk().as_ref() }
    }

    /// The slot of the topmost item.
    #[inline(always)]
    pub(super) fn index(self) -> usize {
        if self.is_alone() { 1 } else { self.0.addr() & INDEX }
    }

    /// Without an item.
    pub(super) fn base(self) -> Self {
        Self(self.0.map_addr(|address| address & !INDEX))
    }

    /// Of a word without an item: with the items up to `index`.
    #[inline(always)]
    pub(super) fn with(self, index: usize) -> Self {
        Self(self.0.map_addr(|address| address | index))
    }

    /// How far this is above another word, as addresses are: the index if that one is its base.
    #[inline(always)]
    pub(super) fn above(self, base: Self) -> usize {
        self.0.addr().wrapping_sub(base.0.addr())
    }

    /// Whether the item below the topmost one lies in the same chunk, and `below` will do.
    #[inline(always)]
    pub(super) fn has_more(self) -> bool {
        (2..ALONE).contains(&(self.0.addr() & INDEX))
    }

    /// Without the `count` topmost items, which are in this chunk, as is another one below.
    #[inline(always)]
    pub(super) fn below(self, count: usize) -> Self {
        Self(self.0.map_addr(|address| address - count))
    }

    /// With one item more, in the next slot of the same chunk.
    pub(super) fn with_one_more(self) -> Self {
        Self(self.0.map_addr(|address| address + 1))
    }

    /// The same chunk for use in another place, unless its generations are used up.
    pub(super) fn renewed(self) -> Option<Self> {
        let worn = self.0.addr() & GENERATION == GENERATION;
        // Back in the address before it is followed (`chunk`).
        (!worn).then(|| Self(self.0.map_addr(|address| address + (1 << SHIFT))))
    }

    /// The word below the chunk's items, as it was when they were pushed if this is at the top now.
    ///
    /// # Safety
    ///
    /// The chunk is allocated.
    #[inline(always)]
    pub(super) unsafe fn next(self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { self.header() }.next()
    }

    /// As `next`, of a chunk that may have been taken out of the stack since: if the top is looked at again after this and is still
    /// what it was, then this is what lies below.
    ///
    /// # Safety
    ///
    /// The chunk is allocated.
    #[inline(always)]
    pub(super) unsafe fn next_if_there(self) -> Self {
        // Acquire: pairs with the Release in `set_next`: who sees a chunk's later use sees that it was taken out.
        // SAFETY: the caller's promise.
        Self(unsafe { self.header() }.next.load(Ordering::Acquire))
    }

    /// # Safety
    ///
    /// The chunk is the caller's, and not in the stack.
    #[inline(always)]
    pub(super) unsafe fn set_next(self, next: Self) {
        // Release: pairs with `next_if_there`. Otherwise it is published by the exchange that publishes this word.
        // SAFETY: the caller's promise.
        unsafe { self.header() }.next.store(next.0, Ordering::Release);
    }

    /// The word without its topmost item, of items that are the caller's or cannot be taken.
    ///
    /// # Safety
    ///
    /// The chunk is allocated.
    #[inline(always)]
    pub(super) unsafe fn rest(self) -> Self {
        // SAFETY: the caller's promise.
        if self.has_more() { self.below(1) } else { unsafe { self.next() } }
    }

    #[inline(always)]
    unsafe fn slot(self) -> *mut Slot<T> {
        // SAFETY: as of who calls.
        unsafe { Chunk::slot(self.chunk().as_ptr(), self.index()) }
    }

    /// # Safety
    ///
    /// The slot of the topmost item is the caller's.
    #[inline(always)]
    pub(super) unsafe fn write(self, value: T) {
        // SAFETY: the caller's promise.
        unsafe { &*self.slot() }.with_mut(|place| unsafe { (*place).write(value) });
    }

    /// As `write`, by the item's address: a pair with 1 KiB took 35 ns instead of 26 where it went through one more copy.
    ///
    /// # Safety
    ///
    /// As for `write`; the item is not used where it was any more, unless it is not used here.
    #[inline(always)]
    pub(super) unsafe fn write_from(self, item: *const T) {
        // SAFETY: the caller's promise.
        unsafe {
            (*self.slot()).with_mut(|place| ptr::copy_nonoverlapping(item, (*place).as_mut_ptr(), 1));
        }
    }

    /// A bitwise copy of the topmost item.
    ///
    /// # Safety
    ///
    /// It is there, and is the caller's to take, or is `Copy` and protected from being overwritten.
    #[inline(always)]
    pub(super) unsafe fn read(self) -> T {
        // SAFETY: the caller's promise.
        unsafe { &*self.slot() }.with(|place| unsafe { (*place).assume_init_read() })
    }
}

impl<T> Word<T> {
    /// Moves items into the slots up to the topmost one, those behind the first `filled`; false if there are no more items. Counts
    /// one by one: the iterator may panic.
    ///
    /// # Safety
    ///
    /// The slots are the caller's, and have an owner.
    #[inline(always)]
    pub(super) unsafe fn fill(self, filled: &mut usize, items: &mut impl Iterator<Item = T>) -> bool {
        // SAFETY: the caller's promise.
        let word = unsafe { self.owned_by_somebody() };
        let (chunk, most) = (word.chunk().as_ptr(), word.index());
        while *filled < most {
            let Some(item) = items.next() else { return false };
            // SAFETY: the caller's promise.
            unsafe { (*Chunk::slot(chunk, *filled + 1)).with_mut(|place| (*place).write(item)) };
            *filled += 1;
        }
        true
    }

    /// Bitwise copies of the `count` topmost items, all in this chunk, from the top down.
    ///
    /// # Safety
    ///
    /// As for `read`, for all of them; there is room for them.
    #[inline]
    pub(super) unsafe fn read_run(self, count: usize, into: *mut T) {
        // SAFETY: the caller's promise, here and below.
        let top = unsafe { self.slot() };
        for i in 0..count {
            // SAFETY: as above.
            unsafe { into.add(i).write((*top.sub(i)).with(|place| (*place).assume_init_read())) };
        }
    }
}

#[cfg(all(test, not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use super::{ALIGN, Chunk, FREE, GENERATION, LAST, MOST, SPOILED, USED, Word};

    #[test]
    fn a_header_is_a_line() {
        assert!(!cfg!(target_pointer_width = "64") || size_of::<Chunk<u64>>() == 64);
        assert_eq!(Chunk::<u64>::MAX_BYTES, size_of::<Chunk<u64>>() + MOST * 8);
        assert_eq!((Chunk::<[u64; 128]>::LEN, Chunk::<[u64; 128]>::FIRST_LEN), (16, 1));
        assert_eq!(Chunk::<[u64; 10_000]>::LEN, 1);
        assert_eq!(Chunk::<()>::LEN, MOST);
    }

    #[test]
    fn generations_of_a_chunk() {
        for address in [ALIGN, 20 * ALIGN, 0x7fff_ff00] {
            let chunk =
                core::ptr::NonNull::new(core::ptr::without_provenance_mut::<Chunk<u64>>(address)).unwrap();
            let mut word = Word::owned(chunk).unwrap();
            let mut seen = alloc::vec![word.raw().addr()];
            while let Some(next) = word.renewed() {
                word = next;
                assert!(!seen.contains(&word.raw().addr()), "no word comes twice");
                let item = word.with(7);
                assert!(!item.is_alone() && item.has_more() && !word.with(1).has_more());
                assert!(item.chunk() == chunk && item.index() == 7 && item.base() == word);
                assert!(item.above(word) == 7 && item.below(3) == word.with(4));
                seen.push(word.raw().addr());
            }
            assert_eq!(seen.len(), LAST + 1);
        }
    }

    /// With any bits set, as where pointers are tagged or address spaces are wider.
    #[test]
    fn items_alone() {
        for address in [ALIGN, usize::MAX & !(ALIGN - 1), (GENERATION & !(ALIGN - 1)) | (4 * ALIGN)] {
            let chunk =
                core::ptr::NonNull::new(core::ptr::without_provenance_mut::<Chunk<u64>>(address)).unwrap();
            let word = Word::alone(chunk);
            assert!(word.is_alone() && !word.has_more());
            assert!(word.chunk() == chunk && word.index() == 1);
        }
        #[cfg(target_pointer_width = "64")]
        {
            let tagged = |address| {
                core::ptr::NonNull::new(core::ptr::without_provenance_mut::<Chunk<u64>>(address)).unwrap()
            };
            assert!(Word::owned(tagged(1 << 52)).is_none());
            assert!(
                Word::owned(tagged(0xb4 << 56 | 0x1240)).unwrap().renewed().unwrap().chunk()
                    == tagged(0xb4 << 56 | 0x1240)
            );
        }
    }

    #[test]
    fn slots_are_claimed_and_released_in_runs() {
        let chunk = Chunk::<u64>::allocate(8);
        // SAFETY: made above, freed below, never shared.
        let header = unsafe { chunk.as_ref() };
        assert_eq!(header.claim(1, 5), 5);
        assert!(!header.is_out() && !header.is_clear());
        header.release(3, 3);
        assert_eq!((header.claim(3, 1), header.state(3), header.state(4)), (1, USED, 2));
        assert_eq!(header.claim(4, 99), 5);
        assert_eq!(header.claim(4, 99), 0);
        header.release(4, 5);
        header.spoil(2);
        header.release(3, FREE);
        assert!(!header.is_clear());
        header.release(1, FREE);
        assert!(header.is_clear() && header.is_spoiled());
        assert_eq!(header.claim(1, 99), 1);
        header.unclaim(1, 1);
        assert_eq!((header.state(1), header.state(2)), (FREE, SPOILED));
        // SAFETY: nobody uses it any more.
        unsafe { Chunk::free(chunk) };
    }
}
