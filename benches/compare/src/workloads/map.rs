//! What hash maps and ordered maps are both put through.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::RngExt;

use crate::adapters::map::{Handle, Map};
use crate::alloc::Counter;
use crate::keys::{Key, Numbers, Spread, TEXT, U64, generator};
use crate::measure::{self, Done, Memory, Pass, Sample, clocked};
use crate::plan::{Cell, Scope};
use crate::stats;

/// Operations between two looks at the clock, and between two pins where a handle stays pinned.
pub const STRIDE: u64 = 256;
/// What growth grows to; with a timestamp around each insertion, four times as many.
pub const GROWN: u64 = 1 << 18;
/// The entries of a map under churn.
const CHURNING: u64 = 1 << 14;

/// A workload and where it runs.
pub struct Workload<D> {
    pub name: &'static str,
    pub does: D,
    pub about: &'static str,
    pub unit: &'static str,
    /// Whether a pass with timestamps is worth its time.
    pub latency: bool,
    /// With so many threads in a usual run, with words and with text as keys.
    pub words: Threads,
    pub texts: Threads,
}

/// Some of the numbers of threads that a run has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    one: bool,
    two: bool,
    most: bool,
    others: bool,
}

impl Threads {
    pub const NONE: Self = Threads { one: false, two: false, most: false, others: false };
    pub const ONE: Self = Threads { one: true, ..Self::NONE };
    pub const TWO: Self = Threads { two: true, ..Self::NONE };
    pub const ONE_TWO: Self = Threads { one: true, ..Self::TWO };
    pub const TWO_MOST: Self = Threads { most: true, ..Self::TWO };
    pub const ENDS: Self = Threads { most: true, ..Self::ONE_TWO };
    pub const EVERY: Self = Threads { others: true, ..Self::ENDS };

    fn has(self, threads: usize, most: usize) -> bool {
        match threads {
            1 => self.one,
            2 => self.two,
            t if t == most => self.most,
            _ => self.others,
        }
    }
}

impl<D> Workload<D> {
    /// The cells of this workload: some of them, or with `--all` every one that makes sense.
    fn cells(&self, kind: &'static str, scope: &Scope, value: &'static str, fewest: usize) -> Vec<Cell> {
        let memory = self.unit.starts_with("bytes");
        let usual = if value == U64 { self.words } else { self.texts };
        let most = scope.threads.iter().copied().max().unwrap_or(1);
        let wanted = |threads: usize| {
            if memory {
                threads == 1
            } else if scope.all {
                threads >= fewest
            } else {
                usual.has(threads, most) && (!scope.quick || threads <= 2)
            }
        };
        let cell = |threads: usize| Cell {
            kind,
            workload: self.name,
            value,
            threads,
            label: threads.to_string(),
            unit: self.unit,
            timed: !memory,
            latency: self.latency,
        };
        scope.threads.iter().copied().filter(|&threads| wanted(threads)).map(cell).collect()
    }
}

/// The cells of a kind: all of a key type together, so that cells share the maps on the shelf.
pub fn cells<D>(
    kind: &'static str,
    workloads: &[Workload<D>],
    scope: &Scope,
    fewest: fn(&D) -> usize,
) -> Vec<Cell> {
    let values: &[&'static str] = if scope.quick { &[U64] } else { &[U64, TEXT] };
    let of = |value| {
        workloads.iter().flat_map(move |w: &Workload<D>| w.cells(kind, scope, value, fewest(&w.does)))
    };
    values.iter().copied().flat_map(of).collect()
}

/// Maps that outlive a run: to fill a million entries takes longer than the run itself. All that are
/// kept were filled alike; the first that is filled otherwise clears the shelf.
struct Shelf {
    filling: (&'static str, u64),
    maps: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

static SHELF: Mutex<Option<Shelf>> = Mutex::new(None);

/// The `T` on the shelf if it is still of use, else a new one.
pub fn shelved<T: Send + Sync + 'static>(
    filling: (&'static str, u64),
    of_use: impl FnOnce(&T) -> bool,
    fill: impl FnOnce() -> T,
) -> Arc<T> {
    let mut shelf = SHELF.lock().expect("never poisoned");
    if shelf.as_ref().is_none_or(|shelf| shelf.filling != filling) {
        // The old one goes first: two at once would double the memory.
        *shelf = None;
        *shelf = Some(Shelf { filling, maps: HashMap::new() });
    }
    let maps = &mut shelf.as_mut().expect("just filled").maps;
    let kept = maps.get(&TypeId::of::<T>()).cloned().and_then(|kept| kept.downcast::<T>().ok());
    if let Some(kept) = kept.filter(|kept| of_use(kept)) {
        return kept;
    }
    maps.remove(&TypeId::of::<T>());
    let filled = Arc::new(fill());
    maps.insert(TypeId::of::<T>(), filled.clone());
    filled
}

/// A map with the keys of the numbers below `entries`, until it is written to.
pub struct Filled<M, K> {
    pub map: M,
    written: AtomicBool,
    keys: PhantomData<fn(K)>,
}

/// One filled map for all cells of its size; those that write get the one that others wrote to.
pub fn filled<M: Map<K>, K: Key>(entries: u64, writes: bool) -> Arc<Filled<M, K>> {
    let fill = || {
        let map = M::new(0);
        fill(&mut map.handle(), 0..entries);
        Filled { map, written: AtomicBool::new(false), keys: PhantomData }
    };
    let filled =
        shelved(("numbers", entries), |kept: &Filled<M, K>| writes || !kept.written.load(Relaxed), fill);
    filled.written.fetch_or(writes, Relaxed);
    filled
}

pub fn fill<K: Key>(map: &mut impl Handle<K>, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        map.insert(K::scattered(number), number);
    }
}

/// Which of the keys that are asked for are there, while nothing is written.
#[derive(Clone, Copy)]
pub enum Present {
    Half,
    All,
    None,
}

/// Look-ups, insertions and removals of single keys, at a constant size: out of a universe of twice as
/// many keys as entries, inserted as often as removed.
#[derive(Clone, Copy)]
pub struct Points {
    pub entries: u64,
    /// In percent; the rest is half insertions, half removals.
    pub reads: u64,
    pub spread: Spread,
    pub present: Present,
}

impl Points {
    pub const fn uniform(entries: u64, reads: u64) -> Self {
        Points { entries, reads, spread: Spread::Uniform, present: Present::Half }
    }

    pub const fn zipf(entries: u64, reads: u64) -> Self {
        Points { entries, reads, spread: Spread::Zipf, present: Present::Half }
    }

    pub const fn reads(entries: u64, present: Present) -> Self {
        Points { entries, reads: 100, spread: Spread::Uniform, present }
    }

    fn numbers(&self, thread: usize) -> Numbers {
        let (from, until) = match self.present {
            Present::Half => (0, 2 * self.entries),
            Present::All => (0, self.entries),
            Present::None => (self.entries, 2 * self.entries),
        };
        Numbers::new(self.spread, from, until, thread)
    }

    pub fn run<M: Map<K>, K: Key>(&self, threads: usize, pass: Pass) -> Sample {
        match pass {
            Pass::Time(budget) => self.timed::<M, K, false>(threads, budget),
            Pass::Latency(budget) => self.timed::<M, K, true>(threads, budget),
            Pass::Memory => Sample::default(),
        }
    }

    fn timed<M: Map<K>, K: Key, const CLOCKED: bool>(&self, threads: usize, budget: Duration) -> Sample {
        let filled = filled::<M, K>(self.entries, self.reads < 100);
        let reads = self.reads;
        measure::timed(
            threads,
            budget,
            |_| true,
            |id, clock| {
                let mut map = filled.map.handle();
                let mut numbers = self.numbers(id);
                let mut dice = generator(threads + id);
                let mut key = K::MIN;
                let mut latency = CLOCKED.then(stats::histogram);
                let mut ops = 0;
                while !clock.stopped() {
                    map.refresh();
                    for _ in 0..STRIDE {
                        let number = numbers.draw();
                        key.scatter(number);
                        // Twice the percentage, so that odd and even share what is left.
                        let die = if reads == 100 { 0 } else { dice.random_range(0..200) };
                        let mut operation = || {
                            if die < 2 * reads {
                                black_box(map.get(&key));
                            } else if die % 2 == 0 {
                                map.insert(key.clone(), number);
                            } else {
                                black_box(map.remove(&key));
                            }
                        };
                        match &mut latency {
                            Some(latency) if CLOCKED => clocked(latency, operation),
                            _ => operation(),
                        }
                    }
                    ops += STRIDE;
                }
                Done { ops, latency }
            },
        )
    }
}

/// From empty to so many entries, all threads together; once a run, however long that takes.
pub fn grow<M: Map<K>, K: Key>(entries: u64, ascending: bool, threads: usize, pass: Pass) -> Sample {
    let (budget, clock) = match pass {
        Pass::Time(budget) => (budget, false),
        Pass::Latency(budget) => (budget, true),
        Pass::Memory => return Sample::default(),
    };
    let entries = if clock && entries == GROWN { 4 * GROWN } else { entries };
    let map = M::new(0);
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, _| {
            let mut map = map.handle();
            let mut latency = clock.then(stats::histogram);
            let mut ops = 0;
            for number in (id as u64..entries).step_by(threads) {
                let key = if ascending { K::ascending(number) } else { K::scattered(number) };
                match &mut latency {
                    Some(latency) => clocked(latency, || map.insert(key, number)),
                    None => map.insert(key, number),
                }
                ops += 1;
                if ops % STRIDE == 0 {
                    map.refresh();
                }
            }
            Done { ops, latency }
        },
    )
}

/// New keys in, the oldest out: the size stays, and no key ever comes back.
pub fn churn<M: Map<K>, K: Key>(threads: usize, pass: Pass) -> Sample {
    let (budget, clock) = match pass {
        Pass::Time(budget) => (budget, false),
        Pass::Latency(budget) => (budget, true),
        Pass::Memory => return Sample::default(),
    };
    let share = CHURNING / threads as u64;
    let first = |id: usize| (id as u64) << 40;
    let map = M::new(0);
    for id in 0..threads {
        fill(&mut map.handle(), first(id)..first(id) + share);
    }
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, stop| {
            let mut map = map.handle();
            let mut latency = clock.then(stats::histogram);
            let mut oldest = first(id);
            let mut old = K::MIN;
            while !stop.stopped() {
                map.refresh();
                for _ in 0..STRIDE / 2 {
                    let new = K::scattered(oldest + share);
                    old.scatter(oldest);
                    match &mut latency {
                        Some(latency) => {
                            clocked(latency, || map.insert(new, oldest));
                            clocked(latency, || map.remove(&old));
                        }
                        None => {
                            map.insert(new, oldest);
                            black_box(map.remove(&old));
                        }
                    }
                    oldest += 1;
                }
            }
            Done { ops: 2 * (oldest - first(id)), latency }
        },
    )
}

/// Bytes per entry over a doubling of the size, since capacities come in steps; what is kept when all
/// is removed; and the peak of two threads that insert and remove.
pub fn memory<M: Map<K>, K: Key>() -> Sample {
    const ENTRIES: u64 = 1 << 19;
    const STEP: u64 = ENTRIES / 16;
    let counter = Counter::start();
    let map = M::new(0);
    let mut per_entry = Vec::new();
    let (peak, drained);
    {
        let mut handle = map.handle();
        for step in 0..16 {
            fill(&mut handle, step * STEP..(step + 1) * STEP);
            handle.refresh();
            if step >= 8 {
                per_entry.push(counter.live() as f64 / ((step + 1) * STEP) as f64);
            }
        }
        for number in 0..ENTRIES {
            handle.remove(&K::scattered(number));
            if number % STRIDE == 0 {
                handle.refresh();
            }
        }
        drained = counter.live();
        peak = counter.peak();
    }
    drop(map);

    let map = M::new(0);
    // What a reclaimer still holds of the first map is not the second one's.
    let base = counter.live();
    counter.reset_peak();
    thread::scope(|scope| {
        for id in 0..2 {
            let map = &map;
            scope.spawn(move || {
                let mut map = map.handle();
                for number in 0..100_000 {
                    let key = K::scattered(number << 1 | id);
                    map.insert(key.clone(), number);
                    black_box(map.remove(&key));
                    if number % STRIDE == 0 {
                        map.refresh();
                    }
                }
            });
        }
    });
    let churn = counter.peak() - base;
    Sample {
        ns_per_op: f64::NAN,
        memory: Some(Memory {
            bytes_per_element: per_entry.iter().sum::<f64>() / per_entry.len() as f64,
            elements: ENTRIES,
            peak_bytes: peak as i64,
            drained_bytes: drained as i64,
            churn_peak_bytes: churn.max(0) as i64,
        }),
        ..Sample::default()
    }
}
