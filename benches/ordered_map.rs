//! The ordered map's workloads as criterion benchmarks, for baselines over time: `cargo bench --bench ordered_map`.
//!
//! `compare` sets the structures side by side; this shows how one of them moves from commit to commit. Keys and values are
//! `u64`, or keys are strings of 40 bytes; times are per operation.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use latchfree::OrderedMap;
use parking_lot::Mutex;

/// Scatters the numbers below a power of two.
fn scattered(n: u64, len: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7 & (len - 1)
}

fn text(n: u64) -> String {
    format!("{n:016x}{:024x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

const SIZES: [u64; 2] = [1 << 10, 1 << 20];

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ordered_map/get");
    group.throughput(Throughput::Elements(1));
    for len in SIZES {
        // Half of the keys that are looked up are there.
        let map: OrderedMap<u64, u64> = (0..len).map(|n| (n * 2, n)).collect();
        let mut n = 0;
        group.bench_function(BenchmarkId::new("u64", len), |bencher| {
            bencher.iter(|| {
                n += 1;
                black_box(map.get_cloned(&scattered(n, len * 2)))
            });
        });
        let model: BTreeMap<u64, u64> = (0..len).map(|n| (n * 2, n)).collect();
        group.bench_function(BenchmarkId::new("u64, BTreeMap", len), |bencher| {
            bencher.iter(|| {
                n += 1;
                black_box(model.get(&scattered(n, len * 2)).copied())
            });
        });
        let map: OrderedMap<String, u64> = (0..len).map(|n| (text(n * 2), n)).collect();
        let probes: Vec<_> = (0..4096).map(|n| text(scattered(n, len * 2))).collect();
        group.bench_function(BenchmarkId::new("text", len), |bencher| {
            bencher.iter(|| {
                n += 1;
                black_box(map.get_cloned(probes[n as usize % probes.len()].as_str()))
            });
        });
    }
    group.finish();
}

fn writes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ordered_map/write");
    group.throughput(Throughput::Elements(1));
    for len in SIZES {
        let map: OrderedMap<u64, u64> = (0..len).map(|n| (n, n)).collect();
        let mut n = 0;
        group.bench_function(BenchmarkId::new("replace", len), |bencher| {
            bencher.iter(|| {
                n += 1;
                map.insert(scattered(n, len), n, &latchfree::pin()).copied()
            });
        });
        group.bench_function(BenchmarkId::new("insert and remove", len), |bencher| {
            bencher.iter(|| {
                n += 1;
                let key = scattered(n, len) + len;
                let guard = latchfree::pin();
                (map.insert(key, n, &guard).copied(), map.remove(&key, &guard).copied())
            });
        });
        let model = Mutex::new((0..len).map(|n| (n, n)).collect::<BTreeMap<u64, u64>>());
        group.bench_function(BenchmarkId::new("replace, Mutex<BTreeMap>", len), |bencher| {
            bencher.iter(|| {
                n += 1;
                model.lock().insert(scattered(n, len), n)
            });
        });
    }
    group.bench_function("growth, ascending", |bencher| {
        let map = OrderedMap::<u64, u64>::new();
        let mut n = 0;
        bencher.iter(|| {
            n += 1;
            map.insert(n, n, &latchfree::pin()).copied()
        });
    });
    group.finish();
}

fn scans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ordered_map/scan100");
    for len in SIZES {
        let map: OrderedMap<u64, u64> = (0..len).map(|n| (n, n)).collect();
        let mut n = 0;
        group.bench_function(BenchmarkId::new("range", len), |bencher| {
            bencher.iter(|| {
                n += 1;
                let guard = latchfree::pin();
                map.range(scattered(n, len).., &guard).take(100).map(|(_, value)| value).sum::<u64>()
            });
        });
    }
    group.finish();
}

fn expiry(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ordered_map/expiry");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("pop_first_while", |bencher| {
        bencher.iter_batched(
            || (0..10_000).map(|n| ((n, n), n)).collect::<OrderedMap<(u64, u64), u64>>(),
            |map| {
                let map = map.pin();
                while map.pop_first_while(1000, |&(at, _), _| at < 1 << 40).len() > 0 {}
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, reads, writes, scans, expiry);
criterion_main!(benches);
