//! Random sequences of operations on the map of inline entries, compared with std's, with resizing at random and several hashers.

#[path = "common/hashers.rs"]
mod hashers;

use std::collections::HashMap as Std;

use hashers::Hashes;
use latchfree::CopyMap;
#[cfg(feature = "crossbeam")]
use latchfree::reclaim::Crossbeam;
use latchfree::reclaim::{Accepts, Epoch};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Insert(u64),
    TryInsert(u64),
    GetOrInsert(u64),
    Get(u64),
    GetMany(u64, u64),
    Extend(u64, u64),
    Remove(u64),
    RemoveIf(u64),
    CompareExchange(u64, bool),
    FetchUpdate(u64),
    UpdateOrInsert(u64),
    AddIfBelow(u64, u32),
    Retain(u64),
    Clear,
    Iter,
    Reserve(usize),
    Shrink,
    Clone,
    Rebuild,
    Collect,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || prop_oneof![3 => 0..20_u64, 1 => 0..400_u64];
    let run = || (0..400_u64, 0..80_u64);
    prop_oneof![
        8 => key().prop_map(Op::Insert),
        8 => key().prop_map(Op::TryInsert),
        4 => key().prop_map(Op::GetOrInsert),
        6 => key().prop_map(Op::Get),
        2 => run().prop_map(|(from, len)| Op::GetMany(from, len)),
        4 => run().prop_map(|(from, len)| Op::Extend(from, len)),
        12 => key().prop_map(Op::Remove),
        4 => key().prop_map(Op::RemoveIf),
        4 => (key(), any::<bool>()).prop_map(|(key, hit)| Op::CompareExchange(key, hit)),
        4 => key().prop_map(Op::FetchUpdate),
        4 => key().prop_map(Op::UpdateOrInsert),
        4 => (key(), 0..400_u32).prop_map(|(key, limit)| Op::AddIfBelow(key, limit)),
        1 => (2..5_u64).prop_map(Op::Retain),
        1 => Just(Op::Clear),
        3 => Just(Op::Iter),
        2 => (0..800_usize).prop_map(Op::Reserve),
        2 => Just(Op::Shrink),
        1 => Just(Op::Clone),
        1 => Just(Op::Rebuild),
        2 => Just(Op::Collect),
    ]
}

fn run<R: Accepts<(u64, u32)>>(hashes: Hashes, ops: &[Op]) {
    let mut map = CopyMap::<u64, u32, Hashes, R>::with_reclaimer(0, hashes);
    let mut model = Std::<u64, u32>::new();
    for (op, value) in ops.iter().zip(100..) {
        match *op {
            Op::Insert(key) => assert_eq!(map.insert(key, value), model.insert(key, value)),
            Op::TryInsert(key) => {
                let theirs = model.get(&key).copied();
                assert_eq!(map.try_insert(key, value).err(), theirs);
                model.entry(key).or_insert(value);
            }
            Op::GetOrInsert(key) => {
                assert_eq!(map.get_or_insert_with(key, || value), *model.entry(key).or_insert(value));
            }
            Op::Get(key) => {
                assert_eq!(map.get(&key), model.get(&key).copied());
                assert_eq!(map.get_key_value(&key), model.get(&key).map(|&value| (key, value)));
                assert_eq!(map.contains_key(&key), model.contains_key(&key));
            }
            Op::GetMany(from, len) => {
                let keys: Vec<_> = (from..from + len).collect();
                let expected: Vec<_> = keys.iter().map(|key| model.get(key).copied()).collect();
                assert_eq!(map.get_many(&keys), expected);
            }
            Op::Extend(from, len) => {
                map.extend((from..from + len).map(|key| (key, value)));
                model.extend((from..from + len).map(|key| (key, value)));
            }
            Op::Remove(key) => assert_eq!(map.remove(&key), model.remove(&key)),
            Op::RemoveIf(key) => {
                let expected = match model.get(&key) {
                    Some(&value) if value % 2 == 1 => Err(value),
                    _ => Ok(model.remove(&key)),
                };
                assert_eq!(map.remove_if(&key, |_, value| value % 2 == 0), expected);
            }
            Op::CompareExchange(key, hit) => {
                let there = model.get(&key).copied();
                let current = if hit { there.unwrap_or(0) } else { u32::MAX };
                let expected = there.filter(|&there| there == current).ok_or(there);
                assert_eq!(map.compare_exchange(&key, current, value), expected);
                if expected.is_ok() {
                    model.insert(key, value);
                }
            }
            Op::FetchUpdate(key) => {
                let there = model.get(&key).copied();
                let expected = there.filter(|there| there % 3 != 0).ok_or(there);
                assert_eq!(map.fetch_update(&key, |n| (n % 3 != 0).then_some(n + 1)), expected);
                if let Ok(there) = expected {
                    model.insert(key, there + 1);
                }
            }
            Op::UpdateOrInsert(key) => {
                let theirs = model.entry(key).and_modify(|value| *value += 1).or_insert(value);
                assert_eq!(map.update_or_insert(key, |value| value + 1, value), *theirs);
            }
            Op::AddIfBelow(key, limit) => {
                let there = model.get(&key).copied().unwrap_or(0);
                if there + 7 <= limit {
                    model.insert(key, there + 7);
                    assert_eq!(map.add_if_below(key, 7, limit), Ok(there + 7));
                } else {
                    assert_eq!(map.add_if_below(key, 7, limit), Err(there));
                }
            }
            Op::Retain(n) => {
                map.retain(|key, _| key % n != 0);
                model.retain(|key, _| key % n != 0);
            }
            Op::Clear => {
                map.clear();
                model.clear();
            }
            Op::Iter => {
                let ours: Std<u64, u32> = map.iter().collect();
                assert_eq!(map.iter().count(), ours.len(), "no key twice");
                assert_eq!(ours, model);
            }
            Op::Reserve(more) => {
                map.reserve(more);
                assert!(map.capacity() >= model.len() + more);
            }
            Op::Shrink => map.shrink_to_fit(),
            Op::Clone => assert_eq!(map.clone(), map),
            Op::Rebuild => {
                let old = std::mem::replace(&mut map, CopyMap::with_reclaimer(0, hashes));
                let entries: Std<u64, u32> = old.into_iter().collect();
                assert_eq!(entries, model);
                map.extend(&entries);
            }
            Op::Collect => map.collect(),
        }
        assert_eq!(map.len(), model.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 200 }, ..ProptestConfig::default() })]

    #[test]
    fn epoch_is_std(hashes in prop::sample::select(hashers::ALL.to_vec()), ops in prop::collection::vec(op(), 0..150)) {
        run::<Epoch>(hashes, &ops);
    }

    #[cfg(feature = "crossbeam")]
    #[test]
    fn crossbeam_is_std(hashes in prop::sample::select(hashers::ALL.to_vec()), ops in prop::collection::vec(op(), 0..150)) {
        run::<Crossbeam>(hashes, &ops);
    }
}
