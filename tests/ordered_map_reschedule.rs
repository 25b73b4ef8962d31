//! Entries that are moved to other keys, alone and by many threads.

mod common;

use std::cmp::Ordering as Cmp;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{Both, Counted, Ledger, Rng, drained, over_both, scatter};
use latchfree::ordered_map::RescheduleError;
use latchfree::reclaim::Accepts;
use latchfree::{OrderedMap, OrderedSet};

fn setup() {
    common::choose(module_path!());
}

over_both! {
    results, values_stay, counted_drops, boxed_keys, panics, lies, owned_while_boxed, sets, tokens, timers_fire_once,
    to_one_key, leaks_nothing
}

/// Reclaimers for entries of these types.
trait For<K, V>: Both + Accepts<(K, V)> {}
impl<K, V, R: Both + Accepts<(K, V)>> For<K, V> for R {}

fn results<R: For<u64, String>>() {
    let map: OrderedMap<u64, String, R> = (0..1_000).map(|n| (n * 10, n.to_string())).collect();
    let guard = R::pin();
    // To the other end, to the neighbour, to itself.
    assert_eq!(map.reschedule(&50, 9_995, &guard).map(String::as_str), Ok("5"));
    assert_eq!(map.reschedule(&60, 65, &guard).map(String::as_str), Ok("6"));
    assert_eq!(map.reschedule(&70, 70, &guard).map(String::as_str), Ok("7"));
    assert_eq!(map.reschedule(&9_995, 1, &guard).map(String::as_str), Ok("5"));
    assert_eq!(map.reschedule(&50, 52, &guard), Err(RescheduleError::NotFound { key: 52 }));
    let there = RescheduleError::Occupied { current_key: &9_000, current: &"900".to_string(), key: 9_000 };
    assert_eq!(map.reschedule(&80, 9_000, &guard), Err(there.clone()));
    assert!(there.to_string().ends_with("it has the value \"900\""), "{there}");
    // Neither: the first counts.
    let error = map.reschedule(&81, 9_000, &guard).unwrap_err();
    assert!(error.to_string().ends_with("there is no entry of the old key"), "{error}");
    assert_eq!((error.into_key(), map.len()), (9_000, 1_000));
    assert_eq!(map.get(&80, &guard).map(String::as_str), Some("8"));
    let start: Vec<u64> = map.keys(&guard).take(8).copied().collect();
    assert_eq!(start, [0, 1, 10, 20, 30, 40, 65, 70]);
}

/// A value is lent before, during and after moves, and is always the same one.
fn values_stay<R: For<u64, Vec<u64>>>() {
    let map: OrderedMap<u64, Vec<u64>, R> = (0..500).map(|n| (n * 100, vec![n])).collect();
    let guard = R::pin();
    let lent = map.get(&300, &guard).unwrap();
    let mut at = 300;
    for turn in 1..400 {
        let to = turn * 7_919 % 50_000 / 10 * 10 + 5;
        assert!(std::ptr::eq(map.reschedule(&at, to, &guard).unwrap(), lent));
        assert!(std::ptr::eq(map.get(&to, &guard).unwrap(), lent));
        assert_eq!(map.get(&at, &guard), None);
        at = to;
    }
    assert!(std::ptr::eq(map.remove(&at, &guard).unwrap(), lent));
    assert_eq!((lent.as_slice(), map.len()), ([3].as_slice(), 499));
}

fn counted_drops<R: For<u64, Counted>>() {
    const LEN: usize = 3_000;
    let ledger = Ledger::new(2 * LEN);
    {
        let map: OrderedMap<u64, Counted, R> = (0..LEN).map(|n| (n as u64 * 4, ledger.item(n))).collect();
        let mut rng = Rng(5);
        for turn in 0..20_000 {
            let (old, new) = (rng.below(4 * LEN as u64), rng.below(4 * LEN as u64));
            let guard = R::pin();
            if turn % 10 == 0 {
                map.remove(&old, &guard);
            } else if let Ok(value) = map.reschedule(&old, new, &guard) {
                assert!(value.id < LEN);
            }
        }
        for id in LEN..LEN + 100 {
            map.insert(rng.below(4 * LEN as u64), ledger.item(id), &R::pin());
        }
        for _ in 0..100 {
            map.pop_first(&R::pin()).unwrap();
        }
        let mut owned = map.into_iter();
        assert!(owned.next().is_some() && owned.next_back().is_some());
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN + 100 - ledger.dropped()));
    ledger.settle();
}

std::thread_local! {
    /// Calls of the user's code that are left until one panics, or lies.
    static FUSE: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
    static LIES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// All keys that there are.
static KEYS: AtomicUsize = AtomicUsize::new(0);

/// A boxed key that is counted, and of which every call may panic.
#[derive(Debug)]
struct Odd(u64);

impl Odd {
    fn new(key: u64) -> Self {
        KEYS.fetch_add(1, Ordering::Relaxed);
        Self(key)
    }
    fn burn() -> usize {
        let left = FUSE.get();
        FUSE.set(left.wrapping_sub(1));
        assert!(left > 0 || LIES.get(), "a call that panics");
        left
    }
}
impl Drop for Odd {
    fn drop(&mut self) {
        KEYS.fetch_sub(1, Ordering::Relaxed);
    }
}
impl Clone for Odd {
    fn clone(&self) -> Self {
        Self::burn();
        Self::new(self.0)
    }
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
        let left = Self::burn();
        if LIES.get() && left % 7 == 0 {
            return [Cmp::Less, Cmp::Equal, Cmp::Greater][left / 7 % 3];
        }
        self.0.cmp(&other.0)
    }
}

/// The tests that count keys, one after the other.
static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Every key and every clone is dropped, separators and keys of entries that moved many times included.
fn boxed_keys<R: For<Odd, Counted>>() {
    const LEN: u64 = 2_000;
    let _one = alone();
    let ledger = Ledger::new(LEN as usize);
    {
        let map: OrderedMap<Odd, Counted, R> =
            (0..LEN).map(|n| (Odd::new(n * 3), ledger.item(n as usize))).collect();
        let mut model: BTreeSet<u64> = (0..LEN).map(|n| n * 3).collect();
        let mut rng = Rng(77);
        for _ in 0..20_000 {
            let (old, new) = (rng.below(3 * LEN), rng.below(3 * LEN));
            let moved = map.reschedule(&Odd::new(old), Odd::new(new), &R::pin()).is_ok();
            assert_eq!(moved, model.contains(&old) && (old == new || !model.contains(&new)));
            if moved {
                model.remove(&old);
                model.insert(new);
            }
        }
        for _ in 0..LEN / 2 {
            let guard = R::pin();
            let first = map.pop_first(&guard).map(|(key, _)| key.0);
            assert_eq!(first, model.pop_first());
        }
        assert!(map.into_iter().map(|(key, _)| key.0).eq(model));
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN as usize - ledger.dropped()));
    ledger.settle();
    assert!(drained(|| R::collect(&R::garbage(0)), || KEYS.load(Ordering::Relaxed)));
}

/// A comparison or a clone that panics leaves the entry at one of its places, or the operation undone.
fn panics<R: For<Odd, Counted>>() {
    const LEN: u64 = 600;
    let _one = alone();
    let ledger = Ledger::new(LEN as usize);
    {
        let map: OrderedMap<Odd, Counted, R> =
            (0..LEN).map(|n| (Odd::new(n * 3), ledger.item(n as usize))).collect();
        let mut rng = Rng(3);
        let mut panics = 0;
        for _ in 0..4_000 {
            let (old, new) = (Odd::new(rng.below(3 * LEN)), Odd::new(rng.below(3 * LEN)));
            let fuse = rng.below(90) as usize;
            let guard = R::pin();
            FUSE.set(fuse);
            let moved = catch_unwind(AssertUnwindSafe(|| map.reschedule(&old, new, &guard).is_ok()));
            FUSE.set(usize::MAX);
            panics += usize::from(moved.is_err());
            if moved.is_err() {
                let there = map.iter(&guard).filter(|(key, _)| **key == old).count();
                assert!(there <= 1);
            }
        }
        assert!(panics > 500, "{panics} panics");
        let guard = R::pin();
        assert_eq!(map.iter(&guard).count(), LEN as usize);
        assert!(map.keys(&guard).is_sorted_by(|one, two| one < two));
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN as usize - ledger.dropped()));
    ledger.settle();
    assert!(drained(|| R::collect(&R::garbage(0)), || KEYS.load(Ordering::Relaxed)));
}

/// An order that lies from time to time loses entries from view, and nothing else.
fn lies<R: For<Odd, Counted>>() {
    const LEN: u64 = 600;
    let _one = alone();
    let ledger = Ledger::new(LEN as usize);
    {
        let map: OrderedMap<Odd, Counted, R> =
            (0..LEN).map(|n| (Odd::new(n * 3), ledger.item(n as usize))).collect();
        let mut rng = Rng(4);
        LIES.set(true);
        for turn in 0..6_000 {
            let (old, new) = (Odd::new(rng.below(3 * LEN)), Odd::new(rng.below(3 * LEN)));
            let guard = R::pin();
            let _ = map.reschedule(&old, new, &guard);
            if turn % 50 == 0 {
                map.pop_first(&guard);
            }
            if turn % 500 == 0 {
                assert!(map.iter(&guard).count() <= 2 * LEN as usize);
            }
        }
        LIES.set(false);
        FUSE.set(usize::MAX);
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN as usize - ledger.dropped()));
    ledger.settle();
    assert!(drained(|| R::collect(&R::garbage(0)), || KEYS.load(Ordering::Relaxed)));
}

/// Entries that moved come out by value, by clone and by scan.
fn owned_while_boxed<R: For<String, String>>() {
    let map: OrderedMap<String, String, R> = (0..300).map(|n| (format!("{n:03}"), n.to_string())).collect();
    let guard = R::pin();
    for n in 0..300 {
        // Twice, so that the value's home is not the box before.
        for (old, new) in [("", "a longer key than eight bytes "), ("a longer key than eight bytes ", "x")] {
            let (old, new) = (format!("{old}{n:03}"), format!("{new}{n:03}"));
            assert_eq!(map.reschedule(old.as_str(), new, &guard), Ok(&n.to_string()));
        }
    }
    let expected = || (0..300).map(|n| (format!("x{n:03}"), n.to_string()));
    assert!(map.iter(&guard).map(|(key, value)| (key.clone(), value.clone())).eq(expected()));
    assert!(map.clone().into_iter().eq(expected()));
    assert_eq!(map.update("x007", |value| format!("{value}!"), &guard).map(String::as_str), Some("7!"));
    assert_eq!(map.insert("x008".into(), "eight".into(), &guard).map(String::as_str), Some("8"));
    drop(guard);
    let mut owned = map.into_iter();
    assert_eq!(owned.next(), Some(("x000".into(), "0".into())));
    assert_eq!(owned.next_back(), Some(("x299".into(), "299".into())));
    assert_eq!(owned.nth(6), Some(("x007".into(), "7!".into())));
}

fn sets<R: For<(u64, u64), ()> + For<String, ()>>() {
    let plain: OrderedSet<(u64, u64), R> = (0..200).map(|n| (n, n)).collect();
    let boxed: OrderedSet<String, R> = (0..200).map(|n| format!("{n:04}")).collect();
    let guard = R::pin();
    for n in 0..200 {
        assert_eq!(plain.reschedule(&(n, n), (1_000 - n, n), &guard), Ok(&(1_000 - n, n)));
        let new = format!("{:04}", 1_000 - n);
        assert_eq!(boxed.reschedule(format!("{n:04}").as_str(), new.clone(), &guard), Ok(&new));
    }
    assert!(plain.iter(&guard).map(|element| element.0).eq(801..=1_000));
    assert!(boxed.iter(&guard).map(|element| element.parse::<u64>().unwrap()).eq(801..=1_000));
    assert!(plain.pin().reschedule(&(1, 1), (2, 2)).is_err());
}

const THREADS: u64 = 4;

/// Tokens move among entries that come and go: a snapshot always shows all of them, each once; a thread that moves its own
/// token finds it where it put it, and not where it was.
fn tokens<R: For<u64, u64>>() {
    const SPACE: u64 = 6_000;
    let map: OrderedMap<u64, u64, R> = (0..SPACE / 3).map(|n| (n * 3, 0)).collect();
    for thread in 0..THREADS {
        map.insert(thread * 3 + 1, thread + 1, &R::pin());
    }
    let done = AtomicUsize::new(0);
    scatter(THREADS + 2, |thread| {
        let mut rng = Rng(thread + 40);
        if thread < THREADS {
            let mut at = thread * 3 + 1;
            for turn in 0..8_000 {
                let near = if turn % 2 == 0 { 150 } else { SPACE };
                let to = (at + rng.below(near)) % SPACE / 3 * 3 + 1;
                let guard = R::pin();
                match map.reschedule(&at, to, &guard) {
                    Ok(&value) => {
                        assert_eq!(value, thread + 1);
                        assert!(map.get(&at, &guard).is_none_or(|&there| there != value || at == to));
                        assert_eq!(map.get(&to, &guard), Some(&value));
                        at = to;
                    }
                    Err(RescheduleError::Occupied { key, .. }) => assert_eq!(key, to),
                    Err(error) => panic!("{error:?}"),
                }
            }
            done.fetch_add(1, Ordering::Relaxed);
        } else if thread == THREADS {
            while done.load(Ordering::Relaxed) < THREADS as usize {
                let from = rng.below(SPACE);
                for key in (from..from + 300).filter(|key| key % 3 == 0) {
                    map.remove(&key, &R::pin());
                }
                for key in (from..from + 300).filter(|key| key % 3 == 0) {
                    map.insert(key, 0, &R::pin());
                }
            }
        } else {
            while done.load(Ordering::Relaxed) < THREADS as usize {
                let guard = R::pin();
                let mut tokens: Vec<u64> = map
                    .range_snapshot::<u64, _>(.., &guard)
                    .filter_map(|(_, &value)| (value > 0).then_some(value))
                    .collect();
                tokens.sort_unstable();
                assert!(tokens.iter().copied().eq(1..=THREADS), "{tokens:?}");
                let keys: Vec<u64> = map.keys(&guard).copied().collect();
                assert!(keys.is_sorted_by(|one, two| one < two));
            }
        }
    });
}

/// Timers are put off by some threads and fire in others: each fires once.
fn timers_fire_once<R: For<(u64, u64), Counted>>() {
    const TIMERS: usize = 4_000;
    let ledger = Ledger::new(TIMERS);
    {
        let map: OrderedMap<(u64, u64), Counted, R> =
            (0..TIMERS).map(|id| ((id as u64 % 97, id as u64), ledger.item(id))).collect();
        let fired: Vec<AtomicUsize> = (0..TIMERS).map(|_| AtomicUsize::new(0)).collect();
        let over = AtomicBool::new(false);
        scatter(THREADS, |thread| {
            let mut rng = Rng(thread + 90);
            if thread < 2 {
                // Where it is now is known to the thread that puts it off: even ones to one, odd ones to the other.
                let mut due: Vec<u64> = (0..TIMERS as u64).map(|id| id % 97).collect();
                for _ in 0..20_000 {
                    let id = rng.below(TIMERS as u64 / 2) * 2 + thread;
                    let at = &mut due[id as usize];
                    let new = *at + rng.below(100);
                    if map.reschedule(&(*at, id), (new, id), &R::pin()).is_ok() {
                        *at = new;
                    }
                }
                over.store(true, Ordering::Relaxed);
            } else {
                let mut now = 0;
                while !over.load(Ordering::Relaxed) || !map.is_empty() {
                    now += 1;
                    let guard = R::pin();
                    let batch = map.pop_first_while(8, |key, _| key.0 <= now, &guard);
                    for (&(at, id), value) in batch {
                        assert!(at <= now && value.id as u64 == id);
                        fired[id as usize].fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        assert!(fired.iter().all(|fired| fired.load(Ordering::Relaxed) == 1));
        assert_eq!(map.len(), 0);
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || TIMERS - ledger.dropped()));
    ledger.settle();
}

/// All threads want the same free key: one gets it, again and again.
fn to_one_key<R: For<u64, u64>>() {
    const ROUNDS: u64 = 2_000;
    let map: OrderedMap<u64, u64, R> = (0..1_000).map(|n| (n * 10, n)).collect();
    let (start, moved) = (Barrier::new(THREADS as usize), AtomicUsize::new(0));
    scatter(THREADS, |thread| {
        for round in 0..ROUNDS {
            let (home, free) = (thread * 2_500, round % 1_000 * 10 + 5);
            start.wait();
            let got = map.reschedule(&home, free, &R::pin()).is_ok();
            moved.fetch_add(usize::from(got), Ordering::Relaxed);
            start.wait();
            assert_eq!(moved.load(Ordering::Relaxed) as u64, round + 1);
            start.wait();
            if got {
                assert!(map.reschedule(&free, home, &R::pin()).is_ok());
            }
        }
    });
    assert!(map.iter(&R::pin()).map(|(&key, &value)| (key, value)).eq((0..1_000).map(|n| (n * 10, n))));
}

/// What moves leave behind is reclaimed, and the gauge comes down to nothing.
fn leaks_nothing<R: For<u64, String>>() {
    let map: OrderedMap<u64, String, R> = (0..2_000).map(|n| (n * 2, n.to_string())).collect();
    for n in 0..2_000_u64 {
        assert!(map.reschedule(&(n * 2), (n * 701 % 2_000) * 2 + 1, &R::pin()).is_ok());
    }
    assert_eq!(map.len(), 2_000);
    assert!(drained(|| map.collect(), || map.backlog().objects));
}
