//! Histories of real threads on the map of inline entries are linearizable, key by key.

mod common;
#[path = "common/hashers.rs"]
mod hashers;

use common::history::now;
use common::per_key::{self, Event, Op, Step, is_linearizable};
use hashers::Hashes;
use latchfree::CopyMap;
use latchfree::reclaim::{Accepts, Epoch, Reclaim};

fn record<R>(hashes: Hashes, keys: u64, ops: usize, seed: u64) -> Vec<Vec<Event>>
where
    R: Reclaim<Garbage: Send + Sync> + Accepts<(u64, u64)>,
{
    let map = CopyMap::<u64, u64, Hashes, R>::with_reclaimer(0, hashes);
    let act = |Step { key, pick, value }: Step, seen: &mut u64| {
        let call = now();
        let op = match pick {
            0..4 => {
                let found = map.get(&key);
                *seen = found.unwrap_or(*seen);
                Op::Get(found)
            }
            4..6 => Op::Insert(value, map.insert(key, value)),
            6..8 => Op::TryInsert(value, map.try_insert(key, value).err()),
            8..11 => Op::Remove(map.remove(&key)),
            11..13 => Op::Add(1, map.fetch_update(&key, |value| Some(value + 1)).ok()),
            13..15 => {
                let found = map.compare_exchange(&key, *seen, value);
                Op::Exchange(*seen, value, found.map_or_else(|found| found, Some))
            }
            _ => match map.add_if_below(key, 1, *seen) {
                Ok(1) => Op::TryInsert(1, None),
                Ok(sum) => Op::Add(1, Some(sum - 1)),
                // Zero is no value that is inserted.
                Err(current) => Op::Get((current != 0).then_some(current)),
            },
        };
        Event::new(call, now(), op)
    };
    per_key::record(keys, ops, seed, act, |n, rng| match n {
        20 => map.reserve(rng.below(600) as usize),
        40 => (0..rng.below(40)).for_each(|n| _ = map.insert(1000 + n, n)),
        50 => map.retain(|key, _| key < 1000),
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
