//! A counter that gives out tickets, which one thread at a time may own: its owner takes tickets without a locked instruction.
//!
//! ```text
//!   owner                                    a stranger that wants a ticket
//!   word is OWNED by me                      word: OWNED -> REVOKING          (exchange)
//!   own = next            (plain store)      heavy()
//!   light()                                  end = own
//!   word still OWNED: the ticket is mine     settled: HELD -> DECIDED(end)    (exchange: one end for all)
//!   else settle it: mine if before the end   word: REVOKING -> end            (exchange)
//! ```
//! While nobody owns it, `word` is the next ticket and is exchanged for the one after. A thread that took many with nobody in between
//! adopts the counter. Biased locks do the same ([Kawachiya](https://doi.org/10.1145/582419.582433),
//! [Vasudevan and others](https://doi.org/10.1145/1854273.1854301)), by [asymmetric
//! barriers](https://web.archive.org/web/20080703001848/http://home.comcast.net/~pjbishop/Dave/Asymmetric-Dekker-Synchronization.txt)
//! too, and there a stranger waits for the owner. Here it decides by itself which of the owner's claims came in time.
//!
//! **Why a claim is right.** The owner stores `own` and then reads `word`; a stranger writes REVOKING, or reads it, and then reads `own`, with
//! the heavy barrier in between. So either the owner sees REVOKING, or every stranger that ever offers an end for this bias saw the
//! claim. If both, the end that was decided says; a claim moves `own` once, so it is before the end or behind it as a whole.
//!
//! **Nobody waits.** Each stranger does all steps itself, its own heavy barrier among them, or finds them done. An owner that is stopped
//! between its look at `word` and its store to `own` does no harm, for that seat is not used again before the owner has
//! *acknowledged* the end, which it does when it has no claim under way. It may never come back: then the next owner takes another
//! seat, and if all are taken, the counter has no owner any more, and works.
//!
//! **Invariants**
//!
//! 1. A bias, that is a seat and its round, is in `word` once in the counter's life, and between two plain values: the same one at its
//!    beginning and at its end if nothing was taken.
//! 2. `own` of a seat is written by the bias's owner only, from the exchange that HELD it until the acknowledgement.
//! 3. While `word` shows a bias, `settled` of its seat is HELD in its round or DECIDED; and DECIDED only while it is REVOKING.
//! 4. A plain value with marks is the last: no owner, no ticket.
//!
//! **Linearization.** A ticket is taken by the exchange of `word`, or by the store to `own`, if that is before the end. Looks come between:
//! one that finds the same bias in `word` before and after `own` saw a claim that holds, for every end of the bias is later.
//!
//! **Orderings.** Whoever sees the counter somewhere sees what the taker of the ticket before it saw: exchanges and stores to `own` release,
//! looks acquire, and an end passes it on. As for who looks whether anything was pushed: an owner's store may still be on its way out while
//! others look, just as that of the slot is which it publishes afterwards; a fence of the owner's sends both.
//!
//! **When barriers fail** that were chosen (`Barrier::Broken`), a stranger cannot know what the owner's last claim is. It gives the owner
//! a tenth of a second to decide, which also is ten thousand times as long as a store takes to become visible.

#[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
use core::cell::Cell;

use crate::reclaim::{Barrier, barrier, heavy, light};
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{Ordering, const_fn, recheck, spin_loop};

/// 64 bits where there are such atomics.
#[cfg(target_has_atomic = "64")]
mod width {
    pub(super) use crate::sync::AtomicU64 as AtomicTicket;
    /// A value of the counter: what it means is its user's.
    pub type Ticket = u64;
}
#[cfg(not(target_has_atomic = "64"))]
mod width {
    pub(super) use crate::sync::AtomicUsize as AtomicTicket;
    pub type Ticket = usize;
}
use width::AtomicTicket;
pub use width::Ticket;

/// In `word`: it has an owner, and is no ticket. Below: whether that is over, the seat, the round and the owner's token.
const OWNED: Ticket = 1 << (Ticket::BITS - 1);
/// ... and somebody wants it back.
const REVOKING: Ticket = OWNED >> 1;
const SEAT: u32 = ROUND + Ticket::BITS / 2 - 4;
const ROUND: u32 = Ticket::BITS / 2;
const TOKEN: Ticket = (1 << ROUND) - 1;

/// In `settled`: the end, which is below. Else the round is below ...
const DECIDED: Ticket = OWNED;
/// ... and it is adopted. Else it is free for that round.
const HELD: Ticket = REVOKING;

/// Rounds of a seat end here, so that none comes twice: it stays free then, and is not adopted.
const ROUNDS: Ticket = 1 << (SEAT - ROUND);

/// Owners that may stay away for ever before a counter has no owner any more. Reasoned: a thread that set a queue up and left it to others
/// is one. Models have one, so that owners come back to it.
const SEATS: usize = if cfg!(latchfree_loom) { 1 } else { 4 };

// By the remainder, the marks above a seat's bits do not count.
const _: () = assert!(SEATS.is_power_of_two());

/// Whether there may be owners at all: words have room for tokens, and threads have them.
const OWNERS: bool =
    cfg!(all(target_pointer_width = "64", any(feature = "std", latchfree_loom, latchfree_stall)));

/// How often a stranger looks whether the owner decides by itself, which costs less than the barrier: some transfers of a cache line.
/// Reasoned.
const PATIENCE: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 0 } else { 32 };

/// After so many claims by one thread in a row it adopts the counter. With 256 and 1,024, pairs of 2, 4 and 8 threads on 2 cores took 12 to
/// 53 ns, for who comes while an owner is at work loses time and who is found at work is disturbed; with 8,192, and where nobody owned it,
/// 13 to 15. Where atomics dawdle it is soon, for the sake of the tests.
#[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
const SOON: u32 = if cfg!(latchfree_delay) { 2 } else { 8_192 };

/// Where a counter stood when a thread looked.
#[derive(Clone, Copy, PartialEq)]
pub struct Turn {
    /// The next ticket, or what it was in the end with marks in it.
    pub ticket: Ticket,
    /// `word` then.
    word: Ticket,
}

impl Turn {
    #[inline(always)]
    fn at(word: Ticket) -> Self {
        Self { ticket: word, word }
    }

    /// Somebody else owned it then: who could not take a ticket has ended that, and lost nothing.
    #[inline]
    pub fn is_anothers(self) -> bool {
        self.is_owned() && !self.is_mine()
    }

    #[inline(always)]
    fn is_owned(self) -> bool {
        self.word & OWNED != 0
    }

    #[inline(always)]
    fn is_mine(self) -> bool {
        OWNERS && self.word & (OWNED | REVOKING | TOKEN) == OWNED | own_token()
    }
}

/// The counter. Values are below `OWNED`; what they mean, and how they follow each other, is its user's.
#[repr(C)]
pub struct Tickets {
    /// A ticket or a bias.
    word: AtomicTicket,
    /// The next ticket while it is owned, a seat's each.
    own: [AtomicTicket; SEATS],
    /// The token of an owner that closed the counter, for whoever follows it. A hint.
    closer: AtomicTicket,
    rare: Rare,
}

/// What only changes of owners write, in a line of its own: who takes a ticket by exchange has the first for that moment only.
#[repr(align(64))]
struct Rare {
    /// What became of a seat.
    settled: [AtomicTicket; SEATS],
    /// Round and token of a seat that is held, for the acknowledgement; 0 if nobody has to. Written by who holds it.
    owner: [AtomicTicket; SEATS],
}

impl Tickets {
    const_fn! {
        /// It begins there, and nobody owns it.
        pub const fn new(first: Ticket) -> Self {
            Self {
                word: AtomicTicket::new(first),
                own: zeros(),
                closer: AtomicTicket::new(0),
                rare: Rare { settled: zeros(), owner: zeros() },
            }
        }
    }

    /// Where it stands.
    #[inline(always)]
    pub fn read(&self) -> Turn {
        // Acquire: pairs with the Release of whoever moved it.
        let word = self.word.load(Ordering::Acquire);
        let turn = Turn::at(word);
        if turn.is_mine() {
            // Relaxed: the caller's own.
            return Turn { ticket: self.own[seat(word)].load(Ordering::Relaxed), word };
        }
        if turn.is_owned() { self.look(word) } else { turn }
    }

    /// As `read`, where somebody else owns it.
    #[cold]
    #[inline(never)]
    fn look(&self, mut word: Ticket) -> Turn {
        while word & OWNED != 0 {
            if word & REVOKING != 0 {
                self.settle(word);
            } else {
                // Acquire: pairs with the Release of the claim. Not of another bias: that would be over or not begun, as its Release
                // tells, and `word` not as it was.
                let ticket = self.own[seat(word)].load(Ordering::Acquire);
                // Against the heavy barrier in `settle`: what we saw is seen there, or we see that it is over.
                light(true);
                // Relaxed: `own` has acquired all there is.
                if recheck(self.word.load(Ordering::Relaxed) == word) {
                    return Turn { ticket, word };
                }
            }
            // Acquire: as in `read`.
            word = self.word.load(Ordering::Acquire);
        }
        Turn::at(word)
    }

    /// Takes the tickets from where it stood up to `next`; false if somebody else did something. Not with marks in it.
    #[inline(always)]
    pub fn take(&self, turn: Turn, next: Ticket) -> bool {
        if turn.is_mine() {
            // Release: pairs with the Acquire of who looks, for what we saw. The linearization point.
            self.own[seat(turn.word)].store(next, Ordering::Release);
            // Against the heavy barrier in `settle`: either a stranger sees the claim or we see it.
            light(true);
            // Relaxed: the bias is in `word` once, so it was there all the time, and there is nothing to acquire.
            return recheck(self.word.load(Ordering::Relaxed) == turn.word) || self.resolve(turn.word, next);
        }
        if turn.is_owned() {
            self.revoke(turn.word);
            return false;
        }
        // Release: pairs with the Acquire of who reads it to take a later ticket, so that it sees what we saw. Relaxed on losing: all is
        // looked at again. The linearization point.
        let taken = self.word.compare_exchange(turn.word, next, Ordering::Release, Ordering::Relaxed).is_ok();
        if taken {
            self.taken(turn.ticket, next);
        }
        taken
    }

    /// Puts marks to where it stood: no ticket is given after that. False if somebody else did something.
    pub fn close(&self, turn: Turn, marks: Ticket) -> bool {
        if turn.is_owned() && !turn.is_mine() {
            self.revoke(turn.word);
            return false;
        }
        // Release: what a ticket's taker saw is passed on. Losing means that a ticket was taken, that it is closed, or that a
        // stranger wants it back.
        let closed = self
            .word
            .compare_exchange(turn.word, turn.ticket | marks, Ordering::Release, Ordering::Relaxed)
            .is_ok();
        if turn.is_mine() {
            if closed {
                self.acknowledge(seat(turn.word));
                // Relaxed: a hint, for `follow`.
                self.closer.store(own_token(), Ordering::Relaxed);
            } else {
                self.resolve(turn.word, turn.ticket);
            }
        }
        closed
    }

    /// Puts marks to it wherever it stands.
    #[cold]
    pub fn mark(&self, marks: Ticket) {
        loop {
            let turn = self.read();
            if turn.ticket & marks == marks || self.close(turn, marks) {
                return;
            }
        }
    }

    /// A stranger saw the claim, or its end, or wants the counter: what became of it.
    #[cold]
    #[inline(never)]
    fn resolve(&self, bias: Ticket, next: Ticket) -> bool {
        let (seat, round) = (seat(bias), round(bias));
        // Without a barrier: nobody else moves `own`. Release: as in `settle`. Losing means that it was decided; Relaxed, for all before
        // the end is ours.
        let decided = self.rare.settled[seat].compare_exchange(
            HELD | round,
            DECIDED | next,
            Ordering::Release,
            Ordering::Relaxed,
        );
        let end = decided.map_or_else(|found| found & !DECIDED, |_| next);
        self.end(bias | REVOKING, end);
        self.acknowledge(seat);
        next == end
    }

    /// A stranger wants the counter.
    #[cold]
    #[inline(never)]
    fn revoke(&self, bias: Ticket) {
        let revoking = bias | REVOKING;
        // Relaxed: whoever settles it has written or read it before its heavy barrier, so the owner reads it or what came later. Losing
        // means that another stranger was first, or that it is over.
        if self.word.compare_exchange(bias, revoking, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.settle(revoking);
        }
    }

    /// Ends a bias that the caller saw revoked.
    #[cold]
    fn settle(&self, revoking: Ticket) {
        let (seat, round) = (seat(revoking), round(revoking));
        let (held, settled) = (HELD | round, &self.rare.settled[seat]);
        // Acquire: pairs with the Release of who decided, for what it saw.
        let mut found = settled.load(Ordering::Acquire);
        if found == held {
            // Acquire: as above.
            let mut looks = (0..PATIENCE).map(|_| {
                spin_loop();
                settled.load(Ordering::Acquire)
            });
            found = looks.find(|&found| found != held).unwrap_or(held);
        }
        if found == held {
            if !heavy() {
                self.give_time(seat, held);
            }
            // Acquire: pairs with the Release of the owner's last claim.
            let end = self.own[seat].load(Ordering::Acquire);
            // Release and Acquire: passes on what we saw, or shows what was seen. Losing means that another end holds.
            found = settled
                .compare_exchange(held, DECIDED | end, Ordering::Release, Ordering::Acquire)
                .map_or_else(|found| found, |_| DECIDED | end);
        }
        if found & DECIDED != 0 {
            self.end(revoking, found & !DECIDED);
        }
    }

    /// Barriers failed: see the module's head.
    #[cold]
    fn give_time(&self, seat: usize, held: Ticket) {
        #[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
        for _ in 0..100 {
            // Relaxed: acquired by the exchange that fails.
            if self.rare.settled[seat].load(Ordering::Relaxed) != held {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let _ = (seat, held);
    }

    /// Puts the end of a bias into `word`.
    fn end(&self, revoking: Ticket, end: Ticket) {
        // Release: passes on what was acquired with the end. Losing means that somebody else did it; and only then may the end be that
        // of another round.
        let _ = self.word.compare_exchange(revoking, end, Ordering::Release, Ordering::Relaxed);
    }

    /// The owner of a seat, whose bias is over, has no claim under way.
    fn acknowledge(&self, seat: usize) {
        // Relaxed: our own.
        let round = self.rare.owner[seat].load(Ordering::Relaxed) >> ROUND;
        // Relaxed: as above.
        self.rare.owner[seat].store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire in `adopt`, for our last store to `own`. A plain store: it is decided or was never revoked, so
        // nobody else has anything to say.
        self.rare.settled[seat].store(round + 1, Ordering::Release);
    }

    /// Makes the caller the owner of a counter that stands at `next`, if it still does.
    #[cold]
    fn adopt(&self, next: Ticket) {
        let me = Ticket::from(token::get());
        if me == 0 || barrier() != Barrier::Membarrier {
            return;
        }
        for (seat, settled) in self.rare.settled.iter().enumerate() {
            // Relaxed: the exchange acquires it.
            let round = settled.load(Ordering::Relaxed);
            // Acquire: pairs with the Release in `acknowledge`. Losing means that another thread adopts it.
            if round >= ROUNDS
                || settled
                    .compare_exchange(round, HELD | round, Ordering::Acquire, Ordering::Relaxed)
                    .is_err()
            {
                continue;
            }
            // Relaxed: our own.
            self.rare.owner[seat].store(round << ROUND | me, Ordering::Relaxed);
            // Release: who looks for an earlier bias and sees this sees that that is over.
            self.own[seat].store(next, Ordering::Release);
            let bias = OWNED | (seat as Ticket) << SEAT | round << ROUND | me;
            // Release: pairs with the Acquire of who sees the bias, for `own` and `settled`. Losing means that another thread took a ticket.
            if self.word.compare_exchange(next, bias, Ordering::Release, Ordering::Relaxed).is_err() {
                self.acknowledge(seat);
            }
            return;
        }
    }
}

/// When a counter is adopted.
impl Tickets {
    /// The caller has just taken these tickets by exchange. What it remembers of that is its own, for the counter's line may be gone already.
    #[inline(always)]
    fn taken(&self, first: Ticket, next: Ticket) {
        #[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
        if OWNERS {
            let run = Run::of(self);
            let left = run.left.get();
            if core::ptr::eq(run.counter.get(), self) && left > 0 {
                let goes_on = run.next.replace(next) == first;
                run.left.set(if goes_on { left - 1 } else { SOON });
            } else {
                self.consider(run, next);
            }
        }
        // At once, so that there are owners in models.
        #[cfg(latchfree_loom)]
        if !crate::sync::model::adopts() {
            return;
        }
        #[cfg(any(latchfree_loom, latchfree_stall))]
        {
            let _ = first;
            self.come_back();
            self.adopt(next);
        }
        #[cfg(not(any(feature = "std", latchfree_loom, latchfree_stall)))]
        let _ = (first, next);
    }

    /// The caller took so many in a row that it adopts the counter, or remembers nothing of it.
    #[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
    #[cold]
    #[inline(never)]
    fn consider(&self, run: &Run, next: Ticket) {
        if core::ptr::eq(run.counter.get(), self) {
            self.adopt(next);
            // When it takes a ticket by exchange again, that is over.
            run.counter.set(core::ptr::null());
        } else {
            self.come_back();
            run.counter.set(self);
            run.next.set(next);
            run.left.set(SOON);
        }
    }

    /// The caller, who does not own the counter, acknowledges the ends of what it owned.
    #[cfg(any(feature = "std", latchfree_loom, latchfree_stall))]
    fn come_back(&self) {
        let me = own_token();
        for seat in 0..SEATS {
            // Relaxed: our own, if it is. It was, and a ticket has been exchanged for another since: its bias is over.
            let owner = self.rare.owner[seat].load(Ordering::Relaxed);
            if owner != 0 && owner & TOKEN == me {
                self.acknowledge(seat);
            }
        }
    }

    /// This counter goes on where `before` ended, at whose end the caller is: its owner adopts this one.
    #[cold]
    pub fn follow(&self, before: &Self) {
        if !OWNERS {
            return;
        }
        // Relaxed, both: hints.
        let word = before.word.load(Ordering::Relaxed);
        let closed = own_token() != 0 && before.closer.load(Ordering::Relaxed) == own_token();
        if closed || Turn::at(word).is_mine() {
            // Acquire: as in `read`.
            let next = self.word.load(Ordering::Acquire);
            if next & OWNED == 0 {
                self.adopt(next);
            }
        }
    }
}

/// A counter that nobody shares.
impl Tickets {
    /// Whether there is an owner.
    #[cfg(latchfree_loom)]
    pub fn is_owned(&self) -> bool {
        self.read().is_owned()
    }

    /// The next ticket, and marks.
    #[inline]
    pub fn with_mut<U>(&mut self, f: impl FnOnce(&mut Ticket) -> U) -> U {
        if self.word.with_mut(|word| *word & OWNED != 0) {
            self.disown();
        }
        self.word.with_mut(f)
    }

    /// Nobody owns it, or has to come back for it.
    #[cold]
    pub fn disown(&mut self) {
        let word = self.word.with_mut(|word| *word);
        if word & OWNED != 0 {
            let settled = self.rare.settled[seat(word)].with_mut(|settled| *settled);
            let own = self.own[seat(word)].with_mut(|own| *own);
            let end = if settled & DECIDED != 0 { settled & !DECIDED } else { own };
            self.word.with_mut(|word| *word = end);
        }
        for (settled, owner) in self.rare.settled.iter_mut().zip(&mut self.rare.owner) {
            let owner = owner.with_mut(core::mem::take);
            if owner != 0 {
                settled.with_mut(|settled| *settled = (owner >> ROUND) + 1);
            }
        }
        self.closer.with_mut(|closer| *closer = 0);
    }
}

#[cfg(not(latchfree_loom))]
const fn zeros() -> [AtomicTicket; SEATS] {
    [const { AtomicTicket::new(0) }; SEATS]
}
#[cfg(latchfree_loom)]
fn zeros() -> [AtomicTicket; SEATS] {
    core::array::from_fn(|_| AtomicTicket::new(0))
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::modulo_one, reason = "two bits; models have one seat")]
fn seat(bias: Ticket) -> usize {
    // Without the marks above, which are no multiples of every number of seats: with three, a bias had another seat when it was
    // revoked, and pops took tickets that no push had.
    (bias >> SEAT & 3) as usize % SEATS
}

fn round(bias: Ticket) -> Ticket {
    bias >> ROUND & (ROUNDS - 1)
}

#[inline(always)]
fn own_token() -> Ticket {
    Ticket::from(token::current())
}

/// The last tickets that a thread took by exchange from a counter, as far as it remembers.
#[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
struct Run {
    counter: Cell<*const Tickets>,
    /// The one after the last.
    next: Cell<Ticket>,
    /// After how many more claims it adopts the counter.
    left: Cell<u32>,
}

#[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
impl Run {
    /// Counters are told apart by a hash; of two that share an entry, and are used in turn, neither is adopted.
    const COUNT: usize = 32;

    #[inline(always)]
    fn of<'a>(counter: &Tickets) -> &'a Self {
        std::thread_local! {
            static RUNS: [Run; Run::COUNT] = const {
                [const { Run { counter: Cell::new(core::ptr::null()), next: Cell::new(0), left: Cell::new(0) } }; Run::COUNT]
            };
        }
        // They are at least two cache lines apart.
        let index = (core::ptr::from_ref(counter).addr() >> 7) % Self::COUNT;
        let run = RUNS.with(|runs| &raw const runs[index]);
        // SAFETY: the calling thread's own and without a destructor: it lives as long as the thread, which no caller's use of it
        // outlasts.
        unsafe { &*run }
    }
}

/// A number for each thread that has ever wanted to own a counter, never given again.
#[cfg(any(feature = "std", latchfree_loom, latchfree_stall))]
mod token {
    use core::cell::Cell;

    use crate::reclaim::is_asymmetric;
    use crate::sync::{Ordering, ProcessWord};

    static GIVEN: ProcessWord = ProcessWord::new(0);

    // 0: none.
    crate::__local!(TOKEN: Cell<u32> = Cell::new(0));

    /// The calling thread's, or 0.
    #[inline(always)]
    pub(super) fn current() -> u32 {
        TOKEN.try_with(Cell::get).unwrap_or(0)
    }

    /// As `current`; the first call takes one, if there may be owners and there is one left.
    pub(super) fn get() -> u32 {
        if current() == 0 && is_asymmetric() {
            // Relaxed: no more than a number.
            let given = GIVEN.fetch_add(1, Ordering::Relaxed);
            let _ = TOKEN.try_with(|token| token.set(u32::try_from(given + 1).unwrap_or(0)));
        }
        current()
    }
}

#[cfg(not(any(feature = "std", latchfree_loom, latchfree_stall)))]
mod token {
    #[inline(always)]
    pub(super) fn current() -> u32 {
        0
    }

    pub(super) fn get() -> u32 {
        0
    }
}

#[cfg(all(test, feature = "std", not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use super::*;
    use crate::reclaim::is_asymmetric;

    fn take(tickets: &Tickets) -> Ticket {
        loop {
            let turn = tickets.read();
            if tickets.take(turn, turn.ticket + 1) {
                return turn.ticket;
            }
        }
    }

    fn is_owned(tickets: &Tickets) -> bool {
        tickets.read().is_owned()
    }

    /// Takes tickets in a row and tells how many it took until it owned the counter.
    fn own(tickets: &Tickets) -> Option<u32> {
        (1..=4 * SOON).find(|_| {
            take(tickets);
            is_owned(tickets)
        })
    }

    fn on_another_thread<U: Send>(f: impl FnOnce() -> U + Send) -> U {
        std::thread::scope(|scope| scope.spawn(f).join().unwrap())
    }

    #[test]
    fn who_is_alone_owns_it() {
        if !OWNERS || !is_asymmetric() {
            return;
        }
        let tickets = Tickets::new(0);
        let first = own(&tickets).expect("nobody else takes any");
        assert_eq!(on_another_thread(|| take(&tickets)), Ticket::from(first));
        assert!(!is_owned(&tickets));
        assert_eq!(take(&tickets), Ticket::from(first) + 1);
        assert!(own(&tickets).is_some(), "it has come back");
    }

    #[test]
    fn owners_that_stay_away_use_seats_up() {
        if !OWNERS || !is_asymmetric() {
            return;
        }
        let mut tickets = Tickets::new(0);
        let mut owners = 0;
        while on_another_thread(|| {
            take(&tickets);
            own(&tickets).is_some()
        }) {
            owners += 1;
        }
        assert_eq!(owners, SEATS);
        let next = tickets.read().ticket;
        tickets.disown();
        assert_eq!(tickets.with_mut(|ticket| *ticket), next);
        assert!(own(&tickets).is_some(), "all seats are free again");
    }
}
