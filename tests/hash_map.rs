//! Behaviour of the hash map, over both reclaimers and several hashers.

mod common;
#[path = "common/hashers.rs"]
mod hashers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{Counted, Ledger, Rng};
use hashers::{Hashes, over_all};
use latchfree::hash_map::{Compute, HashMap, Operation};
use latchfree::reclaim::{Accepts, Reclaim};

/// The reclaimers, and what the maps hold.
trait Both:
    Reclaim<Garbage: Send + Sync>
    + Accepts<(u64, u64)>
    + Accepts<(u64, String)>
    + Accepts<(String, u64)>
    + Accepts<(u64, Counted)>
{
}
impl<R> Both for R where
    R: Reclaim<Garbage: Send + Sync>
        + Accepts<(u64, u64)>
        + Accepts<(u64, String)>
        + Accepts<(String, u64)>
        + Accepts<(u64, Counted)>
{
}

over_all! {
    basics, growth, churn, shrinking, conditional, iteration_meets_everything, iteration_under_churn, drops_are_counted,
    concurrent_inserts, one_wins, counters, into_iter_by_halves, blocks_and_back,
}

fn empty<K, V, R: Accepts<(K, V)>>(hashes: Hashes) -> HashMap<K, V, Hashes, R> {
    HashMap::with_reclaimer(0, hashes)
}

fn basics<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    let map = map.pin();
    assert!(map.is_empty() && map.get(&1).is_none() && map.remove(&1).is_none());
    assert_eq!(map.map().capacity(), 0);
    assert_eq!(map.insert(1, 10), None);
    assert_eq!(map.insert(1, 11), Some(&10));
    assert_eq!((map.get(&1), map.get(&2), map.len()), (Some(&11), None, 1));
    let error = map.try_insert(1, 12).unwrap_err();
    assert_eq!((*error.current, error.not_inserted), (11, 12));
    assert_eq!(map.try_insert(2, 20), Ok(&20));
    assert_eq!(map.get_or_insert(2, 21), &20);
    assert_eq!(map.get_or_insert(3, 30), &30);
    assert_eq!(map.get_or_insert_with(3, || unreachable!()), &30);
    assert_eq!(map.get_key_value(&3), Some((&3, &30)));
    assert_eq!(map.remove_if(&3, |_, n| *n == 31), Err((&3, &30)));
    assert_eq!(map.remove_if(&3, |_, n| *n == 30), Ok(Some((&3, &30))));
    assert_eq!(map.remove_entry(&2), Some((&2, &20)));
    assert_eq!(map.pop_any(), Some((&1, &11)));
    assert_eq!((map.pop_any(), map.len()), (None, 0));
}

fn growth<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    for n in 0..hashes.keys() {
        assert_eq!(map.pin().insert(n, n * 2), None);
        assert_eq!(map.len() as u64, n + 1);
        if n < 300 || n % 1000 == 0 {
            let pinned = map.pin();
            for k in (0..=n).rev().take(300) {
                assert_eq!(pinned.get(&k), Some(&(k * 2)), "{k} of {n}");
            }
            assert_eq!(pinned.get(&(n + 1)), None);
        }
    }
    let pinned = map.pin();
    for n in 0..hashes.keys() {
        assert_eq!(pinned.insert(n, n * 3), Some(&(n * 2)));
    }
    for n in 0..hashes.keys() {
        assert_eq!(pinned.get(&n), Some(&(n * 3)));
        assert_eq!(pinned.remove(&n), Some(&(n * 3)));
        assert_eq!(pinned.get(&n), None);
    }
    assert!(pinned.is_empty());
    assert_eq!(pinned.iter().count(), 0);
}

/// Insertions and removals at a constant size leave the table as it is.
fn churn<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    let size = hashes.keys() / 10;
    map.reserve(size as usize * 2);
    let capacity = map.capacity();
    for n in 0..hashes.keys() * 5 {
        let pinned = map.pin();
        assert_eq!(pinned.insert(n, n), None);
        if n >= size {
            assert_eq!(pinned.remove(&(n - size)), Some(&(n - size)));
            assert_eq!(pinned.get(&(n - size)), None);
        }
        assert_eq!(pinned.get(&n), Some(&n));
    }
    assert_eq!((map.len() as u64, map.capacity()), (size, capacity));
}

fn shrinking<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    map.pin().insert_many((0..hashes.keys()).map(|n| (n, n)));
    for left in [hashes.keys() / 2, hashes.keys() / 50, 3, 0] {
        map.pin().retain(|n, _| *n < left);
        map.shrink_to_fit();
        assert!(map.capacity() as u64 <= (left * 2).max(5), "{left} in {}", map.capacity());
        let pinned = map.pin();
        assert!((0..hashes.keys()).all(|n| pinned.get(&n).is_some() == (n < left)));
        assert_eq!(pinned.iter().count() as u64, left);
        pinned.insert(left, 0);
        assert_eq!(pinned.remove(&left), Some(&0));
    }
    map.reserve(1000);
    assert!(map.capacity() >= 1000 && map.is_empty());
}

fn conditional<R: Both>(hashes: Hashes) {
    let map = empty::<String, u64, R>(hashes);
    let map = map.pin();
    let key = "key".to_string();
    assert_eq!(map.update(key.clone(), |n| n + 1), None);
    assert_eq!(map.update_ref("key", |n| n + 1), None);
    assert_eq!(map.update_or_insert(key.clone(), |n| n + 1, 5), &5);
    assert_eq!(map.update_or_insert_with(key.clone(), |n| n + 1, || unreachable!()), &6);
    assert_eq!(map.update(key.clone(), |n| n + 1), Some(&7));
    assert_eq!(map.update_ref("key", |n| n + 1), Some(&8));
    let compute = |n: Option<(&String, &u64)>| match n {
        None => Operation::Insert(1),
        Some((_, 1)) => Operation::Insert(2),
        Some((_, 2)) => Operation::Abort("two"),
        Some(_) => Operation::Remove,
    };
    assert_eq!(map.compute(key.clone(), compute), Compute::Removed(&key, &8));
    assert_eq!(map.compute_ref(&key, compute), Compute::Inserted(&key, &1));
    assert_eq!(map.compute_ref(&key, compute), Compute::Updated { old: (&key, &1), new: (&key, &2) });
    assert_eq!(map.compute(key.clone(), compute), Compute::Aborted("two"));
    assert_eq!(map.remove("key"), Some(&2));
    assert_eq!(map.compute(key, |_| Operation::<_, ()>::Remove), Compute::Absent);
    assert_eq!(map.map().get_cloned("key"), None);
    map.insert("other".into(), 1);
    assert_eq!(map.map().with("other", |n| n + 1), Some(2));
}

fn iteration_meets_everything<R: Both>(hashes: Hashes) {
    for len in [0, 1, 6, 7, 13, 14, 100, hashes.keys()] {
        let mut map = empty::<u64, u64, R>(hashes);
        map.extend((0..len).map(|n| (n, n + 1)));
        let pinned = map.pin();
        let seen: BTreeMap<u64, u64> = pinned.iter().map(|(k, v)| (*k, *v)).collect();
        assert!(seen.into_iter().eq((0..len).map(|n| (n, n + 1))));
        assert_eq!(pinned.keys().count() as u64, len);
        assert_eq!(pinned.values().sum::<u64>(), len * (len + 1) / 2);
        assert_eq!(pinned.drain().map(|(k, _)| *k).collect::<BTreeSet<_>>().len() as u64, len);
        assert!(pinned.is_empty());
    }
}

/// Keys that nobody removes are met exactly once, however the others and the table change.
fn iteration_under_churn<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    let keys = hashes.keys().min(2000);
    map.pin().insert_many((0..keys).map(|n| (n * 2, n)));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (map, done) = (&map, &done);
            scope.spawn(move || {
                let mut rng = Rng(thread * 77 + 5);
                while !done.load(Ordering::Relaxed) {
                    for _ in 0..50 {
                        let pinned = map.pin();
                        let odd = rng.below(keys) * 2 + 1;
                        pinned.insert(odd, 0);
                        pinned.remove(&(rng.below(keys) * 2 + 1));
                        pinned.update(rng.below(keys) * 2, |n| *n);
                    }
                    match rng.below(4) {
                        0 => map.reserve(keys as usize * 8),
                        1 => map.shrink_to_fit(),
                        _ => {}
                    }
                }
            });
        }
        for _ in 0..30 {
            let pinned = map.pin();
            let mut even: Vec<u64> = pinned.iter().map(|(k, _)| *k).filter(|k| k % 2 == 0).collect();
            even.sort_unstable();
            assert!(even.iter().copied().eq((0..keys).map(|n| n * 2)), "{} of {keys}", even.len());
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn drops_are_counted<R: Both>(hashes: Hashes) {
    let keys = hashes.keys().min(1000) as usize;
    let ledger = Ledger::new(keys * 4);
    let map = empty::<u64, Counted, R>(hashes);
    for id in 0..keys {
        map.pin().insert(id as u64, ledger.item(id));
    }
    for id in 0..keys {
        map.pin().insert(id as u64, ledger.item(keys + id));
        assert!(map.pin().try_insert(id as u64, ledger.item(keys * 2 + id)).is_err());
    }
    map.pin().retain(|id, _| id % 3 != 0);
    for id in 0..keys {
        map.pin().get_or_insert(id as u64, ledger.item(keys * 3 + id));
    }
    let half = map.iter(&R::pin()).filter(|(_, item)| item.id >= keys * 3).count();
    assert_eq!(half, keys.div_ceil(3));
    drop(map);
    settle::<R>(&ledger);
}

/// With crossbeam-epoch the last values are dropped some time after the map.
fn settle<R: Both>(ledger: &Ledger) {
    let idle = empty::<u64, u64, R>(Hashes::Sip);
    for _ in 0..1_000_000 {
        if ledger.is_settled() {
            break;
        }
        idle.collect();
        std::thread::yield_now();
    }
    ledger.settle();
}

fn concurrent_inserts<R: Both>(hashes: Hashes) {
    const THREADS: u64 = 4;
    let map = empty::<u64, u64, R>(hashes);
    let keys = hashes.keys();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let map = &map;
            scope.spawn(move || {
                for n in (thread..keys).step_by(THREADS as usize) {
                    let pinned = map.pin();
                    assert_eq!(pinned.insert(n, n), None);
                    assert_eq!(pinned.get(&n), Some(&n));
                    // What we inserted before is there, through all migrations.
                    let before = n - (n / THREADS % 64) * THREADS;
                    assert_eq!(pinned.get(&before), Some(&before));
                }
            });
        }
    });
    assert_eq!(map.len() as u64, keys);
    let pinned = map.pin();
    assert!((0..keys).all(|n| pinned.get(&n) == Some(&n)));
    assert_eq!(pinned.iter().count() as u64, keys);
}

/// Of threads that insert the same keys at once, one wins each; as with removals.
fn one_wins<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    let keys = hashes.keys().min(5000);
    let (inserted, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (map, inserted) = (&map, &inserted);
                scope.spawn(move || {
                    for n in 0..keys {
                        let new = map.pin().try_insert(n, thread).is_ok();
                        inserted.fetch_add(new.into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(map.pin().iter().count() as u64, keys);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (map, removed) = (&map, &removed);
                scope.spawn(move || {
                    for n in 0..keys {
                        removed.fetch_add(map.pin().remove(&n).is_some().into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(map.is_empty());
    }
    assert_eq!((inserted.into_inner() as u64, removed.into_inner() as u64), (keys * 2, keys * 2));
}

/// No update is lost, while keys come and go and the table changes its size.
fn counters<R: Both>(hashes: Hashes) {
    const ROUNDS: u64 = 3000;
    let map = empty::<u64, u64, R>(hashes);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let map = &map;
            scope.spawn(move || {
                for n in 0..ROUNDS {
                    let pinned = map.pin();
                    pinned.update_or_insert(n % 8, |count| count + 1, 1);
                    if n % 16 == thread {
                        pinned.insert(1000 + n, n);
                    }
                    if n % 512 == 100 * thread {
                        map.reserve(2000);
                    } else if n % 512 == 100 * thread + 50 {
                        map.shrink_to_fit();
                    }
                }
            });
        }
    });
    let pinned = map.pin();
    assert_eq!((0..8).map(|n| pinned.get(&n).unwrap()).sum::<u64>(), ROUNDS * 3);
}

fn into_iter_by_halves<R: Both>(hashes: Hashes) {
    let keys = hashes.keys().min(1000) as usize;
    let ledger = Ledger::new(keys);
    let mut map = empty::<u64, Counted, R>(hashes);
    map.extend((0..keys).map(|id| (id as u64, ledger.item(id))));
    let mut seen = BTreeSet::new();
    let mut iter = map.into_iter();
    assert_eq!(iter.size_hint(), (keys, Some(keys)));
    for (key, item) in iter.by_ref().take(keys / 2) {
        assert_eq!(key, item.id as u64);
        assert!(seen.insert(key));
    }
    assert_eq!(ledger.dropped(), keys / 2);
    drop(iter);
    ledger.settle();
}

/// A bucket that ran full and is nearly empty again works on.
fn blocks_and_back<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    for round in 0..20 {
        for n in 0..40 {
            assert_eq!(map.pin().insert(n, round), None);
        }
        for n in 0..40 {
            assert_eq!(map.pin().remove(&n), Some(&round));
            assert_eq!(map.pin().iter().count(), 39 - n as usize);
        }
    }
    assert_eq!(map.len(), 0);
}

/// The longest chains: every change copies a list of thousands.
#[test]
fn thousands_of_equal_hashes() {
    let map = empty::<u64, u64, latchfree::Epoch>(Hashes::Zero);
    map.pin().insert_many((0..4000).map(|n| (n, n)));
    let pinned = map.pin();
    assert!((0..4000).all(|n| pinned.get(&n) == Some(&n)));
    assert_eq!(pinned.get(&4000), None);
    pinned.retain(|n, _| n % 100 == 0);
    assert_eq!(pinned.iter().count(), 40);
}
