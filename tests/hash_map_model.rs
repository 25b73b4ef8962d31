//! Random sequences of operations on the hash map, compared with std's, with resizing at random and several hashers.

#[path = "common/hashers.rs"]
mod hashers;

use std::collections::HashMap as Std;

use hashers::Hashes;
use latchfree::hash_map::{Compute, HashMap, Operation};
#[cfg(feature = "crossbeam")]
use latchfree::reclaim::Crossbeam;
use latchfree::reclaim::{Accepts, Epoch, Reclaim};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Insert(u64),
    TryInsert(u64),
    GetOrInsert(u64),
    Get(u64),
    GetMany(u64, u64),
    InsertMany(u64, u64),
    Remove(u64),
    RemoveIf(u64),
    Update(u64),
    UpdateRef(u64),
    UpdateOrInsert(u64),
    Compute(u64),
    Retain(u64),
    Drain(usize),
    PopAny,
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
        4 => run().prop_map(|(from, len)| Op::InsertMany(from, len)),
        12 => key().prop_map(Op::Remove),
        4 => key().prop_map(Op::RemoveIf),
        4 => key().prop_map(Op::Update),
        3 => key().prop_map(Op::UpdateRef),
        4 => key().prop_map(Op::UpdateOrInsert),
        6 => key().prop_map(Op::Compute),
        1 => (2..5_u64).prop_map(Op::Retain),
        1 => (0..50_usize).prop_map(Op::Drain),
        2 => Just(Op::PopAny),
        1 => Just(Op::Clear),
        3 => Just(Op::Iter),
        2 => (0..800_usize).prop_map(Op::Reserve),
        2 => Just(Op::Shrink),
        1 => Just(Op::Clone),
        1 => Just(Op::Rebuild),
        2 => Just(Op::Collect),
    ]
}

fn run<R: Reclaim + Accepts<(String, String)>>(hashes: Hashes, ops: &[Op]) {
    // Strings own memory, so that a lost or doubled entry is seen by the allocator and by sanitizers.
    let mut map = HashMap::<String, String, Hashes, R>::with_reclaimer(0, hashes);
    let mut model = Std::<String, String>::new();
    let mut next = 0_u64;
    for op in ops {
        let mut value = || {
            next += 1;
            format!("value {next}")
        };
        let name = |key: u64| format!("key {key}");
        let pinned = map.pin();
        match *op {
            Op::Insert(key) => {
                let value = value();
                assert_eq!(pinned.insert(name(key), value.clone()), model.insert(name(key), value).as_ref());
            }
            Op::TryInsert(key) => {
                let value = value();
                let done = pinned.try_insert(name(key), value.clone());
                match model.get(&name(key)) {
                    Some(current) => {
                        let error = done.unwrap_err();
                        assert_eq!((error.current, error.not_inserted), (current, value));
                    }
                    None => {
                        assert_eq!(done.unwrap(), &value);
                        model.insert(name(key), value);
                    }
                }
            }
            Op::GetOrInsert(key) => {
                let value = value();
                let theirs = model.entry(name(key)).or_insert(value.clone());
                assert_eq!(pinned.get_or_insert_with(name(key), || value), theirs);
            }
            Op::Get(key) => {
                assert_eq!(pinned.get(&name(key)), model.get(&name(key)));
                assert_eq!(pinned.get_key_value(&name(key)), model.get_key_value(&name(key)));
            }
            Op::GetMany(from, len) => {
                let keys: Vec<_> = (from..from + len).map(name).collect();
                let expected: Vec<_> = keys.iter().map(|key| model.get(key)).collect();
                assert_eq!(pinned.get_many(&keys), expected);
            }
            Op::InsertMany(from, len) => {
                let value = value();
                let before = model.len();
                model.extend((from..from + len).map(|key| (name(key), value.clone())));
                let new = pinned.insert_many((from..from + len).map(|key| (name(key), value.clone())));
                assert_eq!(new, model.len() - before);
            }
            Op::Remove(key) => assert_eq!(pinned.remove(&name(key)), model.remove(&name(key)).as_ref()),
            Op::RemoveIf(key) => {
                let even = |_: &String, value: &String| value.len() % 2 == 0;
                let expected = match model.get_key_value(&name(key)) {
                    Some((key, value)) if !even(key, value) => Err((key.clone(), value.clone())),
                    _ => Ok(model.remove_entry(&name(key))),
                };
                match (pinned.remove_if(&name(key), even), expected) {
                    (Ok(ours), Ok(theirs)) => {
                        assert_eq!(ours, theirs.as_ref().map(|(key, value)| (key, value)))
                    }
                    (Err(ours), Err(theirs)) => assert_eq!(ours, (&theirs.0, &theirs.1)),
                    (ours, theirs) => panic!("{ours:?} and {theirs:?}"),
                }
            }
            Op::Update(key) | Op::UpdateRef(key) => {
                let longer = |value: &String| format!("{value}+");
                if let Some(value) = model.get_mut(&name(key)) {
                    *value = longer(value);
                }
                let ours = match op {
                    Op::Update(_) => pinned.update(name(key), longer),
                    _ => pinned.update_ref(&name(key), longer),
                };
                assert_eq!(ours, model.get(&name(key)));
            }
            Op::UpdateOrInsert(key) => {
                let value = value();
                let longer = |value: &String| format!("{value}+");
                model.entry(name(key)).and_modify(|value| *value = longer(value)).or_insert(value.clone());
                assert_eq!(pinned.update_or_insert(name(key), longer, value), &model[&name(key)]);
            }
            Op::Compute(key) => {
                let value = value();
                // Inserted, updated, aborted and removed in turn.
                let compute =
                    |entry: Option<(&String, &String)>| match entry.map(|(_, value)| value.len() % 3) {
                        None | Some(0) => Operation::Insert(value.clone()),
                        Some(1) => Operation::Abort(7),
                        Some(_) => Operation::Remove,
                    };
                let old = model.get(&name(key)).cloned();
                match (pinned.compute(name(key), compute), &old) {
                    (Compute::Inserted(_, new), None) => assert_eq!(*new, value),
                    (Compute::Updated { old: ours, new }, Some(old)) => {
                        assert_eq!((ours.1, new.1), (old, &value));
                    }
                    (Compute::Aborted(7), Some(old)) => assert_eq!(old.len() % 3, 1),
                    (Compute::Removed(_, ours), Some(old)) => assert_eq!(ours, old),
                    (ours, theirs) => panic!("{ours:?} of {theirs:?}"),
                }
                match old.map(|old| old.len() % 3) {
                    None | Some(0) => drop(model.insert(name(key), value)),
                    Some(1) => {}
                    Some(_) => drop(model.remove(&name(key))),
                }
            }
            Op::Retain(n) => {
                pinned.retain(|key, _| key.len() as u64 % n != 0);
                model.retain(|key, _| key.len() as u64 % n != 0);
            }
            Op::Drain(count) => {
                for (key, value) in pinned.drain().take(count) {
                    assert_eq!(model.remove(key).as_ref(), Some(value));
                }
            }
            Op::PopAny => match pinned.pop_any() {
                Some((key, value)) => assert_eq!(model.remove(key).as_ref(), Some(value)),
                None => assert!(model.is_empty()),
            },
            Op::Clear => {
                pinned.clear();
                model.clear();
            }
            Op::Iter => {
                let ours: Std<&String, &String> = pinned.iter().collect();
                assert_eq!(pinned.iter().count(), ours.len(), "no key twice");
                assert_eq!(ours, model.iter().collect());
            }
            Op::Reserve(more) => {
                map.reserve(more);
                assert!(map.capacity() >= model.len() + more);
            }
            Op::Shrink => map.shrink_to_fit(),
            Op::Clone => {
                let clone = HashMap::<String, String, Hashes, R>::with_reclaimer(0, hashes);
                clone.insert_many(pinned.iter().map(|(k, v)| (k.clone(), v.clone())), &R::pin());
                assert_eq!(clone, map);
            }
            Op::Rebuild => {
                drop(pinned);
                let old = std::mem::replace(&mut map, HashMap::with_reclaimer(0, hashes));
                let entries: Std<String, String> = old.into_iter().collect();
                assert_eq!(entries, model);
                map.extend(entries);
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
