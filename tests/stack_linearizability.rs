//! Histories of real threads on a stack are linearizable; and the checker that says so is right.

mod common;

use std::collections::{HashMap, VecDeque};
use std::sync::Barrier;

use common::history::{Event, Op, event, now, widened};
use common::lifo::{Violation, check, is_linearizable};
use common::{Both, Rng, over_both};
use latchfree::Stack;

fn setup() {
    common::choose(module_path!());
}

over_both! { mixed_operations, nearly_empty, batches, bursts, looks }

/// What a thread may do next.
#[derive(Clone, Copy)]
struct Mix {
    push: u64,
    pop: u64,
    push_all: u64,
    pop_all: u64,
    pop_many: u64,
    is_empty: u64,
    peek: u64,
}

/// What one thread did, and what it saw at the top without taking it.
#[derive(Default)]
struct Record {
    events: Vec<Event>,
    seen: Vec<Event>,
}

/// Four threads run `ops` operations each, with values that carry their pusher and its count.
fn record<R: Both>(mix: Mix, ops: usize, seed: u64) -> Vec<Record> {
    const THREADS: usize = 4;
    let stack = Stack::<u64, R>::default();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|thread| {
                let (stack, start) = (&stack, &start);
                scope.spawn(move || {
                    let mut rng = Rng(seed * 977 + thread * 31 + 1);
                    let mut next = thread << 40;
                    let mut record = Record::default();
                    let all = mix.push
                        + mix.pop
                        + mix.push_all
                        + mix.pop_all
                        + mix.pop_many
                        + mix.is_empty
                        + mix.peek;
                    start.wait();
                    for _ in 0..ops {
                        let mut pick = rng.below(all);
                        let mut is = |weight: u64| {
                            let hit = pick < weight;
                            pick = if hit { u64::MAX } else { pick.wrapping_sub(weight) };
                            hit
                        };
                        let (push, pop, push_all) = (is(mix.push), is(mix.pop), is(mix.push_all));
                        let (pop_all, pop_many, peek) = (is(mix.pop_all), is(mix.pop_many), is(mix.peek));
                        let count = rng.below(12);
                        let call = now();
                        if push {
                            stack.push(next);
                            record.events.push(widened(call, Op::Push(next)));
                            next += 1;
                        } else if pop {
                            let op = stack.pop().map_or(Op::Empty, Op::Pop);
                            record.events.push(widened(call, op));
                        } else if push_all {
                            stack.push_all(next..next + count);
                            let done = widened(call, Op::Empty);
                            let pushes =
                                (next..next + count).map(|value| Event { op: Op::Push(value), ..done });
                            record.events.extend(pushes);
                            next += count;
                        } else if pop_all {
                            let all = stack.pop_all();
                            let done = widened(call, Op::Empty);
                            let before = record.events.len();
                            record.events.extend(all.map(|value| Event { op: Op::Pop(value), ..done }));
                            if record.events.len() == before {
                                record.events.push(done);
                            }
                        } else if pop_many {
                            let max = 1 + count as usize;
                            let many = stack.pop_many(max);
                            let done = widened(call, Op::Empty);
                            if many.len() < max {
                                record.events.push(done);
                            }
                            record
                                .events
                                .extend(many.into_iter().map(|value| Event { op: Op::Pop(value), ..done }));
                        } else if peek {
                            match stack.peek() {
                                Some(value) => record.seen.push(widened(call, Op::Pop(value))),
                                None => record.events.push(widened(call, Op::Empty)),
                            }
                        } else if stack.is_empty() {
                            record.events.push(widened(call, Op::Empty));
                        }
                    }
                    record
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The whole is linearizable, and what was seen was there.
fn examine(records: Vec<Record>) {
    let history: Vec<Event> = records.iter().flat_map(|record| record.events.iter().copied()).collect();
    assert_eq!(check(&history), Ok(()));
    let mut lives = HashMap::new();
    for event in &history {
        match event.op {
            Op::Push(value) => lives.entry(value).or_insert((0, u64::MAX)).0 = event.call,
            Op::Pop(value) => lives.entry(value).or_insert((0, u64::MAX)).1 = event.ret,
            Op::Empty => {}
        }
    }
    for seen in records.iter().flat_map(|record| &record.seen) {
        let Op::Pop(value) = seen.op else { unreachable!() };
        let &(push, pop) = lives.get(&value).expect("nobody pushed what was seen");
        assert!(push <= seen.ret && seen.call <= pop, "{value} was seen when it was not there");
    }
}

fn mixed_operations<R: Both>() {
    for round in 0..15 {
        let mix = Mix { push: 8, pop: 9, push_all: 2, pop_all: 1, pop_many: 2, is_empty: 2, peek: 1 };
        examine(record::<R>(mix, 3000, round + 1));
    }
}

fn nearly_empty<R: Both>() {
    for round in 0..15 {
        let mix = Mix { push: 5, pop: 9, push_all: 0, pop_all: 1, pop_many: 2, is_empty: 4, peek: 1 };
        examine(record::<R>(mix, 3000, round + 100));
    }
}

fn batches<R: Both>() {
    for round in 0..15 {
        let mix = Mix { push: 1, pop: 1, push_all: 5, pop_all: 4, pop_many: 2, is_empty: 1, peek: 1 };
        examine(record::<R>(mix, 2000, round + 200));
    }
}

/// Many short runs: threads that begin together, on a stack that nobody used.
fn bursts<R: Both>() {
    for round in 0..400 {
        let mix = Mix { push: 4, pop: 4, push_all: 1, pop_all: 1, pop_many: 2, is_empty: 2, peek: 1 };
        examine(record::<R>(mix, 24, round + 300));
    }
}

fn looks<R: Both>() {
    for round in 0..15 {
        let mix = Mix { push: 4, pop: 4, push_all: 0, pop_all: 0, pop_many: 2, is_empty: 1, peek: 12 };
        examine(record::<R>(mix, 3000, round + 800));
    }
}

#[test]
fn checker_finds_seeded_bugs() {
    use Op::{Empty, Pop, Push};
    let cases = [
        (vec![event(0, 1, Push(1)), event(2, 3, Push(2)), event(4, 5, Pop(1)), event(6, 7, Pop(2))], "fifo"),
        (vec![event(0, 1, Push(1)), event(2, 3, Push(2)), event(4, 5, Pop(1))], "lost"),
        (vec![event(0, 1, Push(1)), event(2, 3, Pop(1)), event(4, 5, Pop(1))], "duplicated"),
        (vec![event(0, 1, Push(1)), event(2, 3, Empty), event(4, 5, Pop(1))], "false empty"),
        (vec![event(0, 1, Push(1)), event(2, 3, Empty)], "false empty, never popped"),
        (vec![event(0, 1, Pop(1)), event(2, 3, Push(1))], "popped before it was pushed"),
        (vec![event(0, 1, Pop(7))], "from nowhere"),
        (vec![event(0, 1, Push(1)), event(2, 3, Push(1))], "pushed twice"),
        (
            // Deep: what is at the bottom is right, and what is above it is not.
            vec![
                event(0, 1, Push(1)),
                event(2, 3, Push(2)),
                event(4, 5, Push(3)),
                event(6, 7, Pop(2)),
                event(8, 9, Pop(3)),
                event(10, 11, Pop(1)),
            ],
            "tangled above the bottom",
        ),
    ];
    for (history, name) in cases {
        assert!(check(&history).is_err(), "{name} was not found");
    }
    // Overlap allows what order forbids.
    let fine = [
        event(0, 5, Push(1)),
        event(1, 4, Push(2)),
        event(2, 3, Empty),
        event(6, 7, Pop(1)),
        event(6, 9, Pop(2)),
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
    ops.extend((0..2000).rev().map(Op::Pop));
    ops.push(Op::Empty);
    assert_eq!(check(&sequential(&ops)), Ok(()));
    for place in (2000..3999).step_by(97) {
        let mut swapped = ops.clone();
        swapped.swap(place, place + 1);
        assert!(matches!(check(&sequential(&swapped)), Err(Violation::Tangled(..))));
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
    common::history::checker_agrees_with_search(8, VecDeque::pop_back, check, is_linearizable);
}
