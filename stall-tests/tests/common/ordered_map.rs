//! Every operation of the ordered map as a victim, with splits and merges under way: a leaf has at most two entries here, an
//! inner node three children.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use latchfree_stall::OrderedMap;
use latchfree_stall::ordered_map::Operation as Step;
use latchfree_stall::reclaim::{barrier, choose_barrier};

use super::BARRIER;
use super::freeze::{Case, Job, never_stops_others};

/// What became of the values. Outside of what is scheduled: its locks are never held over a step.
#[derive(Default)]
struct Ledger {
    /// How often each value was dropped.
    drops: Mutex<Vec<usize>>,
    /// Values that somebody popped.
    popped: Mutex<Vec<usize>>,
}

struct Value {
    id: usize,
    ledger: Arc<Ledger>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.ledger.drops.lock().unwrap()[self.id] += 1;
    }
}

struct World {
    map: OrderedMap<u16, Value>,
    ledger: Arc<Ledger>,
}

impl World {
    fn value(&self) -> Value {
        let mut drops = self.ledger.drops.lock().unwrap();
        drops.push(0);
        Value { id: drops.len() - 1, ledger: self.ledger.clone() }
    }
    fn insert(&self, key: u16) {
        self.map.pin().insert(key, self.value());
    }
    fn remove(&self, key: u16) {
        self.map.pin().remove(&key);
    }
    fn popped<'g>(&self, entries: impl Iterator<Item = (&'g u16, &'g Value)>) {
        let popped: Vec<_> = entries.map(|(_, value)| value.id).collect();
        self.ledger.popped.lock().unwrap().extend(popped);
    }
    fn pop_first(&self) {
        let map = self.map.pin();
        self.popped(map.pop_first().into_iter());
    }
    fn pop_last(&self) {
        let map = self.map.pin();
        self.popped(map.pop_last().into_iter());
    }
    fn pop_while(&self) {
        let map = self.map.pin();
        self.popped(map.pop_first_while(2, |&key, _| key < 50));
    }
    fn update(&self, key: u16) {
        self.map.pin().update(&key, |_| self.value());
    }
    fn compute(&self, key: u16) {
        self.map.pin().compute(key, |entry| match entry {
            Some((key, _)) if key % 10 != 0 => Step::Remove,
            Some(_) => Step::Abort(()),
            None => Step::Insert(self.value()),
        });
    }
    fn reschedule(&self, old: u16, new: u16) {
        let map = self.map.pin();
        if let Ok(value) = map.reschedule(&old, new) {
            assert!(value.id < usize::MAX);
        }
    }
    fn scan(&self) {
        let map = self.map.pin();
        let keys: Vec<_> = map.keys().copied().collect();
        assert!(keys.is_sorted_by(|one, two| one < two), "{keys:?}");
        let back: Vec<_> = map.range(15..45).rev().map(|(&key, _)| key).collect();
        assert!(back.is_sorted_by(|one, two| one > two), "{back:?}");
    }
}

type Operation = fn(&World);

fn case(victims: Vec<Operation>, pops: bool) -> Case {
    // All that a process has before `main`: the domain. In the model it is made by its first user, under a lock.
    drop(latchfree_stall::pin());
    let ledger = Arc::new(Ledger::default());
    let world = Arc::new(World { map: OrderedMap::new(), ledger: ledger.clone() });
    // Leaves full, short and in between, under two levels of inner nodes. Multiples of ten stay.
    for key in [10, 20, 30, 40, 50, 60, 70, 80, 25, 45] {
        world.insert(key);
    }
    let job = |work: Box<dyn FnOnce(&World) + Send>| -> Job {
        let world = world.clone();
        Box::new(move || work(&world))
    };
    let victims = victims.into_iter().map(|operation| job(Box::new(operation))).collect();
    let others = vec![
        job(Box::new(move |world| {
            for key in [21, 22, 23] {
                world.insert(key);
            }
            for key in [21, 22, 23] {
                world.remove(key);
            }
            if pops {
                world.pop_first();
                world.pop_while();
            }
            world.update(30);
            world.insert(33);
            world.reschedule(33, 86);
            world.reschedule(86, 12);
            world.remove(12);
        })),
        job(Box::new(move |world| {
            world.compute(46);
            world.insert(85);
            world.remove(45);
            if pops {
                world.pop_last();
                world.pop_first();
            }
            world.scan();
            assert!(pops || world.map.pin().first_key_value().is_some());
            world.reschedule(25, 65);
            world.reschedule(65, 25);
            world.map.collect();
        })),
    ];
    let main = world.clone();
    let frozen = Box::new(move || {
        let world = main;
        if !pops {
            let map = world.map.pin();
            let stay: BTreeSet<u16> = (1..=8).map(|n| n * 10).collect();
            assert!(stay.iter().all(|key| map.contains_key(key)));
            let seen = |keys: Vec<u16>| assert!(stay.is_subset(&keys.into_iter().collect()));
            seen(map.keys().copied().collect());
            seen(map.keys().rev().copied().collect());
            seen(map.range_snapshot::<u16, _>(..).map(|(&key, _)| key).collect());
            assert_eq!(map.lower_bound(Bound::Excluded(&60)).map(|(&key, _)| key), Some(70));
        }
        // The stopped thread's leaves and those beside them can be changed, split, merged and emptied.
        for key in [11, 12, 13, 24, 26, 41, 47, 61, 90] {
            world.insert(key);
            assert!(world.map.pin().contains_key(&key));
        }
        // One of them from leaf to leaf, past what the stopped thread has begun.
        for (old, new) in [(90, 14), (14, 72), (72, 90)] {
            assert!(world.map.pin().reschedule(&old, new).is_ok());
        }
        for key in [11, 12, 13, 24, 26, 41, 47, 61, 90] {
            world.remove(key);
            assert!(!world.map.pin().contains_key(&key));
        }
        world.map.clear();
        world.insert(5);
        let map = world.map.pin();
        let (&key, _) = map.pop_first().expect("one was inserted");
        assert!(key <= 5 || pops, "{key} with 5 in the map");
    });
    let finish = Box::new(move || {
        world.map.pin().clear_and_count();
        world.map.collect();
        assert_eq!(world.map.backlog().objects, 0, "nobody is pinned");
        assert_eq!(world.map.len(), 0);
        let ledger = world.ledger.clone();
        let settle = || {
            ledger.drops.lock().unwrap().iter().enumerate().for_each(|(id, &drops)| {
                assert_eq!(drops, 1, "drops of {id}");
            })
        };
        settle();
        let mut popped = ledger.popped.lock().unwrap().clone();
        popped.sort_unstable();
        assert!(popped.is_sorted_by(|one, two| one < two), "popped twice");
        drop(Arc::into_inner(world).expect("all threads are done"));
        settle();
    });
    Case { victims, others, frozen, finish }
}

trait ClearAndCount {
    fn clear_and_count(&self);
}
impl ClearAndCount for latchfree_stall::ordered_map::OrderedMapRef<'_, u16, Value> {
    /// Empties the map, entry by entry.
    fn clear_and_count(&self) {
        let mut last = None;
        while let Some((&key, _)) = self.pop_first() {
            assert!(last < Some(key), "in order while nobody else is there");
            last = Some(key);
        }
    }
}

/// Steps that the others may take in all, audit included.
const BOUND: usize = 40_000;

fn check(name: &str, (seeds, at_least): (u64, usize), victims: &[Operation]) {
    // Refused only if the other is in force, which the test then shows.
    let _ = choose_barrier(BARRIER);
    assert_eq!(barrier(), BARRIER);
    let victims = victims.to_vec();
    let name = format!("{name}, {BARRIER:?}");
    never_stops_others(&name, BOUND, victims.len(), (seeds, at_least), move || case(victims.clone(), false));
}

const ONE: u64 = 6;
const TWO: u64 = 9;

#[test]
fn inserts_that_split() {
    // Into a full leaf, and one that makes the parent split as well.
    check("insert", (ONE, 100), &[|world| world.insert(22)]);
    check(
        "insert x 3",
        (ONE / 3, 100),
        &[|world| [26, 27, 28].into_iter().for_each(|key| world.insert(key))],
    );
}

#[test]
fn removals_that_merge() {
    check("remove", (ONE, 20), &[|world| world.remove(25)]);
    check(
        "insert, remove",
        (ONE / 3, 100),
        &[|world| {
            [31, 32, 33].into_iter().for_each(|key| world.insert(key));
            [31, 32, 33].into_iter().for_each(|key| world.remove(key));
        }],
    );
}

#[test]
fn updates() {
    check("update", (ONE, 20), &[|world| world.update(40)]);
    check(
        "compute",
        (ONE, 20),
        &[|world| {
            world.compute(42);
            world.compute(42);
        }],
    );
    check(
        "try_insert",
        (ONE, 20),
        &[|world| {
            let map = world.map.pin();
            assert!(map.try_insert(40, world.value()).is_err() || !map.is_empty());
            map.get_or_insert_with(43, || world.value());
        }],
    );
}

#[test]
fn reads() {
    check(
        "get",
        (ONE, 10),
        &[|world| {
            let map = world.map.pin();
            let _ = (map.get(&40).is_some(), map.last_key_value().is_some(), map.len());
        }],
    );
    check("scan", (ONE, 20), &[World::scan]);
    check(
        "range_snapshot",
        (ONE, 20),
        &[|world| {
            world.map.pin().range_snapshot(15..65).for_each(drop);
        }],
    );
}

#[test]
fn retain() {
    check("retain", (ONE, 20), &[|world| world.map.retain(|key, _| key % 10 == 0)]);
    check(
        "remove_range",
        (ONE, 20),
        &[|world| {
            world.map.remove_range((Bound::Excluded(40), Bound::Excluded(50)));
            world.map.collect();
        }],
    );
}

fn check_pops(name: &str, seeds: (u64, usize), victims: &'static [Operation]) {
    let _ = choose_barrier(BARRIER);
    assert_eq!(barrier(), BARRIER);
    let full = format!("{name}, {BARRIER:?}");
    never_stops_others(&full, BOUND, victims.len(), seeds, move || case(victims.to_vec(), true));
}

#[test]
fn pops() {
    check_pops("pop_first", (ONE, 50), &[World::pop_first]);
    check_pops("pop_first x 4", (ONE / 3, 100), &[|world| (0..4).for_each(|_| world.pop_first())]);
    check_pops("pop_last x 3", (ONE / 3, 100), &[|world| (0..3).for_each(|_| world.pop_last())]);
    check_pops("pop_first_while x 2", (ONE / 3, 100), &[|world| (0..2).for_each(|_| world.pop_while())]);
    check_pops("clear", (ONE / 3, 100), &[|world| world.map.clear()]);
}

/// Over two leaves upwards and downwards, within one, and to keys that are taken; the others need both leaves, and move the
/// same entry themselves.
#[test]
fn reschedule() {
    check("reschedule up", (ONE, 50), &[|world| world.reschedule(25, 71)]);
    check("reschedule down", (ONE, 50), &[|world| world.reschedule(45, 11)]);
    check(
        "reschedule within, refused",
        (ONE / 3, 50),
        &[|world| {
            world.reschedule(25, 26);
            world.reschedule(26, 70);
            world.reschedule(27, 28);
        }],
    );
    check_pops(
        "reschedule against pops",
        (ONE / 3, 100),
        &[|world| {
            world.reschedule(10, 55);
            world.reschedule(80, 5);
        }],
    );
    check(
        "reschedule twice",
        (TWO, 100),
        &[|world| world.reschedule(25, 71), |world| world.reschedule(45, 24)],
    );
    check_pops("reschedule, pop_first", (TWO, 100), &[|world| world.reschedule(10, 66), World::pop_first]);
}

#[test]
fn two_victims() {
    check("insert, insert", (TWO, 100), &[|world| world.insert(22), |world| world.insert(26)]);
    check("insert, remove", (TWO, 100), &[|world| world.insert(22), |world| world.remove(25)]);
    check_pops("pop_first, insert", (TWO, 100), &[World::pop_first, |world| world.insert(5)]);
    check_pops("pop_while, pop_first", (TWO, 100), &[World::pop_while, World::pop_first]);
}
