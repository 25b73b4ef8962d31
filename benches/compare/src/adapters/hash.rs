//! Hash maps.

use std::collections::HashMap;
use std::marker::PhantomData;

use papaya::Guard as _;
use scc::hash_index::Entry;

use super::map::{Handle, Lock, Map};
use crate::keys::{Hasher, Key};

/// What hash maps are asked for besides.
pub trait HashHandle<K>: Handle<K> {
    /// Adds to the value of a present key, atomically.
    fn add(&mut self, key: &K, by: u64);

    /// Shows every value once, more or less: maps differ in what they promise beside writers.
    fn visit(&mut self, each: impl FnMut(u64));

    /// The sum of the values of those keys that are present; a loop where a map has no batches.
    #[inline(always)]
    fn get_many(&mut self, keys: &[K]) -> u64 {
        keys.iter().filter_map(|key| self.get(key)).sum()
    }
}

/// Pins in every operation.
pub struct Papaya<K>(papaya::HashMap<K, u64, Hasher>);

impl<K: Key> Map<K> for Papaya<K> {
    type Handle<'a> = &'a Self;

    fn new(capacity: usize) -> Self {
        Papaya(papaya::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K: Key> Handle<K> for &Papaya<K> {
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

impl<K: Key> HashHandle<K> for &Papaya<K> {
    #[inline(always)]
    fn add(&mut self, key: &K, by: u64) {
        self.0.pin().update(key.clone(), |value| value + by);
    }

    fn visit(&mut self, mut each: impl FnMut(u64)) {
        self.0.pin().iter().for_each(|(_, &value)| each(value));
    }
}

pub struct PapayaPinned<K>(papaya::HashMap<K, u64, Hasher>);

pub struct PapayaHandle<'a, K> {
    map: &'a papaya::HashMap<K, u64, Hasher>,
    guard: papaya::LocalGuard<'a>,
}

impl<K: Key> Map<K> for PapayaPinned<K> {
    type Handle<'a> = PapayaHandle<'a, K>;

    fn new(capacity: usize) -> Self {
        PapayaPinned(papaya::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> PapayaHandle<'_, K> {
        PapayaHandle { map: &self.0, guard: self.0.guard() }
    }
}

impl<K: Key> Handle<K> for PapayaHandle<'_, K> {
    fn refresh(&mut self) {
        self.guard.refresh();
    }

    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.map.get(key, &self.guard).copied()
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.map.insert(key, value, &self.guard);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.map.remove(key, &self.guard).is_some()
    }
}

/// Reads under a bucket's lock.
pub struct SccMap<K: Key>(scc::HashMap<K, u64, Hasher>);

impl<K: Key> Map<K> for SccMap<K> {
    type Handle<'a> = &'a Self;

    fn new(capacity: usize) -> Self {
        SccMap(scc::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K: Key> Handle<K> for &SccMap<K> {
    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.0.read_sync(key, |_, &value| value)
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.0.upsert_sync(key, value);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.0.remove_sync(key).is_some()
    }
}

impl<K: Key> HashHandle<K> for &SccMap<K> {
    #[inline(always)]
    fn add(&mut self, key: &K, by: u64) {
        self.0.update_sync(key, |_, value| *value += by);
    }

    fn visit(&mut self, mut each: impl FnMut(u64)) {
        self.0.iter_sync(|_, &value| {
            each(value);
            true
        });
    }
}

/// Reads without locks; pins in every operation.
pub struct SccIndex<K: Key>(scc::HashIndex<K, u64, Hasher>);

impl<K: Key> SccIndex<K> {
    #[inline(always)]
    fn upsert(&self, key: K, value: u64) {
        match self.0.entry_sync(key) {
            Entry::Vacant(entry) => drop(entry.insert_entry(value)),
            Entry::Occupied(mut entry) => entry.update(value),
        }
    }
}

impl<K: Key> Map<K> for SccIndex<K> {
    type Handle<'a> = &'a Self;

    fn new(capacity: usize) -> Self {
        SccIndex(scc::HashIndex::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K: Key> Handle<K> for &SccIndex<K> {
    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.0.peek_with(key, |_, &value| value)
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.upsert(key, value);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.0.remove_sync(key)
    }
}

impl<K: Key> HashHandle<K> for &SccIndex<K> {
    #[inline(always)]
    fn add(&mut self, key: &K, by: u64) {
        if let Entry::Occupied(mut entry) = self.0.entry_sync(key.clone()) {
            let value = *entry.get();
            entry.update(value + by);
        }
    }

    fn visit(&mut self, mut each: impl FnMut(u64)) {
        self.0.iter(&scc::Guard::new()).for_each(|(_, &value)| each(value));
    }
}

pub struct SccIndexPinned<K: Key>(SccIndex<K>);

pub struct SccIndexHandle<'a, K: Key> {
    index: &'a SccIndex<K>,
    guard: Option<scc::Guard>,
}

impl<K: Key> Map<K> for SccIndexPinned<K> {
    type Handle<'a> = SccIndexHandle<'a, K>;

    fn new(capacity: usize) -> Self {
        SccIndexPinned(SccIndex::new(capacity))
    }

    fn handle(&self) -> SccIndexHandle<'_, K> {
        SccIndexHandle { index: &self.0, guard: Some(scc::Guard::new()) }
    }
}

impl<K: Key> Handle<K> for SccIndexHandle<'_, K> {
    fn refresh(&mut self) {
        // The old one first: guards nest.
        self.guard = None;
        self.guard = Some(scc::Guard::new());
    }

    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.index.0.peek(key, self.guard.as_ref()?).copied()
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.index.upsert(key, value);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.index.0.remove_sync(key)
    }
}

pub struct Dash<K>(dashmap::DashMap<K, u64, Hasher>);

impl<K: Key> Map<K> for Dash<K> {
    type Handle<'a> = &'a Self;

    fn new(capacity: usize) -> Self {
        Dash(dashmap::DashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K: Key> Handle<K> for &Dash<K> {
    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.0.get(key).map(|entry| *entry)
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

impl<K: Key> HashHandle<K> for &Dash<K> {
    #[inline(always)]
    fn add(&mut self, key: &K, by: u64) {
        if let Some(mut entry) = self.0.get_mut(key) {
            *entry += by;
        }
    }

    fn visit(&mut self, mut each: impl FnMut(u64)) {
        self.0.iter().for_each(|entry| each(*entry));
    }
}

/// Pins in every operation.
pub struct Flurry<K: 'static>(flurry::HashMap<K, u64, Hasher>);

impl<K: Key> Map<K> for Flurry<K> {
    type Handle<'a> = &'a Self;

    fn new(capacity: usize) -> Self {
        Flurry(flurry::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K: Key> Handle<K> for &Flurry<K> {
    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.0.get(key, &self.0.guard()).copied()
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.0.insert(key, value, &self.0.guard());
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key, &self.0.guard()).is_some()
    }
}

impl<K: Key> HashHandle<K> for &Flurry<K> {
    #[inline(always)]
    fn add(&mut self, key: &K, by: u64) {
        self.0.compute_if_present(key, |_, value| Some(value + by), &self.0.guard());
    }

    fn visit(&mut self, mut each: impl FnMut(u64)) {
        self.0.iter(&self.0.guard()).for_each(|(_, &value)| each(value));
    }
}

pub struct FlurryPinned<K: 'static>(flurry::HashMap<K, u64, Hasher>);

pub struct FlurryHandle<'a, K: 'static> {
    map: &'a flurry::HashMap<K, u64, Hasher>,
    guard: flurry::Guard<'a>,
}

impl<K: Key> Map<K> for FlurryPinned<K> {
    type Handle<'a> = FlurryHandle<'a, K>;

    fn new(capacity: usize) -> Self {
        FlurryPinned(flurry::HashMap::with_capacity_and_hasher(capacity, Hasher::default()))
    }

    fn handle(&self) -> FlurryHandle<'_, K> {
        FlurryHandle { map: &self.0, guard: self.0.guard() }
    }
}

impl<K: Key> Handle<K> for FlurryHandle<'_, K> {
    fn refresh(&mut self) {
        self.guard.refresh();
    }

    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.map.get(key, &self.guard).copied()
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.map.insert(key, value, &self.guard);
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.map.remove(key, &self.guard).is_some()
    }
}

/// The baselines, and the limit that has no lock: std's map, which is hashbrown, behind `L`.
pub struct Locked<K, L>(L, PhantomData<fn(K)>);

impl<K: Key, L: Lock<HashMap<K, u64, Hasher>>> Map<K> for Locked<K, L> {
    type Handle<'a> = &'a Self;

    fn new(capacity: usize) -> Self {
        Locked(L::new(HashMap::with_capacity_and_hasher(capacity, Hasher::default())), PhantomData)
    }

    fn handle(&self) -> &Self {
        self
    }
}

impl<K: Key, L: Lock<HashMap<K, u64, Hasher>>> Handle<K> for &Locked<K, L> {
    #[inline(always)]
    fn get(&mut self, key: &K) -> Option<u64> {
        self.0.read(|map| map.get(key).copied())
    }

    #[inline(always)]
    fn insert(&mut self, key: K, value: u64) {
        self.0.write(|map| map.insert(key, value));
    }

    #[inline(always)]
    fn remove(&mut self, key: &K) -> bool {
        self.0.write(|map| map.remove(key).is_some())
    }
}

impl<K: Key, L: Lock<HashMap<K, u64, Hasher>>> HashHandle<K> for &Locked<K, L> {
    #[inline(always)]
    fn add(&mut self, key: &K, by: u64) {
        self.0.write(|map| {
            if let Some(value) = map.get_mut(key) {
                *value += by;
            }
        });
    }

    fn visit(&mut self, mut each: impl FnMut(u64)) {
        self.0.read(|map| map.values().for_each(|&value| each(value)));
    }

    /// The whole batch under one acquisition.
    #[inline(always)]
    fn get_many(&mut self, keys: &[K]) -> u64 {
        self.0.read(|map| keys.iter().filter_map(|key| map.get(key)).sum())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, RwLock};

    use super::super::hash_ours::{Ours, OursPinned};
    use super::super::map::{Unshared, is_a_map};
    use super::*;

    type Std<K> = HashMap<K, u64, Hasher>;

    fn is_a_hash_map<M: Map<u64>>()
    where
        for<'a> M::Handle<'a>: HashHandle<u64>,
    {
        let map = M::new(0);
        let mut handle = map.handle();
        for number in 0..100 {
            handle.insert(number, number);
            handle.add(&number, 1000);
        }
        handle.add(&100, 1);
        let (mut count, mut sum) = (0, 0);
        handle.visit(|value| (count, sum) = (count + 1, sum + value));
        assert_eq!((count, sum), (100, 100 * 1000 + 99 * 50));
        assert_eq!(handle.get_many(&[1, 100, 2, 200]), 2003);
    }

    #[test]
    fn every_contestant_is_a_map() {
        is_a_map::<u64, Ours<u64>>();
        is_a_map::<u64, OursPinned<u64>>();
        is_a_map::<String, Ours<String>>();
        is_a_map::<u64, Papaya<u64>>();
        is_a_map::<u64, SccMap<u64>>();
        is_a_map::<u64, SccIndex<u64>>();
        is_a_map::<u64, Dash<u64>>();
        is_a_map::<u64, Flurry<u64>>();
        is_a_map::<u64, PapayaPinned<u64>>();
        is_a_map::<u64, SccIndexPinned<u64>>();
        is_a_map::<u64, FlurryPinned<u64>>();
        is_a_map::<u64, Locked<u64, Mutex<Std<u64>>>>();
        is_a_map::<u64, Locked<u64, RwLock<Std<u64>>>>();
        is_a_map::<u64, Locked<u64, parking_lot::Mutex<Std<u64>>>>();
        is_a_map::<u64, Locked<u64, parking_lot::RwLock<Std<u64>>>>();
        is_a_map::<u64, Locked<u64, Unshared<Std<u64>>>>();
        is_a_map::<String, Papaya<String>>();
        is_a_map::<String, SccIndex<String>>();
        is_a_map::<String, Flurry<String>>();
    }

    #[test]
    fn every_contestant_counts_and_shows_all() {
        is_a_hash_map::<Ours<u64>>();
        is_a_hash_map::<Papaya<u64>>();
        is_a_hash_map::<SccMap<u64>>();
        is_a_hash_map::<SccIndex<u64>>();
        is_a_hash_map::<Dash<u64>>();
        is_a_hash_map::<Flurry<u64>>();
        is_a_hash_map::<Locked<u64, Mutex<Std<u64>>>>();
        is_a_hash_map::<Locked<u64, RwLock<Std<u64>>>>();
    }
}
