//! What the models of the ordered map share.

use std::sync::Arc;

use latchfree_loom::OrderedMap;
use latchfree_loom::reclaim::Reclaim;

use super::Item;
use super::eager::Eager;

pub type Items = OrderedMap<u8, Item, Eager>;

/// Of keys, each with a value of the same number.
pub fn map(keys: &[u8]) -> Arc<Items> {
    let map = Items::default();
    keys.iter().for_each(|&key| insert(&map, key));
    Arc::new(map)
}

pub fn insert(map: &Items, key: u8) {
    map.insert(key, Item::new(key.into()), &Eager::pin());
}
