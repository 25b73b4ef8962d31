//! Models of threads that look at different places, in the total order of `SeqCst`: each changes one key and then looks at the
//! other's, in another bucket or another map. Linearizability composes, so not both may miss what the other did; the orders of
//! single words do not say so, the total order of their accesses does.

mod common;

use std::sync::Arc;

use latchfree_loom::model::Barriers;
use latchfree_loom::{CopyMap, HashMap};

use self::common::eager::Eager;
use self::common::tens::Tens;
use self::common::{explore, go};

/// Keys of two buckets.
const KEYS: [u64; 2] = [10, 20];
/// With the hashes of `KEYS[0]`.
const MORE: [u64; 3] = [11, 12, 13];

/// What both maps can.
trait Map: Send + Sync + Sized + 'static {
    fn new() -> Self;
    /// Sets a key's value.
    fn put(&self, key: u64, value: u64);
    fn get(&self, key: u64) -> Option<u64>;
    fn remove(&self, key: u64);
    fn reserve(&self, capacity: usize);
}

type Boxed = HashMap<u64, u64, Tens, Eager>;

impl Map for Boxed {
    fn new() -> Self {
        Self::with_reclaimer(0, Tens)
    }
    fn put(&self, key: u64, value: u64) {
        self.pin().insert(key, value);
    }
    fn get(&self, key: u64) -> Option<u64> {
        self.pin().get(&key).copied()
    }
    fn remove(&self, key: u64) {
        self.pin().remove(&key);
    }
    fn reserve(&self, capacity: usize) {
        HashMap::reserve(self, capacity - self.len());
    }
}

type Inline = CopyMap<u64, u64, Tens, Eager>;

impl Map for Inline {
    fn new() -> Self {
        Self::with_reclaimer(0, Tens)
    }
    fn put(&self, key: u64, value: u64) {
        self.insert(key, value);
    }
    fn get(&self, key: u64) -> Option<u64> {
        self.get(&key)
    }
    fn remove(&self, key: u64) {
        self.remove(&key);
    }
    fn reserve(&self, capacity: usize) {
        CopyMap::reserve(self, capacity - self.len());
    }
}

/// With a table of two buckets.
fn two_buckets<M: Map>(keys: &[u64]) -> M {
    let map = M::new();
    keys.iter().for_each(|&key| map.put(key, 0));
    map.reserve(4);
    map
}

/// Each of two threads does its change, and then says whether it misses the other's.
fn not_both<S: Send + Sync + 'static>(
    shared: S,
    change_and_miss: impl Fn(&S, usize) -> bool + Copy + 'static,
) {
    let shared = Arc::new(shared);
    let other = go(&shared, move |shared| change_and_miss(shared, 1));
    let missed = change_and_miss(&shared, 0);
    assert!(!(other.join().unwrap() && missed), "neither sees what the other did");
}

fn insertions<M: Map>() {
    not_both(two_buckets::<M>(&[]), |map, own| {
        map.put(KEYS[own], 1);
        map.get(KEYS[1 - own]).is_none()
    });
}

fn removals<M: Map>() {
    not_both(two_buckets::<M>(&KEYS), |map, own| {
        map.remove(KEYS[own]);
        map.get(KEYS[1 - own]).is_some()
    });
}

fn updates<M: Map>() {
    not_both(two_buckets::<M>(&KEYS), |map, own| {
        map.put(KEYS[own], 1);
        map.get(KEYS[1 - own]) == Some(0)
    });
}

/// The first entries of two maps: a look-up finds no table.
fn two_maps<M: Map>() {
    not_both([M::new(), M::new()], |maps, own| {
        maps[own].put(KEYS[0], 1);
        maps[1 - own].get(KEYS[0]).is_none()
    });
}

/// One of the keys is in a block.
fn in_a_block<M: Map>() {
    let map = two_buckets::<M>(&[KEYS[0], MORE[0], MORE[1], MORE[2]]);
    // A line of `CopyMap` has three commits.
    (1..4).for_each(|n| map.put(MORE[0], n));
    not_both(map, |map, own| {
        map.put(KEYS[own], 1);
        map.get(KEYS[1 - own]).unwrap_or(0) == 0
    });
}

/// One of the threads moves the other's bucket before it changes what is in it, so that the other may be reading the old one.
fn moved<M: Map>() {
    let map = M::new();
    KEYS.iter().for_each(|&key| map.put(key, 0));
    not_both([map, two_buckets::<M>(&[])], |[map, other], own| {
        if own == 0 {
            map.reserve(4);
            map.put(KEYS[0], 1);
            other.get(KEYS[1]).is_none()
        } else {
            other.put(KEYS[1], 1);
            map.get(KEYS[0]) == Some(0)
        }
    });
}

/// As `moved`, and the bucket is a block.
fn moved_block<M: Map>() {
    let map = two_buckets::<M>(&[KEYS[0], MORE[0], MORE[1], MORE[2]]);
    (1..4).for_each(|n| map.put(MORE[0], n));
    not_both([map, two_buckets::<M>(&[])], |[map, other], own| {
        if own == 0 {
            map.reserve(8);
            map.put(KEYS[0], 1);
            other.get(KEYS[1]).is_none()
        } else {
            other.put(KEYS[1], 1);
            map.get(KEYS[0]) == Some(0)
        }
    });
}

/// Two readers agree which of two insertions came first.
fn two_readers<M: Map>() {
    let map = Arc::new(two_buckets::<M>(&[]));
    let writers = KEYS.map(|key| go(&map, move |map| map.put(key, 1)));
    let sees = |map: &M, first: usize| map.get(KEYS[first]).is_some() && map.get(KEYS[1 - first]).is_none();
    let other = go(&map, move |map| sees(map, 1));
    let one = sees(&map, 0);
    assert!(!(other.join().unwrap() && one), "each saw one insertion and not the other");
    for writer in writers {
        writer.join().unwrap();
    }
}

macro_rules! of_both {
    ($barriers:ident as $hash_map:ident, $copy_map:ident: $($name:ident($boxed:expr, $inline:expr))+) => {
        mod $hash_map {
            use super::*;
            $(#[test]
            fn $name() {
                explore(stringify!($name), Barriers::$barriers, Some(3), $boxed, super::$name::<Boxed>);
            })+
        }
        mod $copy_map {
            use super::*;
            $(#[test]
            fn $name() {
                explore(stringify!($name), Barriers::$barriers, Some(3), $inline, super::$name::<Inline>);
            })+
        }
    };
}
of_both! { TotalOrder as hash_map, copy_map:
    insertions(200, 200)
    removals(900, 30)
    updates(1200, 90)
    two_maps(300, 300)
    in_a_block(600, 600)
    moved(2000, 1000)
    moved_block(1800, 600)
    two_readers(9000, 9000)
}
of_both! { StoreLoad as hash_map_writes, copy_map_writes:
    insertions(400, 400)
    removals(1800, 30)
    updates(1000, 160)
    two_maps(600, 600)
    in_a_block(700, 700)
    moved(2500, 1800)
    moved_block(2300, 900)
}
