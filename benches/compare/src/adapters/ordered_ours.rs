//! latchfree's ordered map.

use std::ops::Bound::{Included, Unbounded};

use super::map::{Handle, Map};
use super::ordered::OrderedHandle;
use crate::keys::Key;

/// Pins in every operation.
pub struct Ours<K>(latchfree::OrderedMap<K, u64>);

impl<K: Key> Map<K> for Ours<K> {
    type Handle<'a> = &'a Self;

    fn new(_: usize) -> Self {
        Ours(latchfree::OrderedMap::new())
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K: Key> Handle<K> for &Ours<K> {
    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.0.pin().get(key).copied()
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.0.pin().insert(key, value);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.0.pin().remove(key).is_some()
    }
}

impl<K: Key> OrderedHandle<K> for &Ours<K> {
    fn scan(&mut self, from: &K, count: usize) -> u64 {
        let map = self.0.pin();
        map.range::<K, _>((Included(from), Unbounded)).take(count).map(|(_, value)| value).sum()
    }

    fn pop_through(&mut self, last: &K, max: usize, mut each: impl FnMut(u64)) {
        let map = self.0.pin();
        let mut left = max;
        // A step takes what is due in one leaf.
        while left > 0 {
            let popped =
                map.pop_first_while(left, |key, _| key <= last).map(|(_, &value)| each(value)).count();
            if popped == 0 {
                return;
            }
            left -= popped;
        }
    }
}
