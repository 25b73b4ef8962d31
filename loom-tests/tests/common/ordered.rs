//! What the models of the ordered map share.

use std::sync::Arc;

use latchfree_loom::OrderedMap;
use latchfree_loom::reclaim::Reclaim;

use super::Item;
use super::eager::Eager;

pub type Items = OrderedMap<u8, Item, Eager>;

/// Of keys in order, each with a value of the same number, in leaves of two.
pub fn map(keys: &[u8]) -> Arc<Items> {
    let last = (keys.len() % 2 == 1).then_some(u8::MAX);
    let map: Items = keys.iter().copied().chain(last).map(|key| (key, Item::new(key.into()))).collect();
    if let Some(last) = last {
        map.remove(&last, &Eager::pin());
    }
    Arc::new(map)
}

pub fn insert(map: &Items, key: u8) {
    map.insert(key, Item::new(key.into()), &Eager::pin());
}
