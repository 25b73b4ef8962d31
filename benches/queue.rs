//! The queue's workloads as criterion benchmarks, for baselines over time: `cargo bench --bench queue`.
//!
//! `compare` sets the structures side by side; this shows how one of them moves from commit to commit. Values are `u64`;
//! times are per item, pushed and popped.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use latchfree::Queue;
use latchfree::reclaim::Crossbeam;
use parking_lot::Mutex;

trait Fifo: Sync {
    const NAME: &'static str;
    fn empty() -> Self;
    fn put(&self, item: u64);
    fn take(&self) -> Option<u64>;
}

macro_rules! fifo {
    ($name:literal, $type:ty, $new:expr, $put:expr, $take:expr) => {
        impl Fifo for $type {
            const NAME: &'static str = $name;
            fn empty() -> Self {
                $new
            }
            #[inline]
            fn put(&self, item: u64) {
                $put(self, item)
            }
            #[inline]
            fn take(&self) -> Option<u64> {
                $take(self)
            }
        }
    };
}
fifo!("latchfree", Queue<u64>, Queue::new(), Queue::push, Queue::pop);
fifo!("latchfree-crossbeam", Queue<u64, Crossbeam>, Queue::default(), Queue::push, Queue::pop);
fifo!(
    "segqueue",
    crossbeam_queue::SegQueue<u64>,
    crossbeam_queue::SegQueue::new(),
    crossbeam_queue::SegQueue::push,
    crossbeam_queue::SegQueue::pop
);
fifo!(
    "mutex",
    Mutex<VecDeque<u64>>,
    Mutex::new(VecDeque::new()),
    |queue: &Self, item| queue.lock().push_back(item),
    |queue: &Self| queue.lock().pop_front()
);

/// The time that `threads` threads take for `items` pairs of a push and a pop in all.
fn pairs<Q: Fifo>(threads: usize, items: u64) -> Duration {
    let queue = Q::empty();
    let barrier = Barrier::new(threads + 1);
    let each = items.div_ceil(threads as u64);
    let start = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                barrier.wait();
                for item in 0..each {
                    queue.put(item);
                    black_box(queue.take());
                }
            });
        }
        barrier.wait();
        Instant::now()
    });
    start.elapsed()
}

/// The time to fill with `items` and drain.
fn burst<Q: Fifo>(items: u64) -> Duration {
    let queue = Q::empty();
    let start = Instant::now();
    for item in 0..items {
        queue.put(item);
    }
    while let Some(item) = queue.take() {
        black_box(item);
    }
    start.elapsed()
}

fn workloads<Q: Fifo>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2, 4, 8] {
        group.bench_function(BenchmarkId::new(format!("pairs/{threads}"), Q::NAME), |bencher| {
            bencher.iter_custom(|items| pairs::<Q>(threads, items));
        });
    }
    group.bench_function(BenchmarkId::new("burst", Q::NAME), |bencher| {
        bencher.iter_custom(|items| burst::<Q>(items.clamp(1, 1 << 20)) * (items >> 20).max(1) as u32);
    });
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(32));
    group.bench_function(BenchmarkId::new("batch32", "latchfree"), |bencher| {
        let queue = Queue::new();
        let mut items = Vec::with_capacity(32);
        bencher.iter(|| {
            queue.push_all(0..32_u64);
            queue.pop_many_into(&mut items, 32);
            black_box(&items);
            items.clear();
        });
    });
    group.finish();
}

fn pin(criterion: &mut Criterion) {
    criterion.bench_function("pin", |bencher| bencher.iter(latchfree::pin));
}

fn queues(criterion: &mut Criterion) {
    workloads::<Queue<u64>>(criterion);
    workloads::<Queue<u64, Crossbeam>>(criterion);
    workloads::<crossbeam_queue::SegQueue<u64>>(criterion);
    workloads::<Mutex<VecDeque<u64>>>(criterion);
}

criterion_group!(benches, pin, queues, batches);
criterion_main!(benches);
