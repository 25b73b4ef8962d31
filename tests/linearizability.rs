//! Histories of real threads are linearizable; and the checker that says so is right.

mod common;

use std::collections::VecDeque;
use std::sync::Barrier;

use common::history::{Event, Op, Violation, check, event, is_linearizable, now, widened};
use common::{Both, Rng, over_both};
use latchfree::Queue;

fn setup() {
    common::choose(module_path!());
}

over_both! { mixed_operations, nearly_empty, batches, bursts, owned }

/// What a thread may do next.
#[derive(Clone, Copy)]
struct Mix {
    push: u64,
    pop: u64,
    push_all: u64,
    pop_many: u64,
    is_empty: u64,
}

/// Four threads run `ops` operations each, with values that carry their pusher and its count.
fn record<R: Both>(mix: Mix, ops: usize, seed: u64) -> Vec<Vec<Event>> {
    record_after::<R>(0, mix, ops, seed)
}

/// The same after a thread has pushed and popped `alone` times.
fn record_after<R: Both>(alone: usize, mix: Mix, ops: usize, seed: u64) -> Vec<Vec<Event>> {
    const THREADS: usize = 4;
    let queue = Queue::<u64, R>::default();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|thread| {
                let (queue, start) = (&queue, &start);
                scope.spawn(move || {
                    let mut rng = Rng(seed * 977 + thread * 31 + 1);
                    let mut next = thread << 40;
                    let mut events = Vec::with_capacity(ops * 4);
                    let mut out = Vec::with_capacity(512);
                    let all = mix.push + mix.pop + mix.push_all + mix.pop_many + mix.is_empty;
                    for _ in 0..if thread == 0 { alone } else { 0 } {
                        queue.push(0);
                        assert_eq!(queue.pop(), Some(0));
                    }
                    start.wait();
                    for _ in 0..ops {
                        let mut pick = rng.below(all);
                        let mut is = |weight: u64| {
                            let hit = pick < weight;
                            pick = if hit { u64::MAX } else { pick.wrapping_sub(weight) };
                            hit
                        };
                        let (push, pop, push_all) = (is(mix.push), is(mix.pop), is(mix.push_all));
                        let pop_many = is(mix.pop_many);
                        let count = rng.below(12);
                        let call = now();
                        if push {
                            queue.push(next);
                            events.push(widened(call, Op::Push(next)));
                            next += 1;
                        } else if pop {
                            let op = queue.pop().map_or(Op::Empty, Op::Pop);
                            events.push(widened(call, op));
                        } else if push_all {
                            queue.push_all(next..next + count);
                            let done = widened(call, Op::Empty);
                            events.extend(
                                (next..next + count).map(|value| Event { op: Op::Push(value), ..done }),
                            );
                            next += count;
                        } else if pop_many {
                            out.clear();
                            queue.pop_many_into(&mut out, count as usize + 1);
                            let done = widened(call, Op::Empty);
                            events.extend(out.iter().map(|&value| Event { op: Op::Pop(value), ..done }));
                            if out.is_empty() {
                                events.push(done);
                            }
                        } else if queue.is_empty() {
                            events.push(widened(call, Op::Empty));
                        }
                    }
                    events
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The whole is linearizable, and each thread popped each pusher's values in their order: the items of a batch share
/// their interval, so the checker alone would let them be swapped.
fn examine(history: Vec<Vec<Event>>) {
    for events in &history {
        let mut last = [None; 4];
        for event in events {
            if let Op::Pop(value) = event.op {
                let (pusher, count) = ((value >> 40) as usize, value & ((1 << 40) - 1));
                assert!(last[pusher] < Some(count), "pusher {pusher}: {count} after {:?}", last[pusher]);
                last[pusher] = Some(count);
            }
        }
    }
    assert_eq!(check(&history.concat()), Ok(()));
}

fn mixed_operations<R: Both>() {
    for round in 0..20 {
        let mix = Mix { push: 8, pop: 9, push_all: 2, pop_many: 2, is_empty: 2 };
        examine(record::<R>(mix, 4000, round + 1));
    }
}

fn nearly_empty<R: Both>() {
    for round in 0..20 {
        let mix = Mix { push: 5, pop: 9, push_all: 0, pop_many: 1, is_empty: 4 };
        examine(record::<R>(mix, 4000, round + 100));
    }
}

fn batches<R: Both>() {
    for round in 0..20 {
        let mix = Mix { push: 1, pop: 1, push_all: 5, pop_many: 6, is_empty: 1 };
        examine(record::<R>(mix, 3000, round + 200));
    }
}

/// Many short runs: the first segment, and threads that begin together.
fn bursts<R: Both>() {
    for round in 0..400 {
        let mix = Mix { push: 4, pop: 4, push_all: 1, pop_many: 1, is_empty: 2 };
        examine(record::<R>(mix, 24, round + 300));
    }
}

/// Many short runs that begin with a thread that has long been alone at both ends.
fn owned<R: Both>() {
    for round in 0..200 {
        let mix = Mix { push: 4, pop: 4, push_all: 1, pop_many: 1, is_empty: 2 };
        examine(record_after::<R>(10_000, mix, 24, round + 700));
    }
}

#[test]
fn checker_finds_seeded_bugs() {
    use Op::{Empty, Pop, Push};
    let cases = [
        (vec![event(0, 1, Push(1)), event(2, 3, Push(2)), event(4, 5, Pop(2)), event(6, 7, Pop(1))], "lifo"),
        (vec![event(0, 1, Push(1)), event(2, 3, Push(2)), event(4, 5, Pop(2))], "lost"),
        (vec![event(0, 1, Push(1)), event(2, 3, Pop(1)), event(4, 5, Pop(1))], "duplicated"),
        (vec![event(0, 1, Push(1)), event(2, 3, Empty), event(4, 5, Pop(1))], "false empty"),
        (vec![event(0, 1, Push(1)), event(2, 3, Empty)], "false empty, never popped"),
        (
            // No single value covers the answer, two do.
            vec![
                event(0, 1, Push(1)),
                event(4, 5, Push(2)),
                event(2, 9, Empty),
                event(6, 7, Pop(1)),
                event(10, 11, Pop(2)),
            ],
            "covered by two",
        ),
        (vec![event(0, 1, Pop(1)), event(2, 3, Push(1))], "popped before it was pushed"),
        (vec![event(0, 1, Pop(7))], "from nowhere"),
        (vec![event(0, 1, Push(1)), event(2, 3, Push(1))], "pushed twice"),
    ];
    for (history, name) in cases {
        assert!(check(&history).is_err(), "{name} was not found");
    }
    // Overlap allows what order forbids.
    let fine = [
        event(0, 5, Push(1)),
        event(1, 4, Push(2)),
        event(2, 3, Empty),
        event(6, 7, Pop(2)),
        event(6, 9, Pop(1)),
    ];
    assert_eq!(check(&fine), Ok(()));
}

/// A long sequential history with one bug, wherever it is.
#[test]
fn checker_finds_one_bug_in_many_operations() {
    let sequential = |ops: &[Op]| -> Vec<Event> {
        ops.iter().enumerate().map(|(i, &op)| event(i as u64 * 2, i as u64 * 2 + 1, op)).collect()
    };
    let mut ops: Vec<Op> = (0..2000).map(Op::Push).collect();
    ops.extend((0..2000).map(Op::Pop));
    ops.push(Op::Empty);
    assert_eq!(check(&sequential(&ops)), Ok(()));
    for place in (2000..3999).step_by(97) {
        let mut swapped = ops.clone();
        swapped.swap(place, place + 1);
        assert!(matches!(check(&sequential(&swapped)), Err(Violation::Overtaken(..))));
        let mut lost = ops.clone();
        lost.remove(place);
        assert!(check(&sequential(&lost)).is_err());
        let mut empty = ops.clone();
        empty.insert(place, Op::Empty);
        assert!(matches!(check(&sequential(&empty)), Err(Violation::FalseEmpty(..))));
    }
}

/// The fast checker against the search, on histories of which about half are right.
#[test]
fn checker_agrees_with_search() {
    common::history::checker_agrees_with_search(7, VecDeque::pop_front, check, is_linearizable);
}
