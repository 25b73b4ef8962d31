//! Behaviour of the map of inline entries, over both reclaimers and several hashers.

mod common;
#[path = "common/hashers.rs"]
mod hashers;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::Rng;
use hashers::{Hashes, over_all};
use latchfree::hash_map::copy_map::{CopyMap, NoUninit};
use latchfree::reclaim::{Accepts, Reclaim};

trait Both: Reclaim<Garbage: Send + Sync> + Accepts<(u64, u64)> + Accepts<(u32, i8)> {}
impl<R: Reclaim<Garbage: Send + Sync> + Accepts<(u64, u64)> + Accepts<(u32, i8)>> Both for R {}

over_all! {
    basics, conditional, growth, churn, shrinking, iteration_meets_everything, iteration_under_churn, concurrent_inserts,
    one_wins, counters, pairs_belong_together, limits_hold, into_iter_by_halves, blocks_and_back, many_versions,
}

fn empty<K: NoUninit, V: NoUninit, R: Accepts<(K, V)>>(hashes: Hashes) -> CopyMap<K, V, Hashes, R> {
    CopyMap::with_reclaimer(0, hashes)
}

fn basics<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    assert!(map.is_empty() && map.get(&1).is_none() && map.remove(&1).is_none());
    assert_eq!((map.capacity(), map.iter().count()), (0, 0));
    assert_eq!(map.insert(1, 10), None);
    assert_eq!(map.insert(1, 11), Some(10));
    assert_eq!((map.get(&1), map.get(&2), map.len()), (Some(11), None, 1));
    assert_eq!((map.try_insert(1, 12), map.try_insert(2, 20)), (Err(11), Ok(())));
    assert_eq!((map.get_or_insert(2, 21), map.get_or_insert(3, 30)), (20, 30));
    assert_eq!(map.get_or_insert_with(3, || unreachable!()), 30);
    assert_eq!((map.get_key_value(&3), map.contains_key(&4)), (Some((3, 30)), false));
    assert_eq!(map.remove_if(&3, |_, n| n == 31), Err(30));
    assert_eq!(map.remove_if(&3, |_, n| n == 30), Ok(Some(30)));
    assert_eq!(map.remove_if(&3, |_, _| unreachable!()), Ok(None));
    assert_eq!((map.remove(&2), map.remove(&1), map.len()), (Some(20), Some(11), 0));
    map.insert(0, 0); // all bits zero, as memory that was never written
    assert_eq!((map.get(&0), map.iter().collect::<Vec<_>>()), (Some(0), vec![(0, 0)]));
    map.clear();
    assert!(map.is_empty() && map.get(&0).is_none());
}

fn conditional<R: Both>(hashes: Hashes) {
    let map = empty::<u32, i8, R>(hashes);
    assert_eq!(map.compare_exchange(&7, 0, 1), Err(None));
    assert_eq!(map.fetch_update(&7, |_| unreachable!()), Err(None));
    assert_eq!(map.update_or_insert(7, |_| unreachable!(), -1), -1);
    assert_eq!(map.compare_exchange(&7, 0, 1), Err(Some(-1)));
    assert_eq!(map.compare_exchange(&7, -1, 1), Ok(-1));
    assert_eq!(map.fetch_update(&7, |n| n.checked_mul(100)), Ok(1));
    assert_eq!(map.fetch_update(&7, |n| n.checked_mul(100)), Err(Some(100)));
    assert_eq!(map.update_or_insert(7, |n| n + 1, 0), 101);
    assert_eq!(map.add_if_below(7, 20, 127), Ok(121));
    assert_eq!(map.add_if_below(7, 7, 127), Err(121));
    assert_eq!(map.add_if_below(7, 6, 127), Ok(127));
    assert_eq!(map.add_if_below(7, 1, i8::MAX), Err(127), "an overflow is no sum");
    assert_eq!(map.add_if_below(7, -128, 0), Ok(-1));
    assert_eq!((map.add_if_below(8, 1, 0), map.get(&8)), (Err(0), None));
    assert_eq!((map.add_if_below(8, 0, 0), map.get(&8)), (Ok(0), Some(0)));
    assert_eq!(map.len(), 2);
}

fn growth<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    for n in 0..hashes.keys() {
        assert_eq!(map.insert(n, n * 2), None);
        assert_eq!(map.len() as u64, n + 1);
        if n < 300 || n % 1000 == 0 {
            for k in (0..=n).rev().take(300) {
                assert_eq!(map.get(&k), Some(k * 2), "{k} of {n}");
            }
            assert_eq!(map.get(&(n + 1)), None);
        }
    }
    let keys: Vec<u64> = (0..hashes.keys() + 10).collect();
    let all: Vec<_> = keys.iter().map(|&n| (n < hashes.keys()).then_some(n * 2)).collect();
    assert_eq!(map.get_many(&keys), all);
    for n in 0..hashes.keys() {
        assert_eq!(map.insert(n, n * 3), Some(n * 2));
    }
    for n in 0..hashes.keys() {
        assert_eq!((map.get(&n), map.remove(&n), map.get(&n)), (Some(n * 3), Some(n * 3), None));
    }
    assert!(map.is_empty());
    assert_eq!(map.iter().count(), 0);
}

/// Insertions, updates and removals at a constant size leave the table as it is.
fn churn<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    let size = hashes.keys() / 10;
    map.reserve(size as usize * 2);
    let capacity = map.capacity();
    for n in 0..hashes.keys() * 5 {
        assert_eq!(map.insert(n, n), None);
        assert_eq!(map.fetch_update(&n, |n| Some(n + 1)), Ok(n));
        if n >= size {
            assert_eq!(map.remove(&(n - size)), Some(n - size + 1));
            assert_eq!(map.get(&(n - size)), None);
        }
        assert_eq!(map.get(&n), Some(n + 1));
    }
    assert_eq!((map.len() as u64, map.capacity()), (size, capacity));
}

fn shrinking<R: Both>(hashes: Hashes) {
    let mut map = empty::<u64, u64, R>(hashes);
    map.extend((0..hashes.keys()).map(|n| (n, n)));
    for left in [hashes.keys() / 2, hashes.keys() / 50, 3, 0] {
        map.retain(|n, _| n < left);
        map.shrink_to_fit();
        assert!(map.capacity() as u64 <= (left * 2).max(3), "{left} in {}", map.capacity());
        assert!((0..hashes.keys()).all(|n| map.get(&n).is_some() == (n < left)));
        assert_eq!(map.iter().count() as u64, left);
        map.insert(left, 0);
        assert_eq!(map.remove(&left), Some(0));
    }
    map.reserve(1000);
    assert!(map.capacity() >= 1000 && map.is_empty());
}

fn iteration_meets_everything<R: Both>(hashes: Hashes) {
    for len in [0, 1, 3, 4, 10, 11, 100, hashes.keys()] {
        let mut map = empty::<u64, u64, R>(hashes);
        map.extend((0..len).map(|n| (n, n + 1)));
        let mut seen: Vec<_> = map.iter().collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq((0..len).map(|n| (n, n + 1))));
        assert_eq!(map.keys().count() as u64, len);
        assert_eq!(map.values().sum::<u64>(), len * (len + 1) / 2);
    }
}

/// Keys that nobody removes are met exactly once, however the others and the table change.
fn iteration_under_churn<R: Both>(hashes: Hashes) {
    let mut map = empty::<u64, u64, R>(hashes);
    let keys = hashes.keys().min(2000);
    map.extend((0..keys).map(|n| (n * 2, n)));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (map, done) = (&map, &done);
            scope.spawn(move || {
                let mut rng = Rng(thread * 77 + 5);
                while !done.load(Ordering::Relaxed) {
                    for _ in 0..50 {
                        map.insert(rng.below(keys) * 2 + 1, 0);
                        map.remove(&(rng.below(keys) * 2 + 1));
                        assert!(map.fetch_update(&(rng.below(keys) * 2), Some).is_ok());
                    }
                    match rng.below(4) {
                        0 => map.reserve(keys as usize * 8),
                        1 => map.shrink_to_fit(),
                        _ => {}
                    }
                }
            });
        }
        for _ in 0..30 {
            let mut even: Vec<u64> = map.keys().filter(|k| k % 2 == 0).collect();
            even.sort_unstable();
            assert!(even.iter().copied().eq((0..keys).map(|n| n * 2)), "{} of {keys}", even.len());
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn concurrent_inserts<R: Both>(hashes: Hashes) {
    const THREADS: u64 = 4;
    let map = empty::<u64, u64, R>(hashes);
    let keys = hashes.keys();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let map = &map;
            scope.spawn(move || {
                for n in (thread..keys).step_by(THREADS as usize) {
                    assert_eq!((map.insert(n, n), map.get(&n)), (None, Some(n)));
                    // What we inserted before is there, through all migrations.
                    let before = n - (n / THREADS % 64) * THREADS;
                    assert_eq!(map.get(&before), Some(before));
                }
            });
        }
    });
    assert_eq!(map.len() as u64, keys);
    assert!((0..keys).all(|n| map.get(&n) == Some(n)));
    assert_eq!(map.iter().count() as u64, keys);
}

/// Of threads that insert the same keys at once, one wins each; as with removals.
fn one_wins<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    let keys = hashes.keys().min(5000);
    let (inserted, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (map, inserted) = (&map, &inserted);
                scope.spawn(move || {
                    for n in 0..keys {
                        inserted.fetch_add(map.try_insert(n, thread).is_ok().into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(map.iter().count() as u64, keys);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (map, removed) = (&map, &removed);
                scope.spawn(move || {
                    for n in 0..keys {
                        removed.fetch_add(map.remove(&n).is_some().into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(map.is_empty());
    }
    assert_eq!((inserted.into_inner() as u64, removed.into_inner() as u64), (keys * 2, keys * 2));
}

/// No update is lost, while keys come and go and the table changes its size.
fn counters<R: Both>(hashes: Hashes) {
    const ROUNDS: u64 = 3000;
    let map = empty::<u64, u64, R>(hashes);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let map = &map;
            scope.spawn(move || {
                for n in 0..ROUNDS {
                    map.update_or_insert(n % 8, |count| count + 1, 1);
                    if n % 16 == thread {
                        map.insert(1000 + n, n);
                    }
                    if n % 512 == 100 * thread {
                        map.reserve(2000);
                    } else if n % 512 == 100 * thread + 50 {
                        map.shrink_to_fit();
                    }
                }
            });
        }
    });
    assert_eq!((0..8).map(|n| map.get(&n).unwrap()).sum::<u64>(), ROUNDS * 3);
}

/// A reader never sees one entry's key with another's value, nor a value go back, while places change hands.
fn pairs_belong_together<R: Both>(hashes: Hashes) {
    const KEYS: u64 = 6;
    let map = empty::<u64, u64, R>(hashes);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (map, done) = (&map, &done);
            scope.spawn(move || {
                let mut rng = Rng(thread + 3);
                for n in 1..20_000 {
                    let key = rng.below(KEYS);
                    match rng.below(3) {
                        0 => drop(map.remove(&key).map(|value| assert_eq!(value >> 32, key))),
                        1 => drop(map.insert(key, key << 32 | n)),
                        // The first key stays, and grows.
                        _ => drop(map.update_or_insert(100, |value| value + 1, 100 << 32)),
                    }
                }
                done.store(true, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                for key in 0..KEYS {
                    assert!(map.get(&key).is_none_or(|value| value >> 32 == key));
                }
                if let Some(value) = map.get(&100) {
                    assert!(value >> 32 == 100 && value >= last);
                    last = value;
                } else {
                    assert_eq!(last, 0, "nobody removes it");
                }
                assert!(map.iter().all(|(key, value)| value >> 32 == key));
            }
        });
    });
}

/// Any number of threads together do not exceed a limit, and reach it.
fn limits_hold<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    let granted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..1000 {
                    let sum = map.add_if_below(n % 5, 2, 101);
                    granted.fetch_add(sum.is_ok().into(), Ordering::Relaxed);
                    assert!(sum.unwrap_or_else(|sum| sum) <= 100);
                }
            });
        }
    });
    assert_eq!(granted.into_inner(), 5 * 50);
    assert!((0..5).all(|n| map.get(&n) == Some(100)));
}

fn into_iter_by_halves<R: Both>(hashes: Hashes) {
    let keys = hashes.keys().min(1000);
    let mut map = empty::<u64, u64, R>(hashes);
    map.extend((0..keys).map(|n| (n, n)));
    let mut iter = map.into_iter();
    assert_eq!(iter.size_hint(), (keys as usize, Some(keys as usize)));
    let mut seen: BTreeSet<u64> = iter.by_ref().take(keys as usize / 2).map(|(key, _)| key).collect();
    assert_eq!(seen.len() as u64, keys / 2);
    seen.extend(iter.map(|(key, _)| key));
    assert_eq!(seen.len() as u64, keys);
}

/// A bucket that ran full and is nearly empty again works on.
fn blocks_and_back<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    for round in 0..20 {
        for n in 0..40 {
            assert_eq!(map.insert(n, round), None);
        }
        for n in 0..40 {
            assert_eq!(map.remove(&n), Some(round));
            assert_eq!(map.iter().count(), 39 - n as usize);
        }
    }
    assert_eq!(map.len(), 0);
    map.collect();
}

/// Updates allocate nothing that stays: what they leave behind is bounded, and goes.
fn many_versions<R: Both>(hashes: Hashes) {
    let map = empty::<u64, u64, R>(hashes);
    for n in 1..100_000 {
        assert_eq!(map.update_or_insert(n % 2, |n| n + 1, 1), n.div_ceil(2));
        map.get_or_insert(2 + n % 2, 0);
    }
    assert_eq!(map.len(), 4);
    assert!(common::drained(|| map.collect(), || map.backlog().objects));
}

/// The longest chains: every change copies a list of thousands.
#[test]
fn thousands_of_equal_hashes() {
    let map: CopyMap<u64, u64, _> = CopyMap::with_hasher(Hashes::Zero);
    (&map).extend((0..4000).map(|n| (n, n)));
    assert!((0..4000).all(|n| map.get(&n) == Some(n)));
    assert_eq!(map.get(&4000), None);
    map.retain(|n, _| n % 100 == 0);
    assert_eq!(map.iter().count(), 40);
}

/// Eq is not equality of bits, and the key in the map is the last that was inserted.
#[test]
fn keys_are_compared_by_eq() {
    #[derive(Clone, Copy, Debug)]
    struct Folded(u8);
    impl PartialEq for Folded {
        fn eq(&self, other: &Self) -> bool {
            self.0.eq_ignore_ascii_case(&other.0)
        }
    }
    impl Eq for Folded {}
    impl Hash for Folded {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.to_ascii_lowercase().hash(state);
        }
    }
    // SAFETY: a byte.
    unsafe impl NoUninit for Folded {}
    let map = CopyMap::new();
    assert_eq!(map.insert(Folded(b'a'), 1), None);
    assert_eq!(map.fetch_update(&Folded(b'A'), |n| Some(n + 1)), Ok(1));
    assert_eq!(map.get_key_value(&Folded(b'A')).unwrap().0.0, b'a');
    assert_eq!(map.insert(Folded(b'A'), 3), Some(2));
    assert_eq!(map.get_key_value(&Folded(b'a')).unwrap().0.0, b'A');
    assert_eq!(map.len(), 1);
}

#[test]
fn small_types_of_all_kinds() {
    fn check<K: NoUninit + Eq + Hash + std::fmt::Debug, V: NoUninit + PartialEq + std::fmt::Debug>(
        entries: [(K, V); 2],
    ) {
        let map = CopyMap::from(entries);
        for (key, value) in entries {
            assert_eq!(map.get(&key), Some(value));
        }
        assert_eq!(map.iter().count(), 2);
        assert_eq!(map.clone(), map);
    }
    check([(false, 1.5), (true, -0.0)]);
    check([('a', [1_u8; 7]), ('\u{10ffff}', [255; 7])]);
    check([(i64::MIN, ()), (-1, ())]);
    check([([1_u16; 3], 'x'), ([2; 3], 'y')]);
    check([(std::num::NonZeroU64::MIN, 0_u8), (std::num::NonZeroU64::MAX, 255)]);
    let map = CopyMap::from([((), ()), ((), ())]);
    assert_eq!((map.len(), map.get(&()), map.iter().count()), (1, Some(()), 1));
}

#[test]
fn traits_of_maps() {
    let map: CopyMap<u64, u64> = (0..100).map(|n| (n, n)).collect();
    let mut other = CopyMap::with_capacity(10);
    other.extend(map.iter());
    assert_eq!(map, other);
    other.extend(&std::collections::HashMap::from([(5, 6)]));
    assert_ne!(map, other);
    assert_eq!(format!("{:?}", CopyMap::from([(1, 'a')])), "{1: 'a'}");
    assert!(CopyMap::<u8, u8>::default().is_empty());
    let mut sum = 0;
    for (key, _) in &map {
        sum += key;
    }
    for (key, _) in map {
        sum -= key;
    }
    assert_eq!(sum, 0);
}

std::thread_local! {
    static FUSE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Panics when the fuse has burnt down.
fn burn() {
    let left = FUSE.get();
    if left == 0 {
        FUSE.set(usize::MAX);
        panic!("the fuse");
    }
    FUSE.set(left.saturating_sub(usize::from(left != usize::MAX)));
}

#[derive(Clone, Copy, Debug)]
struct Fused(u64);
impl PartialEq for Fused {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}
impl Eq for Fused {}
impl Hash for Fused {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn();
        state.write_u64(self.0 / 4);
    }
}
// SAFETY: an integer.
unsafe impl NoUninit for Fused {}

/// `Hash`, also in the middle of a migration, `Eq` and closures may panic at any call: the operation took place or did not.
#[test]
fn panics_leave_the_map_whole() {
    let mut panics = 0;
    for fuse in 0..40 {
        let map = CopyMap::<Fused, u64>::new();
        let mut expected = BTreeSet::new();
        for n in 0..60 {
            let before = map.len();
            FUSE.set(fuse);
            let done = catch_unwind(AssertUnwindSafe(|| match n % 5 {
                0 => drop(map.remove(&Fused(n / 2))),
                1 => drop(map.fetch_update(&Fused(n / 2), |n| {
                    burn();
                    Some(n)
                })),
                2 => map.reserve(n as usize),
                _ => drop(map.insert(Fused(n), n)),
            }));
            FUSE.set(usize::MAX);
            panics += usize::from(done.is_err());
            let there = |n| map.get(&Fused(n)).is_some();
            match n % 5 {
                0 if !there(n / 2) => drop(expected.remove(&(n / 2))),
                3 | 4 if there(n) => drop(expected.insert(n)),
                _ => assert_eq!(map.len(), before),
            }
            assert_eq!(map.len(), expected.len());
            assert!(expected.iter().all(|&n| map.get(&Fused(n)).is_some()));
        }
        let met: BTreeSet<u64> = map.iter().map(|(key, _)| key.0).collect();
        assert_eq!(met, expected);
    }
    assert!(panics > 100, "{panics}");
}

/// Hashes that contradict themselves lose keys, and nothing else.
#[test]
fn hashes_that_change() {
    struct Random(Cell<u64>);
    impl BuildHasher for Random {
        type Hasher = DefaultHasher;
        fn build_hasher(&self) -> DefaultHasher {
            self.0.set(self.0.get() + 1);
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.0.get() / 3);
            hasher
        }
    }
    let map: CopyMap<u64, u64, _> = CopyMap::with_hasher(Random(Cell::new(0)));
    for n in 0..5000 {
        map.insert(n % 500, n);
        map.remove(&(n % 300));
        if n % 1000 == 0 {
            map.shrink_to_fit();
            assert!(map.iter().all(|(key, value)| value % 500 == key));
        }
    }
}

/// Two million entries come and go in bounded stack.
#[test]
fn large_maps() {
    let entries = if cfg!(miri) { 1000 } else { 2_000_000_u64 };
    let work = move || {
        let map = CopyMap::with_capacity_and_hasher(1, Hashes::Identity);
        (0..entries).for_each(|n| _ = map.insert(n, n));
        assert_eq!(map.len() as u64, entries);
        assert!((0..entries).step_by(1001).all(|n| map.get(&n) == Some(n)));
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(work).unwrap().join().unwrap();
}
