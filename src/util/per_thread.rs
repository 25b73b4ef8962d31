//! A place for each thread in a structure, in cache lines of its own and for that thread alone.
//!
//! A thread holds a *slot* of the process from its first use of any such structure to its exit; the slot is the number of its
//! place in all of them ([`Places`]). A thread may have none: there are more threads than slots, or no thread-locals, or its own
//! are gone.
//!
//! **Invariant**: a place belongs to the holder of its slot, one thread at a time. A slot passes from one thread to the next by
//! `Release` and `Acquire`, so the next holder finds the place as the last one left it.
//!
//! **Progress**: wait-free but for the allocation of places, once for each doubling of the threads.

use super::places::{Place, Places};
use crate::sync::const_fn;

/// Places, made when a thread first comes.
pub(crate) struct PerThread<P> {
    places: Places<P>,
}

impl<P> PerThread<P> {
    const_fn! {
        /// No places yet; allocates nothing.
        pub(crate) const fn new() -> Self {
            Self { places: Places::new() }
        }
    }

    /// The calling thread's place, if it has one. Its first call may allocate, and `make` places for others as well.
    #[inline(always)]
    pub(crate) fn get(&self, make: fn() -> P) -> Option<&P> {
        // Both that the thread has no slot and that nobody of its chunk was here is told apart out of the way.
        self.places.get(slot::current()).or_else(|| self.arrive(make))
    }

    #[cold]
    #[inline(never)]
    fn arrive(&self, make: fn() -> P) -> Option<&P> {
        self.places.make(slot::get()?, make)
    }

    /// All places there are, whoever's.
    pub(crate) fn all(&self) -> impl Iterator<Item = &P> {
        self.places.all().map(|(_, place)| place)
    }

    /// Runs `f` on the caller's own place, and on those that belong to nobody: what threads that have gone left behind.
    pub(crate) fn own_and_abandoned(&self, mut f: impl FnMut(&P)) {
        let own = slot::current();
        for (slot, place) in self.places.all() {
            if own == slot {
                f(place);
            } else {
                slot::while_free(slot, || f(place));
            }
        }
    }
}

/// A number that differs from thread to thread, of those that have a slot.
pub(crate) fn hint() -> usize {
    slot::current().hint()
}

/// Which threads hold which slots.
#[cfg(any(feature = "std", latchfree_loom, latchfree_stall))]
mod slot {
    use core::cell::Cell;

    use super::Place;
    use crate::sync::{AtomicBool, Ordering};
    use crate::util::places::PLACES;

    type Slots = [AtomicBool; PLACES];

    #[cfg(not(any(latchfree_loom, latchfree_stall)))]
    fn slots() -> &'static Slots {
        crate::__global!(Slots, [const { AtomicBool::new(false) }; PLACES])
    }
    /// Leaked: a model's statics are gone before its threads' locals are.
    #[cfg(any(latchfree_loom, latchfree_stall))]
    fn slots() -> &'static Slots {
        crate::__global!(
            &'static Slots,
            alloc::boxed::Box::leak(alloc::boxed::Box::new(core::array::from_fn(|_| AtomicBool::new(false))))
        )
    }

    // `Place::UNKNOWN`: the thread has not asked for a slot yet; `Place::NONE`: it has none.
    crate::__local!(SLOT: Cell<Place> = Cell::new(Place::UNKNOWN));
    // Apart from the slot, which can thus be read without asking whether its destructor has run.
    crate::__local!(OWNER: Owner = Owner(Cell::new(None)));

    /// Gives the slot back when the thread exits.
    struct Owner(Cell<Option<&'static AtomicBool>>);

    /// The calling thread's slot if it has asked for one and got it; else one whose chunk does not exist.
    #[inline(always)]
    pub(super) fn current() -> Place {
        SLOT.try_with(Cell::get).unwrap_or(Place::NONE)
    }

    /// The calling thread's slot; the first call takes one.
    pub(super) fn get() -> Option<Place> {
        let slot = match current() {
            Place::UNKNOWN => take(),
            slot => slot,
        };
        (slot != Place::NONE).then_some(slot)
    }

    fn take() -> Place {
        let slot = OWNER
            .try_with(|owner| {
                // The lowest first, so that chunks are full before the next is needed. Relaxed first look, so that a taken slot
                // is not written. Acquire: pairs with the Release in `drop`, for the places as the last holder left them. Losing
                // means that another thread took it: on to the next.
                let free = slots().iter().position(|taken| {
                    !taken.load(Ordering::Relaxed)
                        && taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
                });
                owner.0.set(free.map(|number| &slots()[number]));
                free.map_or(Place::NONE, Place::new)
            })
            .unwrap_or(Place::NONE);
        let _ = SLOT.try_with(|cell| cell.set(slot));
        slot
    }

    /// Runs `f` while nobody holds the slot, and nothing if somebody does.
    pub(super) fn while_free(slot: Place, f: impl FnOnce()) {
        struct Free(&'static AtomicBool);
        impl Drop for Free {
            fn drop(&mut self) {
                // Release: pairs with the Acquire in `take` and below.
                self.0.store(false, Ordering::Release);
            }
        }
        let taken = &slots()[slot.number()];
        // Acquire: as in `take`. Losing means that the place belongs to somebody.
        if taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            let _free = Free(taken);
            f();
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            // The thread's later destructors go without.
            let _ = SLOT.try_with(|slot| slot.set(Place::NONE));
            if let Some(taken) = self.0.get() {
                // Release: pairs with the Acquire in `take` and `while_free`.
                taken.store(false, Ordering::Release);
            }
        }
    }
}

/// Without thread-locals nobody holds one.
#[cfg(not(any(feature = "std", latchfree_loom, latchfree_stall)))]
mod slot {
    use super::Place;

    #[inline(always)]
    pub(super) fn current() -> Place {
        Place::NONE
    }

    pub(super) fn get() -> Option<Place> {
        None
    }

    pub(super) fn while_free(_: Place, _: impl FnOnce()) {}
}
