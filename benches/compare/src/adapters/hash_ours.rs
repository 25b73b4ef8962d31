//! latchfree's hash maps.

use super::hash::HashHandle;
use super::map::{Handle, Map};
use crate::keys::{Hasher, Key};

/// Pins in every operation.
pub struct Ours<K>(latchfree::HashMap<K, u64, Hasher>);

impl<K: Key> Map<K> for Ours<K> {
    type Handle<'a> = &'a Self;

    fn new(capacity: usize) -> Self {
        Ours(latchfree::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
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

impl<K: Key> HashHandle<K> for &Ours<K> {
    #[inline(always)]
    fn add(&mut self, key: &K, by: u64) {
        self.0.pin().update_ref(key, |value| value + by);
    }

    fn visit(&mut self, mut each: impl FnMut(u64)) {
        self.0.pin().values().for_each(|&value| each(value));
    }

    #[inline(always)]
    fn get_many(&mut self, keys: &[K]) -> u64 {
        let mut sum = 0;
        self.0.pin().get_many_with(keys, |_, value| sum += value.unwrap_or(&0));
        sum
    }
}

/// Holds one guard.
pub struct OursPinned<K>(latchfree::HashMap<K, u64, Hasher>);

pub struct OursHandle<'a, K>(latchfree::hash_map::HashMapRef<'a, K, u64, Hasher>);

impl<K: Key> Map<K> for OursPinned<K> {
    type Handle<'a> = OursHandle<'a, K>;

    fn new(capacity: usize) -> Self {
        OursPinned(latchfree::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> OursHandle<'_, K> {
        OursHandle(self.0.pin())
    }
}

impl<K: Key> Handle<K> for OursHandle<'_, K> {
    fn refresh(&mut self) {
        self.0.repin();
    }

    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.0.get(key).copied()
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.0.insert(key, value);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }
}

/// Entries in the table itself, for words only; pins in every operation.
pub struct Copied(latchfree::CopyMap<u64, u64, Hasher>);

impl Map<u64> for Copied {
    type Handle<'a> = &'a Self;

    fn new(capacity: usize) -> Self {
        Copied(latchfree::CopyMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl Handle<u64> for &Copied {
    #[inline(always)]
    fn get(&mut self, key: &u64) -> Option<u64> {
        self.0.get(key)
    }

    #[inline(always)]
    fn insert(&mut self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    #[inline(always)]
    fn remove(&mut self, key: &u64) -> bool {
        self.0.remove(key).is_some()
    }
}

impl HashHandle<u64> for &Copied {
    #[inline(always)]
    fn add(&mut self, key: &u64, by: u64) {
        // Present, as the trait says.
        let _ = self.0.fetch_update(key, |value| Some(value + by));
    }

    fn visit(&mut self, each: impl FnMut(u64)) {
        self.0.values().for_each(each);
    }

    #[inline(always)]
    fn get_many(&mut self, keys: &[u64]) -> u64 {
        let mut sum = 0;
        self.0.get_many_with(keys, |_, value| sum += value.unwrap_or(0));
        sum
    }
}
