//! Chains of free blocks that are no thread's.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Ordering, UnsafeCell};

/// How many chains of a size.
const SLOTS: usize = if cfg!(latchfree_loom) { 1 } else { 8 };

/// The beginning of a free block.
pub struct Block {
    /// The next of its chain.
    pub next: UnsafeCell<*mut Block>,
    /// Of the first of a chain that is in the depot, how many it has.
    pub len: UnsafeCell<MaybeUninit<usize>>,
}

/// Chains of one size. A line of its own.
#[repr(align(64))]
pub struct Depot([AtomicPtr<Block>; SLOTS]);

impl Depot {
    #[cfg(not(latchfree_loom))]
    #[allow(clippy::declare_interior_mutable_const, reason = "the beginning of a static")]
    pub(super) const EMPTY: Self = Self([const { AtomicPtr::new(ptr::null_mut()) }; SLOTS]);

    /// Nothing in it.
    #[cfg(latchfree_loom)]
    #[allow(clippy::new_without_default, reason = "for the model only")]
    #[must_use]
    pub fn new() -> Self {
        Self(core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())))
    }

    /// Leaves a chain of so many blocks to whoever needs it; false if there is no room.
    ///
    /// # Safety
    ///
    /// The chain is the caller's, and is the depot's from now on if this returns true. All are of the depot's size.
    pub unsafe fn give(&self, chain: NonNull<Block>, len: usize) -> bool {
        // SAFETY: the caller's.
        unsafe { chain.as_ref().len.with_mut(|place| (*place).write(len)) };
        self.0.iter().any(|slot| {
            // Relaxed first look, so that a full slot is not written. Release: hands the chain over; pairs with the Acquire
            // in `take`. Losing means that another thread filled it: on to the next.
            slot.load(Ordering::Relaxed).is_null()
                && slot
                    .compare_exchange(ptr::null_mut(), chain.as_ptr(), Ordering::Release, Ordering::Relaxed)
                    .is_ok()
        })
    }

    /// A chain, the caller's from now on, and how many blocks it has.
    pub fn take(&self) -> Option<(NonNull<Block>, usize)> {
        let chain = self.0.iter().find_map(|slot| {
            // Relaxed first look, so that an empty slot is not written. Acquire: pairs with the Release in `give`. A chain leaves
            // as a whole, so that no block of it can have come back meanwhile (no ABA).
            let found = !slot.load(Ordering::Relaxed).is_null();
            found.then(|| NonNull::new(slot.swap(ptr::null_mut(), Ordering::Acquire))).flatten()
        })?;
        // SAFETY: the caller's, as `give` left it.
        Some((chain, unsafe { chain.as_ref().len.with(|len| (*len).assume_init()) }))
    }
}
