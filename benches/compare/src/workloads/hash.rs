//! Workloads on hash maps. `benches/README.md` says why each is here.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync;
use std::sync::Mutex;
use std::time::Duration;

use rand::RngExt;

use super::map::{self, GROWN, Points, Present, STRIDE, Threads, Workload, shelved};
use crate::adapters::hash::{
    Dash, Flurry, FlurryPinned, HashHandle, Locked, Papaya, PapayaPinned, SccIndex, SccIndexPinned, SccMap,
};
use crate::adapters::hash_ours::{Copied, Ours, OursPinned};
use crate::adapters::map::{Handle, Map, Unshared};
use crate::keys::{Hasher, Key, Numbers, Spread, U64, generator};
use crate::measure::{self, Clock, Done, Pass, Sample, clocked};
use crate::plan::{Cell, Kind, Role, Row, Scope};
use crate::stats;

/// Keys that are looked up at once.
const BATCH: usize = 32;
/// What one thread walks over while others write: the size of a large table of metrics.
const WALKED: u64 = 1 << 16;

#[derive(Clone, Copy)]
enum Does {
    Points(Points),
    /// The same with handles that stay pinned, where a map has them.
    Pinned(Points),
    /// Look-ups in batches, in a map of so many entries.
    Batches(u64),
    Grow(u64),
    Churn,
    Counter,
    /// One thread walks, the others write; counted are the entries walked over.
    Walk,
    /// The same, counting the writes.
    BesideWalk,
    Mix(Mix),
    Memory,
}

/// A mix of conc-map-bench, in percent.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mix {
    gets: u64,
    insertions: u64,
    removals: u64,
    /// What the map is told when it is made: a thirty-second of the original's or less, which needs gigabytes.
    capacity: u64,
    /// Of the capacity.
    prefill: u64,
}

impl Mix {
    const READ_HEAVY: Self = Mix { gets: 98, insertions: 1, removals: 1, capacity: 1 << 20, prefill: 75 };
    const EXCHANGE: Self = Mix { gets: 10, insertions: 40, removals: 40, capacity: 1 << 20, prefill: 75 };
    const RAPID_GROW: Self = Mix { gets: 5, insertions: 80, removals: 5, capacity: 1 << 18, prefill: 0 };

    /// Stays at its size, and goes on with the same map in the next run.
    fn is_steady(self) -> bool {
        self.insertions == self.removals
    }
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
const ZIPF: &str = "Keys by Zipf's law with exponent 0.99; half of the look-ups find theirs.";
const HITS: &str = "Look-ups of keys that are present.";
const MISSES: &str = "Look-ups of keys that are absent.";
const PINNED: &str =
    "Look-ups, half of them hits, pinned once for 256 of them; maps that do not pin run as they are.";
const PINNED_50: &str = "As read50, pinned once for 256 operations; maps that do not pin run as they are.";
const BATCHES: &str = "Look-ups in batches of 32, half of them hits; a loop where a map has no batches.";
const MIX_ABOUT: &str = "A mix of conc-map-bench, its threads on keys of their own; told its capacity.";

/// Those that share a filled map stand together.
#[rustfmt::skip]
const WORKLOADS: &[Workload<Does>] = &[
    Workload { words: Threads::EVERY, texts: Threads::ONE, ..workload("read-1k", Does::Points(Points::uniform(K, 100)), HALF) },
    workload("read-1k-hits", Does::Points(Points::reads(K, Present::All)), HITS),
    workload("read-1k-misses", Does::Points(Points::reads(K, Present::None)), MISSES),
    workload("read-1k-zipf", Does::Points(Points::zipf(K, 100)), ZIPF),
    Workload { words: Threads::ONE_TWO, ..workload("read-1k-pinned", Does::Pinned(Points::uniform(K, 100)), PINNED) },
    workload("get-many-1k", Does::Batches(K), BATCHES),
    Workload { words: Threads::TWO, ..workload("read90-1k", Does::Points(Points::uniform(K, 90)), MIXED_90) },
    workload("read90-1k-zipf", Does::Points(Points::zipf(K, 90)), ZIPF),
    Workload { words: Threads::ENDS, latency: true, ..workload("read50-1k", Does::Points(Points::uniform(K, 50)), MIXED_50) },
    workload("read50-1k-zipf", Does::Points(Points::zipf(K, 50)), ZIPF),
    workload("read50-1k-pinned", Does::Pinned(Points::uniform(K, 50)), PINNED_50),
    Workload { words: Threads::EVERY, texts: Threads::TWO, ..workload("read-1m", Does::Points(Points::uniform(M, 100)), HALF) },
    workload("read-1m-hits", Does::Points(Points::reads(M, Present::All)), HITS),
    workload("read-1m-misses", Does::Points(Points::reads(M, Present::None)), MISSES),
    workload("read-1m-zipf", Does::Points(Points::zipf(M, 100)), ZIPF),
    Workload { words: Threads::ONE, ..workload("read-1m-pinned", Does::Pinned(Points::uniform(M, 100)), PINNED) },
    Workload { words: Threads::ONE, ..workload("get-many-1m", Does::Batches(M), BATCHES) },
    Workload { words: Threads::TWO, ..workload("read90-1m", Does::Points(Points::uniform(M, 90)), MIXED_90) },
    Workload { words: Threads::TWO, ..workload("read90-1m-zipf", Does::Points(Points::zipf(M, 90)), ZIPF) },
    Workload { words: Threads::TWO_MOST, texts: Threads::TWO, ..workload("read50-1m", Does::Points(Points::uniform(M, 50)), MIXED_50) },
    workload("read50-1m-zipf", Does::Points(Points::zipf(M, 50)), ZIPF),
    workload("read50-1m-pinned", Does::Pinned(Points::uniform(M, 50)), PINNED_50),
    Workload { words: Threads::ENDS, latency: true, unit: "ns/insertion", ..workload("grow", Does::Grow(GROWN),
        "From empty to 2^18 entries by all threads together; latencies are of growth to 2^20.") },
    Workload { latency: true, unit: "ns/insertion", ..workload("grow-10m", Does::Grow(10 * M),
        "From empty to ten million entries by all threads together.") },
    Workload { words: Threads::TWO, latency: true, ..workload("churn", Does::Churn,
        "New keys in and the oldest out at 16,384 entries; no key ever comes back.") },
    Workload { words: Threads::ENDS, ..workload("counter", Does::Counter,
        "All threads add to the value of one key.") },
    Workload { words: Threads::ONE_TWO, unit: "ns/entry", ..workload("walk", Does::Walk,
        "One thread walks over 65,536 entries again and again; the others insert and remove.") },
    Workload { words: Threads::TWO, latency: true, unit: "ns/write", ..workload("write-beside-walk", Does::BesideWalk,
        "The writes of the threads that insert and remove while another walks over 65,536 entries.") },
    Workload { words: Threads::TWO, ..workload("mix-read-heavy", Does::Mix(Mix::READ_HEAVY), MIX_ABOUT) },
    Workload { words: Threads::TWO, ..workload("mix-exchange", Does::Mix(Mix::EXCHANGE), MIX_ABOUT) },
    Workload { words: Threads::TWO, ..workload("mix-rapid-grow", Does::Mix(Mix::RAPID_GROW), MIX_ABOUT) },
    Workload { unit: "bytes/element", ..workload("memory", Does::Memory,
        "Bytes from a counting allocator, in a fresh process for each row: the mean over sizes from 2^18 to 2^19, \
         what is kept when all is removed, and the peak of two threads that insert and remove.") },
];

type StdMutex<K> = Locked<K, sync::Mutex<HashMap<K, u64, Hasher>>>;
type StdRwLock<K> = Locked<K, sync::RwLock<HashMap<K, u64, Hasher>>>;
type ParkingMutex<K> = Locked<K, parking_lot::Mutex<HashMap<K, u64, Hasher>>>;
type ParkingRwLock<K> = Locked<K, parking_lot::RwLock<HashMap<K, u64, Hasher>>>;
type Bare<K> = Locked<K, Unshared<HashMap<K, u64, Hasher>>>;

/// A row over both types of keys, with the adapter that stays pinned where there is one.
macro_rules! row {
    ($name:literal, $role:ident, $note:literal, $map:ident / $pinned:ident, $supports:expr) => {
        Row {
            name: $name,
            role: Role::$role,
            note: $note,
            supports: $supports,
            run: |cell, pass| match cell.value {
                U64 => run::<$map<u64>, $pinned<u64>, u64>(cell, pass),
                _ => run::<$map<String>, $pinned<String>, String>(cell, pass),
            },
        }
    };
    ($name:literal, $role:ident, $note:literal, $map:ident / $pinned:ident) => {
        row!($name, $role, $note, $map / $pinned, |_| true)
    };
    ($name:literal, $role:ident, $note:literal, $map:ident) => {
        row!($name, $role, $note, $map / $map, |_| true)
    };
}

pub fn kind() -> Kind {
    Kind {
        name: "hash",
        about: "Hash maps from keys to words; all hash with foldhash's fast fixed hasher.",
        rows: vec![
            row!("latchfree::HashMap", Ours, "", Ours / OursPinned),
            Row {
                name: "latchfree::CopyMap",
                role: Role::Ours,
                note: "keys and values in the table; words only",
                supports: |cell| cell.value == U64,
                run: |cell, pass| run::<Copied, Copied, u64>(cell, pass),
            },
            row!("papaya", Peer, "", Papaya / PapayaPinned),
            row!("scc HashMap", Peer, "reads lock a bucket", SccMap),
            row!("scc HashIndex", Peer, "writes lock a bucket", SccIndex / SccIndexPinned),
            row!("dashmap", Peer, "locks a shard", Dash),
            row!("flurry", Peer, "writes lock a bin", Flurry / FlurryPinned),
            row!("std RwLock<HashMap>", Peer, "baseline", StdRwLock),
            row!("std Mutex<HashMap>", Peer, "baseline", StdMutex),
            row!("parking_lot RwLock<HashMap>", Peer, "baseline", ParkingRwLock),
            row!("parking_lot Mutex<HashMap>", Peer, "baseline", ParkingMutex),
            row!(
                "unshared HashMap",
                Limit,
                "no sharing: one thread only; std's, hashbrown",
                Bare / Bare,
                |cell| { cell.threads == 1 && cell.timed }
            ),
        ],
        cells,
        about_workload: |name| find(name).about,
    }
}

fn find(name: &str) -> &'static Workload<Does> {
    WORKLOADS.iter().find(|workload| workload.name == name).expect("cells are made from this table")
}

fn cells(scope: &Scope) -> Vec<Cell> {
    map::cells("hash", WORKLOADS, scope, |does| if let Does::BesideWalk = does { 2 } else { 1 })
}

fn run<M: Map<K>, P: Map<K>, K: Key>(cell: &Cell, pass: Pass) -> Sample
where
    for<'a> M::Handle<'a>: HashHandle<K>,
{
    let threads = cell.threads;
    match (find(cell.workload).does, pass) {
        (Does::Memory, _) => map::memory::<M, K>(),
        (Does::Points(points), _) => points.run::<M, K>(threads, pass),
        (Does::Pinned(points), _) => points.run::<P, K>(threads, pass),
        (Does::Grow(entries), _) => map::grow::<M, K>(entries, false, threads, pass),
        (Does::Churn, _) => map::churn::<M, K>(threads, pass),
        (Does::Batches(entries), Pass::Time(budget)) => batches::<M, K>(entries, threads, budget),
        (Does::Counter, Pass::Time(budget)) => counter::<M, K>(threads, budget),
        (Does::Walk, Pass::Time(budget)) => walk::<M, K>(threads, budget, true, false),
        (Does::BesideWalk, Pass::Time(budget)) => walk::<M, K>(threads, budget, false, false),
        (Does::BesideWalk, Pass::Latency(budget)) => walk::<M, K>(threads, budget, false, true),
        (Does::Mix(mix), Pass::Time(budget)) => mixed::<M, K>(mix, threads, budget),
        _ => Sample::default(),
    }
}

fn batches<M: Map<K>, K: Key>(entries: u64, threads: usize, budget: Duration) -> Sample
where
    for<'a> M::Handle<'a>: HashHandle<K>,
{
    let filled = map::filled::<M, K>(entries, false);
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, clock| {
            let mut map = filled.map.handle();
            let mut numbers = Numbers::new(Spread::Uniform, 0, 2 * entries, id);
            let mut keys = vec![K::MIN; BATCH];
            let mut ops = 0;
            while !clock.stopped() {
                map.refresh();
                for _ in 0..STRIDE / BATCH as u64 {
                    keys.iter_mut().for_each(|key| key.scatter(numbers.draw()));
                    black_box(map.get_many(&keys));
                }
                ops += STRIDE;
            }
            Done::ops(ops)
        },
    )
}

fn counter<M: Map<K>, K: Key>(threads: usize, budget: Duration) -> Sample
where
    for<'a> M::Handle<'a>: HashHandle<K>,
{
    let map = M::new(0);
    map.handle().insert(K::scattered(0), 0);
    measure::timed(
        threads,
        budget,
        |_| true,
        |_, clock| {
            let mut map = map.handle();
            let key = K::scattered(0);
            let mut ops = 0;
            while !clock.stopped() {
                map.refresh();
                for _ in 0..STRIDE {
                    map.add(&key, 1);
                }
                ops += STRIDE;
            }
            Done::ops(ops)
        },
    )
}

fn walk<M: Map<K>, K: Key>(threads: usize, budget: Duration, walker: bool, clock_writes: bool) -> Sample
where
    for<'a> M::Handle<'a>: HashHandle<K>,
{
    let filled = map::filled::<M, K>(WALKED, true);
    measure::timed(
        threads,
        budget,
        |id| (id == 0) == walker,
        |id, clock| {
            let mut map = filled.map.handle();
            if id > 0 {
                return write_on(&mut map, id, clock, clock_writes);
            }
            let mut ops = 0;
            while !clock.stopped() {
                map.refresh();
                map.visit(|value| {
                    black_box(value);
                    ops += 1;
                });
            }
            Done::ops(ops)
        },
    )
}

fn write_on<K: Key>(map: &mut dyn Handle<K>, id: usize, clock: &Clock, clock_each: bool) -> Done {
    let mut numbers = Numbers::new(Spread::Uniform, 0, 2 * WALKED, id);
    let mut latency = clock_each.then(stats::histogram);
    let mut key = K::MIN;
    let mut ops = 0;
    while !clock.stopped() {
        map.refresh();
        for i in 0..STRIDE {
            let number = numbers.draw();
            key.scatter(number);
            let mut write = || {
                if i % 2 == 0 {
                    map.insert(key.clone(), number);
                } else {
                    map.remove(&key);
                }
            };
            match &mut latency {
                Some(latency) => clocked(latency, write),
                None => write(),
            }
        }
        ops += STRIDE;
    }
    Done { ops, latency }
}

/// A thread's keys in a mix: those between `oldest` and `newest` are in the map.
struct Window {
    oldest: u64,
    newest: u64,
}

/// Keys of a thread, which it uses over and over.
const KEYS: u64 = 1 << 20;

/// A map in the middle of a mix.
struct Mixing<M, K> {
    map: M,
    windows: Vec<Mutex<Window>>,
    keys: std::marker::PhantomData<fn(K)>,
}

impl<M: Map<K>, K: Key> Mixing<M, K> {
    fn new(mix: Mix, threads: usize) -> Self {
        let map = M::new(mix.capacity as usize);
        let newest = mix.capacity * mix.prefill / 100 / threads as u64;
        for id in 0..threads {
            map::fill(&mut map.handle(), Self::number(id, 0)..Self::number(id, newest));
        }
        let windows = (0..threads).map(|_| Mutex::new(Window { oldest: 0, newest })).collect();
        Mixing { map, windows, keys: std::marker::PhantomData }
    }

    /// Each thread has keys of its own, which come back after a while.
    fn number(id: usize, at: u64) -> u64 {
        (id as u64) << 40 | (at & (KEYS - 1))
    }
}

fn mixed<M: Map<K>, K: Key>(mix: Mix, threads: usize, budget: Duration) -> Sample
where
    for<'a> M::Handle<'a>: HashHandle<K>,
{
    let name = if mix == Mix::EXCHANGE { "exchange" } else { "mix" };
    let mixing =
        shelved((name, threads as u64), |_: &Mixing<M, K>| mix.is_steady(), || Mixing::new(mix, threads));
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, clock| {
            let mut map = mixing.map.handle();
            let mut window = mixing.windows[id].lock().expect("never poisoned");
            let mut dice = generator(id);
            let mut key = K::MIN;
            let mut ops = 0;
            // As many operations as the capacity: in a shorter run a new map is all page faults.
            let goes_on =
                |ops| if mix.is_steady() { !clock.stopped() } else { ops < mix.capacity / threads as u64 };
            while goes_on(ops) {
                map.refresh();
                for _ in 0..STRIDE {
                    let die = dice.random_range(0..100);
                    let any = Mixing::<M, K>::number(id, dice.random());
                    if die < mix.gets {
                        key.scatter(any);
                        black_box(map.get(&key));
                    } else if die < mix.gets + mix.insertions {
                        map.insert(K::scattered(Mixing::<M, K>::number(id, window.newest)), window.newest);
                        window.newest += 1;
                    } else if die < mix.gets + mix.insertions + mix.removals {
                        if window.oldest < window.newest {
                            key.scatter(Mixing::<M, K>::number(id, window.oldest));
                            black_box(map.remove(&key));
                            window.oldest += 1;
                        }
                    } else {
                        key.scatter(any);
                        map.add(&key, 1);
                    }
                }
                ops += STRIDE;
            }
            Done::ops(ops)
        },
    )
}
