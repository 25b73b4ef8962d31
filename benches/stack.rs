//! The stack's workloads as criterion benchmarks, for baselines over time: `cargo bench --bench stack`.
//!
//! `compare` sets the structures side by side; this shows how one of them moves from commit to commit. Values are `u64`;
//! times are per item, pushed and popped.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use latchfree::Stack;
use latchfree::reclaim::Crossbeam;
use parking_lot::Mutex;

trait Lifo: Sync {
    const NAME: &'static str;
    fn empty() -> Self;
    fn put(&self, item: u64);
    fn take(&self) -> Option<u64>;
}

macro_rules! lifo {
    ($name:literal, $type:ty, $new:expr, $put:expr, $take:expr) => {
        impl Lifo for $type {
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
lifo!("latchfree", Stack<u64>, Stack::new(), Stack::push, Stack::pop);
lifo!("latchfree-crossbeam", Stack<u64, Crossbeam>, Stack::default(), Stack::push, Stack::pop);
lifo!(
    "mutex",
    Mutex<Vec<u64>>,
    Mutex::new(Vec::new()),
    |stack: &Self, item| stack.lock().push(item),
    |stack: &Self| stack.lock().pop()
);

/// The time that `threads` threads take for `items` pairs of a push and a pop in all.
fn pairs<S: Lifo>(threads: usize, items: u64) -> Duration {
    let stack = S::empty();
    let barrier = Barrier::new(threads + 1);
    let each = items.div_ceil(threads as u64);
    let start = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                barrier.wait();
                for item in 0..each {
                    stack.put(item);
                    black_box(stack.take());
                }
            });
        }
        barrier.wait();
        Instant::now()
    });
    start.elapsed()
}

/// The time to fill with `items` and drain.
fn burst<S: Lifo>(items: u64) -> Duration {
    let stack = S::empty();
    let start = Instant::now();
    for item in 0..items {
        stack.put(item);
    }
    while let Some(item) = stack.take() {
        black_box(item);
    }
    start.elapsed()
}

fn workloads<S: Lifo>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stack");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2, 4, 8] {
        group.bench_function(BenchmarkId::new(format!("pairs/{threads}"), S::NAME), |bencher| {
            bencher.iter_custom(|items| pairs::<S>(threads, items));
        });
    }
    group.bench_function(BenchmarkId::new("burst", S::NAME), |bencher| {
        bencher.iter_custom(|items| burst::<S>(items.clamp(1, 1 << 20)) * (items >> 20).max(1) as u32);
    });
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stack");
    group.throughput(Throughput::Elements(32));
    group.bench_function(BenchmarkId::new("batch32", "latchfree"), |bencher| {
        let stack = Stack::new();
        bencher.iter(|| {
            stack.push_all(0..32_u64);
            stack.pop_all().for_each(|item| {
                black_box(item);
            });
        });
    });
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let stack: Stack<u64> = (0..100).collect();
    criterion.bench_function("stack/peek", |bencher| bencher.iter(|| stack.peek()));
    criterion.bench_function("stack/len", |bencher| bencher.iter(|| stack.len()));
}

fn stacks(criterion: &mut Criterion) {
    workloads::<Stack<u64>>(criterion);
    workloads::<Stack<u64, Crossbeam>>(criterion);
    workloads::<Mutex<Vec<u64>>>(criterion);
}

criterion_group!(benches, stacks, batches, reads);
criterion_main!(benches);
