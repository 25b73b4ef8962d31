//! The bounded queue's workloads as criterion benchmarks, for baselines over time: `cargo bench --bench bounded_queue`.
//!
//! `compare` sets the structures side by side; this shows how one of them moves from commit to commit. Values are `u64`;
//! times are per item, pushed and popped.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use latchfree::BoundedQueue;
use parking_lot::Mutex;

/// Room enough for all threads of `pairs`, and of a size that stays in the first-level cache.
const CAPACITY: usize = 1024;

trait Fifo: Sync {
    const NAME: &'static str;
    fn empty() -> Self;
    /// False if it is full.
    fn put(&self, item: u64) -> bool;
    fn take(&self) -> Option<u64>;
}

impl Fifo for BoundedQueue<u64> {
    const NAME: &'static str = "latchfree";
    fn empty() -> Self {
        BoundedQueue::new(CAPACITY)
    }
    #[inline]
    fn put(&self, item: u64) -> bool {
        self.push(item).is_ok()
    }
    #[inline]
    fn take(&self) -> Option<u64> {
        self.pop()
    }
}

impl Fifo for crossbeam_queue::ArrayQueue<u64> {
    const NAME: &'static str = "arrayqueue";
    fn empty() -> Self {
        crossbeam_queue::ArrayQueue::new(CAPACITY)
    }
    #[inline]
    fn put(&self, item: u64) -> bool {
        self.push(item).is_ok()
    }
    #[inline]
    fn take(&self) -> Option<u64> {
        self.pop()
    }
}

impl Fifo for Mutex<VecDeque<u64>> {
    const NAME: &'static str = "mutex";
    fn empty() -> Self {
        Mutex::new(VecDeque::with_capacity(CAPACITY))
    }
    #[inline]
    fn put(&self, item: u64) -> bool {
        let mut deque = self.lock();
        let room = deque.len() < CAPACITY;
        if room {
            deque.push_back(item);
        }
        room
    }
    #[inline]
    fn take(&self) -> Option<u64> {
        self.lock().pop_front()
    }
}

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
                    black_box(queue.put(item));
                    black_box(queue.take());
                }
            });
        }
        barrier.wait();
        Instant::now()
    });
    start.elapsed()
}

/// The time to fill the queue and drain it, until `items` have gone through.
fn bursts<Q: Fifo>(items: u64) -> Duration {
    let queue = Q::empty();
    let start = Instant::now();
    for _ in 0..items.div_ceil(CAPACITY as u64) {
        let mut item = 0;
        while queue.put(item) {
            item += 1;
        }
        while let Some(item) = queue.take() {
            black_box(item);
        }
    }
    start.elapsed()
}

fn workloads<Q: Fifo>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bounded");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2, 4, 8] {
        group.bench_function(BenchmarkId::new(format!("pairs/{threads}"), Q::NAME), |bencher| {
            bencher.iter_custom(|items| pairs::<Q>(threads, items));
        });
    }
    group.bench_function(BenchmarkId::new("burst", Q::NAME), |bencher| {
        bencher.iter_custom(|items| bursts::<Q>(items));
    });
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bounded");
    group.throughput(Throughput::Elements(32));
    group.bench_function(BenchmarkId::new("batch32", "latchfree"), |bencher| {
        let queue = BoundedQueue::new(CAPACITY);
        let mut items = Vec::with_capacity(32);
        bencher.iter(|| {
            black_box(queue.push_all(0..32_u64).is_ok());
            queue.pop_many_into(&mut items, 32);
            black_box(&items);
            items.clear();
        });
    });
    group.finish();
}

fn queues(criterion: &mut Criterion) {
    workloads::<BoundedQueue<u64>>(criterion);
    workloads::<crossbeam_queue::ArrayQueue<u64>>(criterion);
    workloads::<Mutex<VecDeque<u64>>>(criterion);
}

criterion_group!(benches, queues, batches);
criterion_main!(benches);
