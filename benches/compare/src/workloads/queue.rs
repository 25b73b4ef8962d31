//! Workloads on FIFO queues. `benches/README.md` says why each is here.

use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::adapters::queue::{
    Array, Concurrent, CrossbeamChannel, FetchAdd, Flume, Handle, Kanal, Ours, OursCrossbeam, ParkingLot,
    Queue, Sdd, Seg, StdMutex, Unshared,
};
use crate::alloc::Counter;
use crate::measure::{self, Clock, Done, Memory, Padded, Pass, Sample, clocked};
use crate::plan::{Cell, Kind, Role, Row, Scope};
use crate::stats;
use crate::values::{BIG, Big, SMALL, Small, U64, Value, size_of_value};

/// Operations between two looks at the clock.
const STRIDE: u64 = 32;
const BATCH: usize = 32;
/// Work between operations, where a workload has some.
const WORK_NS: u64 = 100;
/// What a slow consumer does with an item while the producer runs.
const SLOW_NS: u64 = 500;
/// Empty polls before a consumer lets others run.
const POLLS: u32 = 64;

/// A row over the three types of values.
macro_rules! row {
    ($queue:ident, $name:literal, $role:ident, $note:literal, $supports:expr) => {
        Row {
            name: $name,
            role: Role::$role,
            note: $note,
            supports: $supports,
            run: |cell, pass| match cell.value {
                U64 => run::<$queue<u64>, u64>(cell, pass),
                SMALL => run::<$queue<Small>, Small>(cell, pass),
                _ => run::<$queue<Big>, Big>(cell, pass),
            },
        }
    };
    ($queue:ident, $name:literal, $role:ident, $note:literal) => {
        row!($queue, $name, $role, $note, |_| true)
    };
    ($queue:ident, $name:literal, $role:ident) => {
        row!($queue, $name, $role, "")
    };
}

pub fn kind() -> Kind {
    Kind {
        name: "queue",
        about: "FIFO queues for many producers and consumers.",
        rows: vec![
            row!(Ours, "latchfree::Queue", Ours, "reclaims with Epoch, the default"),
            row!(OursCrossbeam, "latchfree::Queue (crossbeam)", Ours, "reclaims with crossbeam-epoch"),
            row!(Seg, "crossbeam SegQueue", Peer),
            row!(Array, "crossbeam ArrayQueue", Peer, "bounded: large enough, or its producers wait"),
            row!(CrossbeamChannel, "crossbeam-channel", Peer),
            row!(Concurrent, "concurrent-queue", Peer),
            row!(Sdd, "sdd::Queue", Peer, "hands out shared entries; values are copied out"),
            row!(Kanal, "kanal", Peer),
            row!(Flume, "flume", Peer),
            row!(StdMutex, "std Mutex<VecDeque>", Peer, "baseline"),
            row!(ParkingLot, "parking_lot Mutex<VecDeque>", Peer, "baseline"),
            row!(FetchAdd, "two fetch_add", Limit, "no queue: carries nothing", |cell| {
                cell.value == U64 && cell.workload.starts_with("pairs")
            }),
            row!(Unshared, "unshared VecDeque", Limit, "no sharing: one thread only", |cell| {
                cell.threads == 1 && cell.timed
            }),
        ],
        cells,
        about_workload,
    }
}

pub(super) fn about_workload(workload: &str) -> &'static str {
    match workload {
        "pairs" => "Each thread pushes one item and pops one, over and over.",
        "pairs+work" => {
            "As pairs, with about 100 ns of local work after each of the two operations (in the figure)."
        }
        "flow" => {
            "Producers only push, consumers only pop; the time runs until the last item is out. \
             Producers rest while they are 65,536 items ahead (16 MiB of large ones)."
        }
        "burst" => "All threads fill the queue, then all drain it.",
        "batch32" => {
            "Each thread pushes 32 items at once and pops up to 32 at once, until 32 are out; a loop where a peer has no batches."
        }
        "slow-consumer" => {
            "One producer pushes a fixed number of items beside one consumer that works 500 ns on each; \
             when the producer is done, the rest is drained."
        }
        _ => {
            "Bytes from a counting allocator, in a fresh process for each row: filled by one thread, \
             drained, and then pairs on two threads."
        }
    }
}

fn cells(scope: &Scope) -> Vec<Cell> {
    let threads = &scope.threads;
    let most = threads.iter().copied().max().unwrap_or(1);
    let mut cells = Vec::new();
    let mut add = |workload, value, threads: usize, latency: bool| {
        cells.push(Cell {
            kind: "queue",
            workload,
            value,
            threads,
            label: if workload == "flow" || workload == "slow-consumer" {
                format!("{0}P{0}C", threads / 2)
            } else {
                threads.to_string()
            },
            unit: if workload == "memory" { "bytes/element" } else { "ns/item" },
            timed: workload != "memory",
            latency,
        });
    };
    let values: &[&'static str] = if scope.quick { &[U64] } else { &[U64, SMALL, BIG] };
    for &value in values {
        let word = value == U64;
        // Large values: the ends of the range, since moving them hides most differences.
        let every = |t: usize| word || t == 1 || t == most;
        for &t in threads {
            if every(t) {
                add("pairs", value, t, word && t > 1);
            }
        }
        let flows = threads.iter().copied().filter(|t| t % 2 == 0);
        let largest_flow = flows.clone().max();
        for t in flows {
            if (word && (!scope.quick || t == 2 || Some(t) == largest_flow)) || t == 4 {
                add("flow", value, t, word && t <= 4);
            }
        }
        for &t in threads {
            if t == 1 || (word && t == most && !scope.quick) {
                add("burst", value, t, false);
            }
        }
        for &t in threads {
            if t == 1 || (word && t == most) {
                add("batch32", value, t, false);
            }
        }
        if threads.contains(&2) {
            add("slow-consumer", value, 2, false);
        }
        if word {
            for &t in threads {
                if !scope.quick || t == most {
                    add("pairs+work", value, t, false);
                }
            }
        }
        add("memory", value, 1, false);
    }
    cells
}

/// One pass of a cell, on whatever has a queue's operations.
pub fn run<Q: Queue<T>, T: Value>(cell: &Cell, pass: Pass) -> Sample {
    let threads = cell.threads;
    match (cell.workload, pass) {
        (_, Pass::Memory) => memory::<Q, T>(),
        ("pairs", Pass::Time(budget)) => pairs::<Q, T>(threads, budget, || ()),
        ("pairs+work", Pass::Time(budget)) => pairs::<Q, T>(threads, budget, || measure::work(WORK_NS)),
        ("pairs", Pass::Latency(budget)) => pairs_latency::<Q, T>(threads, budget),
        ("flow", Pass::Time(budget)) => flow::<Q, T>(threads, budget, item_cap(cell, 1 << 16)),
        ("flow", Pass::Latency(budget)) => flow_latency::<Q, T>(threads, budget, item_cap(cell, 1 << 16)),
        ("burst", Pass::Time(budget)) => burst::<Q, T>(threads, budget, item_cap(cell, 1 << 15)),
        ("batch32", Pass::Time(budget)) => batches::<Q, T>(threads, budget),
        ("slow-consumer", Pass::Time(budget)) => slow_consumer::<Q, T>(budget, item_cap(cell, 1 << 15)),
        _ => Sample::default(),
    }
}

/// Fewer items when they are large: 16 MiB of them at most.
fn item_cap(cell: &Cell, items: u64) -> u64 {
    items.min((16 << 20) / size_of_value(cell.value) as u64)
}

fn pairs<Q: Queue<T>, T: Value>(threads: usize, budget: Duration, between: impl Fn() + Sync) -> Sample {
    let queue = Q::new(capacity(threads));
    measure::timed(
        threads,
        budget,
        |_| true,
        |id, clock| {
            let mut queue = queue.handle();
            let mut ops = 0;
            while !clock.stopped() {
                for i in 0..STRIDE {
                    queue.push(T::make(ops + i + id as u64));
                    between();
                    read(queue.pop());
                    between();
                }
                ops += STRIDE;
            }
            Done::ops(ops)
        },
    )
}

/// Room for what threads in pairs can have inside at once, and to spare.
fn capacity(threads: usize) -> usize {
    (threads * 2 * BATCH).next_power_of_two().max(1024)
}

#[inline(always)]
pub(super) fn read<T: Value>(value: Option<T>) {
    if let Some(value) = value {
        black_box(value.read());
    }
}

fn pairs_latency<Q: Queue<T>, T: Value>(threads: usize, budget: Duration) -> Sample {
    let queue = Q::new(capacity(threads));
    measure::timed(
        threads,
        budget,
        |_| true,
        |_, clock| {
            let mut queue = queue.handle();
            let mut latency = stats::histogram();
            let mut ops = 0;
            while !clock.stopped() {
                for i in 0..STRIDE {
                    let value = T::make(ops + i);
                    clocked(&mut latency, || queue.push(value));
                    read(clocked(&mut latency, || queue.pop()));
                }
                ops += STRIDE;
            }
            Done { ops, latency: Some(latency) }
        },
    )
}

/// Lets go of the core after a while of finding nothing.
#[derive(Default)]
struct Poll {
    empty: u32,
}

impl Poll {
    #[inline(always)]
    fn nothing(&mut self) {
        self.empty += 1;
        if self.empty < POLLS {
            spin_loop();
        } else {
            thread::yield_now();
        }
    }

    #[inline(always)]
    fn something(&mut self) {
        self.empty = 0;
    }
}

/// Pops until the producers are gone and the queue has been seen empty after that.
#[inline(always)]
fn consume<T: Value>(queue: &mut impl Handle<T>, producers: &AtomicUsize, mut each: impl FnMut(T)) {
    let mut poll = Poll::default();
    loop {
        // Before the pop, so that an empty queue after the last producer's end is the end.
        let last = producers.load(Ordering::Acquire) == 0;
        match queue.pop() {
            Some(value) => {
                poll.something();
                each(value);
            }
            None if last => break,
            None => poll.nothing(),
        }
    }
}

/// How far producers and consumers have come, each on a cache line of its own and written only every
/// few dozen items.
struct Progress {
    counts: Vec<Padded<AtomicU64>>,
    producers: usize,
}

impl Progress {
    fn new(threads: usize) -> Self {
        Progress { counts: (0..threads).map(|_| Padded::default()).collect(), producers: threads / 2 }
    }

    #[inline(always)]
    fn at(&self, id: usize, count: u64) {
        self.counts[id].0.store(count, Ordering::Relaxed);
    }

    /// Items that the producers are ahead of the consumers, more or less.
    fn lead(&self) -> u64 {
        let sum =
            |counts: &[Padded<AtomicU64>]| counts.iter().map(|c| c.0.load(Ordering::Relaxed)).sum::<u64>();
        let (produced, consumed) = self.counts.split_at(self.producers);
        sum(produced).saturating_sub(sum(consumed))
    }
}

/// Producers that are `most` items ahead rest until they are not, which bounds memory and the time
/// that slow consumers need at the end. It is looked at every 1024 items, so it costs nothing else.
fn flow<Q: Queue<T>, T: Value>(threads: usize, budget: Duration, most: u64) -> Sample {
    let producers = threads / 2;
    let queue = Q::new(1 << 14);
    let running = AtomicUsize::new(producers);
    let progress = Progress::new(threads);
    measure::timed(
        threads,
        budget,
        |id| id >= producers,
        |id, clock| {
            let mut queue = queue.handle();
            let mut ops = 0;
            if id < producers {
                while !clock.stopped() {
                    for i in 0..STRIDE {
                        queue.push(T::make(ops + i));
                    }
                    ops += STRIDE;
                    progress.at(id, ops);
                    while ops % 1024 == 0 && progress.lead() > most && !clock.stopped() {
                        thread::yield_now();
                    }
                }
                running.fetch_sub(1, Ordering::Release);
            } else {
                consume(&mut queue, &running, |value| {
                    black_box(value.read());
                    ops += 1;
                    if ops % STRIDE == 0 {
                        progress.at(id, ops);
                    }
                });
            }
            Done::ops(ops)
        },
    )
}

/// Pushes, and the pops that found something, one by one.
fn flow_latency<Q: Queue<T>, T: Value>(threads: usize, budget: Duration, most: u64) -> Sample {
    let progress = Progress::new(threads);
    let producers = threads / 2;
    let queue = Q::new(1 << 14);
    let running = AtomicUsize::new(producers);
    measure::timed(
        threads,
        budget,
        |id| id >= producers,
        |id, clock| {
            let mut queue = queue.handle();
            let mut latency = stats::histogram();
            let mut ops = 0;
            if id < producers {
                while !clock.stopped() {
                    clocked(&mut latency, || queue.push(T::make(ops)));
                    ops += 1;
                    progress.at(id, ops);
                    while ops % 1024 == 0 && progress.lead() > most && !clock.stopped() {
                        thread::yield_now();
                    }
                }
                running.fetch_sub(1, Ordering::Release);
            } else {
                let mut poll = Poll::default();
                loop {
                    let last = running.load(Ordering::Acquire) == 0;
                    let began = std::time::Instant::now();
                    match queue.pop() {
                        Some(value) => {
                            latency.saturating_record(began.elapsed().as_nanos() as u64);
                            black_box(value.read());
                            poll.something();
                            ops += 1;
                            progress.at(id, ops);
                        }
                        None if last => break,
                        None => poll.nothing(),
                    }
                }
            }
            Done { ops, latency: Some(latency) }
        },
    )
}

/// Threads that begin together again and again, and agree on when it was the last time.
struct Laps {
    turn: Barrier,
    over: AtomicBool,
}

impl Laps {
    fn new(threads: usize) -> Self {
        Laps { turn: Barrier::new(threads), over: AtomicBool::new(false) }
    }

    /// Waits for the others; one thread runs `reset` and decides for all whether the time is up.
    fn end(&self, clock: &Clock, reset: impl FnOnce()) -> bool {
        if self.turn.wait().is_leader() {
            reset();
            self.over.store(clock.stopped(), Ordering::Relaxed);
        }
        self.turn.wait();
        self.over.load(Ordering::Relaxed)
    }
}

fn burst<Q: Queue<T>, T: Value>(threads: usize, budget: Duration, items: u64) -> Sample {
    let queue = Q::new(items as usize);
    let laps = Laps::new(threads);
    let share = items / threads as u64;
    measure::timed(
        threads,
        budget,
        |_| true,
        |_, clock| {
            let mut queue = queue.handle();
            let mut ops = 0;
            loop {
                for i in 0..share {
                    queue.push(T::make(i));
                }
                laps.turn.wait();
                while let Some(value) = queue.pop() {
                    black_box(value.read());
                    ops += 1;
                }
                if laps.end(clock, || ()) {
                    return Done::ops(ops);
                }
            }
        },
    )
}

fn batches<Q: Queue<T>, T: Value>(threads: usize, budget: Duration) -> Sample {
    let queue = Q::new(capacity(threads));
    measure::timed(
        threads,
        budget,
        |_| true,
        |_, clock| {
            let mut queue = queue.handle();
            let mut values = Vec::with_capacity(BATCH);
            let mut ops = 0;
            while !clock.stopped() {
                values.extend((0..BATCH as u64).map(|i| T::make(ops + i)));
                queue.push_batch(&mut values);
                // As many as went in, or a bounded queue would fill up and nobody pop any more.
                let mut poll = Poll::default();
                while values.len() < BATCH {
                    let before = values.len();
                    queue.pop_batch(&mut values, BATCH - before);
                    if values.len() == before {
                        poll.nothing();
                    }
                }
                ops += BATCH as u64;
                values.drain(..).for_each(|value| {
                    black_box(value.read());
                });
            }
            Done::ops(ops)
        },
    )
}

/// Laps of `items`: the producer pushes them all while the consumer works on each; then the consumer
/// drains the rest without working.
fn slow_consumer<Q: Queue<T>, T: Value>(budget: Duration, items: u64) -> Sample {
    let queue = Q::new(items as usize);
    let running = AtomicUsize::new(1);
    let laps = Laps::new(2);
    measure::timed(
        2,
        budget,
        |id| id == 1,
        |id, clock| {
            let mut queue = queue.handle();
            let mut ops = 0;
            loop {
                if id == 0 {
                    (0..items).for_each(|i| queue.push(T::make(i)));
                    running.store(0, Ordering::Release);
                } else {
                    consume(&mut queue, &running, |value| {
                        black_box(value.read());
                        ops += 1;
                        if running.load(Ordering::Relaxed) > 0 {
                            measure::work(SLOW_NS);
                        }
                    });
                }
                if laps.end(clock, || running.store(1, Ordering::Relaxed)) {
                    return Done::ops(ops);
                }
            }
        },
    )
}

/// Bytes per element when full, kept after the drain, and at the peak of two threads in pairs.
fn memory<Q: Queue<T>, T: Value>() -> Sample {
    let elements = ((32 << 20) / (size_of::<T>() as u64 + 8)).min(100_000);
    let counter = Counter::start();
    let queue = Q::new(elements as usize);
    let (full, peak, drained);
    {
        let mut handle = queue.handle();
        for i in 0..elements {
            handle.push(T::make(i));
        }
        full = counter.live();
        while let Some(value) = handle.pop() {
            black_box(value.read());
        }
        drained = counter.live();
        peak = counter.peak();
    }
    drop(queue);

    let queue = Q::new(capacity(2));
    // What a reclaimer still holds of the first queue is not the second one's.
    let base = counter.live();
    counter.reset_peak();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut queue = queue.handle();
                for i in 0..elements {
                    queue.push(T::make(i));
                    read(queue.pop());
                }
            });
        }
    });
    let churn = counter.peak() - base;
    Sample {
        ns_per_op: f64::NAN,
        memory: Some(Memory {
            bytes_per_element: full as f64 / elements as f64,
            elements,
            peak_bytes: peak as i64,
            drained_bytes: drained as i64,
            churn_peak_bytes: churn.max(0) as i64,
        }),
        ..Sample::default()
    }
}
