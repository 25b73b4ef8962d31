//! Remembered backoff: threads that fight for the same cache lines take turns instead, and remember that they did.
//!
//! When several cores fight for a cache line, every operation pays for its transfer, and the winner of a race gains
//! nothing by it. It is faster by far if one thread at a time does many operations while the line stays where it is.
//! So a thread that loses races pauses, and what it remembers of each place decides who of two threads gives way, so that
//! not both do:
//!
//! ```text
//!   pause ends     newcomer            established                            old
//!   |--------------|-------------------|--------------------------------------|------------->  operations
//!                   gives way after     gives way only to somebody             gives way to the next
//!                   a few races lost    who does not give way himself          newcomer
//! ```
//! A newcomer that had to give way pauses twice as long as the last time, an old thread half as long. A thread also knows
//! what its operations took when it found the place free: where threads do other work between their operations, and two
//! of them side by side are no slower than in turns, they are left alone.
//!
//! A pause is bounded in time and waits for nobody: progress does not depend on it. It is taken at the end of an operation,
//! never while holding a ticket or anything else that others might have to work around. Its price is fairness within a pause,
//! and that one operation in some thousands takes as long as a pause.

/// Where races are lost: the address of the word that they are about. A structure at whose ends the same threads work has one
/// place, or a thread that gave way at one end would be old at the other.
pub(crate) type Place = *const ();

#[cfg(all(feature = "std", not(any(latchfree_loom, latchfree_stall))))]
mod imp {
    use core::cell::Cell;
    use core::hint::spin_loop;
    use std::time::{Duration, Instant};

    use super::Place;

    // Measured with pairs, flows and pairs with 100 ns of work on a queue, beside peers, on 2 cores with 2 and 8 threads.

    /// The first pause, in ns: some transfers of a cache line, at 50 to 100 each. A quarter of it made no difference.
    const SHORTEST: u32 = 1_024;
    /// The longest, in ns. It must be so long that pauses are fewer than one operation in a thousand: the 99.9th percentile of
    /// timed pairs with 2 threads was the pause itself with 8, 16, 32 and 65 us, and 1 us with 131 (`SegQueue`: 1 to 2).
    const LONGEST: u32 = 131_072;
    /// From here on a pause gives its core away, in ns: about what a context switch costs. Without it, flows of 2 and 4
    /// producers and consumers took 24 and 22 ns an item instead of 18 and 18.
    const YIELDING: u32 = 2_048;
    /// From here on it sleeps, in ns. Pairs took half of the processor time, and 33 instead of 42 ns with 8 threads; where only
    /// pauses of 65 us and more slept, the 99.9th percentile was half as high again.
    const SLEEPING: u32 = 16_384;
    /// A thread that has done fewer operations since its pause is a newcomer: time enough for an old one to give way.
    const YOUNG: u32 = 64;
    /// ... and one that has done so many is old: some 50 us. Pairs with 2 threads took 22 ns with 4,096 and 17 with
    /// 32,768, but then one thread did up to four times as much as the other.
    const OLD: u32 = 8_192;
    /// What a newcomer loses before it gives way, in tickets of others; 4 and 16 made no difference.
    const TOLERATED: u32 = 8;
    /// What an established thread loses in close succession before it gives way, likewise: several newcomers' attempts. With
    /// 128, flows of 2 producers and consumers took 20 ns an item instead of 16.
    const STUBBORN: u32 = 32;
    /// A lost exchange weighs as much as so many tickets of others, being a step in vain. Reasoned, as the two below: they
    /// bound what is rare.
    const EXCHANGE: u32 = 4;
    /// So many races lost are ignored where working side by side was found to be no slower than taking turns.
    const CALM: u32 = 64;
    /// After so many operations since the last pause, contention is forgotten.
    const FORGOTTEN: u32 = 1 << 20;
    /// Who finds nothing to do is at the heels of the other end if fewer items than this came since it last found so ...
    const HEELS: usize = 256;
    /// ... and that was no longer ago. Reasoned, both: a head start is some hundred items.
    const JUST_NOW: Duration = Duration::from_micros(20);
    /// How long the other end is watched to see whether somebody is at work there: some transfers of a cache line.
    const LOOK: Duration = Duration::from_nanos(300);
    /// The head start that it gets. Flows of 1 producer and 1 consumer on a bounded queue took 5 to 7 ns an item with it and 7
    /// to 16 without; of 2 and 4, in a later run, 6.7 and 7.1 instead of 9.2 and 10.5.
    const HEAD_START: Duration = Duration::from_micros(2);
    /// Where nobody was at work there, it is not asked again so many times. Reasoned: a thread that does all itself then loses about
    /// a nanosecond a time.
    const UNWATCHED: u32 = 256;
    /// Places are told apart by a hash; two that share an entry share their memory.
    const PLACES: usize = 8;

    /// What a thread remembers of one place; a power of two in size, for the address is computed in every operation.
    #[repr(align(64))]
    struct Memory {
        /// The last pause in ns; 0 if there is nothing to remember.
        pause: Cell<u32>,
        /// Operations since then.
        run: Cell<u32>,
        /// What was lost in close succession, and `run` at the last loss.
        losses: Cell<u32>,
        last: Cell<u32>,
        /// What YOUNG operations took when the place was free, in ns; 0 if that is not known. It shrinks at once and grows by an
        /// eighth at a time, for a thread that the system stopped meanwhile measures the stop: where the last measure stood, pairs
        /// with 8 threads took 27 ns instead of 16, and some threads did ten times as much as others instead of twice.
        alone: Cell<u32>,
        /// How many losses are to be ignored.
        calm: Cell<u32>,
        /// The tickets that follow one's own, at either end.
        next: [Cell<usize>; 2],
        /// The pause that is to be taken at the end of the operation, in ns.
        due: Cell<u32>,
        /// The end of the last pause.
        since: Cell<Option<Instant>>,
        /// Where nothing was found to do, at either end.
        idle: [Idle; 2],
    }

    /// When nothing was found to do.
    struct Idle {
        /// The next ticket at that time.
        ticket: Cell<usize>,
        /// The end of the call; none if it was not at anybody's heels.
        end: Cell<Option<Instant>>,
        /// How often that is to be ignored.
        ignore: Cell<u32>,
    }

    std::thread_local! {
        static MEMORY: [Memory; PLACES] = const { [const { Memory::new() }; PLACES] };
    }

    impl Idle {
        const fn new() -> Self {
            Self { ticket: Cell::new(0), end: Cell::new(None), ignore: Cell::new(0) }
        }
    }

    impl Memory {
        const fn new() -> Self {
            Self {
                pause: Cell::new(0),
                run: Cell::new(0),
                losses: Cell::new(0),
                last: Cell::new(0),
                alone: Cell::new(0),
                calm: Cell::new(0),
                next: [const { Cell::new(0) }; 2],
                due: Cell::new(0),
                since: Cell::new(None),
                idle: [const { Idle::new() }; 2],
            }
        }

        /// Small closures and plain steps only: what calls this is inlined into every operation, and a pair took 19 ns instead
        /// of 10 where the compiler stopped doing so.
        #[inline(always)]
        fn of<'a>(place: Place) -> &'a Self {
            // Places are at least two cache lines apart.
            let memory = MEMORY.with(|memory| &raw const memory[(place.addr() >> 7) % PLACES]);
            // SAFETY: the calling thread's own and without a destructor: it lives as long as the thread, which no caller's
            // use of it outlasts.
            unsafe { &*memory }
        }

        /// One more operation while there is something to remember.
        #[inline(always)]
        fn count(&self) {
            let run = self.run.get() + 1;
            self.run.set(run);
            if run == YOUNG || run == FORGOTTEN {
                self.come_of_age(run);
            }
        }

        #[cold]
        fn come_of_age(&self, run: u32) {
            if run == FORGOTTEN {
                self.pause.set(0);
            } else if self.losses.get() < TOLERATED / 2 {
                let before = self.alone.get();
                let grown = if before == 0 { u32::MAX } else { before + before / 8 + 1 };
                self.alone.set(self.elapsed().min(grown));
            }
        }

        /// The time since the last pause, in ns.
        fn elapsed(&self) -> u32 {
            self.since.get().map_or(0, |since| since.elapsed().as_nanos().try_into().unwrap_or(u32::MAX))
        }

        /// Whether operations beside another thread take less than twice the time that they take alone.
        fn is_parallel(&self) -> bool {
            let together = u64::from(self.elapsed()) * u64::from(YOUNG);
            let alone = u64::from(self.alone.get()) * u64::from(self.run.get().max(1));
            together < 2 * alone
        }

        /// Something was lost, that weighs so much.
        fn lose(&self, weight: u32) {
            let calm = self.calm.get();
            if calm > 0 {
                self.calm.set(calm - 1);
                return;
            }
            let before = self.pause.get();
            let mut pause = before * 2;
            if before > 0 {
                let run = self.run.get();
                let recent = if run - self.last.get() < YOUNG { self.losses.get() } else { 0 };
                self.last.set(run);
                self.losses.set(recent + weight);
                let bearable = match run {
                    0..YOUNG => TOLERATED,
                    YOUNG..OLD => STUBBORN,
                    _ => 0,
                };
                if recent + weight < bearable {
                    return;
                }
                if run < YOUNG && self.is_parallel() {
                    self.calm.set(CALM);
                    self.pause.set(0);
                    return;
                }
                if run >= OLD {
                    pause = before / 2;
                }
            }
            self.due.set(pause.clamp(SHORTEST, LONGEST));
        }

        /// The pause that is due, in vain as soon as nobody is `busy` any more: then it must not sleep, which would outlast that.
        #[cold]
        #[inline(never)]
        fn rest(&self, sleeps: bool, busy: impl Fn() -> bool) {
            let ns = self.due.replace(0);
            self.pause.set(ns);
            self.run.set(0);
            self.losses.set(0);
            self.last.set(0);
            let duration = Duration::from_nanos(ns.into());
            let mut now = Instant::now();
            let end = now + duration;
            while now < end && busy() {
                if sleeps && ns >= SLEEPING {
                    std::thread::sleep(duration);
                } else if ns >= YIELDING {
                    std::thread::yield_now();
                } else {
                    for _ in 0..8 {
                        spin_loop();
                    }
                }
                now = Instant::now();
            }
            self.since.set(Some(now));
        }
    }

    /// An operation found nothing to do at its end, where this is the next ticket: nothing to take, or no room. True if it
    /// should look again: it gave the other end, which `moved`, a head start.
    ///
    /// Where a consumer follows at a producer's heels, or the other way round, each item costs several transfers of cache
    /// lines; with some hundred items between them, a fraction of one. So whoever comes too close stays behind a little. If
    /// nothing moves meanwhile, the thread itself is at work at both ends, and is not held up.
    #[cold]
    #[inline(never)]
    pub(crate) fn idle(place: Place, end: usize, ticket: usize, moved: impl Fn() -> bool) -> bool {
        let idle = &Memory::of(place).idle[end];
        let done = ticket.wrapping_sub(idle.ticket.replace(ticket));
        let close = done != 0 && done < HEELS;
        if !close || idle.ignore.get() > 0 {
            idle.ignore.set(idle.ignore.get().saturating_sub(1));
            idle.end.set(None);
            return false;
        }
        let now = Instant::now();
        let before = idle.end.replace(Some(now));
        if before.is_none_or(|before| now - before >= JUST_NOW) {
            return false;
        }
        let at_work = spin_until(now + LOOK, moved);
        if at_work {
            spin_until(now + HEAD_START, || false);
            idle.end.set(Some(Instant::now()));
        } else {
            idle.ignore.set(UNWATCHED);
        }
        at_work
    }

    /// False if the time came first.
    fn spin_until(end: Instant, condition: impl Fn() -> bool) -> bool {
        while Instant::now() < end {
            for _ in 0..8 {
                if condition() {
                    return true;
                }
                spin_loop();
            }
        }
        false
    }

    /// An operation at `place` succeeded at once.
    #[inline(always)]
    pub(crate) fn won(place: Place) {
        let memory = Memory::of(place);
        if memory.pause.get() != 0 {
            memory.count();
        }
    }

    /// An operation at `place` lost an exchange.
    #[cold]
    #[inline(never)]
    pub(crate) fn lost(place: Place) {
        Memory::of(place).lose(EXCHANGE);
    }

    /// The end of an operation at `place`: pauses if that is due.
    ///
    /// Called without a guard where there is a choice: a thread that rests while it is pinned holds back reclamation.
    #[inline(always)]
    pub(crate) fn rest(place: Place) {
        let memory = Memory::of(place);
        if memory.due.get() != 0 {
            memory.rest(true, || true);
        }
    }

    /// An operation at `place` lost an exchange and tries again: pauses if that is due, while those who won may be `busy`.
    #[cold]
    pub(crate) fn lost_again_while(place: Place, busy: impl Fn() -> bool) {
        lost(place);
        let memory = Memory::of(place);
        if memory.due.get() != 0 {
            memory.rest(false, busy);
        }
    }

    /// An operation succeeded with this ticket of one of two ends of `place`; `raced` if it saw another thread take one before
    /// it.
    ///
    /// An addition loses no race. So while there is contention to remember, it is sensed by the tickets between one's own.
    #[inline(always)]
    pub(crate) fn ticket(place: Place, end: usize, ticket: usize, raced: bool) {
        tickets(place, end, ticket, ticket + 1, raced);
    }

    /// As [`ticket`], with several of them at once, of which `ticket` is the first, and the one after the last given too.
    #[inline(always)]
    pub(crate) fn tickets(place: Place, end: usize, ticket: usize, next: usize, raced: bool) {
        let memory = Memory::of(place);
        let mut lost = raced;
        if memory.pause.get() != 0 {
            memory.count();
            let follows = ticket == memory.next[end].replace(next);
            // Nothing is known of the tickets before a pause, nor of the first ones of a segment, which others give.
            lost |= !(follows || ticket < 2 || memory.run.get() < 3);
        }
        if lost {
            lost_ticket(place);
        }
    }

    #[cold]
    #[inline(never)]
    fn lost_ticket(place: Place) {
        Memory::of(place).lose(1);
    }
}

/// Without a clock a pause is a fixed, short spin, and models have no use for pauses.
#[cfg(any(not(feature = "std"), latchfree_loom, latchfree_stall))]
mod imp {
    use super::Place;

    #[inline(always)]
    pub(crate) fn won(_: Place) {}

    pub(crate) fn lost(_: Place) {
        #[cfg(not(any(latchfree_loom, latchfree_stall)))]
        for _ in 0..32 {
            core::hint::spin_loop();
        }
    }

    #[inline(always)]
    pub(crate) fn ticket(place: Place, _: usize, _: usize, raced: bool) {
        if raced {
            lost(place);
        }
    }

    #[inline(always)]
    pub(crate) fn tickets(place: Place, end: usize, first: usize, _: usize, raced: bool) {
        ticket(place, end, first, raced);
    }

    pub(crate) fn idle(_: Place, _: usize, _: usize, _: impl Fn() -> bool) -> bool {
        false
    }

    pub(crate) fn lost_again_while(place: Place, _: impl Fn() -> bool) {
        lost(place);
    }

    #[inline(always)]
    pub(crate) fn rest(_: Place) {}
}

pub(crate) use imp::{idle, lost, lost_again_while, rest, ticket, tickets, won};

/// As [`lost`], and the pause here and now: where an operation tries again and holds nothing that others wait for.
#[cold]
pub(crate) fn lost_again(place: Place) {
    lost(place);
    rest(place);
}

#[cfg(all(test, feature = "std", not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use core::cell::Cell;

    use super::imp::{idle, lost_again_while};

    static SOMEWHERE: u8 = 0;
    /// More than it takes, for this thread may be stopped in between.
    const TRIES: usize = 10_000;

    #[test]
    fn who_follows_closely_looks_again() {
        let place = (&raw const SOMEWHERE).cast();
        let looks_again = |stride| (1..TRIES).any(|try_| idle(place, 0, try_ * stride, || true));
        assert!(looks_again(1));
        assert!(!looks_again(1_000), "far behind");
    }

    #[test]
    fn who_does_both_is_not_held_up() {
        let asked = Cell::new(0);
        let moved = || {
            asked.set(asked.get() + 1);
            false
        };
        let mut ticket = 0;
        let mut next = || {
            ticket += 1;
            assert!(!idle((&raw const SOMEWHERE).cast(), 1, ticket, moved));
        };
        assert!((0..TRIES).any(|_| {
            next();
            asked.get() > 0
        }));
        let before = asked.get();
        (0..200).for_each(|_| next());
        assert_eq!(asked.get(), before, "asked again");
    }

    #[test]
    fn a_pause_ends_with_its_reason() {
        let asked = Cell::new(0_u32);
        for _ in 0..100 {
            lost_again_while((&raw const SOMEWHERE).cast(), || {
                asked.set(asked.get() + 1);
                asked.get() % 2 == 1
            });
        }
        // In vain at the second question, or over by then.
        assert!((1..=200).contains(&asked.get()), "{} questions", asked.get());
    }
}
