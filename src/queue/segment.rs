//! A segment of the unbounded queue: an array of slots, each used once, and the two ways to publish into one.
//!
//! ```text
//!   producer with ticket i                     consumer with ticket i, tired of waiting
//!   write the value
//!   state = FULL          (plain store)        verdict = CHALLENGED
//!   light()                                    heavy()
//!   verdict none: published                    state FULL: take the value
//!   CHALLENGED: exchange it for PUBLISHED      else exchange CHALLENGED for ABANDONED: go on elsewhere
//! ```
//! Whoever loses the exchange obeys the winner. If the producer saw no challenge, its load came before the heavy
//! barrier, so its store of FULL did too and the consumer sees it. If both see each other, the exchange decides. Each
//! slot has one producer and one consumer in its life, so the challenge itself needs no exchange.
//!
//! Where barriers are not asymmetric the state alone decides: the producer exchanges EMPTY for FULL, the impatient
//! consumer exchanges it for ABANDONED. The producer pays for a locked instruction then.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use crate::reclaim::{heavy, is_asymmetric, light};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, AtomicU8, AtomicUsize, Ordering, UnsafeCell, spin_loop};

/// What a slot holds, as far as its producer has said. Written by the producer; without asymmetric barriers also by an
/// impatient consumer.
pub(super) mod state {
    /// Nothing yet.
    pub(crate) const EMPTY: u8 = 0;
    /// The value.
    pub(crate) const FULL: u8 = 1;
    /// Its producer gave it up: an earlier slot of its batch was abandoned.
    pub(crate) const RETRACTED: u8 = 2;
    /// Its consumer gave it up; without asymmetric barriers only.
    pub(crate) const ABANDONED: u8 = 3;
}

/// What became of a challenge, with asymmetric barriers only.
mod verdict {
    /// There was none.
    pub(super) const NONE: u8 = 0;
    /// The consumer has asked.
    pub(super) const CHALLENGED: u8 = 1;
    /// The producer has answered that the value is there.
    pub(super) const PUBLISHED: u8 = 2;
    /// The consumer has gone on.
    pub(super) const ABANDONED: u8 = 3;
}

pub(super) struct Slot<T> {
    state: AtomicU8,
    verdict: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    /// What the producer has said so far; FULL means that the value may be read by whoever has the ticket.
    #[inline]
    pub(super) fn state(&self) -> u8 {
        // Acquire: pairs with the Release in `put`, for the value.
        self.state.load(Ordering::Acquire)
    }

    /// Copies the item in and publishes it; false if the slot was abandoned, and then the copy means nothing.
    ///
    /// # Safety
    ///
    /// `asymmetric` says which barriers are in force, unless nobody shares the queue. The caller has the producer's ticket of
    /// this slot, and `item` points to a value that it gives away on success.
    #[inline]
    pub(super) unsafe fn put(&self, item: *const T, asymmetric: bool) -> bool {
        // SAFETY: nobody reads the value before it is published below, and only the ticket's holder writes it.
        self.value.with_mut(|value| unsafe { ptr::copy_nonoverlapping(item, value.cast(), 1) });
        if asymmetric {
            // Release: publishes the value; pairs with `state`.
            self.state.store(state::FULL, Ordering::Release);
            // Against the heavy barrier in `take`: either the consumer sees FULL or we see its challenge.
            light(true);
            // Relaxed: the barriers order it; the verdict carries no data for us.
            if self.verdict.load(Ordering::Relaxed) == verdict::NONE {
                return true;
            }
            // Release: pairs with the Acquire of the consumer's exchange. Losing means that the consumer abandoned us; Relaxed
            // then, for nothing of the consumer's is read.
            self.verdict
                .compare_exchange(
                    verdict::CHALLENGED,
                    verdict::PUBLISHED,
                    Ordering::Release,
                    Ordering::Relaxed,
                )
                .is_ok()
        } else {
            // Release: publishes the value; pairs with `state` and `take`. Losing means that the slot was abandoned.
            self.state
                .compare_exchange(state::EMPTY, state::FULL, Ordering::Release, Ordering::Relaxed)
                .is_ok()
        }
    }

    /// The producer gives the slot up without a value.
    #[inline]
    pub(super) fn retract(&self) {
        if is_asymmetric() {
            // Relaxed: tells only that there is nothing.
            self.state.store(state::RETRACTED, Ordering::Relaxed);
        } else {
            // Relaxed: as above. Losing means that the consumer has given it up as well.
            let _ = self.state.compare_exchange(
                state::EMPTY,
                state::RETRACTED,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// Moves the value out of a slot that was seen FULL.
    ///
    /// # Safety
    ///
    /// The caller has the consumer's ticket of this slot and has seen it FULL, or PUBLISHED.
    #[inline]
    pub(super) unsafe fn read(&self) -> T {
        // SAFETY: the value was published with Release and seen with Acquire; the ticket is ours alone.
        self.value.with(|value| unsafe { (*value).assume_init_read() })
    }

    /// Takes the value if it is there by now, else abandons the slot, whose producer will push elsewhere.
    ///
    /// # Safety
    ///
    /// The caller has the consumer's ticket of this slot.
    #[cold]
    pub(super) unsafe fn challenge(&self) -> Option<T> {
        let full = if is_asymmetric() {
            // Relaxed: the heavy barrier orders it before the load below.
            self.verdict.store(verdict::CHALLENGED, Ordering::Relaxed);
            if !heavy() {
                // The system broke its promise of barriers. Nothing can be abandoned any more, so we must wait.
                return Some(self.wait());
            }
            // Relaxed on success: abandoning passes nothing on. Acquire on failure: pairs with the Release of the producer's
            // exchange. Losing means that it published.
            self.state() == state::FULL
                || self
                    .verdict
                    .compare_exchange(
                        verdict::CHALLENGED,
                        verdict::ABANDONED,
                        Ordering::Relaxed,
                        Ordering::Acquire,
                    )
                    .is_err()
        } else {
            // Relaxed on success: as above. Acquire on failure: pairs with the Release in `put`. Losing means that the producer has
            // spoken.
            match self.state.compare_exchange(
                state::EMPTY,
                state::ABANDONED,
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => false,
                Err(found) => found == state::FULL,
            }
        };
        // SAFETY: the ticket is ours, and the value is there.
        full.then(|| unsafe { self.read() })
    }

    fn wait(&self) -> T {
        while self.state() != state::FULL {
            spin_loop();
        }
        // SAFETY: called by `challenge` only, whose caller has the ticket; seen FULL.
        unsafe { self.read() }
    }
}

/// An array of slots behind its two ticket counters, in one allocation:
///
/// ```text
///   [ enq ..line.. ][ deq ..line.. ][ next, base ][ slot 0 ][ slot 1 ] ... [ slot CAPACITY - 1 ]
/// ```
#[repr(C)]
pub(super) struct Segment<T> {
    /// Tickets given to producers; those of CAPACITY and more are void. Written by producers.
    pub(super) enq: CachePadded<AtomicUsize>,
    /// Tickets given to consumers; at most CAPACITY. Written by consumers.
    pub(super) deq: CachePadded<AtomicUsize>,
    /// The segment behind, once there is one; set once, when all tickets are given.
    pub(super) next: AtomicPtr<Segment<T>>,
    /// How many slots there are before this segment, in all of the queue's life, wrapping.
    pub(super) base: usize,
    slots: [Slot<T>; 0],
}

impl<T> Segment<T> {
    /// Slots a segment: 256, so that appending one is paid for by many pushes, but no more than fit into 16 KiB, and no fewer
    /// than four, so that even large values share a segment. The models' are as small as can be.
    pub(super) const CAPACITY: usize = if cfg!(any(latchfree_loom, latchfree_stall)) {
        // The first slot comes filled, so only with three can a batch hold two tickets and retract one.
        if size_of::<T>() > 64 { 3 } else { 2 }
    } else {
        let fit = (16 << 10) / size_of::<Slot<T>>();
        if fit < 4 {
            4
        } else if fit > 256 {
            256
        } else {
            fit
        }
    };

    const LAYOUT: Layout = {
        let slots = match Layout::array::<Slot<T>>(Self::CAPACITY) {
            Ok(slots) => slots,
            Err(_) => panic!("a segment of such values exceeds the address space"),
        };
        match Layout::new::<Self>().extend(slots) {
            Ok((layout, _)) => layout.pad_to_align(),
            Err(_) => panic!("a segment of such values exceeds the address space"),
        }
    };

    /// What a segment occupies, in bytes.
    pub(super) const BYTES: usize = Self::LAYOUT.size();

    /// A new segment, all slots empty, built in place on the heap.
    pub(super) fn allocate() -> NonNull<Self> {
        // SAFETY: the layout is not of size 0, for it contains the counters.
        let Some(segment) = NonNull::new(unsafe { alloc(Self::LAYOUT) }.cast::<Self>()) else {
            handle_alloc_error(Self::LAYOUT)
        };
        let header = Segment {
            enq: CachePadded::new(AtomicUsize::new(0)),
            deq: CachePadded::new(AtomicUsize::new(0)),
            next: AtomicPtr::new(ptr::null_mut()),
            base: 0,
            slots: [],
        };
        // SAFETY: freshly allocated for a header and CAPACITY slots behind it.
        unsafe {
            segment.write(header);
            for index in 0..Self::CAPACITY {
                let slot = Self::slot_ptr(segment, index);
                (&raw mut (*slot).state).write(AtomicU8::new(state::EMPTY));
                (&raw mut (*slot).verdict).write(AtomicU8::new(verdict::NONE));
                (&raw mut (*slot).value).write(UnsafeCell::new(MaybeUninit::uninit()));
            }
        }
        segment
    }

    /// Makes a segment that was used before as if new.
    ///
    /// # Safety
    ///
    /// No other thread can reach the segment, and its values have been moved out.
    pub(super) unsafe fn reset(segment: NonNull<Self>) {
        // SAFETY: the segment is the caller's.
        let header = unsafe { &mut *segment.as_ptr() };
        header.enq.with_mut(|enq| *enq = 0);
        header.deq.with_mut(|deq| *deq = 0);
        header.next.with_mut(|next| *next = ptr::null_mut());
        for index in 0..Self::CAPACITY {
            // SAFETY: as above; `header` is not used any more.
            let slot = unsafe { &mut *Self::slot_ptr(segment, index) };
            slot.state.with_mut(|state| *state = state::EMPTY);
            slot.verdict.with_mut(|verdict| *verdict = verdict::NONE);
        }
    }

    /// Frees a segment, and none of the values in it.
    ///
    /// # Safety
    ///
    /// `segment` came from `allocate`, and nobody uses it after this.
    pub(super) unsafe fn free(segment: NonNull<u8>) {
        let segment = segment.cast::<Self>();
        // SAFETY: the segment is the caller's, initialised by `allocate`, and of this layout. The slots' values are
        // `MaybeUninit`, so dropping slots drops none.
        unsafe {
            for index in 0..Self::CAPACITY {
                Self::slot_ptr(segment, index).drop_in_place();
            }
            segment.drop_in_place();
            dealloc(segment.as_ptr().cast(), Self::LAYOUT);
        }
    }

    /// Fills an unpublished segment from the front with `count` items and tells `base`.
    ///
    /// # Safety
    ///
    /// The segment is the caller's and as new; `count <= CAPACITY` values at `items` are given away with it, if and when
    /// it is published.
    pub(super) unsafe fn fill(segment: NonNull<Self>, base: usize, items: *const T, count: usize) {
        debug_assert!(count <= Self::CAPACITY);
        // SAFETY: the segment is the caller's.
        let header = unsafe { &mut *segment.as_ptr() };
        header.base = base;
        header.enq.with_mut(|enq| *enq = count);
        for index in 0..count {
            // SAFETY: as above, and `index < count` items are there.
            unsafe {
                let slot = &mut *Self::slot_ptr(segment, index);
                slot.state.with_mut(|state| *state = state::FULL);
                slot.value.with_mut(|value| ptr::copy_nonoverlapping(items.add(index), value.cast(), 1));
            }
        }
    }

    /// # Safety
    ///
    /// `segment` is allocated and not freed while the result is used; `index < CAPACITY`.
    #[inline(always)]
    pub(super) unsafe fn slot<'a>(segment: NonNull<Self>, index: usize) -> &'a Slot<T> {
        debug_assert!(index < Self::CAPACITY);
        // SAFETY: the caller's promise.
        unsafe { &*Self::slot_ptr(segment, index) }
    }

    /// Kept apart from the references to the header, which do not reach so far.
    #[inline(always)]
    unsafe fn slot_ptr(segment: NonNull<Self>, index: usize) -> *mut Slot<T> {
        // SAFETY: the allocation has CAPACITY slots at this offset.
        unsafe { (&raw mut (*segment.as_ptr()).slots).cast::<Slot<T>>().add(index) }
    }
}
