//! The same operations of other crates, and of what std offers.

use std::collections::{BTreeMap, HashMap, VecDeque};

use concurrent_queue::ConcurrentQueue;
use crossbeam_queue::{ArrayQueue, SegQueue};
use crossbeam_skiplist::SkipMap;
use rustc_hash::FxBuildHasher;

use crate::List;
use crate::shapes::{CAPACITY, Map, OrderedMap, Pile, add_map, add_ordered_map, add_pile, add_unbounded};

/// `$name(value)` with the three functions of a [`Pile`].
macro_rules! pile {
    ($name:ident($type:ty) = $new:expr; |$self:ident, $value:ident| $push:expr; $pop:expr) => {
        struct $name($type);
        impl Pile for $name {
            fn new() -> Self {
                Self($new)
            }
            #[inline(always)]
            fn push(&self, $value: u64) {
                let $self = &self.0;
                let _ = $push;
            }
            #[inline(always)]
            fn pop(&self) -> Option<u64> {
                let $self = &self.0;
                $pop
            }
        }
    };
}

pile!(Seg(SegQueue<u64>) = SegQueue::new(); |q, value| q.push(value); q.pop());
pile!(Array(ArrayQueue<u64>) = ArrayQueue::new(CAPACITY); |q, value| q.push(value); q.pop());
pile!(Concurrent(ConcurrentQueue<u64>) = ConcurrentQueue::unbounded(); |q, value| q.push(value); q.pop().ok());
pile!(Bounded(ConcurrentQueue<u64>) = ConcurrentQueue::bounded(CAPACITY); |q, value| q.push(value); q.pop().ok());
pile!(SddQueue(sdd::Queue<u64>) = Default::default(); |q, value| q.push(value); q.pop().map(|entry| **entry));
pile!(SddStack(sdd::Stack<u64>) = Default::default(); |s, value| s.push(value); s.pop().map(|entry| **entry));
pile!(Kanal((kanal::Sender<u64>, kanal::Receiver<u64>)) = kanal::unbounded();
    |q, value| q.0.send(value); q.1.try_recv().ok().flatten());
pile!(ParkingLotDeque(parking_lot::Mutex<VecDeque<u64>>) = Default::default();
    |m, value| m.lock().push_back(value); m.lock().pop_front());
pile!(StdDeque(std::sync::Mutex<VecDeque<u64>>) = Default::default();
    |m, value| m.lock().unwrap().push_back(value); m.lock().unwrap().pop_front());
pile!(ParkingLotVec(parking_lot::Mutex<Vec<u64>>) = Default::default();
    |m, value| m.lock().push(value); m.lock().pop());
pile!(StdVec(std::sync::Mutex<Vec<u64>>) = Default::default();
    |m, value| m.lock().unwrap().push(value); m.lock().unwrap().pop());

/// `$name(value)` with the functions of a [`Map`], and of an [`OrderedMap`] where there is one more.
macro_rules! map {
    ($name:ident($type:ty); |$self:ident, $key:ident, $value:ident|
     $get:expr; $insert:expr; $remove:expr $(; $pop_first:expr)?) => {
        struct $name($type);
        impl Map for $name {
            fn new() -> Self {
                Self(Default::default())
            }
            #[inline(always)]
            fn get(&self, $key: u64) -> Option<u64> {
                let $self = &self.0;
                $get
            }
            #[inline(always)]
            fn insert(&self, $key: u64, $value: u64) -> bool {
                let $self = &self.0;
                $insert
            }
            #[inline(always)]
            fn remove(&self, $key: u64) -> Option<u64> {
                let $self = &self.0;
                $remove
            }
        }
        $(impl OrderedMap for $name {
            #[inline(always)]
            fn pop_first(&self) -> Option<u64> {
                let $self = &self.0;
                $pop_first
            }
        })?
    };
}

map!(Papaya(papaya::HashMap<u64, u64, FxBuildHasher>); |m, key, value|
    m.pin().get(&key).copied(); m.pin().insert(key, value).is_none(); m.pin().remove(&key).copied());
map!(Dash(dashmap::DashMap<u64, u64, FxBuildHasher>); |m, key, value|
    m.get(&key).map(|entry| *entry); m.insert(key, value).is_none(); m.remove(&key).map(|(_, value)| value));
map!(SccMap(scc::HashMap<u64, u64, FxBuildHasher>); |m, key, value|
    m.read_sync(&key, |_, value| *value); m.upsert_sync(key, value).is_none();
    m.remove_sync(&key).map(|(_, value)| value));
map!(SccIndex(scc::HashIndex<u64, u64, FxBuildHasher>); |m, key, value|
    m.peek_with(&key, |_, value| *value);
    match m.entry_sync(key) {
        scc::hash_index::Entry::Occupied(mut entry) => { entry.update(value); false }
        scc::hash_index::Entry::Vacant(entry) => { entry.insert_entry(value); true }
    };
    // It does not give back what it removes.
    m.remove_sync(&key).then_some(key));
map!(ParkingLotMap(parking_lot::Mutex<HashMap<u64, u64, FxBuildHasher>>); |m, key, value|
    m.lock().get(&key).copied(); m.lock().insert(key, value).is_none(); m.lock().remove(&key));
map!(ParkingLotRwMap(parking_lot::RwLock<HashMap<u64, u64, FxBuildHasher>>); |m, key, value|
    m.read().get(&key).copied(); m.write().insert(key, value).is_none(); m.write().remove(&key));
map!(StdMap(std::sync::Mutex<HashMap<u64, u64, FxBuildHasher>>); |m, key, value|
    m.lock().unwrap().get(&key).copied(); m.lock().unwrap().insert(key, value).is_none();
    m.lock().unwrap().remove(&key));

map!(Skip(SkipMap<u64, u64>); |m, key, value|
    m.get(&key).map(|entry| *entry.value()); { m.insert(key, value); true };
    m.remove(&key).map(|entry| *entry.value()); m.pop_front().map(|entry| *entry.value()));
map!(SccTree(scc::TreeIndex<u64, u64>); |m, key, value|
m.peek_with(&key, |_, value| *value);
// It does not replace in one step.
m.insert_sync(key, value).is_ok() || { m.remove_sync(&key); m.insert_sync(key, value).is_ok() };
m.remove_sync(&key).then_some(key);
{
    let guard = sdd::Guard::new();
    loop {
        let (&key, &value) = m.iter(&guard).next()?;
        if m.remove_sync(&key) {
            break Some(value);
        }
    }
});
map!(ParkingLotTree(parking_lot::Mutex<BTreeMap<u64, u64>>); |m, key, value|
    m.lock().get(&key).copied(); m.lock().insert(key, value).is_none(); m.lock().remove(&key);
    m.lock().pop_first().map(|(_, value)| value));
map!(ParkingLotRwTree(parking_lot::RwLock<BTreeMap<u64, u64>>); |m, key, value|
    m.read().get(&key).copied(); m.write().insert(key, value).is_none(); m.write().remove(&key);
    m.write().pop_first().map(|(_, value)| value));

pub fn add(list: &mut List) {
    list.add("guard", "pin + unpin", "crossbeam-epoch", |run| {
        run.of((), |(), _| drop(crossbeam_epoch::pin()))
    });
    list.add("guard", "pin + unpin", "sdd", |run| run.of((), |(), _| drop(sdd::Guard::new())));
    list.add("guard", "pin + unpin", "papaya (seize)", |run| {
        run.of(papaya::HashMap::<u64, u64>::new(), |map, _| drop(map.guard()));
    });

    add_unbounded::<Seg>(list, "queue", "crossbeam SegQueue");
    add_unbounded::<Concurrent>(list, "queue", "concurrent-queue");
    add_unbounded::<SddQueue>(list, "queue", "sdd Queue");
    add_unbounded::<Kanal>(list, "queue", "kanal");
    add_unbounded::<ParkingLotDeque>(list, "queue", "parking_lot Mutex<VecDeque>");
    add_unbounded::<StdDeque>(list, "queue", "std Mutex<VecDeque>");

    add_pile::<Array>(list, "bounded queue", "crossbeam ArrayQueue");
    add_pile::<Bounded>(list, "bounded queue", "concurrent-queue");
    add_pile::<ParkingLotDeque>(list, "bounded queue", "parking_lot Mutex<VecDeque>");

    add_unbounded::<SddStack>(list, "stack", "sdd Stack");
    add_unbounded::<ParkingLotVec>(list, "stack", "parking_lot Mutex<Vec>");
    add_unbounded::<StdVec>(list, "stack", "std Mutex<Vec>");

    add_map::<Papaya>(list, "hash map", "papaya");
    add_map::<Dash>(list, "hash map", "dashmap");
    add_map::<SccMap>(list, "hash map", "scc HashMap");
    add_map::<SccIndex>(list, "hash map", "scc HashIndex");
    add_map::<ParkingLotMap>(list, "hash map", "parking_lot Mutex<HashMap>");
    add_map::<ParkingLotRwMap>(list, "hash map", "parking_lot RwLock<HashMap>");
    add_map::<StdMap>(list, "hash map", "std Mutex<HashMap>");

    add_ordered_map::<Skip>(list, "ordered map", "crossbeam SkipMap");
    add_ordered_map::<SccTree>(list, "ordered map", "scc TreeIndex");
    add_ordered_map::<ParkingLotTree>(list, "ordered map", "parking_lot Mutex<BTreeMap>");
    add_ordered_map::<ParkingLotRwTree>(list, "ordered map", "parking_lot RwLock<BTreeMap>");
}
