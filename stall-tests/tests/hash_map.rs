//! Every operation of the hash map as a victim, while others change the map: in lines, in a block, and in mid-migration.

#[path = "common/freeze.rs"]
mod freeze;
#[path = "../../tests/common/tens.rs"]
mod tens;

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use freeze::{Case, Job, never_stops_others};
use latchfree_stall::HashMap;
use latchfree_stall::hash_map::Operation;
use tens::Tens;

/// Values that are made and not dropped. Outside of what is scheduled.
type Live = Arc<AtomicIsize>;

struct Item(u64, Live);

impl Drop for Item {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

struct World {
    map: HashMap<u64, Item, Tens>,
    live: Live,
}

impl World {
    fn item(&self, n: u64) -> Item {
        self.live.fetch_add(1, Ordering::Relaxed);
        Item(n, self.live.clone())
    }
    fn insert(&self, key: u64) {
        self.map.pin().insert(key, self.item(key));
    }
    fn get(&self, key: u64) -> Option<u64> {
        self.map.with(&key, |item| item.0)
    }
    fn remove(&self, key: u64) -> Option<u64> {
        self.map.pin().remove(&key).map(|item| item.0)
    }
    /// Adds one to the count under a key.
    fn count(&self, key: u64) {
        self.map.pin().update_or_insert_with(key, |item| self.item(item.0 + 1), || self.item(1));
    }
}

/// What the map looks like at the beginning. The keys 10, 20 and 30 are there always.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// One bucket.
    Lines,
    /// A bucket that has run full.
    Block,
    /// A migration is under way: of four buckets one is moved, and three are not.
    Growing,
    /// The same with a table that shrinks.
    Rebuilt,
}

const STARTS: [Start; 4] = [Start::Lines, Start::Block, Start::Growing, Start::Rebuilt];
/// Nobody removes these.
const STABLE: [u64; 3] = [10, 20, 30];
/// The victims' and the others' count.
const COUNT: u64 = 50;

fn world(start: Start) -> World {
    let world = World { map: HashMap::with_hasher(Tens), live: Live::default() };
    STABLE.into_iter().for_each(|key| world.insert(key));
    match start {
        Start::Lines => {}
        Start::Block => (100..106).for_each(|key| world.insert(key)),
        Start::Growing => {
            world.map.reserve(4);
            let capacity = world.map.capacity();
            // Until the table that is in use is left behind.
            (100..)
                .step_by(10)
                .take_while(|_| world.map.capacity() == capacity)
                .for_each(|key| world.insert(key));
        }
        Start::Rebuilt => {
            world.map.reserve(4);
            // A block becomes thin, and its table is rebuilt.
            (100..106).for_each(|key| world.insert(key));
            (100..106).for_each(|key| assert!(world.remove(key).is_some()));
        }
    }
    world
}

type Change = fn(&World);

fn case(start: Start, victims: Vec<Change>) -> Case {
    drop(latchfree_stall::pin());
    let world = Arc::new(world(start));
    let job = |work: Box<dyn FnOnce(&World) + Send>| -> Job {
        let world = world.clone();
        Box::new(move || work(&world))
    };
    let victims = victims.into_iter().map(|victim| job(Box::new(victim))).collect();
    let others = vec![
        job(Box::new(|world| {
            for key in [12, 22, 62] {
                world.insert(key);
                assert_eq!(world.get(key), Some(key));
                world.count(COUNT);
            }
            assert_eq!(world.remove(22), Some(22));
        })),
        job(Box::new(|world| {
            for key in [13, 23] {
                world.insert(key);
                world.count(COUNT);
                assert_eq!(world.remove(key), Some(key));
                assert_eq!(world.get(key), None);
            }
            let met = world.map.pin().keys().filter(|key| STABLE.contains(key)).count();
            assert_eq!(met, 3);
            world.map.reserve(12);
            world.map.collect();
        })),
    ];
    let audited = world.clone();
    let frozen = Box::new(move || {
        let world = audited;
        for key in STABLE.into_iter().chain([12, 62]) {
            assert_eq!(world.get(key), Some(key));
        }
        assert!(world.get(COUNT) >= Some(5), "no count is lost");
        let pinned = world.map.pin();
        for key in STABLE.into_iter().chain([12, 62]) {
            assert_eq!(pinned.keys().filter(|&&met| met == key).count(), 1, "{key}");
        }
        drop(pinned);
        world.insert(14);
        assert_eq!((world.remove(14), world.get(14)), (Some(14), None));
    });
    let finish = Box::new(move || {
        assert!(STABLE.into_iter().all(|key| world.get(key) == Some(key)));
        world.map.collect();
        assert_eq!(world.map.backlog().objects, 0, "nobody is pinned");
        assert_eq!(world.live.load(Ordering::Relaxed), world.map.len() as isize);
        let live = world.live.clone();
        drop(Arc::into_inner(world).expect("all threads are done"));
        assert_eq!(live.load(Ordering::Relaxed), 0, "every value is dropped once");
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

const ONE: u64 = 3;
const TWO: u64 = 6;

#[test]
fn insert() {
    check("insert", (ONE, 80), &[|world| world.insert(11)]);
    check("insert in another bucket", (ONE, 60), &[|world| world.insert(61)]);
}

#[test]
fn try_insert() {
    check(
        "try_insert",
        (ONE, 100),
        &[|world| {
            let _ = world.map.pin().try_insert(11, world.item(1));
            assert!(world.map.pin().try_insert(10, world.item(1)).is_err());
        }],
    );
}

#[test]
fn get() {
    check(
        "get",
        (ONE, 20),
        &[|world| {
            assert_eq!((world.get(10), world.get(11)), (Some(10), None));
            let pinned = world.map.pin();
            assert!(pinned.get_many(&[10, 20]).iter().all(Option::is_some));
        }],
    );
}

#[test]
fn update() {
    check("update", (ONE, 40), &[|world| world.count(COUNT)]);
}

#[test]
fn compute() {
    check(
        "compute",
        (ONE, 100),
        &[|world| {
            for _ in 0..2 {
                world.map.pin().compute(11, |item| match item {
                    None => Operation::<_, ()>::Insert(world.item(11)),
                    Some(_) => Operation::Remove,
                });
            }
        }],
    );
}

#[test]
fn remove() {
    check(
        "remove",
        (ONE, 200),
        &[|world| {
            world.remove(11);
            world.insert(11);
            world.remove(11);
        }],
    );
}

#[test]
fn resize() {
    check("reserve", (ONE, 150), &[|world| world.map.reserve(20)]);
    check("shrink_to_fit", (ONE, 20), &[|world| world.map.shrink_to_fit()]);
}

#[test]
fn iterate() {
    check(
        "iter, retain",
        (ONE, 120),
        &[|world| {
            let met = world.map.pin().keys().filter(|key| STABLE.contains(key)).count();
            assert_eq!(met, 3);
            world.map.pin().retain(|key, _| key % 10 != 9);
            assert!(!world.map.is_empty() && world.map.capacity() > 0);
        }],
    );
}

#[test]
fn two_insertions() {
    check("insert, insert", (TWO, 180), &[|world| world.insert(11), |world| world.insert(11)]);
    check("insert, remove", (TWO, 200), &[|world| world.insert(11), |world| _ = world.remove(11)]);
}

#[test]
fn resize_and_change() {
    check("reserve, insert", (TWO, 300), &[|world| world.map.reserve(20), |world| world.insert(11)]);
    check(
        "shrink_to_fit, count",
        (TWO, 60),
        &[|world| world.map.shrink_to_fit(), |world| world.count(COUNT)],
    );
}
