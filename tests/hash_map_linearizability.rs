//! Histories of real threads on the hash map are linearizable, key by key; and the checker that says so is right.

mod common;
#[path = "common/hashers.rs"]
mod hashers;

use common::history::now;
use common::per_key::{self, Event, Op, Step, is_linearizable};
use hashers::Hashes;
use latchfree::hash_map::{HashMap, Operation};
use latchfree::reclaim::{Accepts, Epoch, Reclaim};

fn record<R>(hashes: Hashes, keys: u64, ops: usize, seed: u64) -> Vec<Vec<Event>>
where
    R: Reclaim<Garbage: Send + Sync> + Accepts<(u64, u64)>,
{
    let map = HashMap::<u64, u64, Hashes, R>::with_reclaimer(0, hashes);
    let act = |Step { key, pick, value }: Step, _: &mut u64| {
        let pinned = map.pin();
        let call = now();
        let op = match pick {
            0..4 => Op::Get(pinned.get(&key).copied()),
            4..6 => Op::Insert(value, pinned.insert(key, value).copied()),
            6..9 => {
                let found = pinned.try_insert(key, value).err().map(|error| *error.current);
                Op::TryInsert(value, found)
            }
            9..13 => Op::Remove(pinned.remove(&key).copied()),
            13..15 => Op::Add(1, pinned.update(key, |value| value + 1).map(|value| value - 1)),
            _ => {
                let mut found = None;
                pinned.compute(key, |entry| {
                    found = entry.map(|(_, value)| *value);
                    Operation::<_, ()>::Insert(value)
                });
                Op::Insert(value, found)
            }
        };
        Event::new(call, now(), op)
    };
    per_key::record(keys, ops, seed, act, |n, rng| match n {
        20 => map.reserve(rng.below(600) as usize),
        40 => drop(map.pin().insert_many((0..rng.below(40)).map(|n| (1000 + n, n)))),
        50 => map.pin().retain(|key, _| *key < 1000),
        60 => map.shrink_to_fit(),
        _ => {}
    })
}

fn check<R>(keys: u64, ops: usize)
where
    R: Reclaim<Garbage: Send + Sync> + Accepts<(u64, u64)>,
{
    for hashes in hashers::ALL {
        for seed in 1..=2 {
            for (key, history) in record::<R>(hashes, keys, ops, seed).into_iter().enumerate() {
                assert!(is_linearizable(history), "key {key} with {hashes:?}, seed {seed}");
            }
        }
    }
}

#[test]
fn many_keys() {
    check::<Epoch>(200, 4000);
}

#[test]
fn few_keys() {
    check::<Epoch>(12, 1000);
}

#[cfg(feature = "crossbeam")]
#[test]
fn many_keys_on_crossbeam() {
    check::<latchfree::reclaim::Crossbeam>(200, 4000);
}

fn event(call: u64, ret: u64, op: Op) -> Event {
    Event { call, ret, op }
}

#[test]
fn the_checker_accepts_what_can_be() {
    assert!(is_linearizable(vec![]));
    assert!(is_linearizable(vec![
        event(0, 9, Op::Insert(1, None)),
        event(1, 2, Op::Get(None)),
        event(3, 4, Op::Get(Some(1)))
    ]));
    let adds = vec![
        event(0, 9, Op::Insert(5, None)),
        event(1, 8, Op::Add(1, Some(6))),
        event(2, 7, Op::Add(1, Some(5))),
    ];
    assert!(is_linearizable(adds));
}

#[test]
fn the_checker_rejects_what_cannot() {
    // Read before it was written, lost, twice removed, a lost update, two winners.
    for history in [
        vec![event(0, 1, Op::Get(Some(1))), event(2, 3, Op::Insert(1, None))],
        vec![event(0, 1, Op::Insert(1, None)), event(2, 3, Op::Get(None))],
        vec![
            event(0, 1, Op::Insert(1, None)),
            event(2, 5, Op::Remove(Some(1))),
            event(3, 4, Op::Remove(Some(1))),
        ],
        vec![
            event(0, 1, Op::Insert(5, None)),
            event(2, 5, Op::Add(1, Some(5))),
            event(3, 4, Op::Add(1, Some(5))),
        ],
        vec![event(0, 3, Op::TryInsert(1, None)), event(1, 2, Op::TryInsert(2, None))],
    ] {
        assert!(!is_linearizable(history.clone()), "{history:?}");
    }
}
