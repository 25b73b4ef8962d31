//! `HashMap::entry`: looks at one moment, and changes that take place only if what was seen is still there.

mod common;
#[path = "common/fused.rs"]
mod fused;
#[path = "common/hashers.rs"]
mod hashers;

use std::any::TypeId;
use std::collections::HashMap as Std;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Counted, Ledger, Rng, scatter};
use fused::{FUSE, Key};
use hashers::{ALL, Hashes, over_all};
use latchfree::hash_map::{Entry, HashMap};
use latchfree::reclaim::{Accepts, Epoch, Reclaim};
use proptest::prelude::*;

trait Both:
    Reclaim<Garbage: Send + Sync> + Accepts<(String, String)> + Accepts<(u64, u64)> + Accepts<(u64, Counted)>
{
}
impl<R> Both for R where
    R: Reclaim<Garbage: Send + Sync>
        + Accepts<(String, String)>
        + Accepts<(u64, u64)>
        + Accepts<(u64, Counted)>
{
}

over_all! { one_step, several_places, an_equal_entry_is_another, each_entry_to_one, counters }

fn empty<K, V, R: Accepts<(K, V)>>(hashes: Hashes) -> HashMap<K, V, Hashes, R> {
    HashMap::with_reclaimer(0, hashes)
}

/// The entry that is there.
macro_rules! occupied {
    ($entry:expr) => {
        match $entry {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => panic!("{entry:?}"),
        }
    };
}

macro_rules! vacant {
    ($entry:expr) => {
        match $entry {
            Entry::Vacant(entry) => entry,
            Entry::Occupied(entry) => panic!("{entry:?}"),
        }
    };
}

fn one_step<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    let map = map.pin();
    assert_eq!(vacant!(map.entry(1)).into_key(), 1);
    assert_eq!(map.map().capacity(), 0, "a look makes no table");
    assert_eq!(map.entry(1).or_insert(10), &10);
    assert_eq!(map.entry(1).or_insert(11), &10);
    assert_eq!(map.entry(1).or_insert_with(|| unreachable!()), &10);
    assert_eq!(map.entry(2).or_insert_with_key(|key| key * 10), &20);
    assert_eq!(map.entry(3).or_default(), &0);
    assert_eq!(map.entry(1).and_update(|n| n + 1).or_insert(7), &11);
    assert_eq!(map.entry(4).and_update(|_| unreachable!()).or_insert(40), &40);
    assert_eq!(map.entry(4).and_update(|n| n + 1).or_insert_with(|| unreachable!()), &41);
    assert_eq!(map.entry(5).and_update(|_| unreachable!()).or_insert_with(|| 50), &50);
    assert_eq!(map.entry(6).and_update(|_| unreachable!()).or_default(), &0);
    assert_eq!(map.entry(6).and_update(|n| n + 1).or_leave(), Some(&1));
    assert_eq!(map.entry(7).and_update(|_| unreachable!()).or_leave(), None);
    assert_eq!(vacant!(map.entry(7)).insert(70), Ok(&70));
    assert_eq!((occupied!(map.entry(7)).key(), occupied!(map.entry(7)).get()), (&7, &70));
    assert_eq!(occupied!(map.entry(7)).into_key(), 7);
    assert_eq!(occupied!(map.entry(7)).replace(71).unwrap(), &71);
    assert_eq!(occupied!(map.entry(7)).remove().unwrap(), &71);
    assert_eq!((map.get(&7), map.len()), (None, 6));
}

/// Looks are made in a full table of one form and acted on in another.
fn several_places<R: Both>(hashes: Hashes) {
    let keys = hashes.keys().min(500);
    let map = empty::<u64, u64, R>(hashes);
    let map = map.pin();
    let absent: Vec<_> = (0..keys).map(|key| vacant!(map.entry(key))).collect();
    for entry in absent {
        let key = *entry.key();
        assert_eq!(entry.insert(key), Ok(&key));
    }
    let there: Vec<_> = (0..keys).map(|key| occupied!(map.entry(key))).collect();
    map.map().reserve(4000);
    map.retain(|key, _| key % 3 != 0);
    map.insert_many((0..keys).filter(|key| key % 3 == 1).map(|key| (key, key + 1000)));
    map.map().shrink_to_fit();
    for entry in there {
        let key = *entry.key();
        assert_eq!(entry.get(), &key, "what was seen stays good");
        match key % 3 {
            0 => assert_eq!(vacant!(entry.replace(key + 1).unwrap_err().entry).into_key(), key),
            1 => {
                let now = occupied!(entry.remove().unwrap_err());
                assert_eq!(now.get(), &(key + 1000));
                assert_eq!(now.remove().unwrap(), &(key + 1000));
            }
            _ => assert_eq!(entry.replace(key + 1).unwrap(), &(key + 1)),
        }
    }
    let mut left: Vec<_> = map.iter().map(|(&key, &value)| (key, value)).collect();
    left.sort_unstable();
    assert!(left.into_iter().eq((0..keys).filter(|key| key % 3 == 2).map(|key| (key, key + 1))));
}

fn an_equal_entry_is_another<R: Both>(hashes: Hashes) {
    let map = empty::<String, String, R>(hashes);
    let map = map.pin();
    let name = || "key".to_string();
    map.insert(name(), "value".to_string());
    let (first, second) = (occupied!(map.entry(name())), occupied!(map.entry(name())));
    map.remove("key");
    map.insert(name(), "value".to_string());
    let error = first.replace("mine".to_string()).unwrap_err();
    assert_eq!(error.not_inserted, "mine");
    let shown = format!("{error}; {error:?}");
    assert!(shown.contains(r#""mine" was not put"#) && shown.contains(r#"value: "value""#), "{shown}");
    assert_eq!(occupied!(error.entry).replace("mine".to_string()).unwrap(), "mine");
    assert_eq!(occupied!(second.remove().unwrap_err()).get(), "mine");
    let seen = map.entry(name());
    map.clear();
    assert_eq!(seen.or_insert("new".to_string()), "mine", "what was seen");
    assert!(map.is_empty());
}

/// All look, then all act: of each entry and of each gap one has its way, and nothing is lost.
fn each_entry_to_one<R: Both>(hashes: Hashes) {
    let (threads, keys) = (4, if cfg!(miri) { 8 } else { hashes.keys().min(300) });
    let ledger = Ledger::new(100_000);
    let id = AtomicUsize::new(0);
    let item = || ledger.item(id.fetch_add(1, Ordering::Relaxed));
    let map = empty::<u64, Counted, R>(hashes);
    for key in 0..keys {
        map.insert(key, item(), &R::pin());
    }
    let wins: Vec<_> = (0..keys * 2).map(|_| AtomicUsize::new(0)).collect();
    let barrier = std::sync::Barrier::new(threads as usize);
    scatter(threads, |thread| {
        let pinned = map.pin();
        let mut looks: Vec<_> = (0..keys * 2).map(|key| (key, pinned.entry(key))).collect();
        barrier.wait(); // nobody acts before all have looked
        if thread % 2 == 1 {
            looks.reverse();
        }
        for (key, look) in looks {
            let won = match look {
                Entry::Occupied(entry) if (key + thread) % 2 == 0 => entry.remove().is_ok(),
                Entry::Occupied(entry) => entry.replace(item()).is_ok(),
                Entry::Vacant(entry) => entry.insert(item()).is_ok(),
            };
            wins[key as usize].fetch_add(usize::from(won), Ordering::Relaxed);
        }
    });
    assert!(wins.iter().all(|wins| wins.load(Ordering::Relaxed) == 1));
    drop(map);
    if TypeId::of::<R>() == TypeId::of::<Epoch>() {
        ledger.settle();
    } else {
        // Crossbeam's collector frees when it likes, but never twice.
        assert!(ledger.dropped() <= id.load(Ordering::Relaxed));
    }
}

/// Increments by optimistic replacement, by update, and through a gap, with resizing.
fn counters<R: Both>(hashes: Hashes) {
    let (threads, each) = (4, if cfg!(miri) { 30 } else { 3000 });
    let map = empty::<u64, u64, R>(hashes);
    scatter(threads, |thread| {
        let mut rng = Rng(thread + 1);
        for n in 0..each {
            let (key, pinned) = (rng.below(7), map.pin());
            if rng.below(2) == 0 {
                pinned.entry(key).and_update(|n| n + 1).or_insert(1);
            } else {
                let mut entry = pinned.entry(key);
                loop {
                    match entry {
                        Entry::Occupied(seen) => {
                            let next = seen.get() + 1;
                            match seen.replace(next) {
                                Ok(_) => break,
                                Err(error) => entry = error.entry,
                            }
                        }
                        Entry::Vacant(gap) => match gap.insert(1) {
                            Ok(_) => break,
                            Err(_) => entry = pinned.entry(key),
                        },
                    }
                }
            }
            if n % 500 == 0 {
                map.reserve(rng.below(2000) as usize);
                map.shrink_to_fit();
            }
        }
    });
    assert_eq!(map.pin().values().sum::<u64>(), threads * each);
}

#[test]
fn a_panic_in_hash_or_eq_changes_nothing_or_all() {
    for keys in [1, 5, 9, 20] {
        let ledger = Ledger::new(10_000);
        let mut next = 0;
        let mut item = || {
            next += 1;
            ledger.item(next)
        };
        let map = HashMap::with_hasher(Hashes::Identity);
        for key in 0..keys {
            FUSE.set(usize::MAX);
            map.pin().insert(Key(key), item());
        }
        for fuse in 1..40 {
            for op in 0..5 {
                let (value, before) = (item(), map.len());
                FUSE.set(fuse);
                let result = catch_unwind(AssertUnwindSafe(|| {
                    let pinned = map.pin();
                    match (op, pinned.entry(Key(keys - 1))) {
                        (0, Entry::Occupied(entry)) => _ = entry.replace(value),
                        (1, Entry::Occupied(entry)) => {
                            pinned.insert(Key(keys - 1), value);
                            assert!(entry.remove().is_err());
                        }
                        (2, _) => _ = pinned.entry(Key(1000)).or_insert_with(|| panic!("seeded")),
                        (3, entry) => _ = entry.and_update(|_| panic!("seeded")).or_insert(value),
                        (_, _) => _ = pinned.entry(Key(1000)).or_insert(value),
                    }
                }));
                FUSE.set(usize::MAX);
                assert!(result.is_ok() || map.len() == before, "operation {op} after {fuse} calls");
                map.pin().remove(&Key(1000));
                assert_eq!((map.len() as u64, map.pin().iter().count() as u64), (keys, keys));
            }
        }
        drop(map);
        ledger.settle();
    }
}

/// What a closure does to the map itself is respected.
#[test]
fn closures_re_enter() {
    let map = HashMap::<u64, u64>::new();
    let pinned = map.pin();
    let value = pinned.entry(1).or_insert_with(|| *map.pin().get_or_insert(1, 5) + 1);
    assert_eq!((value, pinned.get(&1)), (&5, Some(&5)));
    let mut calls = 0;
    let update = |n: &u64| {
        calls += 1;
        if calls == 1 {
            map.pin().remove(&1);
        }
        n + 1
    };
    assert_eq!(pinned.entry(1).and_update(update).or_insert(70), &70);
    assert_eq!(calls, 1);
}

#[derive(Clone, Debug)]
enum Op {
    Look(u64),
    Replace,
    Remove,
    Insert,
    OrInsert,
    Update,
    Meanwhile(u64, u8),
    Resize(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..12_u64;
    prop_oneof![
        6 => key().prop_map(Op::Look),
        3 => Just(Op::Replace),
        2 => Just(Op::Remove),
        2 => Just(Op::Insert),
        1 => Just(Op::OrInsert),
        1 => Just(Op::Update),
        6 => (key(), 0..3_u8).prop_map(|(key, what)| Op::Meanwhile(key, what)),
        1 => (0..800_usize).prop_map(Op::Resize),
    ]
}

/// A key, the value that the model had when it was looked for, and what was seen.
type Held<'g, R> = (String, Option<String>, Entry<'g, String, String, Hashes, R>);

/// One look is held at a time, while other operations go on; each value is made once, so that it stands for its entry.
fn run<R: Accepts<(String, String)>>(hashes: Hashes, ops: &[Op]) {
    let map = empty::<String, String, R>(hashes);
    let pinned = map.pin();
    let mut model = Std::<String, String>::new();
    let mut held: Option<Held<'_, R>> = None;
    let mut next = 0_u64;
    for op in ops {
        next += 1;
        let value = format!("value {next}");
        match (op, held.take()) {
            (Op::Look(key), _) => {
                let name = format!("key {key}");
                let entry = pinned.entry(name.clone());
                let seen = model.get(&name).cloned();
                match (&entry, &seen) {
                    (Entry::Occupied(entry), Some(seen)) => {
                        assert_eq!((entry.key(), entry.get()), (&name, seen))
                    }
                    (Entry::Vacant(entry), None) => assert_eq!(entry.key(), &name),
                    _ => panic!("{entry:?}, {seen:?}"),
                }
                held = Some((name, seen, entry));
            }
            (Op::Replace, Some((name, seen, Entry::Occupied(entry)))) => {
                match (entry.replace(value.clone()), model.get(&name).cloned()) {
                    (Ok(new), now) => {
                        assert_eq!((new, &now), (&value, &seen));
                        model.insert(name, value);
                    }
                    (Err(error), now) => {
                        assert!(now != seen && error.not_inserted == value && error.entry.key() == &name);
                        assert_eq!(matches!(error.entry, Entry::Occupied(_)), now.is_some());
                        held = Some((name, now, error.entry));
                    }
                }
            }
            (Op::Remove, Some((name, seen, Entry::Occupied(entry)))) => {
                match (entry.remove(), model.get(&name).cloned()) {
                    (Ok(old), now) => {
                        assert_eq!((Some(old), &now), (seen.as_ref(), &seen));
                        model.remove(&name);
                    }
                    (Err(entry), now) => {
                        assert!(now != seen && entry.key() == &name);
                        assert_eq!(matches!(entry, Entry::Occupied(_)), now.is_some());
                        held = Some((name, now, entry));
                    }
                }
            }
            (Op::Insert, Some((name, _, Entry::Vacant(entry)))) => match entry.insert(value.clone()) {
                Ok(new) => {
                    assert_eq!(new, &value);
                    assert_eq!(model.insert(name, value), None);
                }
                Err(error) => {
                    assert_eq!((error.current, error.not_inserted), (&model[&name], value));
                }
            },
            (Op::OrInsert, Some((name, seen, entry))) => {
                let got = entry.or_insert(value.clone());
                match seen {
                    Some(seen) => assert_eq!(got, &seen),
                    None => assert_eq!(got, &*model.entry(name).or_insert(value)),
                }
            }
            (Op::Update, Some((name, _, entry))) => {
                let got = entry.and_update(|value| format!("{value}+")).or_insert(value.clone());
                let new = model.entry(name).and_modify(|value| value.push('+')).or_insert(value);
                assert_eq!(got, &*new);
            }
            (Op::Meanwhile(key, what), before) => {
                held = before;
                let name = format!("key {key}");
                if *what == 0 {
                    assert_eq!(pinned.remove(&name), model.remove(&name).as_ref());
                } else {
                    assert_eq!(
                        pinned.insert(name.clone(), value.clone()),
                        model.insert(name, value).as_ref()
                    );
                }
            }
            (Op::Resize(more), before) => {
                held = before;
                map.reserve(*more);
                if more % 2 == 0 {
                    map.shrink_to_fit();
                }
            }
            (_, before) => held = before,
        }
        assert_eq!(map.len(), model.len());
    }
    drop(held);
    let ours: Std<String, String> = pinned.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(ours, model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 200 }, ..ProptestConfig::default() })]

    #[test]
    fn entries_are_as_modelled(hashes in prop::sample::select(ALL.to_vec()), ops in prop::collection::vec(op(), 0..120)) {
        run::<Epoch>(hashes, &ops);
        #[cfg(feature = "crossbeam")]
        run::<latchfree::reclaim::Crossbeam>(hashes, &ops);
    }
}
