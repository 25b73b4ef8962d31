//! Every operation of the map of inline entries as a victim, while others change the map: in lines, in a block, and in
//! mid-migration, where a stopped victim may hold the only claim to fill a bucket.

#[path = "common/freeze.rs"]
mod freeze;
#[path = "../../tests/common/tens.rs"]
mod tens;

use std::sync::Arc;

use freeze::{Case, Job, never_stops_others};
use latchfree_stall::CopyMap;
use tens::Tens;

type Map = CopyMap<u64, u64, Tens>;

/// What the map looks like at the beginning. The keys 10, 20 and 30 are there always.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// One bucket.
    Lines,
    /// A bucket that has run full, or used its versions up.
    Block,
    /// A migration is under way: of four buckets one is moved, and three are not.
    Growing,
    /// The same with a table of the same size.
    Rebuilt,
}

const STARTS: [Start; 4] = [Start::Lines, Start::Block, Start::Growing, Start::Rebuilt];
/// Nobody removes these; their values are their own and no more than a few above ten times the key.
const STABLE: [u64; 3] = [10, 20, 30];
/// The victims' and the others' count.
const COUNT: u64 = 50;

fn put(map: &Map, key: u64) {
    map.insert(key, key * 1000);
}

/// What is found under a key was put there.
fn get(map: &Map, key: u64) -> Option<u64> {
    let found = map.get(&key);
    assert!(found.is_none_or(|value| value / 1000 == key), "{found:?} of {key}");
    found
}

fn count(map: &Map) -> u64 {
    map.update_or_insert(COUNT, |n| n + 1, COUNT * 1000 + 1)
}

fn world(start: Start) -> Map {
    let map = Map::with_hasher(Tens);
    STABLE.into_iter().for_each(|key| put(&map, key));
    match start {
        Start::Lines => {}
        Start::Block => (100..106).for_each(|key| put(&map, key)),
        Start::Growing => {
            map.reserve(5);
            let capacity = map.capacity();
            // Until the table that is in use is left behind.
            (100..).step_by(10).take_while(|_| map.capacity() == capacity).for_each(|key| put(&map, key));
        }
        Start::Rebuilt => {
            map.reserve(5);
            // A block is changed so often that its table is rebuilt.
            (0..12).for_each(|_| put(&map, 100));
        }
    }
    map
}

type Change = fn(&Map);

fn case(start: Start, victims: Vec<Change>) -> Case {
    drop(latchfree_stall::pin());
    let map = Arc::new(world(start));
    let job = |work: Box<dyn FnOnce(&Map) + Send>| -> Job {
        let map = map.clone();
        Box::new(move || work(&map))
    };
    let victims = victims.into_iter().map(|victim| job(Box::new(victim))).collect();
    let others = vec![
        job(Box::new(|map| {
            for key in [12, 22, 62] {
                put(map, key);
                assert!(get(map, key).is_some());
                count(map);
            }
            assert_eq!(map.remove(&22), Some(22_000));
        })),
        job(Box::new(|map| {
            for key in [13, 23] {
                put(map, key);
                count(map);
                assert_eq!(map.remove(&key), Some(key * 1000));
                assert_eq!(get(map, key), None);
            }
            assert_eq!(map.keys().filter(|key| STABLE.contains(key)).count(), 3);
            map.reserve(12);
            map.collect();
        })),
    ];
    let audited = map.clone();
    let frozen = Box::new(move || {
        let map = audited;
        for key in STABLE.into_iter().chain([12, 62]) {
            assert!(get(&map, key).is_some(), "{key}");
        }
        assert!(get(&map, COUNT) >= Some(COUNT * 1000 + 5), "no count is lost");
        for key in STABLE.into_iter().chain([12, 62]) {
            assert_eq!(map.keys().filter(|&met| met == key).count(), 1, "{key}");
        }
        put(&map, 14);
        assert_eq!((map.remove(&14), get(&map, 14)), (Some(14_000), None));
    });
    let finish = Box::new(move || {
        assert!(STABLE.into_iter().all(|key| get(&map, key).is_some()));
        assert_eq!(map.iter().count(), map.len());
        map.collect();
        assert_eq!(map.backlog().objects, 0, "nobody is pinned");
        drop(Arc::into_inner(map).expect("all threads are done"));
    });
    Case { victims, others, frozen, finish }
}

/// Steps that the others may take in all, audit included; about eight times what they do take.
const BOUND: usize = 15_000;

fn check(name: &str, (seeds, at_least): (u64, usize), victims: &[Change]) {
    for start in STARTS {
        let victims = victims.to_vec();
        never_stops_others(
            &format!("{name}, {start:?}"),
            BOUND,
            victims.len(),
            (seeds, at_least),
            move || case(start, victims.clone()),
        );
    }
}

const ONE: u64 = 2;
const TWO: u64 = 4;

#[test]
fn insert() {
    check("insert", (ONE, 30), &[|map| put(map, 11)]);
    check("insert in another bucket", (ONE, 25), &[|map| put(map, 61)]);
    check(
        "try_insert, get_or_insert",
        (ONE, 40),
        &[|map| {
            _ = map.try_insert(11, 11_000);
            assert!(map.get_or_insert(10, 0) / 1000 == 10);
        }],
    );
}

#[test]
fn get_and_get_many() {
    check(
        "get",
        (ONE, 40),
        &[|map| {
            assert!(get(map, 10).is_some() && get(map, 11).is_none());
            assert!(map.get_many(&[10, 20]).iter().all(Option::is_some));
        }],
    );
}

#[test]
fn update() {
    check("update_or_insert", (ONE, 50), &[|map| _ = count(map)]);
    check(
        "compare_exchange, add_if_below",
        (ONE, 100),
        &[|map| {
            let current = get(map, 20).unwrap();
            assert_eq!(map.compare_exchange(&20, current, 20_001), Ok(current));
            assert_eq!(map.add_if_below(20, 1, 20_002), Ok(20_002));
            assert_eq!(map.fetch_update(&20, |_| None), Err(Some(20_002)));
        }],
    );
}

#[test]
fn remove() {
    check(
        "remove",
        (ONE, 60),
        &[|map| {
            map.remove(&11);
            put(map, 11);
            map.remove_if(&11, |_, value| value == 11_000).unwrap();
        }],
    );
}

#[test]
fn resize() {
    check("reserve", (ONE, 150), &[|map| map.reserve(20)]);
    check("shrink_to_fit", (ONE, 15), &[|map| map.shrink_to_fit()]);
}

#[test]
fn iterate() {
    check(
        "iter, retain",
        (ONE, 110),
        &[|map| {
            assert_eq!(map.keys().filter(|key| STABLE.contains(key)).count(), 3);
            map.retain(|key, _| key % 10 != 9);
            assert!(!map.is_empty() && map.capacity() > 0);
        }],
    );
}

#[test]
fn two_changes() {
    check("insert, insert", (TWO, 60), &[|map| put(map, 11), |map| put(map, 11)]);
    check("insert, remove", (TWO, 60), &[|map| put(map, 11), |map| _ = map.remove(&11)]);
    check("count, count", (TWO, 100), &[|map| _ = count(map), |map| _ = count(map)]);
}

#[test]
fn resize_and_change() {
    check("reserve, insert", (TWO, 330), &[|map| map.reserve(20), |map| put(map, 11)]);
    check("reserve, reserve", (TWO, 350), &[|map| map.reserve(20), |map| map.reserve(20)]);
    check("shrink_to_fit, count", (TWO, 50), &[|map| map.shrink_to_fit(), |map| _ = count(map)]);
}
