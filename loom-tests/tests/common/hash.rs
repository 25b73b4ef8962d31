//! What the models of the hash map share.

use std::sync::Arc;

use latchfree_loom::HashMap;
use latchfree_loom::reclaim::Reclaim;

use super::Item;
use super::eager::Eager;
use super::tens::Tens;

/// Equal hashes.
pub const A: u64 = 10;
pub const A2: u64 = 11;
pub const A3: u64 = 12;
pub const A4: u64 = 13;
pub const A5: u64 = 14;
/// Another bucket once there are two.
pub const B: u64 = 20;
pub const B2: u64 = 21;

pub type Map = HashMap<u64, Item, Tens, Eager>;

pub fn map(keys: &[u64]) -> Arc<Map> {
    let map = Map::with_reclaimer(0, Tens);
    for &key in keys {
        assert!(insert(&map, key, key as usize));
    }
    Arc::new(map)
}

/// As `map`, in a table for so many.
pub fn sized(capacity: usize, keys: &[u64]) -> Arc<Map> {
    let map = map(keys);
    map.reserve(capacity - keys.len());
    map
}

pub fn insert(map: &Map, key: u64, id: usize) -> bool {
    map.try_insert(key, Item::new(id), &Eager::pin()).is_ok()
}

pub fn put(map: &Map, key: u64, id: usize) -> Option<usize> {
    map.insert(key, Item::new(id), &Eager::pin()).map(|item| item.0)
}

pub fn get(map: &Map, key: u64) -> Option<usize> {
    map.get(&key, &Eager::pin()).map(|item| item.0)
}

pub fn remove(map: &Map, key: u64) -> Option<usize> {
    map.remove(&key, &Eager::pin()).map(|item| item.0)
}

pub fn update(map: &Map, key: u64) -> Option<usize> {
    map.update(key, |item| Item::new(item.0 + 100), &Eager::pin()).map(|item| item.0)
}

pub fn keys(map: &Map) -> Vec<u64> {
    let mut keys: Vec<_> = map.keys(&Eager::pin()).copied().collect();
    keys.sort_unstable();
    keys
}

/// What is in the map in the end, found both ways.
pub fn assert_holds(map: &Map, expected: &[u64]) {
    assert_eq!(keys(map), expected);
    assert!(expected.iter().all(|&key| get(map, key).is_some()));
    assert_eq!(map.len(), expected.len());
}
