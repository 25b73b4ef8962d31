//! What hash maps and ordered maps are both put through.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hint::black_box;
use std::iter::StepBy;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus as Generator;

use crate::adapters::map::{Handle, Handles, Map, handles};
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
        // All that a quick run has.
        let few = scope.threads.iter().copied().filter(|&threads| threads <= 2).max();
        let wanted = |threads: usize| {
            if memory {
                threads == 1
            } else if scope.all {
                threads >= fewest
            } else {
                usual.has(threads, most) && (!scope.quick || Some(threads) == few)
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
    let new = || {
        let map = M::new(0);
        fill(&mut map.handle(), 0..entries);
        Filled { map, written: AtomicBool::new(false), keys: PhantomData }
    };
    let filled =
        shelved(("numbers", entries), |kept: &Filled<M, K>| writes || !kept.written.load(Relaxed), new);
    filled.written.fetch_or(writes, Relaxed);
    filled
}

pub fn fill<K: Key>(map: &mut dyn Handle<K>, numbers: Range<u64>) {
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
        let filled = filled::<M, K>(self.entries, self.reads < 100);
        match pass {
            Pass::Time(budget) => self.timed(|| filled.map.handle(), threads, budget),
            Pass::Latency(budget) => self.clocked(&handles(&filled.map), threads, budget),
            Pass::Memory => Sample::default(),
        }
    }

    fn timed<K: Key, H: Handle<K>>(
        &self,
        handle: impl Fn() -> H + Sync,
        threads: usize,
        budget: Duration,
    ) -> Sample {
        measure::timed(
            threads,
            budget,
            |_| true,
            |id, clock| {
                let mut map = handle();
                let mut asks = self.asks(threads, id);
                let mut key = K::MIN;
                let mut ops = 0;
                while !clock.stopped() {
                    map.refresh();
                    for _ in 0..STRIDE {
                        asks.next(&mut key, &mut map);
                    }
                    ops += STRIDE;
                }
                Done::ops(ops)
            },
        )
    }

    fn clocked<'a, K: Key>(&self, handle: &Handles<'a, K>, threads: usize, budget: Duration) -> Sample {
        measure::timed(
            threads,
            budget,
            |_| true,
            |id, clock| {
                let mut map = handle();
                let mut asks = self.asks(threads, id);
                let mut key = K::MIN;
                let mut latency = stats::histogram();
                let mut ops = 0;
                while !clock.stopped() {
                    map.refresh();
                    for _ in 0..STRIDE {
                        // The making of the key is in the figure, as it is in the other pass.
                        clocked(&mut latency, || asks.next(&mut key, &mut *map));
                    }
                    ops += STRIDE;
                }
                Done { ops, latency: Some(latency) }
            },
        )
    }

    fn asks(&self, threads: usize, thread: usize) -> Asks {
        Asks { numbers: self.numbers(thread), dice: generator(threads + thread), reads: self.reads }
    }
}

/// What one thread asks for.
struct Asks {
    numbers: Numbers,
    dice: Generator,
    reads: u64,
}

impl Asks {
    #[inline(always)]
    fn next<K: Key>(&mut self, key: &mut K, map: &mut (impl Handle<K> + ?Sized)) {
        let number = self.numbers.draw();
        key.scatter(number);
        // Twice the percentage, so that odd and even share what is left.
        let die = if self.reads == 100 { 0 } else { self.dice.random_range(0..200) };
        if die < 2 * self.reads {
            black_box(map.get(key));
        } else if die % 2 == 0 {
            map.insert(key.clone(), number);
        } else {
            black_box(map.remove(key));
        }
    }
}

/// From empty to so many entries, all threads together; once a run, however long that takes.
pub fn grow<M: Map<K>, K: Key>(entries: u64, ascending: bool, threads: usize, pass: Pass) -> Sample {
    let map = M::new(0);
    let key = if ascending { K::ascending } else { K::scattered };
    let share = |id: usize, entries: u64| (id as u64..entries).step_by(threads);
    match pass {
        Pass::Time(budget) => measure::timed(
            threads,
            budget,
            |_| true,
            |id, _| {
                let mut map = map.handle();
                let mut ops = 0;
                for number in share(id, entries) {
                    map.insert(key(number), number);
                    ops += 1;
                    if ops % STRIDE == 0 {
                        map.refresh();
                    }
                }
                Done::ops(ops)
            },
        ),
        Pass::Latency(budget) => {
            let entries = if entries == GROWN { 4 * GROWN } else { entries };
            grow_clocked(&handles(&map), key, &|id| share(id, entries), threads, budget)
        }
        Pass::Memory => Sample::default(),
    }
}

fn grow_clocked<'a, K: Key>(
    handle: &Handles<'a, K>,
    key: fn(u64) -> K,
    share: &(dyn Fn(usize) -> StepBy<Range<u64>> + Sync),
    threads: usize,
    budget: Duration,
) -> Sample {
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, _| {
            let mut map = handle();
            let mut latency = stats::histogram();
            for number in share(id) {
                let key = key(number);
                clocked(&mut latency, || map.insert(key, number));
                if latency.len().is_multiple_of(STRIDE) {
                    map.refresh();
                }
            }
            Done { ops: latency.len(), latency: Some(latency) }
        },
    )
}

/// New keys in, the oldest out: the size stays, and no key ever comes back.
pub fn churn<M: Map<K>, K: Key>(threads: usize, pass: Pass) -> Sample {
    let share = CHURNING / threads as u64;
    let first = |id: usize| (id as u64) << 40;
    let map = M::new(0);
    for id in 0..threads {
        fill(&mut map.handle(), first(id)..first(id) + share);
    }
    match pass {
        Pass::Time(budget) => measure::timed(
            threads,
            budget,
            |_| true,
            |id, stop| {
                let mut map = map.handle();
                let mut oldest = first(id);
                let mut old = K::MIN;
                while !stop.stopped() {
                    map.refresh();
                    for _ in 0..STRIDE / 2 {
                        map.insert(K::scattered(oldest + share), oldest);
                        old.scatter(oldest);
                        black_box(map.remove(&old));
                        oldest += 1;
                    }
                }
                Done::ops(2 * (oldest - first(id)))
            },
        ),
        Pass::Latency(budget) => churn_clocked(&handles(&map), &first, share, threads, budget),
        Pass::Memory => Sample::default(),
    }
}

fn churn_clocked<'a, K: Key>(
    handle: &Handles<'a, K>,
    first: &(dyn Fn(usize) -> u64 + Sync),
    share: u64,
    threads: usize,
    budget: Duration,
) -> Sample {
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, stop| {
            let mut map = handle();
            let mut latency = stats::histogram();
            let mut oldest = first(id);
            let mut old = K::MIN;
            while !stop.stopped() {
                map.refresh();
                for _ in 0..STRIDE / 2 {
                    let new = K::scattered(oldest + share);
                    old.scatter(oldest);
                    clocked(&mut latency, || map.insert(new, oldest));
                    clocked(&mut latency, || map.remove(&old));
                    oldest += 1;
                }
            }
            Done { ops: latency.len(), latency: Some(latency) }
        },
    )
}

/// Entries of the memory pass.
const ENTRIES: u64 = 1 << 19;

/// Bytes per entry over a doubling of the size, since capacities come in steps; what is kept when all
/// is removed; and the peak of two threads that insert and remove.
pub fn memory<M: Map<K>, K: Key>() -> Sample {
    let counter = Counter::start();
    let map = M::new(0);
    let per_entry = fill_counting(&mut map.handle(), &counter);
    empty(&mut map.handle());
    let (peak, drained) = (counter.peak(), counter.live());
    drop(map);

    let map = M::new(0);
    // What a reclaimer still holds of the first map is not the second one's.
    let base = counter.live();
    counter.reset_peak();
    in_and_out(&handles(&map));
    let churn = counter.peak() - base;
    Sample {
        ns_per_op: f64::NAN,
        memory: Some(Memory {
            bytes_per_element: per_entry,
            elements: ENTRIES,
            peak_bytes: peak as i64,
            drained_bytes: drained as i64,
            churn_peak_bytes: churn.max(0) as i64,
        }),
        ..Sample::default()
    }
}

/// Fills; the mean over the second half of the way.
fn fill_counting<K: Key>(map: &mut dyn Handle<K>, counter: &Counter) -> f64 {
    let step = ENTRIES / 16;
    let mut per_entry = Vec::new();
    for from in (0..ENTRIES).step_by(step as usize) {
        fill(map, from..from + step);
        map.refresh();
        if from >= ENTRIES / 2 {
            per_entry.push(counter.live() as f64 / (from + step) as f64);
        }
    }
    per_entry.iter().sum::<f64>() / per_entry.len() as f64
}

fn empty<K: Key>(map: &mut dyn Handle<K>) {
    for number in 0..ENTRIES {
        map.remove(&K::scattered(number));
        if number % STRIDE == 0 {
            map.refresh();
        }
    }
}

/// Two threads, one key each at a time.
fn in_and_out<'a, K: Key>(handle: &Handles<'a, K>) {
    thread::scope(|scope| {
        for id in 0..2 {
            scope.spawn(move || {
                let mut map = handle();
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
}
