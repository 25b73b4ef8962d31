//! Where a push and a pop that both lost a race meet: the pop takes the item from the push's hand, and the stack is not
//! touched.
//!
//! D. Hendler, N. Shavit and L. Yerushalmi, [*A scalable lock-free stack algorithm*](https://doi.org/10.1145/1007912.1007944),
//! 2004; here a push that lost its exchange offers its item, in its slot, during the pause that it makes anyway (`util::backoff`), and
//! a pop that lost looks whether there is an offer before it pauses.
//!
//! ```text
//!   push    CAS null -> word    ... pause ...    CAS word -> null: taken back        (or it failed: taken, done)
//!   pop                            CAS word -> null: taken
//! ```
//!
//! **Invariants**: a word in a place is offered by exactly one push, which holds the slot until it has withdrawn the word or finds it
//! gone. A pop follows the word only when it has taken it, and then the slot is the pop's. So it is no harm if the same slot was offered
//! before, with another item: whoever takes the word takes what is on offer now.
//!
//! **Linearization**: both operations take effect at the pop's exchange, the push first; both are under way.
//!
//! **Progress**: nobody waits for a partner; a place that is taken, or an offer that somebody else took, is passed over. A
//! push that is stopped in its pause occupies its place, and its item may be taken from it.

use alloc::boxed::Box;
use core::ptr;

use crossbeam_utils::CachePadded;

use super::chunk::{Chunk, Word};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, Ordering, const_fn};

/// Places; a pop looks at all of them. Not measured: on the 2 cores at hand pauses leave hardly a push and a pop that lose together.
const WIDTH: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 } else { 4 };

type Offers<T> = [CachePadded<AtomicPtr<Chunk<T>>>; WIDTH];

/// The places, made when a race is first lost.
pub(super) struct Elimination<T> {
    offers: AtomicPtr<Offers<T>>,
}

impl<T> Elimination<T> {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { offers: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// The places, unless no push has ever lost a race.
    fn existing(&self) -> Option<&Offers<T>> {
        // Acquire: pairs with the Release in `offers`, for the places.
        // SAFETY: published once, and freed with `self`.
        unsafe { self.offers.load(Ordering::Acquire).as_ref() }
    }

    #[cold]
    fn offers(&self) -> &Offers<T> {
        // Acquire: as above.
        let mut offers = self.offers.load(Ordering::Acquire);
        if offers.is_null() {
            let new = Box::new(core::array::from_fn(|_| CachePadded::new(AtomicPtr::new(ptr::null_mut()))));
            let new = Box::into_raw(new);
            // Release: publishes the places. Acquire on losing, for the winner's.
            match self.offers.compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Acquire) {
                Ok(_) => offers = new,
                Err(winner) => {
                    // SAFETY: made above, and not published.
                    drop(unsafe { Box::from_raw(new) });
                    offers = winner;
                }
            }
        }
        // SAFETY: published once, and freed with `self`.
        unsafe { &*offers }
    }

    /// Offers an item while `pause` runs; true if a pop took it.
    ///
    /// # Safety
    ///
    /// The word's topmost item is the caller's, and nobody else finds it anywhere else.
    pub(super) unsafe fn offer(&self, word: Word<T>, hint: usize, pause: impl FnOnce()) -> bool {
        let offers = self.offers();
        let place = &offers[hint % offers.len()];
        // Release: gives the value to who takes the word. Relaxed on losing: the place is another push's.
        let offered =
            place.compare_exchange(ptr::null_mut(), word.raw(), Ordering::Release, Ordering::Relaxed).is_ok();
        pause();
        // Relaxed: the item is ours as it was; or it is gone, with all that we had to do with it.
        offered
            && place
                .compare_exchange(word.raw(), ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
    }

    /// Takes an item that is offered, which is the caller's from here on. Allocates nothing.
    pub(super) fn take(&self, hint: usize) -> Option<Word<T>> {
        let offers = self.existing()?;
        (0..WIDTH).find_map(|index| {
            let place = &offers[(hint + index) % offers.len()];
            // Relaxed: only whether there is one; it is not followed.
            let word = place.load(Ordering::Relaxed);
            // Acquire: pairs with the Release in `offer`, for the value. Losing means that the offer is gone. The
            // linearization point of both operations.
            let taken = !word.is_null()
                && place
                    .compare_exchange(word, ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            taken.then(|| Word::from_raw(word))
        })
    }
}

impl<T> Drop for Elimination<T> {
    fn drop(&mut self) {
        let offers = self.offers.with_mut(|offers| *offers);
        if !offers.is_null() {
            // SAFETY: published by `offers`, and shared with nobody any more. No push is under way, so nothing is on offer.
            drop(unsafe { Box::from_raw(offers) });
        }
    }
}
