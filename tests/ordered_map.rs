//! Behaviour of the ordered map and set, alone and shared.

mod common;

use std::cmp::Ordering as Cmp;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use common::{Both, Counted, Ledger, Rng, drained, over_both, scatter};
use latchfree::OrderedMap;
use latchfree::reclaim::Accepts;

fn setup() {
    common::choose(module_path!());
}

over_both! {
    ascending, descending, shrinking, counted_drops, counted_keys, panicking_drop, panicking_order, lying_order,
    panicking_closures, give_back, backlog_collected, each_key_once, counters, undeletable_keys, snapshots_are_atomic,
    popped_once, pop_sees_smaller, first_is_never_empty, leaked_guard_backlog, reentrant
}

/// Reclaimers for entries of these types.
trait For<K, V>: Both + Accepts<(K, V)> {}
impl<K, V, R: Both + Accepts<(K, V)>> For<K, V> for R {}

fn ascending<R: For<u64, u64>>() {
    let map = OrderedMap::<u64, u64, R>::default();
    for n in 0..100_000 {
        assert_eq!(map.insert(n, n * 2, &R::pin()), None);
    }
    let guard = R::pin();
    assert!(map.iter(&guard).map(|(&key, &value)| (key, value)).eq((0..100_000).map(|n| (n, n * 2))));
    assert_eq!(map.get(&77_777, &guard), Some(&155_554));
    assert_eq!(map.len(), 100_000);
}

fn descending<R: For<u64, String>>() {
    let map = OrderedMap::<u64, String, R>::default();
    for n in (0..20_000).rev() {
        assert_eq!(map.insert(n, n.to_string(), &R::pin()), None);
    }
    let guard = R::pin();
    assert!(map.keys(&guard).rev().copied().eq((0..20_000).rev()));
    assert!(map.values(&guard).map(|value| value.parse::<u64>().unwrap()).eq(0..20_000));
}

/// Removed in several orders, until nothing is left; used again.
fn shrinking<R: For<u64, u64>>() {
    const LEN: u64 = 20_000;
    for step in [1, 7, LEN - 1, 9_999] {
        let map: OrderedMap<u64, u64, R> = (0..LEN).map(|n| (n, n)).collect();
        let mut key = 0;
        for _ in 0..LEN {
            assert_eq!(map.remove(&key, &R::pin()), Some(&key), "step {step}");
            key = (key + step) % LEN;
        }
        let guard = R::pin();
        assert!(map.is_empty() && map.first_key_value(&guard).is_none());
        assert_eq!(map.insert(5, 5, &guard), None);
        assert_eq!(map.pop_last(&guard), Some((&5, &5)));
        assert_eq!(map.pop_last(&guard), None);
    }
}

/// Values that are replaced, removed, popped, left, refused and taken by value are dropped once.
fn counted_drops<R: For<u64, Counted>>() {
    const LEN: usize = 5_000;
    let ledger = Ledger::new(LEN * 4);
    {
        let map = OrderedMap::<u64, Counted, R>::default();
        let guard = R::pin();
        for id in 0..LEN {
            map.insert(id as u64 * 7919 % 3_001, ledger.item(id), &guard);
        }
        for id in 0..LEN {
            let key = id as u64 * 31 % 4_000;
            match map.try_insert(key, ledger.item(LEN + id), &guard) {
                Ok(value) => assert_eq!(value.id, LEN + id),
                Err(error) => assert_eq!(error.value.id, LEN + id),
            }
        }
        for key in (0..4_000).step_by(3) {
            map.remove(&key, &guard);
        }
        for _ in 0..100 {
            map.pop_first(&guard).unwrap();
            map.pop_last(&guard).unwrap();
        }
        map.retain(|key, _| key % 2 == 0);
        drop(guard);
        let mut next = 2 * LEN;
        map.update(
            &1_000,
            |old| {
                assert!(old.id < 2 * LEN);
                next += 1;
                ledger.item(next - 1)
            },
            &R::pin(),
        );
        let mut owned = map.into_iter();
        assert!(owned.next().is_some() && owned.next_back().is_some());
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || 2 * LEN + 1 - ledger.dropped().min(2 * LEN + 1)));
}

#[derive(Debug)]
struct Named(Counted);
impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.0.id % 10_000 == other.0.id % 10_000
    }
}
impl Eq for Named {}
impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<Cmp> {
        Some(self.cmp(other))
    }
}
impl Ord for Named {
    fn cmp(&self, other: &Self) -> Cmp {
        (self.0.id % 10_000).cmp(&(other.0.id % 10_000))
    }
}

/// Boxed keys, which separators share, are dropped once.
fn counted_keys<R: For<Named, u64>>() {
    const LEN: usize = 10_000;
    let ledger = Ledger::new(4 * LEN);
    {
        let map = OrderedMap::<Named, u64, R>::default();
        for round in 0..3 {
            for n in 0..LEN {
                map.insert(Named(ledger.item(round * LEN + n * 7 % LEN)), n as u64, &R::pin());
            }
            let guard = R::pin();
            for _ in 0..LEN / 2 {
                let popped = map.pop_first(&guard).unwrap();
                assert_eq!(popped.0.0.id / LEN, round);
            }
            let from = map.last_key_value(&guard).unwrap().0;
            assert_eq!(map.remove_range::<Named, _>((Bound::Excluded(from), Bound::Unbounded)), 0);
        }
        let mut owned = map.into_iter();
        for _ in 0..100 {
            assert!(owned.next().is_some() && owned.next_back().is_some());
        }
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || 3 * LEN - ledger.dropped()));
    ledger.settle();
}

struct Bomb {
    armed: bool,
    dropped: Arc<AtomicUsize>,
}
impl Drop for Bomb {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        assert!(!self.armed, "a destructor that panics");
    }
}

/// The rest is dropped although one destructor panics.
fn panicking_drop<R: For<u64, Bomb>>() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let map: OrderedMap<u64, Bomb, R> =
        (0..1000).map(|n| (n, Bomb { armed: n == 500, dropped: dropped.clone() })).collect();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(map))).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 1000);
}

std::thread_local! {
    static FUSE: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
}

/// A key whose comparisons panic when the fuse has burnt down, or lie.
#[derive(Debug)]
struct Odd {
    counted: Counted,
    lies: bool,
}
impl PartialEq for Odd {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Cmp::Equal
    }
}
impl Eq for Odd {}
impl PartialOrd for Odd {
    fn partial_cmp(&self, other: &Self) -> Option<Cmp> {
        Some(self.cmp(other))
    }
}
impl Ord for Odd {
    fn cmp(&self, other: &Self) -> Cmp {
        let left = FUSE.get();
        FUSE.set(left - 1);
        if self.lies {
            // Any answer, never the same twice.
            return [Cmp::Less, Cmp::Equal, Cmp::Greater]
                [(left.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 3];
        }
        assert!(left > 0, "a comparison that panics");
        self.counted.id.cmp(&other.counted.id)
    }
}

fn panicking_order<R: For<Odd, u64>>() {
    const LEN: usize = 3_000;
    let ledger = Ledger::new(LEN * 2);
    let key = |id| Odd { counted: ledger.item(id), lies: false };
    {
        let map = OrderedMap::<Odd, u64, R>::default();
        let mut rng = Rng(99);
        let mut panics = 0;
        for id in 0..LEN {
            FUSE.set(rng.below(40) as usize);
            let insert = catch_unwind(AssertUnwindSafe(|| ignore(map.insert(key(id), 1, &R::pin()))));
            FUSE.set(usize::MAX);
            panics += usize::from(insert.is_err());
        }
        assert!(panics > 100, "{panics} panics");
        for id in LEN..LEN + 500 {
            FUSE.set(rng.below(40) as usize);
            let probe = key(id);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                map.remove(&probe, &R::pin());
                map.range::<Odd, _>(&probe.., &R::pin()).take(3).count();
                map.retain(|odd, _| odd.counted.id % 31 != 0);
            }));
            FUSE.set(usize::MAX);
        }
        // What is there is in order and once.
        let guard = R::pin();
        let keys: Vec<_> = map.keys(&guard).map(|odd| odd.counted.id).collect();
        assert!(keys.is_sorted_by(|one, two| one < two));
        assert_eq!(keys.len(), map.len());
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN + 500 - ledger.dropped()));
    ledger.settle();
}

fn lying_order<R: For<Odd, u64>>() {
    const LEN: usize = 3_000;
    let ledger = Ledger::new(LEN);
    {
        let map = OrderedMap::<Odd, u64, R>::default();
        FUSE.set(usize::MAX);
        for id in 0..LEN {
            let key = Odd { counted: ledger.item(id), lies: true };
            let guard = R::pin();
            match id % 8 {
                0 => drop(map.remove_entry(&key, &guard)),
                1 => drop(map.pop_first(&guard)),
                2 => drop(map.pop_last(&guard)),
                3 => {
                    let seen = map.range::<Odd, _>(&key.., &guard).count() + map.iter(&guard).rev().count();
                    assert!(seen <= 2 * LEN);
                    let mut both = map.iter(&guard);
                    while both.next().is_some() && both.next_back().is_some() {}
                    map.range_snapshot::<Odd, _>(&key.., &guard).for_each(drop);
                }
                4 if id % 64 == 4 => map.retain(|_, value| value % 3 != 0),
                5 if id % 64 == 5 => drop(map.remove_range::<Odd, _>(&key..)),
                _ => drop(map.insert(key, id as u64, &guard)),
            }
        }
        map.clear();
        FUSE.set(usize::MAX);
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN - ledger.dropped()));
    ledger.settle();
}

fn panicking_closures<R: For<u64, Counted>>() {
    use latchfree::ordered_map::Operation;
    let ledger = Ledger::new(300);
    {
        let map: OrderedMap<u64, Counted, R> = (0..200).map(|n| (n, ledger.item(n as usize))).collect();
        let guard = R::pin();
        let panics = |f: &mut dyn FnMut()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
        panics(&mut || ignore(map.update(&7, |_| panic!("update"), &guard)));
        panics(&mut || ignore(map.compute(7, |_| -> Operation<Counted> { panic!("compute") }, &guard)));
        panics(&mut || ignore(map.remove_if(&7, |_, _| panic!("remove_if"), &guard)));
        panics(&mut || ignore(map.get_or_insert_with(777, || panic!("get_or_insert_with"), &guard)));
        panics(&mut || {
            ignore(map.pop_first_while(9, |&key, _| if key < 3 { true } else { panic!("pop") }, &guard))
        });
        panics(&mut || map.retain(|&key, _| if key < 3 { false } else { panic!("retain") }));
        assert_eq!(map.len(), 200);
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || 200 - ledger.dropped()));
    ledger.settle();
}

fn give_back<R: For<String, String>>() {
    let map: OrderedMap<String, String, R> = [("a".to_string(), "one".to_string())].into_iter().collect();
    let guard = R::pin();
    let error = map.try_insert("a".into(), "two".into(), &guard).unwrap_err();
    assert!(error.to_string().contains("was not inserted, the key"), "{error}");
    assert_eq!((error.current.as_str(), error.key.as_str(), error.value.as_str()), ("one", "a", "two"));
}

fn backlog_collected<R: For<u64, String>>() {
    let map: OrderedMap<u64, String, R> = (0..1000).map(|n| (n, n.to_string())).collect();
    let guard = R::pin();
    for n in 0..500 {
        map.remove(&n, &guard);
    }
    // A removed entry each, and the leaves that were merged away.
    assert!(map.backlog().objects >= 510 && map.backlog().bytes >= 500 * 32);
    drop(guard);
    assert!(drained(|| map.collect(), || map.backlog().objects));
}

/// A guard that is never given up holds back all that is removed, visibly, and stops nobody.
fn leaked_guard_backlog<R: For<u64, u64>>() {
    let map = OrderedMap::<u64, u64, R>::default();
    let (stop, held) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let guard = R::pin();
            assert_eq!(map.get(&0, &guard), None);
            held.wait();
            stop.wait();
        });
        held.wait();
        for n in 0..2000 {
            map.insert(n % 100, n, &R::pin());
        }
        let backlog = map.backlog();
        // A leaf is copied when its log is full.
        assert!(backlog.objects >= 300, "{backlog:?}");
        assert!(backlog.bytes >= 300 * 200, "{backlog:?}");
        stop.wait();
    });
    assert!(drained(|| map.collect(), || map.backlog().objects));
}

/// Closures, destructors and iterators may use the map.
fn reentrant<R: For<u64, u64>>() {
    let map: OrderedMap<u64, u64, R> = (0..300).map(|n| (n, n)).collect();
    let guard = R::pin();
    let new = map.update(
        &5,
        |&n| {
            if n == 5 {
                map.insert(5, 50, &guard);
                map.pop_first(&guard);
            }
            n + 1
        },
        &guard,
    );
    assert_eq!(new, Some(&51));
    (&map).extend(
        (1000..2000).filter(|n| map.remove(&(n - 900), &guard).is_some() || *n % 2 == 0).map(|n| (n, n)),
    );
    map.retain(|&key, _| {
        map.remove(&(key + 1), &guard);
        key % 2 == 0
    });
    for (key, _) in map.iter(&guard) {
        map.remove(key, &guard);
    }
    assert!(map.is_empty());
}

fn ignore<T>(_: T) {}

const THREADS: u64 = 4;

/// Threads race to insert, and to remove, the same keys; each is won once.
fn each_key_once<R: For<u64, Counted>>() {
    const KEYS: u64 = 4_000;
    let ledger = Ledger::new((THREADS * KEYS) as usize);
    {
        let map = OrderedMap::<u64, Counted, R>::default();
        for reverse in [false, true] {
            let (inserted, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
            if !reverse {
                scatter(THREADS, |thread| {
                    for n in 0..KEYS {
                        let key = if thread % 2 == 0 { n } else { KEYS - 1 - n };
                        let value = ledger.item((thread * KEYS + n) as usize);
                        inserted.fetch_add(
                            usize::from(map.try_insert(key, value, &R::pin()).is_ok()),
                            Ordering::Relaxed,
                        );
                    }
                });
                assert_eq!(inserted.into_inner(), KEYS as usize);
                assert_eq!(map.len(), KEYS as usize);
                assert!(map.keys(&R::pin()).copied().eq(0..KEYS));
            } else {
                scatter(THREADS, |thread| {
                    for n in 0..KEYS {
                        let key = if thread % 2 == 0 { n } else { KEYS - 1 - n };
                        removed
                            .fetch_add(usize::from(map.remove(&key, &R::pin()).is_some()), Ordering::Relaxed);
                    }
                });
                assert_eq!(removed.into_inner(), KEYS as usize);
                assert_eq!(map.len(), 0);
                assert!(map.is_empty());
            }
        }
    }
    let all = (THREADS * KEYS) as usize;
    assert!(drained(|| R::collect(&R::garbage(0)), || all - ledger.dropped()));
    ledger.settle();
}

/// No update is lost.
fn counters<R: For<u64, u64>>() {
    const KEYS: u64 = 70;
    const TURNS: u64 = 10_000;
    let map: OrderedMap<u64, u64, R> = (0..KEYS).map(|n| (n, 0)).collect();
    scatter(THREADS, |thread| {
        let mut rng = Rng(thread + 1);
        for _ in 0..TURNS {
            map.update(&rng.below(KEYS), |n| n + 1, &R::pin()).unwrap();
        }
    });
    assert_eq!(map.values(&R::pin()).sum::<u64>(), THREADS * TURNS);
}

/// Scans under churn are sorted and never miss a key that stays.
fn undeletable_keys<R: For<u64, String>>() {
    const KEYS: u64 = 6_000;
    let map: OrderedMap<u64, String, R> = (0..KEYS).step_by(3).map(|n| (n, n.to_string())).collect();
    let done = AtomicUsize::new(0);
    scatter(THREADS, |thread| {
        let mut rng = Rng(thread + 7);
        if thread < 2 {
            for round in 0..30_000 {
                // Runs of insertions and of removals, so that leaves split and merge.
                let key = if round / 3_000 % 2 == 0 { round * 2 % KEYS } else { rng.below(KEYS) };
                if key % 3 == 0 || round / 1_000 % 2 == thread {
                    map.insert(key, key.to_string(), &R::pin());
                } else {
                    map.remove(&key, &R::pin());
                }
            }
            done.fetch_add(1, Ordering::Relaxed);
        } else {
            let mut scans = 0;
            while done.load(Ordering::Relaxed) < 2 || scans < 10 {
                let (from, to) = (rng.below(KEYS), rng.below(KEYS));
                let guard = R::pin();
                let range = map.range(from..to, &guard);
                let seen: Vec<u64> = match scans % 3 {
                    0 => range.map(|(&key, _)| key).collect(),
                    1 => {
                        let mut seen: Vec<_> = range.rev().map(|(&key, _)| key).collect();
                        seen.reverse();
                        seen
                    }
                    _ => map.range_snapshot(from..to, &guard).map(|(&key, _)| key).collect(),
                };
                assert!(seen.is_sorted_by(|one, two| one < two));
                assert!(seen.iter().all(|key| (from..to).contains(key)));
                let stay = seen.iter().filter(|&key| key % 3 == 0).count() as u64;
                assert_eq!(stay, (from..to).filter(|key| key % 3 == 0).count() as u64);
                let key = rng.below(KEYS / 3) * 3;
                assert_eq!(map.get(&key, &guard), Some(&key.to_string()));
                assert!(
                    map.lower_bound(Bound::Excluded(&key), &guard).is_none_or(|(&next, _)| next <= key + 3)
                );
                scans += 1;
            }
        }
    });
}

/// Writers move a token from key to key far apart, inserting before they remove: at each moment there is one or two, and
/// a snapshot never shows none.
fn snapshots_are_atomic<R: For<u64, u64>>() {
    const FAR: u64 = 10_000;
    let map: OrderedMap<u64, u64, R> = (0..2_000).map(|n| (n * 10, 0)).collect();
    map.insert(5, 1, &R::pin());
    let done = AtomicBool::new(false);
    scatter(3, |thread| {
        let mut rng = Rng(thread + 3);
        match thread {
            0 => {
                let mut at = 5;
                for _ in 0..3_000 {
                    let to = rng.below(2 * FAR) / 10 * 10 + 5;
                    if to != at {
                        map.insert(to, 1, &R::pin());
                        map.remove(&at, &R::pin());
                        at = to;
                    }
                }
                done.store(true, Ordering::Relaxed);
            }
            _ => {
                let mut rounds = 0;
                while !done.load(Ordering::Relaxed) || rounds < 3 {
                    rounds += 1;
                    let guard = R::pin();
                    let tokens =
                        map.range_snapshot::<u64, _>(.., &guard).filter(|(_, value)| **value == 1).count();
                    assert!((1..=2).contains(&tokens), "{tokens} tokens");
                }
            }
        }
    });
}

/// Each entry is popped by one thread, and by `pop_first` in ascending order if nobody inserts.
fn popped_once<R: For<u64, Counted>>() {
    const LEN: usize = 20_000;
    let ledger = Ledger::new(LEN);
    {
        let map: OrderedMap<u64, Counted, R> = (0..LEN).map(|n| (n as u64, ledger.item(n))).collect();
        let popped = AtomicUsize::new(0);
        scatter(THREADS, |thread| {
            let (mut last, mut count) = (None, 0);
            loop {
                let guard = R::pin();
                let keys: Vec<_> = match thread {
                    0 => map.pop_first(&guard).into_iter().map(|(&key, _)| key).collect(),
                    1 => map.pop_last(&guard).into_iter().map(|(&key, _)| LEN as u64 - key).collect(),
                    _ => map.pop_first_while(10, |_, _| true, &guard).map(|(&key, _)| key).collect(),
                };
                if keys.is_empty() {
                    break;
                }
                for key in keys {
                    assert!(last < Some(key));
                    last = Some(key);
                    count += 1;
                }
            }
            popped.fetch_add(count, Ordering::Relaxed);
        });
        assert_eq!(popped.into_inner(), LEN);
        assert!(map.is_empty());
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN - ledger.dropped()));
    ledger.settle();
}

/// A thread that inserted a key either pops it, or one that is smaller, or finds that somebody else has popped it, although
/// leaves come and go at the edge.
fn pop_sees_smaller<R: For<u64, u64>>() {
    let map: OrderedMap<u64, u64, R> = (1_000_000..1_000_300).map(|n| (n, n)).collect();
    scatter(THREADS, |thread| {
        let mut rng = Rng(thread + 11);
        for turn in 0..20_000 {
            let guard = R::pin();
            if rng.below(3) == 0 {
                map.insert(1_000_000 + rng.below(300), 0, &guard);
            }
            // Each once, in descending order.
            let own = (20_000 - turn) * THREADS + thread;
            map.insert(own, 1, &guard);
            let (&popped, _) = map.pop_first(&guard).unwrap();
            assert!(popped <= own || !map.contains_key(&own), "{popped} popped with {own} in the map");
        }
    });
}

/// A map that always has an entry never looks empty, while its edge leaves are emptied.
fn first_is_never_empty<R: For<u64, u64>>() {
    const WIDTH: u64 = 500;
    let map: OrderedMap<u64, u64, R> = (0..WIDTH).map(|n| (n, n)).collect();
    let done = AtomicBool::new(false);
    scatter(3, |thread| {
        if thread == 0 {
            for n in WIDTH..60_000 {
                map.insert(n, n, &R::pin());
                assert_eq!(map.pop_first(&R::pin()).map(|(&key, _)| key), Some(n - WIDTH));
            }
            done.store(true, Ordering::Relaxed);
        } else {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let guard = R::pin();
                let (&first, _) = map.first_key_value(&guard).expect("never empty");
                let (&greatest, _) = map.last_key_value(&guard).expect("never empty");
                assert!(first >= last && greatest >= first, "{last} {first} {greatest}");
                assert!(!map.is_empty());
                last = first;
            }
        }
    });
}

#[test]
fn borrowed() {
    let text = String::from("an ordered map of borrowed words");
    let map: OrderedMap<&str, usize> = text.split(' ').map(|word| (word, word.len())).collect();
    assert_eq!(map.pin().get("map"), Some(&3));
    assert_eq!(map.pin().first_key_value(), Some((&"an", &2)));
}

#[test]
fn in_a_static() {
    static MAP: OrderedMap<u32, &str> = OrderedMap::new();
    MAP.pin().insert(1, "one");
    assert_eq!(MAP.get_cloned(&1), Some("one"));
}

#[test]
fn bulk_load_is_as_insertion() {
    for len in [0, 1, 55, 56, 57, 64, 65, 3_000, 4_000, 200_000] {
        let map: OrderedMap<u32, u32> = (0..len).map(|n| (n, n)).collect();
        assert_eq!(map.len(), len as usize);
        let pinned = map.pin();
        assert!(pinned.keys().copied().eq(0..len));
        for n in (0..len).step_by(101) {
            pinned.insert(n, 1);
            pinned.remove(&(n + 1));
        }
        assert_eq!(map.len(), pinned.iter().count());
    }
    let unsorted: OrderedMap<u32, u32> = [(3, 1), (1, 1), (3, 2), (2, 1), (3, 3), (1, 2)].into();
    assert_eq!(unsorted, [(1, 2), (2, 1), (3, 3)].into());
    assert_eq!(format!("{unsorted:?}"), "{1: 2, 2: 1, 3: 3}");
}

/// Large and oddly aligned entries.
#[test]
fn shapes() {
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    #[repr(align(128))]
    struct Wide(u64);
    let map: OrderedMap<Wide, [u64; 100]> = (0..500).map(|n| (Wide(n), [n; 100])).collect();
    assert!(map.pin().values().all(|value| value.iter().all(|word| *word == value[0])));
    let bytes: OrderedMap<u8, ()> = (0..=255).map(|n| (n, ())).collect();
    assert_eq!(bytes.pin().range(10..20).count(), 10);
    let wide: OrderedMap<u128, u8> = (0..1000).map(|n| (n << 64, 1)).collect();
    assert_eq!(wide.pin().lower_bound(Bound::Excluded(&(5 << 64))), Some((&(6 << 64), &1)));
    let signed: OrderedMap<i64, bool> = (-500..500).map(|n| (n, n < 0)).collect();
    assert_eq!(signed.pin().first_key_value(), Some((&-500, &true)));
    let unit: OrderedMap<(), String> = [((), "one".to_string())].into();
    assert_eq!(unit.pin().insert((), "two".into()).map(String::as_str), Some("one"));
    let model: BTreeMap<_, _> = (0..900_u64).map(|n| (n.to_string().into_bytes(), n)).collect();
    let map: OrderedMap<Vec<u8>, u64> = model.clone().into_iter().collect();
    assert!(map.pin().iter().eq(&model));
    assert_eq!(map.pin().get(b"77".as_slice()), Some(&77));
}

/// A set is a map without values: elements that lie in the leaves, and boxed ones.
#[test]
fn sets() {
    use latchfree::OrderedSet;
    use std::collections::BTreeSet;

    let mut rng = Rng(5);
    let (plain, boxed) = (OrderedSet::<(u64, u64)>::new(), OrderedSet::<String>::new());
    let mut model = BTreeSet::new();
    for turn in 0..20_000 {
        let n = rng.below(1_000);
        let (element, text) = ((n / 10, n % 10), format!("{n:05}"));
        if turn / 4_000 % 2 == 0 || n % 3 == 0 {
            assert_eq!(plain.insert(element), model.insert(n));
            boxed.insert(text);
        } else {
            let was = model.remove(&n);
            assert_eq!((plain.remove(&element), boxed.remove(text.as_str())), (was, was));
        }
    }
    let (plain, boxed) = (plain.pin(), boxed.pin());
    assert!(plain.iter().map(|(a, b)| a * 10 + b).eq(model.iter().copied()));
    assert!(boxed.iter().rev().map(|text| text.parse::<u64>().unwrap()).eq(model.iter().rev().copied()));
    assert!(plain.range((3, 0)..(7, 5)).count() == model.range(30..75).count());
    assert_eq!(boxed.range_snapshot("00100".to_string()..).len(), model.range(100..).count());
    assert_eq!(plain.first().map(|(a, b)| a * 10 + b), model.first().copied());
    assert_eq!(boxed.last().map(|text| text.parse().unwrap()), model.last().copied());
    assert_eq!(plain.pop_first_while(5, |_| true).len(), 5);
    assert_eq!(plain.len() + 5, boxed.len());
}
