//! Ordered maps and sets of the user's own keys in the nodes.

mod common;

use std::cell::Cell;
use std::cmp::Ordering as Cmp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

use common::{Both, Counted, Ledger, Rng, drained, over_both};
use latchfree::ordered_map::{Inline, InlineKeys};
use latchfree::reclaim::Accepts;
use latchfree::{Epoch, OrderedMap, OrderedSet};

fn setup() {
    common::choose(module_path!());
}

over_both! { keys_stay, lying_order, panicking_order, sets, shared }

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due(u64, u32);

trait For<K, V>: Both + Accepts<(K, V)> {}
impl<K, V, R: Both + Accepts<(K, V)>> For<K, V> for R {}

/// What is lent is the same whatever becomes of the leaf that it was read from.
fn keys_stay<R: For<Due, Counted> + For<Due, Due>>() {
    const LEN: usize = 2_000;
    let ledger = Ledger::new(LEN);
    {
        let map: OrderedMap<Due, Counted, R, InlineKeys> =
            (0..LEN).map(|n| (Due(n as u64 / 7, n as u32), ledger.item(n))).collect();
        let plain: OrderedMap<Due, Due, R, Inline> =
            (0..LEN).map(|n| (Due(n as u64 / 7, n as u32), Due(1, n as u32))).collect();
        let guard = R::pin();
        let lent: Vec<_> = map.iter(&guard).collect();
        let copied: Vec<_> = plain.iter(&guard).collect();
        for n in (0..LEN).rev() {
            let key = Due(n as u64 / 7, n as u32);
            assert!(map.remove(&key, &guard).is_some());
            assert!(plain.remove(&key, &guard).is_some());
        }
        for (n, ((key, value), (other, copy))) in lent.into_iter().zip(copied).enumerate() {
            assert_eq!((key.1 as usize, value.id), (n, n));
            assert_eq!((*other, *copy), (*key, Due(1, n as u32)));
        }
        assert!(map.is_empty() && plain.is_empty());
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN - ledger.dropped()));
    ledger.settle();
}

std::thread_local! {
    static FUSE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A key whose comparisons panic when the fuse has burnt down, or lie.
#[derive(Clone, Copy, Debug)]
struct Odd(u32, bool);
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
        FUSE.set(left.wrapping_sub(1));
        if self.1 {
            // Any answer, never the same twice.
            return [Cmp::Less, Cmp::Equal, Cmp::Greater]
                [(left.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 3];
        }
        assert!(left > 0, "a comparison that panics");
        self.0.cmp(&other.0)
    }
}

/// Everything is dropped once, and iteration ends.
fn lying_order<R: For<Odd, Counted>>() {
    const LEN: usize = 4_000;
    let ledger = Ledger::new(LEN);
    {
        let map = OrderedMap::<Odd, Counted, R, InlineKeys>::default();
        let mut rng = Rng(3);
        for id in 0..LEN {
            let key = Odd(rng.below(500) as u32, true);
            let guard = R::pin();
            match id % 5 {
                0 => drop(map.remove_entry(&key, &guard)),
                1 => drop(map.reschedule(&key, Odd(id as u32, true), &guard)),
                2 => drop(map.pop_first_while(3, |key, _| key.0 % 2 == 0, &guard)),
                _ => {}
            }
            map.insert(key, ledger.item(id), &guard);
        }
        let guard = R::pin();
        assert!(map.iter(&guard).count() <= LEN && map.iter(&guard).rev().count() <= LEN);
        map.retain(|key, _| key.0 % 3 == 0);
    }
    assert!(drained(|| R::collect(&R::garbage(0)), || LEN - ledger.dropped()));
    ledger.settle();
}

/// What is there stays in order and once.
fn panicking_order<R: For<Odd, u64>>() {
    let map = OrderedMap::<Odd, u64, R, Inline>::default();
    let mut rng = Rng(99);
    let mut panics = 0;
    for id in 0..3_000 {
        FUSE.set(rng.below(40) as usize);
        let key = Odd(rng.below(2_000) as u32, false);
        panics += usize::from(
            catch_unwind(AssertUnwindSafe(|| {
                let guard = R::pin();
                map.insert(key, id, &guard);
                let _ = map.reschedule(&key, Odd(key.0 ^ 1, false), &guard);
                map.remove(&Odd(key.0 / 3, false), &guard);
            }))
            .is_err(),
        );
    }
    FUSE.set(usize::MAX);
    assert!(panics > 100, "{panics} panics");
    let guard = R::pin();
    let keys: Vec<_> = map.keys(&guard).map(|odd| odd.0).collect();
    assert!(keys.is_sorted_by(|one, two| one < two));
    assert_eq!(keys.len(), map.len());
}

fn sets<R: For<Due, ()>>() {
    let set: OrderedSet<Due, R, InlineKeys> = (0..500).rev().map(|n| Due(n / 10, n as u32)).collect();
    let guard = R::pin();
    assert!(set.iter(&guard).map(|due| due.1).eq(0..500));
    let due = set.pop_first_while(64, |due| due.0 < 3, &guard);
    assert!(due.len() > 0 && due.map(|due| due.1).enumerate().all(|(at, n)| at == n as usize));
    assert!(set.reschedule(&Due(49, 490), Due(1, 1), &guard).is_ok());
    assert_eq!(set.first(&guard), Some(&Due(1, 1)));
    assert_eq!(set.clone(), set);
    let all: Vec<Due> = set.into_iter().collect();
    assert!(all.is_sorted());
}

/// Each timer to exactly one caller.
fn shared<R: For<Due, u64>>() {
    const THREADS: usize = 4;
    const EACH: u32 = 3_000;
    let map = OrderedMap::<Due, u64, R, InlineKeys>::default();
    let barrier = Barrier::new(THREADS);
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|id| {
                let (map, barrier) = (&map, &barrier);
                scope.spawn(move || {
                    let mut rng = Rng(id as u64 + 1);
                    let mut taken = 0;
                    barrier.wait();
                    for n in 0..EACH {
                        let guard = R::pin();
                        let due = Due(rng.below(1_000), n * THREADS as u32 + id as u32);
                        assert!(map.insert(due, due.0, &guard).is_none());
                        if n % 8 == 0 {
                            let popped = map.pop_first_while(8, |due, _| due.0 < 600, &guard);
                            taken += popped.inspect(|(due, value)| assert_eq!(due.0, **value)).count();
                        }
                    }
                    taken
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(map.len() + taken, THREADS * EACH as usize);
    assert!(map.keys(&R::pin()).is_sorted());
}

/// Without naming a layout nothing changes for anybody.
#[test]
fn defaults() {
    fn is_default<K, V>(_: &OrderedMap<K, V>) {}
    is_default::<Due, u8>(&OrderedMap::new());
    static OWN: OrderedMap<Due, &str, Epoch, Inline> = OrderedMap::with_layout();
    OWN.pin().insert(Due(1, 2), "one");
    assert_eq!(OWN.get_cloned(&Due(1, 2)), Some("one"));
    assert_eq!(OWN.pin().get(&Due(1, 3)), None);
}
