//! User code that panics, re-enters or is hostile leaves the map whole; large maps are dropped in bounded stack.

mod common;
#[path = "common/fused.rs"]
mod fused;
#[path = "common/hashers.rs"]
mod hashers;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use common::Ledger;
use fused::{FUSE, Key};
use hashers::Hashes;
use latchfree::hash_map::{HashMap, HashSet, Operation};

fn unfused<T>(f: impl FnOnce() -> T) -> T {
    FUSE.set(usize::MAX);
    f()
}

#[test]
fn a_panic_in_hash_or_eq_changes_nothing_or_all() {
    for keys in [3, 6, 9, 13, 14, 30] {
        let ledger = Ledger::new(100_000);
        let mut next = 0;
        let mut item = || {
            next += 1;
            ledger.item(next)
        };
        let map = HashMap::with_hasher(Hashes::Identity);
        for key in 0..keys {
            unfused(|| _ = map.pin().insert(Key(key), item()));
        }
        for fuse in 1..50 {
            for op in 0..6 {
                let value = item();
                let before = map.len();
                FUSE.set(fuse);
                let result = catch_unwind(AssertUnwindSafe(|| {
                    let pinned = map.pin();
                    match op {
                        0 => _ = pinned.insert(Key(keys / 2), value),
                        1 => _ = pinned.try_insert(Key(1000), value).is_ok(),
                        2 => _ = pinned.get(&Key(keys - 1)).is_some(),
                        3 => _ = pinned.remove(&Key(1000)).is_some(),
                        4 => _ = pinned.get_or_insert_with(Key(1000), || value),
                        _ => pinned.retain(|key, _| key.0 < 1000),
                    }
                }));
                unfused(|| ());
                // `retain` may have come some way.
                if result.is_err() && op < 5 {
                    assert_eq!(map.len(), before, "operation {op} after {fuse} calls");
                }
                unfused(|| {
                    let pinned = map.pin();
                    assert_eq!(pinned.iter().count(), map.len());
                    assert!((0..keys).all(|key| pinned.contains_key(&Key(key))));
                });
            }
        }
        unfused(|| drop(map));
        ledger.settle();
    }
}

#[test]
fn a_panic_in_a_closure_changes_nothing() {
    let map: HashMap<u64, String> = HashMap::from([(1, "one".to_string())]);
    let panics = |f: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
    panics(&|| _ = map.pin().update(1, |_| panic!("seeded")));
    panics(&|| _ = map.pin().get_or_insert_with(2, || panic!("seeded")));
    panics(&|| _ = map.pin().compute(1, |_| -> Operation<String> { panic!("seeded") }));
    panics(&|| _ = map.pin().remove_if(&1, |_, _| panic!("seeded")));
    panics(&|| map.pin().retain(|_, _| panic!("seeded")));
    panics(&|| _ = map.pin().update_or_insert_with(2, String::clone, || panic!("seeded")));
    assert_eq!((map.len(), map.get_cloned(&1).as_deref()), (1, Some("one")));
}

#[test]
fn a_panic_in_a_destructor_loses_nothing_else() {
    struct Bomb(Rc<Cell<usize>>, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            assert!(!self.1, "seeded");
        }
    }
    for into_iter in [false, true] {
        let dropped = Rc::new(Cell::new(0));
        let map = HashMap::new();
        for n in 0..100_u64 {
            map.pin().insert(n, Bomb(dropped.clone(), n == 37));
        }
        let result =
            catch_unwind(AssertUnwindSafe(|| if into_iter { drop(map.into_iter()) } else { drop(map) }));
        assert!(result.is_err());
        assert_eq!(dropped.get(), 100);
    }
}

/// Closures and destructors may use the map.
#[test]
fn user_code_re_enters() {
    let map = HashMap::<u64, u64>::new();
    let pinned = map.pin();
    for n in 0..100 {
        pinned.get_or_insert_with(n, || {
            map.pin().insert(n + 1000, n);
            n
        });
        pinned.update(n, |value| {
            map.pin().remove(&(n + 1000));
            map.reserve(500);
            value + 1
        });
    }
    pinned.retain(|key, _| {
        map.pin().insert(5000 + key % 5 * 2, 0);
        key % 2 == 0
    });
    // An update whose closure changes the entry itself is made again, on what it left.
    let mut calls = 0;
    pinned.insert(7, 0);
    pinned.update(7, |value| {
        calls += 1;
        if calls == 1 {
            map.pin().insert(7, 100);
        }
        value + 1
    });
    assert_eq!((calls, pinned.get(&7)), (2, Some(&101)));
    // A closure that inserts the key itself: the first one stays.
    let value = pinned.get_or_insert_with(9999, || {
        map.pin().insert(9999, 1);
        2
    });
    assert_eq!(value, &1);

    thread_local! { static LATE: HashSet<u64> = HashSet::new(); }
    struct Enters(u64);
    impl Drop for Enters {
        fn drop(&mut self) {
            LATE.with(|late| late.pin().insert(self.0));
        }
    }
    let map = HashMap::new();
    for n in 0..1000 {
        map.pin().insert(n % 10, Enters(n));
    }
    drop(map);
    assert_eq!(LATE.with(HashSet::len), 1000);
}

#[test]
fn keys_and_values_may_borrow() {
    let text = String::from("a map of borrowed words and a map of words");
    let map: HashMap<&str, usize> = HashMap::new();
    for word in text.split(' ') {
        map.pin().update_or_insert(word, |count| count + 1, 1);
    }
    assert_eq!(map.pin().get("map"), Some(&2));
    let shared = Rc::new(5);
    let map: HashMap<u64, Rc<i32>> = (0..100).map(|n| (n, shared.clone())).collect();
    drop(map);
    assert_eq!(Rc::strong_count(&shared), 1);
}

#[test]
fn a_lent_value_outlives_its_removal() {
    let map: HashMap<u64, String> = (0..1000).map(|n| (n, n.to_string())).collect();
    let pinned = map.pin();
    let lent: Vec<&String> = (0..1000).map(|n| pinned.get(&n).unwrap()).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            map.pin().clear();
            map.shrink_to_fit();
            map.pin().insert_many((0..5000).map(|n| (n, "other".to_string())));
            map.collect();
        });
    });
    assert!(lent.iter().enumerate().all(|(n, value)| **value == n.to_string()));
    assert!(map.backlog().objects >= 1000);
    drop(pinned);
    assert!(common::drained(|| map.collect(), || map.backlog().objects));
}

/// Ten million entries, in a thread with a small stack.
#[test]
fn large_maps_are_dropped_in_bounded_stack() {
    let entries = if cfg!(miri) { 1000 } else { 10_000_000_u64 };
    let work = move || {
        let map = HashMap::with_capacity_and_hasher(1, Hashes::Identity);
        for from in (0..entries).step_by(10_000) {
            map.pin().insert_many((from..from + 10_000).map(|n| (n, n)));
        }
        assert_eq!(map.len() as u64, entries.next_multiple_of(10_000));
        drop(map);
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(work).unwrap().join().unwrap();
}

/// Zero-sized keys and values are entries as all others.
#[test]
fn zero_sized() {
    let map = HashMap::<(), ()>::new();
    let pinned = map.pin();
    assert_eq!((pinned.insert((), ()), pinned.insert((), ()), pinned.len()), (None, Some(&()), 1));
    assert_eq!(pinned.drain().count(), 1);
    assert_eq!(pinned.remove(&()), None);
}
