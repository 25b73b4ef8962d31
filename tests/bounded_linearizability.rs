//! Histories of real threads on a bounded queue are linearizable, to a specification in which a push may fail if every slot has an
//! item or is held by another operation in flight, and to nothing weaker; and the checker that says so is right.
#![cfg(target_has_atomic = "64")]

mod common;

use std::collections::HashMap;
use std::sync::Barrier;

use common::Rng;
use common::history::{Event, Op, SLACK, Violation, check, now};
use latchfree::BoundedQueue;

fn setup() {
    common::choose(module_path!());
}

/// A call that found no room.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    call: u64,
    ret: u64,
    /// It said that there was no item either: every slot was held by operations in flight.
    all_held: bool,
    /// How many slots it may have held meanwhile: as many as it has items left. A batch whose first consumer goes on gives back
    /// all its tickets, and may find no room when it tries again.
    slots: i64,
}

/// What threads did: pushes, pops and empty answers, and refusals.
#[derive(Clone, Debug, Default)]
struct History {
    events: Vec<Event>,
    refusals: Vec<Refusal>,
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// As a queue without a bound.
    Order(Violation),
    /// More items than the capacity were there at this time for sure.
    Overfull(u64),
    /// A push failed between these times, at none of which every slot could have been in use.
    FalseFull(u64, u64),
}

/// A count that changes with time.
#[derive(Default)]
struct Timeline(Vec<(u64, i64)>);

impl Timeline {
    /// Counts so many from the first time to the second, both included.
    fn add(&mut self, count: i64, from: u64, to: u64) {
        if from <= to {
            self.0.push((from, count));
            self.0.push((to.saturating_add(1), -count));
        }
    }
    /// The times at which the count changes, and the count from then on.
    fn steps(mut self) -> Vec<(u64, i64)> {
        self.0.sort_unstable();
        let mut count = 0;
        let mut steps = vec![(0, 0)];
        for (time, change) in self.0 {
            count += change;
            match steps.last_mut() {
                Some(last) if last.0 == time => last.1 = count,
                _ => steps.push((time, count)),
            }
        }
        steps
    }
}

/// The most that the count is between two times, both included.
fn most(steps: &[(u64, i64)], from: u64, to: u64) -> i64 {
    let first = steps.partition_point(|step| step.0 <= from) - 1;
    steps[first..].iter().take_while(|step| step.0 <= to).map(|step| step.1).max().unwrap_or(0)
}

fn examine(history: &History, capacity: usize) -> Result<(), Wrong> {
    check(&history.events).map_err(Wrong::Order)?;
    let pops: HashMap<u64, Event> = history
        .events
        .iter()
        .filter_map(|event| if let Op::Pop(value) = event.op { Some((value, *event)) } else { None })
        .collect();
    // At any time a slot is in use if an item's push has begun and its pop has not ended; and one more for each item
    // in flight that is refused. It is held by an operation in flight if that push has not ended, or the pop has begun. It
    // surely has an item if the push has ended and the pop has not begun.
    let (mut used, mut held, mut surely) = (Timeline::default(), Timeline::default(), Timeline::default());
    for push in &history.events {
        let Op::Push(value) = push.op else { continue };
        let pop = pops.get(&value);
        used.add(1, push.call, pop.map_or(u64::MAX - 1, |pop| pop.ret));
        held.add(1, push.call, push.ret);
        if let Some(pop) = pop {
            held.add(1, pop.call.max(push.ret + 1), pop.ret);
        }
        surely.add(1, push.ret + 1, pop.map_or(u64::MAX - 1, |pop| pop.call - 1));
    }
    for refusal in &history.refusals {
        used.add(refusal.slots, refusal.call, refusal.ret);
        held.add(refusal.slots, refusal.call, refusal.ret);
    }
    let (used, held) = (used.steps(), held.steps());
    for refusal in &history.refusals {
        let in_use = if refusal.all_held { &held } else { &used };
        // Without its own, which it holds no more when it gives up.
        if most(in_use, refusal.call, refusal.ret) - refusal.slots < capacity as i64 {
            return Err(Wrong::FalseFull(refusal.call, refusal.ret));
        }
    }
    match surely.steps().iter().find(|step| step.1 > capacity as i64) {
        Some(step) => Err(Wrong::Overfull(step.0)),
        None => Ok(()),
    }
}

/// What a thread may do next, by weight.
#[derive(Clone, Copy)]
struct Mix {
    push: u64,
    pop: u64,
    push_all: u64,
    pop_many: u64,
    force: u64,
    looks: u64,
}

/// Four threads run `ops` operations each, with values that carry their pusher and its count.
/// One of them has pushed and popped `alone` times before.
fn record(alone: usize, capacity: usize, mix: Mix, ops: usize, seed: u64) -> Vec<History> {
    const THREADS: usize = 4;
    let queue = BoundedQueue::<u64>::new(capacity);
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|thread| {
                let (queue, start) = (&queue, &start);
                scope.spawn(move || {
                    let mut rng = Rng(seed * 977 + thread * 31 + 1);
                    let mut next = thread << 40;
                    let mut history = History::default();
                    let mut out = Vec::with_capacity(512);
                    let weights = [mix.push, mix.pop, mix.push_all, mix.pop_many, mix.force, mix.looks];
                    for _ in 0..if thread == 0 { alone } else { 0 } {
                        queue.push(0).unwrap();
                        assert_eq!(queue.pop(), Some(0));
                    }
                    start.wait();
                    for _ in 0..ops {
                        let mut pick = rng.below(weights.iter().sum());
                        let choice = weights
                            .iter()
                            .position(|&weight| {
                                let hit = pick < weight;
                                pick = pick.wrapping_sub(weight);
                                hit
                            })
                            .unwrap();
                        let count = rng.below(2 * capacity as u64) + 1;
                        let called = now();
                        let call = called.saturating_sub(SLACK);
                        let event = |op| Event { call, ret: now() + SLACK, op };
                        let refusal = |all_held, slots| Refusal { call, ret: now() + SLACK, all_held, slots };
                        match choice {
                            0 => {
                                if queue.push(next).is_ok() {
                                    history.events.push(event(Op::Push(next)));
                                } else {
                                    history.refusals.push(refusal(false, 1));
                                }
                                next += 1;
                            }
                            1 => {
                                let op = queue.pop().map_or(Op::Empty, Op::Pop);
                                history.events.push(event(op));
                            }
                            2 => {
                                let left =
                                    queue.push_all(next..next + count).map_or_else(Iterator::count, |()| 0);
                                let done = event(Op::Empty);
                                if left > 0 {
                                    history.refusals.push(refusal(false, left as i64));
                                }
                                let pushed = next..next + count - left as u64;
                                history
                                    .events
                                    .extend(pushed.map(|value| Event { op: Op::Push(value), ..done }));
                                next += count;
                            }
                            3 => {
                                out.clear();
                                queue.pop_many_into(&mut out, count as usize);
                                let done = event(Op::Empty);
                                history
                                    .events
                                    .extend(out.iter().map(|&value| Event { op: Op::Pop(value), ..done }));
                                if out.is_empty() {
                                    history.events.push(done);
                                }
                            }
                            4 => {
                                match queue.force_push(next) {
                                    Ok(displaced) => {
                                        let done = event(Op::Push(next));
                                        let displaced =
                                            displaced.map(|value| Event { op: Op::Pop(value), ..done });
                                        history.events.extend(displaced);
                                        history.events.push(done);
                                    }
                                    Err(_) => history.refusals.push(refusal(true, 1)),
                                }
                                next += 1;
                            }
                            _ => {
                                if queue.is_empty() {
                                    history.events.push(event(Op::Empty));
                                }
                                let call = now().saturating_sub(SLACK);
                                if queue.is_full() {
                                    let ret = now() + SLACK;
                                    // It looks, and holds nothing.
                                    history.refusals.push(Refusal { call, ret, all_held: false, slots: 0 });
                                }
                            }
                        }
                    }
                    history
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The whole is right, and each thread popped each pusher's values in their order: the items of a batch share their
/// interval, so the checker alone would let them be swapped.
fn run(capacities: &[usize], mix: Mix, ops: usize, rounds: u64) {
    run_after(0, capacities, mix, ops, rounds);
}

fn run_after(alone: usize, capacities: &[usize], mix: Mix, ops: usize, rounds: u64) {
    setup();
    let mut refusals = 0;
    for &capacity in capacities {
        for round in 0..rounds {
            let histories = record(alone, capacity, mix, ops, round * 37 + capacity as u64);
            for history in &histories {
                let mut last = [None; 4];
                for event in &history.events {
                    if let Op::Pop(value) = event.op {
                        let (pusher, count) = ((value >> 40) as usize, value & ((1 << 40) - 1));
                        assert!(
                            last[pusher] < Some(count),
                            "pusher {pusher}: {count} after {:?}",
                            last[pusher]
                        );
                        last[pusher] = Some(count);
                    }
                }
            }
            let mut whole = History::default();
            for history in histories {
                whole.events.extend(history.events);
                whole.refusals.extend(history.refusals);
            }
            refusals += whole.refusals.len();
            assert_eq!(examine(&whole, capacity), Ok(()), "capacity {capacity}");
        }
    }
    assert!(refusals > 0, "nothing was ever full");
}

#[test]
fn mixed_operations() {
    let mix = Mix { push: 8, pop: 8, push_all: 2, pop_many: 2, force: 1, looks: 2 };
    run(&[1, 2, 3, 5, 16], mix, 3000, 8);
}

#[test]
fn nearly_full() {
    let mix = Mix { push: 12, pop: 8, push_all: 0, pop_many: 0, force: 0, looks: 3 };
    run(&[1, 2, 4, 7, 32], mix, 3000, 8);
}

#[test]
fn nearly_empty() {
    let mix = Mix { push: 6, pop: 12, push_all: 1, pop_many: 1, force: 0, looks: 4 };
    run(&[1, 2, 3], mix, 3000, 8);
}

#[test]
fn displacing() {
    let mix = Mix { push: 2, pop: 3, push_all: 0, pop_many: 0, force: 8, looks: 0 };
    run(&[1, 2, 3, 8], mix, 3000, 8);
}

#[test]
fn batches() {
    let mix = Mix { push: 1, pop: 1, push_all: 6, pop_many: 6, force: 1, looks: 0 };
    run(&[2, 5, 16], mix, 2000, 8);
}

/// Many short runs that begin with a thread that has long been alone at both ends.
#[test]
fn owned() {
    let mix = Mix { push: 4, pop: 4, push_all: 1, pop_many: 1, force: 1, looks: 2 };
    run_after(10_000, &[1, 2, 3, 8], mix, 24, 50);
}

#[test]
fn checker_finds_seeded_bugs() {
    use Op::{Empty, Pop, Push};
    let event = |call, ret, op| Event { call, ret, op };
    let refusal = |call, ret, all_held| Refusal { call, ret, all_held, slots: 1 };
    let two = vec![event(10, 11, Push(1)), event(12, 13, Push(2))];
    let examine = |events: Vec<Event>, refusals: Vec<Refusal>| examine(&History { events, refusals }, 2);
    // Full at last, too early by one, and after a pop.
    assert_eq!(examine(two.clone(), vec![refusal(14, 15, false)]), Ok(()));
    assert_eq!(examine(two[..1].into(), vec![refusal(14, 15, false)]), Err(Wrong::FalseFull(14, 15)));
    let popped = [two.clone(), vec![event(16, 17, Pop(1))]].concat();
    assert_eq!(examine(popped.clone(), vec![refusal(18, 19, false)]), Err(Wrong::FalseFull(18, 19)));
    // While the pop is in flight its slot may be held; it may as well have been full before.
    assert_eq!(examine(popped.clone(), vec![refusal(17, 19, false)]), Ok(()));
    assert_eq!(examine(popped, vec![refusal(14, 19, false)]), Ok(()));
    // Two refused pushes do not hold one slot for each other if there is another.
    assert!(examine(vec![], vec![refusal(10, 15, false), refusal(11, 14, false)]).is_err());
    assert_eq!(examine(two[..1].into(), vec![refusal(14, 19, false), refusal(15, 16, false)]), Ok(()));
    // A refused batch of two may have held both for a while; not for itself, and no more than it has left.
    let batch = Refusal { slots: 2, ..refusal(10, 15, false) };
    assert_eq!(examine(two[..1].into(), vec![batch]), Err(Wrong::FalseFull(10, 15)));
    let later = vec![event(16, 17, Push(1)), event(18, 19, Push(2))];
    let full = Refusal { slots: 2, ..refusal(12, 20, false) };
    assert_eq!(examine(later.clone(), vec![full, refusal(13, 14, false)]), Ok(()));
    assert_eq!(
        examine(later, vec![refusal(12, 20, false), refusal(13, 14, false)]),
        Err(Wrong::FalseFull(13, 14))
    );
    // Nothing but operations in flight: not with an item there, nor with nobody.
    assert_eq!(examine(two.clone(), vec![refusal(14, 15, true)]), Err(Wrong::FalseFull(14, 15)));
    let overlap = vec![event(10, 20, Push(1)), event(12, 20, Push(2))];
    assert_eq!(examine(overlap, vec![refusal(14, 15, true)]), Ok(()));
    // Three at once.
    let three = [two.clone(), vec![event(14, 15, Push(3))]].concat();
    assert_eq!(examine(three, vec![]), Err(Wrong::Overfull(16)));
    // And all that is wrong without a bound.
    let empty = [two, vec![event(14, 15, Empty)]].concat();
    assert!(matches!(examine(empty, vec![]), Err(Wrong::Order(Violation::FalseEmpty(..)))));
}
