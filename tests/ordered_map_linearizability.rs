//! Histories of real threads on an ordered map are linearizable, all operations together: single keys, pops, looks at an
//! end, bounds, snapshots; at the first leaf, which is filled, emptied and merged meanwhile.

mod common;

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Barrier;

use common::history::now;
use common::{Both, Rng, over_both};
use latchfree::OrderedMap;
use latchfree::ordered_map::RescheduleError;
use latchfree::reclaim::{Accepts, Reclaim};

fn setup() {
    common::choose(module_path!());
}

over_both! { mixed, pops_and_smaller_keys, snapshots_and_moves, rescheduled }

/// Keys below this come and go, all others are there from the beginning and may be popped.
const SMALL: u64 = 8;
const FIXED: u64 = 1_000;
const FIXED_END: u64 = FIXED + 170;
/// Keys from this one on, as many as small ones, come and go in the last leaf.
const HIGH: u64 = 2_000;
/// As in the tests of the queue: time stamps may be taken some instructions early or late.
const SLACK: u64 = 2048;

#[derive(Clone, Copy, Debug)]
enum Op {
    Insert(u64, bool),
    Remove(u64, bool),
    Get(u64, bool),
    PopFirst(Option<u64>),
    First(Option<u64>),
    Next(u64, Option<u64>),
    /// Small and high keys as sets, and how many others.
    Snapshot(u16, u64),
    Reschedule(u64, u64, Moved),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    Yes,
    NotFound,
    Occupied,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    call: u64,
    ret: u64,
    op: Op,
}

/// What the specification knows: which small and high keys are there, and the first of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    set: u16,
    fixed: u64,
}

/// Of a small or a high key, its bit.
fn bit(key: u64) -> u16 {
    1 << if key < SMALL { key } else { SMALL + key - HIGH }
}

impl State {
    fn first_from(self, key: u64) -> Option<u64> {
        let of_set = |from: u64, to: u64| (from..to).find(|&key| self.set & bit(key) != 0);
        of_set(key, SMALL)
            .or_else(|| (self.fixed.max(key) < FIXED_END).then_some(self.fixed.max(key)))
            .or_else(|| of_set(key.max(HIGH), HIGH + SMALL))
    }

    /// The state after an operation, if it may have had this result.
    fn step(mut self, op: Op) -> Option<Self> {
        let has = |key: u64| self.set & bit(key) != 0;
        let allowed = match op {
            Op::Insert(key, was) | Op::Remove(key, was) | Op::Get(key, was) => was == has(key),
            Op::PopFirst(key) | Op::First(key) => key == self.first_from(0),
            Op::Next(key, next) => next == self.first_from(key + 1),
            Op::Snapshot(set, fixed) => set == self.set && fixed == FIXED_END - self.fixed,
            Op::Reschedule(old, new, moved) => match (has(old), has(new)) {
                (false, _) => moved == Moved::NotFound,
                (true, true) if old != new => moved == Moved::Occupied,
                _ => moved == Moved::Yes,
            },
        };
        match op {
            Op::Insert(key, _) => self.set |= bit(key),
            Op::Remove(key, _) => self.set &= !bit(key),
            Op::PopFirst(Some(key)) if !(FIXED..FIXED_END).contains(&key) => self.set &= !bit(key),
            Op::PopFirst(Some(key)) => self.fixed = key + 1,
            Op::Reschedule(old, new, Moved::Yes) => self.set = self.set & !bit(old) | bit(new),
            _ => {}
        }
        allowed.then_some(self)
    }
}

/// Tries all orders.
fn is_linearizable(history: &[Event], start: State) -> bool {
    fn search(history: &[Event], done: u32, state: State, seen: &mut HashSet<(u32, State)>) -> bool {
        if done.count_ones() as usize == history.len() {
            return true;
        }
        if !seen.insert((done, state)) {
            return false;
        }
        let left = || (0..history.len()).filter(|&index| done & (1 << index) == 0);
        let first_ret = left().map(|index| history[index].ret).min();
        left()
            // Whoever was called after another returned comes after it.
            .filter(|&index| Some(history[index].call) <= first_ret)
            .any(|index| {
                state
                    .step(history[index].op)
                    .is_some_and(|state| search(history, done | 1 << index, state, seen))
            })
    }
    search(history, 0, start, &mut HashSet::new())
}

type Map<R> = OrderedMap<u64, u64, R>;

fn insert<R: Reclaim>(map: &Map<R>, key: u64) -> Op {
    Op::Insert(key, map.insert(key, 0, &R::pin()).is_some())
}
fn remove<R: Reclaim>(map: &Map<R>, key: u64) -> Op {
    Op::Remove(key, map.remove(&key, &R::pin()).is_some())
}
fn pop<R: Reclaim>(map: &Map<R>) -> Op {
    Op::PopFirst(map.pop_first(&R::pin()).map(|(&key, _)| key))
}
fn first<R: Reclaim>(map: &Map<R>) -> Op {
    Op::First(map.first_key_value(&R::pin()).map(|(&key, _)| key))
}
fn next<R: Reclaim>(map: &Map<R>, key: u64) -> Op {
    Op::Next(key, map.lower_bound(Bound::Excluded(&key), &R::pin()).map(|(&key, _)| key))
}
fn snapshot<R: Reclaim>(map: &Map<R>) -> Op {
    let (mut set, mut fixed) = (0, 0);
    for (&key, _) in map.range_snapshot::<u64, _>(.., &R::pin()) {
        if (FIXED..FIXED_END).contains(&key) {
            fixed += 1;
        } else {
            set |= bit(key);
        }
    }
    Op::Snapshot(set, fixed)
}

fn reschedule<R: Reclaim>(map: &Map<R>, old: u64, new: u64) -> Op {
    let moved = match map.reschedule(&old, new, &R::pin()) {
        Ok(_) => Moved::Yes,
        Err(RescheduleError::NotFound { .. }) => Moved::NotFound,
        Err(RescheduleError::Occupied { .. }) => Moved::Occupied,
    };
    Op::Reschedule(old, new, moved)
}

/// Three threads run six operations each, many times over.
fn examine<R: Both + Accepts<(u64, u64)>>(rounds: u64, choose: impl Fn(&Map<R>, &mut Rng) -> Op + Sync) {
    const THREADS: u64 = 3;
    let start = Barrier::new(THREADS as usize);
    for round in 1..=rounds {
        // As many entries are removed before as it takes, in some of the rounds, to leave the first leaf an entry or two, so that
        // it is emptied soon.
        let map: Map<R> = (FIXED - round % 64..FIXED_END).map(|key| (key, 0)).collect();
        map.remove_range(..FIXED);
        let history: Vec<Vec<Event>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (map, start, choose) = (&map, &start, &choose);
                    scope.spawn(move || {
                        let mut rng = Rng(round * 7919 + thread * 104_729 + 1);
                        let mut events = Vec::with_capacity(6);
                        start.wait();
                        for _ in 0..6 {
                            let call = now();
                            let op = choose(map, &mut rng);
                            events.push(Event { call: call.saturating_sub(SLACK), ret: now() + SLACK, op });
                        }
                        events
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let start = State { set: 0, fixed: FIXED };
        assert!(is_linearizable(&history.concat(), start), "{history:#?}");
    }
}

const ROUNDS: u64 = if cfg!(miri) { 3 } else { 1_500 };

fn mixed<R: Both + Accepts<(u64, u64)>>() {
    examine::<R>(ROUNDS, |map, rng| {
        let key = rng.below(SMALL);
        match rng.below(7) {
            0 | 1 => insert(map, key),
            2 => remove(map, key),
            3 => Op::Get(key, map.contains_key(&key)),
            4 => pop(map),
            5 => first(map),
            _ => next(map, key),
        }
    });
}

fn pops_and_smaller_keys<R: Both + Accepts<(u64, u64)>>() {
    examine::<R>(ROUNDS, |map, rng| match rng.below(5) {
        0 => insert(map, rng.below(SMALL)),
        1 => first(map),
        _ => pop(map),
    });
}

fn snapshots_and_moves<R: Both + Accepts<(u64, u64)>>() {
    examine::<R>(ROUNDS, |map, rng| {
        let key = rng.below(SMALL);
        match rng.below(6) {
            0 | 1 => insert(map, key),
            2 => remove(map, key),
            3 => pop(map),
            _ => snapshot(map),
        }
    });
}

/// Entries move between the first leaf and the last one, and within them.
fn rescheduled<R: Both + Accepts<(u64, u64)>>() {
    examine::<R>(ROUNDS, |map, rng| {
        let mut key = || rng.below(4) + rng.below(2) * HIGH;
        let (one, two) = (key(), key());
        match rng.below(9) {
            0 | 1 => insert(map, one),
            2 => remove(map, one),
            3 => Op::Get(one, map.contains_key(&one)),
            4 => pop(map),
            5 => snapshot(map),
            _ => reschedule(map, one, two),
        }
    });
}

#[test]
fn the_checker_is_right() {
    let event = |call, ret, op| Event { call, ret, op };
    let start = State { set: 0, fixed: FIXED };
    // A smaller key was there before the pop began.
    let missed = [event(0, 1, Op::Insert(3, false)), event(2, 3, Op::PopFirst(Some(FIXED)))];
    assert!(!is_linearizable(&missed, start));
    // It came meanwhile.
    let overlapping = [event(0, 3, Op::Insert(3, false)), event(2, 4, Op::PopFirst(Some(FIXED)))];
    assert!(is_linearizable(&overlapping, start));
    // A snapshot shows a later change without an earlier one.
    let torn = [
        event(0, 1, Op::Insert(1, false)),
        event(2, 3, Op::Insert(2, false)),
        event(0, 4, Op::Snapshot(0b100, FIXED_END - FIXED)),
    ];
    assert!(!is_linearizable(&torn, start));
    // An entry that is at neither of its places.
    let moving = [
        event(0, 1, Op::Insert(1, false)),
        event(2, 9, Op::Reschedule(1, HIGH, Moved::Yes)),
        event(3, 4, Op::Get(1, false)),
        event(5, 6, Op::Get(HIGH, false)),
    ];
    assert!(!is_linearizable(&moving, start));
    let both = [
        event(0, 1, Op::Insert(1, false)),
        event(2, 9, Op::Reschedule(1, HIGH, Moved::Yes)),
        event(2, 9, Op::Snapshot(bit(1) | bit(HIGH), FIXED_END - FIXED)),
    ];
    assert!(!is_linearizable(&both, start));
    let twice = [event(0, 5, Op::PopFirst(Some(FIXED))), event(0, 5, Op::PopFirst(Some(FIXED)))];
    assert!(!is_linearizable(&twice, start));
}
