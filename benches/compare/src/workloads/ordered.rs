//! Workloads on ordered maps. `benches/README.md` says why each is here.

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::sync;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_skiplist::SkipMap;
use hdrhistogram::Histogram;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus as Generator;
use scc::TreeIndex;

use super::map::{self, GROWN, Points, STRIDE, Threads, Workload};
use crate::adapters::map::{Handle, Map, Unshared};
use crate::adapters::ordered::{Concurrent, Locked, Mass, OrderedHandle};
use crate::adapters::ordered_ours::Ours;
use crate::keys::{Key, Numbers, Spread, U64, chance, generator};
use crate::measure::{self, Done, Padded, Pass, Sample, clocked};
use crate::plan::{Cell, Kind, Role, Row, Scope};
use crate::stats;

/// Entries of a scan.
const SCAN: usize = 100;
/// Timers due that are taken at once.
const BATCH: usize = 64;

#[derive(Clone, Copy)]
enum Does {
    Points(Points),
    /// Scans in a map of a million entries, with so many percent of single writes between them.
    Scans(u64),
    Grow {
        ascending: bool,
    },
    Timers,
    Memory,
}

const fn workload(name: &'static str, does: Does, about: &'static str) -> Workload<Does> {
    let (words, texts) = (Threads::NONE, Threads::NONE);
    Workload { name, does, about, unit: "ns/operation", latency: false, words, texts }
}

const K: u64 = 1_000;
const M: u64 = 1_000_000;
const HALF: &str = "Look-ups of single keys, half of which are present.";
const MIXED_90: &str = "90 % look-ups, 5 % insertions, 5 % removals, out of twice as many keys as entries.";
const MIXED_50: &str = "50 % look-ups, 25 % insertions, 25 % removals, out of twice as many keys as entries.";

/// Those that share a filled map stand together.
#[rustfmt::skip]
const WORKLOADS: &[Workload<Does>] = &[
    Workload { words: Threads::ONE_TWO, texts: Threads::ONE, ..workload("read-1k", Does::Points(Points::uniform(K, 100)), HALF) },
    workload("read90-1k", Does::Points(Points::uniform(K, 90)), MIXED_90),
    Workload { words: Threads::ENDS, latency: true, ..workload("read50-1k", Does::Points(Points::uniform(K, 50)), MIXED_50) },
    Workload { words: Threads::EVERY, texts: Threads::TWO, ..workload("read-1m", Does::Points(Points::uniform(M, 100)), HALF) },
    Workload { words: Threads::ONE_TWO, ..workload("scan100", Does::Scans(0),
        "Scans of 100 entries from a random key on, in a map of a million entries.") },
    Workload { words: Threads::TWO, ..workload("read90-1m", Does::Points(Points::uniform(M, 90)), MIXED_90) },
    Workload { words: Threads::ENDS, texts: Threads::TWO, ..workload("read50-1m", Does::Points(Points::uniform(M, 50)), MIXED_50) },
    Workload { words: Threads::TWO_MOST, ..workload("scan100-writes20", Does::Scans(20),
        "80 % scans of 100 entries, 10 % insertions, 10 % removals, in a map of a million entries.") },
    Workload { words: Threads::ONE_TWO, unit: "ns/insertion", ..workload("grow", Does::Grow { ascending: false },
        "From empty to 2^18 entries in no order, by all threads together.") },
    Workload { words: Threads::ONE_TWO, unit: "ns/insertion", ..workload("grow-ascending", Does::Grow { ascending: true },
        "From empty to 2^18 entries in ascending order, by all threads together.") },
    Workload { words: Threads::EVERY, latency: true, unit: "ns/timer", ..workload("timers", Does::Timers,
        "Each thread sets timers, and cancels 95 % of them long before they are due; the first thread also takes what \
         is due, in batches of up to 64. Latencies are of setting and cancelling.") },
    Workload { unit: "bytes/element", ..workload("memory", Does::Memory,
        "Bytes from a counting allocator, in a fresh process for each row: the mean over sizes from 2^18 to 2^19, \
         what is kept when all is removed, and the peak of two threads that insert and remove.") },
];

type StdMutex<K> = Locked<K, sync::Mutex<BTreeMap<K, u64>>>;
type StdRwLock<K> = Locked<K, sync::RwLock<BTreeMap<K, u64>>>;
type ParkingMutex<K> = Locked<K, parking_lot::Mutex<BTreeMap<K, u64>>>;
type ParkingRwLock<K> = Locked<K, parking_lot::RwLock<BTreeMap<K, u64>>>;
type Bare<K> = Locked<K, Unshared<BTreeMap<K, u64>>>;
type Skip<K> = SkipMap<K, u64>;
type Tree<K> = TreeIndex<K, u64>;
type Fern<K> = ferntree::Tree<K, u64>;

/// A row over both types of keys.
macro_rules! row {
    ($name:literal, $role:ident, $note:literal, $map:ident, $supports:expr) => {
        Row {
            name: $name,
            role: Role::$role,
            note: $note,
            supports: $supports,
            run: |cell, pass| match cell.value {
                U64 => run::<$map<u64>, u64>(cell, pass),
                _ => run::<$map<String>, String>(cell, pass),
            },
        }
    };
    ($name:literal, $role:ident, $note:literal, $map:ident) => {
        row!($name, $role, $note, $map, |_| true)
    };
}

pub fn kind() -> Kind {
    Kind {
        name: "ordered",
        about: "Ordered maps from keys to words.",
        rows: vec![
            row!("latchfree::OrderedMap", Ours, "", Ours),
            row!("crossbeam SkipMap", Peer, "", Skip),
            row!("scc TreeIndex", Peer, "splits lock", Tree),
            row!("concurrent-map", Peer, "through a clone per thread", Concurrent),
            row!("masstree", Peer, "keys are bytes; writes lock a leaf", Mass),
            row!("ferntree", Peer, "writes lock a leaf; reads retry beside them", Fern),
            row!("std RwLock<BTreeMap>", Peer, "baseline", StdRwLock),
            row!("std Mutex<BTreeMap>", Peer, "baseline", StdMutex),
            row!("parking_lot RwLock<BTreeMap>", Peer, "baseline", ParkingRwLock),
            row!("parking_lot Mutex<BTreeMap>", Peer, "baseline", ParkingMutex),
            row!("unshared BTreeMap", Limit, "no sharing: one thread only", Bare, |cell| {
                cell.threads == 1 && cell.timed
            }),
        ],
        cells,
        about_workload: |name| find(name).about,
    }
}

fn find(name: &str) -> &'static Workload<Does> {
    WORKLOADS.iter().find(|workload| workload.name == name).expect("cells are made from this table")
}

fn cells(scope: &Scope) -> Vec<Cell> {
    map::cells("ordered", WORKLOADS, scope, |_| 1)
}

fn run<M: Map<K>, K: Key>(cell: &Cell, pass: Pass) -> Sample
where
    for<'a> M::Handle<'a>: OrderedHandle<K>,
{
    let threads = cell.threads;
    match (find(cell.workload).does, pass) {
        (Does::Memory, _) => map::memory::<M, K>(),
        (Does::Points(points), _) => points.run::<M, K>(threads, pass),
        (Does::Grow { ascending }, _) => map::grow::<M, K>(GROWN, ascending, threads, pass),
        (Does::Scans(writes), Pass::Time(budget)) => scans::<M, K>(writes, threads, budget),
        (Does::Timers, Pass::Time(budget)) => timers::<M, K>(threads, budget, false),
        (Does::Timers, Pass::Latency(budget)) => timers::<M, K>(threads, budget, true),
        _ => Sample::default(),
    }
}

fn scans<M: Map<K>, K: Key>(writes: u64, threads: usize, budget: Duration) -> Sample
where
    for<'a> M::Handle<'a>: OrderedHandle<K>,
{
    let filled = map::filled::<M, K>(self::M, writes > 0);
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, clock| {
            let mut map = filled.map.handle();
            let mut numbers = Numbers::new(Spread::Uniform, 0, 2 * self::M, id);
            let mut dice = generator(threads + id);
            let mut key = K::MIN;
            let mut ops = 0;
            while !clock.stopped() {
                map.refresh();
                for _ in 0..STRIDE / 8 {
                    let number = numbers.draw();
                    key.scatter(number);
                    if !chance(&mut dice, writes) {
                        black_box(map.scan(&key, SCAN));
                    } else if dice.random() {
                        map.insert(key.clone(), number);
                    } else {
                        black_box(map.remove(&key));
                    }
                    ops += 1;
                }
            }
            Done::ops(ops)
        },
    )
}

/// A thread that sets timers and cancels most of them. Time is counted in timers set, so that all maps
/// do the same however fast they are.
struct Setter {
    id: u64,
    generator: Generator,
    tick: u64,
    /// Those that will be cancelled: when they were set, and their numbers.
    open: VecDeque<(u64, u64)>,
}

impl Setter {
    /// Ticks until a timer is cancelled; the least and the most until it is due.
    const PATIENCE: u64 = 1 << 14;
    const DELAYS: std::ops::Range<u64> = 1 << 15..1 << 16;

    fn new(id: usize) -> Self {
        Setter { id: id as u64, generator: generator(id), tick: 0, open: VecDeque::new() }
    }

    /// In the order in which they are due, and no two alike: the tick tells a thread's own apart.
    fn number(&self, due: u64) -> u64 {
        due << 32 | self.id << 24 | (self.tick & 0xff_ffff)
    }

    fn set<K: Key>(&mut self, map: &mut dyn Handle<K>, key: &mut K, latency: &mut Option<Histogram<u64>>) {
        let due = self.tick + self.generator.random_range(Self::DELAYS);
        let number = self.number(due);
        let timer = K::ascending(number);
        match latency {
            Some(latency) => clocked(latency, || map.insert(timer, number)),
            None => map.insert(timer, number),
        }
        if chance(&mut self.generator, 95) {
            self.open.push_back((self.tick, number));
        }
        self.tick += 1;
        if let Some((_, number)) = self.open.pop_front_if(|open| open.0 + Self::PATIENCE <= self.tick) {
            key.ascend(number);
            match latency {
                Some(latency) => black_box(clocked(latency, || map.remove(key))),
                None => black_box(map.remove(key)),
            };
        }
    }
}

fn timers<M: Map<K>, K: Key>(threads: usize, budget: Duration, clock_each: bool) -> Sample
where
    for<'a> M::Handle<'a>: OrderedHandle<K>,
{
    let map = M::new(0);
    let ticks: Vec<Padded<AtomicU64>> = (0..threads).map(|_| Padded::default()).collect();
    let ready = |id| {
        let mut setter = Setter::new(id);
        let (mut map, mut key) = (map.handle(), K::MIN);
        (0..Setter::PATIENCE).for_each(|_| setter.set(&mut map, &mut key, &mut None));
        Mutex::new(setter)
    };
    let setters: Vec<Mutex<Setter>> = (0..threads).map(ready).collect();
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, clock| {
            let mut setter = setters[id].lock().expect("never poisoned");
            let mut map = map.handle();
            let mut latency = clock_each.then(stats::histogram);
            let (mut key, mut last) = (K::MIN, K::MIN);
            while !clock.stopped() {
                map.refresh();
                for _ in 0..STRIDE {
                    setter.set(&mut map, &mut key, &mut latency);
                }
                ticks[id].0.store(setter.tick, Relaxed);
                if id == 0 {
                    // As late as the slowest: nothing falls due before its thread would cancel it.
                    let now = ticks.iter().map(|tick| tick.0.load(Relaxed)).min().unwrap_or(0);
                    last.ascend(now << 32);
                    expire(&mut map, &last);
                }
            }
            Done { ops: setter.tick - Setter::PATIENCE, latency }
        },
    )
}

/// Takes what is due, batch after batch; the number of timers taken.
fn expire<K: Key>(map: &mut impl OrderedHandle<K>, last: &K) -> usize {
    let mut taken = 0;
    loop {
        let before = taken;
        map.pop_through(last, BATCH, |value| {
            black_box(value);
            taken += 1;
        });
        if taken - before < BATCH {
            return taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_cancelled_or_fall_due() {
        let map = <StdMutex<u64> as Map<u64>>::new(0);
        let (mut map, mut key) = (map.handle(), 0);
        let mut setter = Setter::new(3);
        let mut taken = 0;
        for _ in 0..200_000 / STRIDE {
            (0..STRIDE).for_each(|_| setter.set(&mut map, &mut key, &mut None));
            taken += expire(&mut map, &(setter.tick << 32));
        }
        assert!(setter.open.iter().all(|(_, number)| map.get(number).is_some()));
        let of_set = taken as f64 / setter.tick as f64;
        assert!((0.03..0.05).contains(&of_set), "{of_set}");
    }
}
