//! A slot of the ring: who may use it for which ticket, and the two ways to settle that.
//!
//! A slot serves one ticket a lap. Its *holder* is the producer with the ticket and then the consumer with the same
//! ticket, who frees it for the ticket of the next lap. Whoever is kept waiting by a holder may challenge it:
//!
//! ```text
//!   producer of lap n            consumer of lap n, which has claimed the ticket for itself
//!   write the value
//!   state = FULL(n)              verdict(n).push = ASKED
//!   light()                      heavy()
//!   push not asked: pushed       state FULL(n): take the value
//!   ASKED: exchange for KEPT     else exchange ASKED for GONE: pop elsewhere
//!
//!   consumer of lap n            producers that want the ticket of lap n + 1
//!   move the value out
//!   state = FREE(n + 1)          verdict(n).free = ASKED
//!   light()                      heavy()
//!   free not asked: freed        state FREE(n + 1): use it
//!   ASKED: exchange for FREE     else exchange ASKED for VOID: the ticket of lap n + 1 is nobody's
//! ```
//! Producers ask about a whole stretch of slots before they issue one barrier for all of them. Before anybody asks, the ring's
//! word of the latest ticket that was ever asked about is raised to his, so that a holder of a later one need not look at its verdict:
//! "not asked" is what that word says, or else the verdict.
//!
//! Whoever loses an exchange obeys the winner. If the holder saw no challenge, its load came before the heavy barrier, so its
//! store did too and the challenger sees it. If both see each other, the exchange decides. Whoever finds FREE looks at the
//! verdict as well, behind a light barrier of its own: it passed on what it saw, so a later challenger sees that, too.
//!
//! A slot whose free was refused stays with its holder, which may be stopped for ever. The tickets of its later laps are
//! made void in `passed`, by exchanges. The holder returns the slot by an exchange there, VOID(m) for OPEN(m): free for
//! the ticket of lap m + 1. So a holder of lap n cannot hurt a later lap: it returns the slot itself, and until then there
//! is no other holder. A late look of a holder whose slot is long in use again finds a verdict of another lap: it was not
//! asked.
//!
//! Where barriers are not asymmetric, state and verdict are changed by exchanges alone: EMPTY or whatever it was for
//! FULL(n) against GONE(n) in `state`, none for FREE against VOID in `verdict(n).free`.
//!
//! Every word carries the lap to which it belongs, so that none has to be reset.

use core::mem::MaybeUninit;
use core::ptr;

use super::super::tickets::Ticket;
use super::slots::{Slots, older};
use crate::reclaim::{heavy, light};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicU64, Ordering, UnsafeCell, spin_loop};

/// The low bits of each word; the others are those of the lap's tickets.
pub(super) const CODES: u64 = 31;

/// What the holder has said. Written by the holder with plain stores if barriers are asymmetric.
mod state {
    /// Nothing is there, for the ticket of this lap.
    pub(super) const FREE: u64 = 0;
    /// The same, and the ticket of the lap before was given back unused.
    pub(super) const FREE_UNUSED: u64 = 1;
    /// The value of this lap.
    pub(super) const FULL: u64 = 2;
    /// The consumer of this lap has gone on without one; without asymmetric barriers only.
    pub(super) const GONE: u64 = 3;
}

/// What became of challenges of this lap's holders. Changed by exchanges only.
mod verdict {
    /// Did the push of this lap come in time?
    pub(super) const PUSH: u64 = 3;
    pub(super) const PUSH_ASKED: u64 = 1;
    pub(super) const PUSH_KEPT: u64 = 2;
    pub(super) const PUSH_GONE: u64 = 3;
    /// Was the slot freed in time for the next lap?
    pub(super) const FREE: u64 = 7 << 2;
    pub(super) const FREE_NONE: u64 = 0;
    pub(super) const FREE_ASKED: u64 = 1 << 2;
    pub(super) const FREE_KEPT: u64 = 2 << 2;
    /// As KEPT, and the ticket of this lap was given back unused.
    pub(super) const FREE_UNUSED: u64 = 3 << 2;
    pub(super) const FREE_VOID: u64 = 4 << 2;
}

/// The last lap whose ticket is nobody's because the slot was held. Changed by exchanges only.
mod passed {
    /// The slot is still held.
    pub(super) const VOID: u64 = 0;
    /// It is free for the next lap.
    pub(super) const OPEN: u64 = 1;
}

/// What a ticket is made of: the bit above says in a counter that it has an owner.
pub(super) const TICKETS: Ticket = Ticket::MAX >> 1;

/// A lap, as the part of its tickets above the index.
#[derive(Clone, Copy)]
pub(super) struct Lap {
    pub(super) at: u64,
    /// From one lap to the next; a power of two, greater than CODES. Laps wrap around.
    pub(super) step: u64,
}

impl Lap {
    #[inline(always)]
    fn before(self) -> u64 {
        self.at.wrapping_sub(self.step) & TICKETS
    }
    #[inline(always)]
    pub(super) fn after(self) -> u64 {
        self.at.wrapping_add(self.step) & TICKETS
    }
    #[inline(always)]
    pub(super) fn next(self) -> Self {
        Self { at: self.after(), ..self }
    }
    /// Before every lap that matters.
    pub(super) fn long_ago(self) -> u64 {
        self.before().wrapping_sub(self.step) & TICKETS
    }
}

#[inline(always)]
fn lap_of(word: u64) -> u64 {
    word & !CODES
}

/// A free slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Free {
    No,
    Yes,
    /// And it became free out of turn, which was counted.
    Counted,
}

/// How things stand for who wants to pass over a ticket whose slot is not free.
enum Standing {
    /// The ticket is nobody's.
    Void,
    /// The slot was freed in time, or all this is over.
    Free,
    /// By who was passed over before: this is `passed`.
    HeldForLaps { passed: u64 },
    /// The verdict, and that part of it which a question or an answer leaves as it is.
    Held { found: u64, rest: u64 },
}

/// What a holder says where barriers are asymmetric.
#[derive(Clone, Copy)]
pub(super) enum Said {
    /// Nothing is there, for the ticket of this lap.
    Free,
    /// The value of this lap is there.
    Full,
}

impl Said {
    #[inline(always)]
    fn of(self, lap: Lap) -> u64 {
        lap.at | if let Self::Free = self { state::FREE } else { state::FULL }
    }
}

/// What every operation in a slot touches.
pub(super) struct Cell<T> {
    state: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Cell<T> {
    /// Free for the ticket of this lap.
    pub(super) fn new(lap: Lap) -> Self {
        Self { state: AtomicU64::new(lap.at | state::FREE), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The holder says so, for the ticket of this lap.
    #[inline(always)]
    pub(super) fn say(&self, said: Said, lap: Lap) {
        // Release: publishes the value, or that it was moved out; pairs with `says`.
        self.state.store(said.of(lap), Ordering::Release);
    }

    /// The holder has said so. That the slot is free means something only if nobody asked.
    #[inline(always)]
    pub(super) fn says(&self, said: Said, lap: Lap) -> bool {
        // Acquire: pairs with the Release in `say`.
        self.state.load(Ordering::Acquire) == said.of(lap)
    }

    /// Copies an item in.
    ///
    /// # Safety
    ///
    /// The caller has the producers' ticket, for which the slot is free.
    #[inline(always)]
    pub(super) unsafe fn write(&self, item: *const T) {
        // SAFETY: the caller's promise: nobody reads before it is published.
        self.value.with_mut(|value| unsafe { ptr::copy_nonoverlapping(item, value.cast(), 1) });
    }

    /// Moves the value out.
    ///
    /// # Safety
    ///
    /// The caller has the consumers' ticket, and has seen the slot full or its push KEPT.
    #[inline(always)]
    pub(super) unsafe fn read(&self) -> T {
        // SAFETY: the value was published with Release and seen with Acquire; the ticket is ours alone.
        self.value.with(|value| unsafe { (*value).assume_init_read() })
    }

    /// As [`Slot::put`], by somebody who does not share the slot.
    ///
    /// # Safety
    ///
    /// The slot is free, and `item` points to a value that the caller gives away.
    pub(super) unsafe fn put_mut(&mut self, item: *const T, lap: Lap) {
        // SAFETY: as above.
        self.value.with_mut(|value| unsafe { ptr::copy_nonoverlapping(item, value.cast(), 1) });
        self.state.with_mut(|state| *state = lap.at | state::FULL);
    }
}

/// What challenges touch; without asymmetric barriers, every operation.
pub(super) struct Dispute {
    verdict: AtomicU64,
    passed: AtomicU64,
}

impl Dispute {
    /// Free for the ticket of this lap.
    pub(super) fn new(lap: Lap, asymmetric: bool) -> Self {
        let verdict = if asymmetric { lap.long_ago() } else { lap.before() | verdict::FREE_KEPT };
        Self { verdict: AtomicU64::new(verdict), passed: AtomicU64::new(lap.long_ago() | passed::VOID) }
    }
}

/// A slot as it is for one of its tickets.
pub(super) struct Slot<'a, T> {
    slots: &'a Slots<T>,
    cell: &'a Cell<T>,
    index: usize,
    lap: Lap,
    asymmetric: bool,
}

impl<T> Clone for Slot<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<'_, T> {}

impl<'a, T> Slot<'a, T> {
    /// # Safety
    ///
    /// There are more slots than `index`.
    #[inline(always)]
    pub(super) unsafe fn new(slots: &'a Slots<T>, index: usize, lap: Lap) -> Self {
        // SAFETY: the caller's promise.
        let cell = unsafe { slots.cell(index) };
        Self { slots, cell, index, lap, asymmetric: slots.asymmetric() }
    }

    #[inline(always)]
    fn verdict(self) -> &'a AtomicU64 {
        // SAFETY: the promise to `new`.
        unsafe { &self.slots.dispute(self.index).verdict }
    }

    fn passed(self) -> &'a AtomicU64 {
        // SAFETY: the promise to `new`.
        unsafe { &self.slots.dispute(self.index).passed }
    }

    #[inline(always)]
    fn ticket(self) -> Ticket {
        self.lap.at | self.index as u64
    }

    /// The slot's ticket before this one.
    #[inline(always)]
    pub(super) fn ticket_before(self) -> Ticket {
        self.lap.before() | self.index as u64
    }

    /// The slot holds the value of this lap: the next consumer of that ticket may read it.
    #[inline(always)]
    pub(super) fn is_full(self) -> bool {
        self.cell.says(Said::Full, self.lap)
    }

    /// Whether the slot is free for the ticket of this lap. Stays so until a producer has that ticket.
    #[inline(always)]
    pub(super) fn free(self) -> Free {
        if self.asymmetric {
            if self.cell.says(Said::Free, self.lap) {
                // Against the heavy barrier in `pass_over`: either we see its question, or it sees FREE, which we saw.
                light(true);
                if self.slots.is_unasked(self.ticket_before()) {
                    return Free::Yes;
                }
            }
        } else {
            // Acquire: pairs with the Release in `release`.
            if self.verdict().load(Ordering::Acquire) & !verdict::PUSH
                == self.lap.before() | verdict::FREE_KEPT
            {
                return Free::Yes;
            }
        }
        Self::free_after_all(self.slots, self.ticket())
    }

    #[cold]
    fn free_after_all(slots: &Slots<T>, ticket: Ticket) -> Free {
        slots.slot(ticket).look_again()
    }

    fn look_again(self) -> Free {
        loop {
            // Acquire: as in `free`.
            let said = self.cell.state.load(Ordering::Acquire);
            if self.asymmetric {
                light(true);
            }
            // Acquire: pairs with the Release in `decide`, for what was done before the verdict.
            let found = self.verdict().load(Ordering::Acquire);
            let in_turn = lap_of(found) == self.lap.before();
            let free = found & verdict::FREE;
            if self.asymmetric
                && (said == self.lap.at | state::FREE || said == self.lap.at | state::FREE_UNUSED)
            {
                let yes = if said & CODES == state::FREE { Free::Yes } else { Free::Counted };
                if !in_turn || free == verdict::FREE_NONE || free == verdict::FREE_KEPT {
                    return yes;
                }
                if free == verdict::FREE_ASKED {
                    // Somebody asks and we know the answer.
                    let kept = found & !verdict::FREE | verdict::FREE_KEPT;
                    if self.decide(found, kept) {
                        return yes;
                    }
                    continue;
                }
            }
            if !self.asymmetric && in_turn && free == verdict::FREE_KEPT {
                return Free::Yes;
            }
            if !self.asymmetric && in_turn && free == verdict::FREE_UNUSED {
                return Free::Counted;
            }
            // Acquire: pairs with the Release in `give_back`.
            let open = self.passed().load(Ordering::Acquire) == self.lap.before() | passed::OPEN;
            return if open { Free::Counted } else { Free::No };
        }
    }

    /// An exchange of the verdict.
    fn decide(self, from: u64, to: u64) -> bool {
        // AcqRel: passes on to the others what made us decide, and shows us what they saw. Losing means that somebody
        // else decided, and all is looked at again. No model can tell: it acquires what it need not, for no verdict is ever given
        // twice, and who goes by what others saw has acquired it when it was read.
        self.verdict().compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Copies the item in and publishes it; false if the consumer has gone on: then the copy means nothing and the caller still
    /// holds the slot.
    ///
    /// # Safety
    ///
    /// The caller has the producers' ticket of this lap, for which the slot was free, and `item` points to a value that it
    /// gives away on success.
    #[inline(always)]
    pub(super) unsafe fn put(self, item: *const T) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.cell.write(item) };
        if self.asymmetric {
            self.cell.say(Said::Full, self.lap);
            // Against the heavy barrier in `challenge`: either the consumer sees FULL or we see its question.
            light(true);
            self.slots.is_unasked(self.ticket()) || Self::put_after_all(self.slots, self.ticket())
        } else {
            self.put_by_exchange()
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn put_after_all(slots: &Slots<T>, ticket: Ticket) -> bool {
        let slot = slots.slot(ticket);
        if slot.asymmetric { slot.answer() } else { slot.put_by_exchange() }
    }

    /// What became of our push, when somebody may have asked.
    fn answer(self) -> bool {
        loop {
            // Relaxed: a producer reads nothing that those wrote who asked.
            let found = self.verdict().load(Ordering::Relaxed);
            // A later lap: our consumer has taken the value and gone.
            match found & verdict::PUSH {
                _ if lap_of(found) != self.lap.at => return true,
                verdict::PUSH_GONE => return false,
                verdict::PUSH_ASKED => {
                    if self.decide(found, found & !verdict::PUSH | verdict::PUSH_KEPT) {
                        return true;
                    }
                }
                _ => return true,
            }
        }
    }

    fn put_by_exchange(self) -> bool {
        loop {
            // Relaxed: only what is to be exchanged.
            let found = self.cell.state.load(Ordering::Relaxed);
            if found == self.lap.at | state::GONE {
                return false;
            }
            // Release: publishes the value; pairs with `is_full`. Losing means that a consumer has gone on, of this lap, or late
            // of one before.
            let full = self.lap.at | state::FULL;
            if self.cell.state.compare_exchange(found, full, Ordering::Release, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
    }

    /// Moves the value of a slot out that was seen full.
    ///
    /// # Safety
    ///
    /// The caller has the consumers' ticket of the lap, and has seen the slot full or its push KEPT.
    #[inline(always)]
    pub(super) unsafe fn read(self) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.cell.read() }
    }

    /// The holder frees the slot for the next lap; true if that is out of turn, which the caller then has to count.
    /// `used` is false if the ticket of this lap is given back.
    ///
    /// # Safety
    ///
    /// The caller holds the slot, has the ticket of this lap, and there is no value.
    #[inline(always)]
    pub(super) unsafe fn release(self, used: bool) -> bool {
        if self.asymmetric {
            let code = if used { state::FREE } else { state::FREE_UNUSED };
            // Release: pairs with `free`: the value was moved out.
            self.cell.state.store(self.lap.after() | code, Ordering::Release);
            // Against the heavy barrier in `pass_over`.
            light(true);
            if self.slots.is_unasked(self.ticket()) {
                return !used;
            }
        }
        Self::release_after_all(self.slots, self.ticket(), used)
    }

    #[inline(never)]
    pub(super) fn release_after_all(slots: &Slots<T>, ticket: Ticket, used: bool) -> bool {
        slots.slot(ticket).settle(used)
    }

    fn settle(self, used: bool) -> bool {
        loop {
            // Acquire: pairs with the Release in `decide`, for what was done before the verdict.
            let found = self.verdict().load(Ordering::Acquire);
            let own = lap_of(found) == self.lap.at;
            let free = found & verdict::FREE;
            if own && free == verdict::FREE_VOID {
                // SAFETY: the caller of `release` holds the slot, and it was passed over.
                unsafe { self.give_back() };
                return true;
            }
            if self.asymmetric {
                // A later lap: the slot was found free and is in use again.
                if !own || free != verdict::FREE_ASKED {
                    return !used;
                }
                if self.decide(found, found & !verdict::FREE | verdict::FREE_KEPT) {
                    return !used;
                }
            } else {
                let code = if used { verdict::FREE_KEPT } else { verdict::FREE_UNUSED };
                // Its Release pairs with `free`: the value was moved out.
                if self.decide(found, self.lap.at | code) {
                    return !used;
                }
            }
        }
    }

    /// The holder returns a slot that was passed over, for the first lap that was not.
    ///
    /// # Safety
    ///
    /// The caller holds the slot since this lap, and the ticket of the next one was made void.
    #[cold]
    pub(super) unsafe fn give_back(self) {
        loop {
            // Relaxed: only what is to be exchanged.
            let found = self.passed().load(Ordering::Relaxed);
            let last = if older(lap_of(found), self.lap.after()) { self.lap.after() } else { lap_of(found) };
            // Release: pairs with `free`. Losing means that one more lap was passed over.
            let open = last | passed::OPEN;
            if self.passed().compare_exchange(found, open, Ordering::Release, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// How things stand for who wants to pass over the ticket of this lap, which no producer has taken.
    fn standing(self) -> Standing {
        let before = self.lap.before();
        // Acquire, both, and in this order: a lap is passed over in `passed` only after the first was in `verdict`.
        let passed = self.passed().load(Ordering::Acquire);
        let found = self.verdict().load(Ordering::Acquire);
        let in_turn = lap_of(found) == before;
        let free = if in_turn { found & verdict::FREE } else { verdict::FREE_NONE };
        if !older(lap_of(passed), self.lap.at) || free == verdict::FREE_VOID {
            return Standing::Void;
        }
        if passed == before | passed::OPEN
            || older(before, lap_of(found))
            || free == verdict::FREE_KEPT
            || free == verdict::FREE_UNUSED
        {
            return Standing::Free;
        }
        let second = found & !verdict::PUSH == self.lap.long_ago() | verdict::FREE_VOID
            && older(lap_of(passed), before);
        if !in_turn && (second || passed == before | passed::VOID) {
            return Standing::HeldForLaps { passed };
        }
        let push = if in_turn { found & verdict::PUSH } else { 0 };
        Standing::Held { found, rest: before | push }
    }

    /// The ticket of this lap is nobody's, and no producer has moved the tail past it.
    #[cold]
    pub(super) fn is_void(self) -> bool {
        matches!(self.standing(), Standing::Void)
    }

    /// Asks the holder whether it has freed the slot, for `pass`; with asymmetric barriers only, and after [`Slots::will_ask`]. False
    /// if that would be in vain.
    #[cold]
    pub(super) fn ask(self) -> bool {
        loop {
            match self.standing() {
                Standing::Void => return true,
                Standing::Free | Standing::HeldForLaps { .. } => return false,
                Standing::Held { found, rest } => {
                    let asked = rest | verdict::FREE_ASKED;
                    if found == asked || self.decide(found, asked) {
                        return true;
                    }
                }
            }
        }
    }

    /// Makes the ticket of this lap nobody's, unless the slot becomes free for it in time. True if it is nobody's.
    ///
    /// To be called for a ticket from the tail on of which all before are nobody's, when the slot was seen not to be free for it.
    /// `barrier` says that `ask` said true and a heavy barrier came after.
    #[cold]
    pub(super) fn pass(self, barrier: bool) -> bool {
        loop {
            match self.standing() {
                Standing::Void => return true,
                Standing::Free => return false,
                Standing::HeldForLaps { passed } => {
                    // AcqRel and Relaxed: as in `decide`; the holder's exchange in `give_back` may win.
                    let void = self.lap.at | passed::VOID;
                    if self
                        .passed()
                        .compare_exchange(passed, void, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                    {
                        return true;
                    }
                }
                Standing::Held { found, rest } if !self.asymmetric => {
                    if self.decide(found, rest | verdict::FREE_VOID) {
                        return true;
                    }
                }
                Standing::Held { found, rest } => {
                    // What is void or held for laps is never asked about again, so this question is older than the barrier.
                    if !barrier || found != rest | verdict::FREE_ASKED {
                        return false;
                    }
                    // Acquire: pairs with the Release in `release`.
                    let freed = !older(lap_of(self.cell.state.load(Ordering::Acquire)), self.lap.at);
                    let code = if freed { verdict::FREE_KEPT } else { verdict::FREE_VOID };
                    if self.decide(found, rest | code) {
                        return !freed;
                    }
                }
            }
        }
    }

    /// With the ticket of this lap given out, and the consumers' one not: whether it is a producer's, who is on its way.
    /// False if the ticket is nobody's.
    #[cold]
    pub(super) fn is_claimed(self) -> bool {
        // Acquire, both, and in this order: as in `pass`.
        let passed = self.passed().load(Ordering::Acquire);
        let found = self.verdict().load(Ordering::Acquire);
        let said = self.cell.state.load(Ordering::Acquire);
        let by_now = |word| !older(lap_of(word), self.lap.at);
        if older(self.lap.at, lap_of(said)) || older(self.lap.at, lap_of(found)) {
            return false;
        }
        if by_now(passed) && passed & CODES == passed::OPEN {
            return false;
        }
        let free = found & verdict::FREE;
        if lap_of(found) == self.lap.at {
            // Only a producer's ticket is judged; unless that has given it back since.
            return free != verdict::FREE_KEPT && free != verdict::FREE_UNUSED;
        }
        !by_now(passed) && found & !verdict::PUSH != self.lap.before() | verdict::FREE_VOID
    }

    /// True if the value is there by now; else leaves the slot to its producer, which will push elsewhere.
    ///
    /// # Safety
    ///
    /// The caller has the consumers' ticket of this lap, and the producers' one was claimed.
    #[cold]
    pub(super) unsafe fn challenge(self) -> bool {
        if self.asymmetric { self.ask_producer() } else { self.leave_by_exchange() }
    }

    fn ask_producer(self) -> bool {
        self.slots.will_ask(self.ticket());
        loop {
            // Acquire: pairs with the Release in `decide`, for what was done before the verdict. No model can tell: nothing is read
            // through it before the state, which acquires, too.
            let found = self.verdict().load(Ordering::Acquire);
            if older(self.lap.at, lap_of(found)) {
                // Given back, and in use again.
                return false;
            }
            let rest = if lap_of(found) == self.lap.at { found } else { self.lap.at };
            if self.decide(found, rest & !verdict::PUSH | verdict::PUSH_ASKED) {
                break;
            }
        }
        if !heavy() {
            // The system broke its promise of barriers. Nothing can be abandoned any more, so we must wait.
            while !self.is_full() {
                // Acquire: as in `is_full`. No model can tell: none has a heavy barrier that fails.
                if older(self.lap.at, lap_of(self.cell.state.load(Ordering::Acquire))) {
                    return false;
                }
                spin_loop();
            }
            return true;
        }
        loop {
            if self.is_full() {
                return true;
            }
            // Acquire: pairs with the Release in `decide`, for what was done before the verdict.
            let found = self.verdict().load(Ordering::Acquire);
            if lap_of(found) != self.lap.at {
                return false;
            }
            if found & verdict::PUSH == verdict::PUSH_KEPT {
                return true;
            }
            if self.decide(found, found & !verdict::PUSH | verdict::PUSH_GONE) {
                return false;
            }
        }
    }

    fn leave_by_exchange(self) -> bool {
        loop {
            // Acquire: as in `is_full`.
            let found = self.cell.state.load(Ordering::Acquire);
            if found == self.lap.at | state::FULL {
                return true;
            }
            if older(self.lap.at, lap_of(found)) {
                return false;
            }
            // Relaxed, both: GONE carries nothing. Losing means that the producer has spoken.
            let gone = self.lap.at | state::GONE;
            if self.cell.state.compare_exchange(found, gone, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return false;
            }
        }
    }

    /// The holder of lap `held`, with the producers' ticket of `lap` as well, keeps the slot for that one; false if the
    /// ticket was made void before.
    ///
    /// # Safety
    ///
    /// The caller holds the slot since lap `held`, and has moved the tail past the ticket of `lap`.
    #[cold]
    pub(super) unsafe fn keep(self, held: Lap) -> bool {
        loop {
            // Acquire, both: pair with the Release in `decide` and of the exchanges of `passed`.
            let passed = self.passed().load(Ordering::Acquire);
            let found = self.verdict().load(Ordering::Acquire);
            if !older(lap_of(passed), self.lap.at) {
                return false;
            }
            let void = lap_of(found) == held.at && found & verdict::FREE == verdict::FREE_VOID;
            if held.after() == self.lap.at {
                if void {
                    return false;
                }
                // Of this lap: a consumer waits for our push.
                let own = if lap_of(found) == held.at { found } else { held.at };
                if lap_of(found) == self.lap.at
                    || self.decide(found, own & !verdict::FREE | verdict::FREE_KEPT)
                {
                    return true;
                }
            } else {
                // AcqRel and Relaxed: as in `decide`. Losing means that this lap was passed over as well.
                let open = self.lap.before() | passed::OPEN;
                if self.passed().compare_exchange(passed, open, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return true;
                }
            }
        }
    }
}
