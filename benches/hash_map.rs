//! The hash map's workloads as criterion benchmarks, for baselines over time: `cargo bench --bench hash_map`.
//!
//! `compare` sets the structures side by side; this shows how one of them moves from commit to commit. Keys and values are
//! `u64`, half of the look-ups hit, the hasher is std's with a fixed key; times are per operation.

use std::collections::HashMap as Std;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use latchfree::HashMap;
use parking_lot::Mutex;

type Hasher = BuildHasherDefault<DefaultHasher>;
type Ours = HashMap<u64, u64, Hasher>;
type Locked = Mutex<Std<u64, u64, Hasher>>;

trait Map: Sync {
    const NAME: &'static str;
    fn empty() -> Self;
    fn get(&self, key: u64) -> Option<u64>;
    fn set(&self, key: u64, value: u64);
    fn del(&self, key: u64);
}

impl Map for Ours {
    const NAME: &'static str = "latchfree";
    fn empty() -> Self {
        Self::default()
    }
    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.pin().get(&key).copied()
    }
    #[inline]
    fn set(&self, key: u64, value: u64) {
        self.pin().insert(key, value);
    }
    #[inline]
    fn del(&self, key: u64) {
        self.pin().remove(&key);
    }
}

impl Map for Locked {
    const NAME: &'static str = "mutex";
    fn empty() -> Self {
        Self::default()
    }
    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.lock().get(&key).copied()
    }
    #[inline]
    fn set(&self, key: u64, value: u64) {
        self.lock().insert(key, value);
    }
    #[inline]
    fn del(&self, key: u64) {
        self.lock().remove(&key);
    }
}

/// A sequence of keys without a pattern that a prefetcher could learn.
fn next(state: &mut u64, keys: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    ((u128::from(*state) * u128::from(keys)) >> 64) as u64
}

/// Holds the even keys below `2 * entries`.
fn filled<M: Map>(entries: u64) -> M {
    let map = M::empty();
    for n in 0..entries {
        map.set(n * 2, n);
    }
    map
}

/// The time that `threads` threads take for `ops` operations in all, of which a part of 100 write.
fn mixed<M: Map>(map: &M, entries: u64, threads: u64, writes: u64, ops: u64) -> Duration {
    let start = Barrier::new(threads as usize + 1);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (map, start) = (map, &start);
            scope.spawn(move || {
                let mut state = thread * 0x9e37_79b9 + 1;
                start.wait();
                for n in 0..ops / threads {
                    let key = next(&mut state, entries * 2);
                    match n % 100 {
                        m if m >= writes => drop(black_box(map.get(key))),
                        m if m % 2 == 0 => map.set(key | 1, n),
                        _ => map.del(key | 1),
                    }
                }
            });
        }
        start.wait();
        Instant::now()
    })
    .elapsed()
}

fn reads_and_writes(criterion: &mut Criterion) {
    fn bench<M: Map>(criterion: &mut Criterion, entries: u64) {
        let map = filled::<M>(entries);
        for (name, writes) in [("get", 0), ("mixed", 10), ("churn", 100)] {
            let mut group = criterion.benchmark_group(format!("hash_map/{name}/{entries}"));
            group.throughput(Throughput::Elements(1));
            for threads in [1, 2, 4] {
                group.bench_function(BenchmarkId::new(M::NAME, threads), |bencher| {
                    bencher.iter_custom(|ops| mixed(&map, entries, threads, writes, ops));
                });
            }
            group.finish();
        }
    }
    for entries in [1_000, 1_000_000] {
        bench::<Ours>(criterion, entries);
        bench::<Locked>(criterion, entries);
    }
}

fn growth(criterion: &mut Criterion) {
    const ENTRIES: u64 = 100_000;
    let mut group = criterion.benchmark_group("hash_map/growth");
    group.throughput(Throughput::Elements(ENTRIES)).sample_size(20);
    group.bench_function("latchfree", |bencher| bencher.iter_with_large_drop(|| filled::<Ours>(ENTRIES)));
    group.bench_function("mutex", |bencher| bencher.iter_with_large_drop(|| filled::<Locked>(ENTRIES)));
    group.finish();
}

criterion_group!(benches, reads_and_writes, growth);
criterion_main!(benches);
