//! The bounded queue's behaviour; `bounded_queue_fence` runs the same without `membarrier`.
#![cfg(target_has_atomic = "64")]

mod common;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Counted, Ledger, Rng};
use latchfree::BoundedQueue;
use latchfree::queue::bounded::CapacityError;

fn setup() {
    common::choose(module_path!());
}

fn rest<T>(queue: &BoundedQueue<T>) -> Vec<T> {
    std::iter::from_fn(|| queue.pop()).collect()
}

/// Capacities around powers of two and the least ones.
const CAPACITIES: [usize; 12] = [1, 2, 3, 4, 5, 7, 31, 32, 33, 63, 100, 1000];

#[test]
fn first_in_first_out() {
    setup();
    for capacity in CAPACITIES {
        let queue = BoundedQueue::new(capacity);
        let (mut pushed, mut popped) = (0, 0);
        let mut rng = Rng(7);
        for _ in 0..20 * capacity + 100 {
            for _ in 0..rng.below(capacity as u64 + 2) {
                let full = pushed - popped == capacity;
                assert_eq!(queue.is_full(), full);
                assert_eq!(queue.push(pushed), if full { Err(pushed) } else { Ok(()) });
                pushed += usize::from(!full);
                assert_eq!(queue.len(), pushed - popped);
            }
            for _ in 0..rng.below(capacity as u64 + 2) {
                let empty = pushed == popped;
                assert_eq!(queue.is_empty(), empty);
                assert_eq!(queue.pop(), (!empty).then_some(popped));
                popped += usize::from(!empty);
            }
        }
        assert!(rest(&queue).into_iter().eq(popped..pushed));
    }
}

#[test]
fn capacities() {
    setup();
    for capacity in CAPACITIES {
        let queue = BoundedQueue::new(capacity);
        assert_eq!(queue.capacity(), capacity);
        for i in 0..capacity {
            assert_eq!(queue.push(i), Ok(()));
        }
        assert_eq!(queue.push(0), Err(0));
        assert!(queue.is_full());
    }
    assert_eq!(BoundedQueue::<u8>::try_new(0).unwrap_err(), CapacityError);
    assert_eq!(BoundedQueue::<()>::try_new(usize::MAX).unwrap_err(), CapacityError);
    assert_eq!(BoundedQueue::<u64>::try_new(isize::MAX as usize).unwrap_err(), CapacityError);
    assert!(catch_unwind(|| BoundedQueue::<u8>::new(0)).is_err());
    assert!(CapacityError.to_string().contains("at least 1"));
}

#[test]
fn laps_wrap_around() {
    setup();
    for capacity in [1, 2, 3, 5, 32, 40] {
        // The step from lap to lap is at least 32, so laps wrap at 2^59 or earlier; and the middle, where signs change.
        for first in [u64::MAX - 2, (1 << 58) - 2, (1 << 59) - 2, (1 << 57) - 2, (1 << 63) - 2] {
            let queue = BoundedQueue::with_first_lap(capacity, first);
            for i in 0..8 * capacity {
                assert!(queue.is_empty());
                for k in 0..capacity {
                    assert_eq!(queue.len(), k);
                    assert_eq!(queue.push(i + k), Ok(()));
                }
                assert!(queue.is_full());
                assert_eq!(queue.push(0), Err(0));
                assert_eq!(queue.force_push(i + capacity), Ok(Some(i)));
                for k in 1..=capacity {
                    assert_eq!(queue.pop(), Some(i + k));
                }
                assert_eq!(queue.pop(), None);
                assert_eq!(queue.push_all(0..capacity / 2).ok(), Some(()));
                assert!(queue.pop_many(capacity).into_iter().eq(0..capacity / 2));
            }
        }
    }
}

#[test]
fn laps_wrap_around_under_contention() {
    setup();
    for capacity in [1, 2, 3] {
        let queue = BoundedQueue::with_first_lap(capacity, (1 << 59) - 1000);
        stress(&queue, 4, 2000);
    }
}

#[test]
fn empty_answers() {
    setup();
    let queue = BoundedQueue::new(10);
    for round in 0..30 {
        assert!(queue.is_empty() && !queue.is_full());
        assert_eq!(queue.len(), 0);
        assert_eq!(queue.pop(), None);
        assert!(queue.pop_many(5).is_empty());
        assert_eq!(queue.pop_many_into(&mut Vec::new(), usize::MAX), 0);
        queue.clear();
        queue.push_all([]).unwrap();
        assert!(queue.is_empty());
        let _ = queue.push_all(0..round);
        queue.clear();
    }
}

#[test]
fn batches() {
    setup();
    let queue = BoundedQueue::new(1000);
    queue.push_all(0..10).unwrap();
    assert!(queue.pop_many(0).is_empty());
    assert_eq!(queue.pop_many_into(&mut vec![1], 0), 0);
    assert_eq!(queue.pop_many(3), [0, 1, 2]);
    let mut items = vec![77];
    assert_eq!(queue.pop_many_into(&mut items, 4), 4);
    assert_eq!(items, [77, 3, 4, 5, 6]);
    assert_eq!(queue.pop_many(usize::MAX), [7, 8, 9]);
    for round in 0..20 {
        queue.push_all(round..round + 900).unwrap();
        let mut all = Vec::new();
        while queue.pop_many_into(&mut all, 300) > 0 {}
        assert!(all.iter().copied().eq(round..round + 900));
    }
}

#[test]
fn batches_that_do_not_fit() {
    setup();
    for capacity in [1, 2, 3, 63, 64, 65, 128, 200] {
        for before in [0, 1, capacity / 2, capacity] {
            for len in [0, 1, capacity - before, capacity - before + 1, 300] {
                let queue = BoundedQueue::new(capacity);
                queue.push_all(0..before).unwrap();
                let mut asked = 0;
                let items = (0..len).inspect(|_| asked += 1);
                let result = queue.push_all(items.map(|i| before + i));
                let all = before + len;
                let fits = all.min(capacity);
                match result {
                    Ok(()) => assert_eq!(fits, all),
                    Err(rest) => {
                        assert!(format!("{rest:?}").contains("gathered"));
                        assert_eq!(rest.size_hint(), (all - fits, Some(all - fits)));
                        assert!(rest.eq(fits..all));
                    }
                }
                assert_eq!(asked, len);
                assert!(rest(&queue).into_iter().eq(0..fits));
            }
        }
    }
    // An endless iterator is not exhausted.
    let queue = BoundedQueue::new(100);
    let mut rest = queue.push_all(0..).unwrap_err();
    assert_eq!(rest.next(), Some(100));
    assert!(rest.take(200).eq(101..301));
}

/// Yields what its inner iterator does and hints what it likes.
struct Liar<I>(I, (usize, Option<usize>));

impl<I: Iterator> Iterator for Liar<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

#[test]
fn lying_iterators() {
    setup();
    for hint in [(usize::MAX, None), (0, Some(0)), (5, Some(3)), (usize::MAX, Some(0)), (300, Some(300))] {
        for len in [0, 1, 63, 64, 65, 500] {
            let queue = BoundedQueue::new(500);
            queue.push_all(Liar(0..len, hint)).unwrap();
            let again = queue.push_all(Liar(0..600, hint)).unwrap_err();
            let _ = again.size_hint();
            assert!(again.eq(500 - len..600), "{hint:?} for {len}");
        }
    }
}

#[test]
fn panicking_iterator() {
    setup();
    for at in [0, 1, 63, 64, 65, 150] {
        let ledger = Ledger::new(1000);
        let queue = BoundedQueue::<Counted>::new(100);
        let items = (0..1000).map(|id| {
            assert!(id < at, "as planned");
            ledger.item(id)
        });
        let result = catch_unwind(AssertUnwindSafe(|| queue.push_all(items).map_err(|rest| rest.count())));
        assert_eq!(result.is_err(), at <= 1000);
        // Whole buffers were pushed, in order, and nothing else is alive.
        let found: Vec<_> = rest(&queue).iter().map(|item| item.id).collect();
        assert!(found.iter().copied().eq(0..found.len()) && found.len() <= at);
        ledger.settle();
    }
}

#[test]
fn iterator_uses_queue() {
    setup();
    let queue = BoundedQueue::new(300);
    queue.push_all(0..50).unwrap();
    let mut popped = Vec::new();
    let items = (50..150).inspect(|_| popped.extend(queue.pop()));
    queue.push_all(items).unwrap();
    assert!(popped.len() >= 50);
    assert!(popped.into_iter().chain(rest(&queue)).eq(0..150));
}

#[test]
fn displacing() {
    setup();
    for capacity in CAPACITIES {
        let queue = BoundedQueue::new(capacity);
        for i in 0..10 * capacity {
            assert_eq!(queue.force_push(i), Ok(i.checked_sub(capacity)));
            assert_eq!(queue.len(), (i + 1).min(capacity));
        }
        assert!(rest(&queue).into_iter().eq(9 * capacity..10 * capacity));
    }
}

#[test]
fn displacing_drops_nothing() {
    setup();
    let ledger = Ledger::new(1000);
    let queue = BoundedQueue::new(7);
    for id in 0..1000 {
        let displaced = queue.force_push(ledger.item(id)).unwrap();
        assert_eq!(displaced.map(|item| item.id), id.checked_sub(7));
    }
    assert_eq!(ledger.dropped(), 993);
    drop(queue);
    ledger.settle();
}

#[test]
fn extending() {
    setup();
    let mut queue = BoundedQueue::new(5);
    queue.extend([1, 2]);
    (&queue).extend([3]);
    let ledger = Ledger::new(10);
    let small = BoundedQueue::new(4);
    assert!(catch_unwind(|| (&small).extend((0..10).map(|id| ledger.item(id)))).is_err());
    assert_eq!(small.len(), 4);
    drop(small);
    ledger.settle();
    assert!(queue.into_iter().eq([1, 2, 3]));
}

#[test]
fn conversions() {
    setup();
    let queue = BoundedQueue::new(10);
    queue.push_all(0..8).unwrap();
    assert_eq!(format!("{queue:?}"), "BoundedQueue { len: 8, capacity: 10, .. }");
    let mut items = queue.into_iter();
    assert_eq!(items.next(), Some(0));
    assert_eq!((items.len(), items.size_hint()), (7, (7, Some(7))));
    assert_eq!(format!("{items:?}"), "IntoIter { len: 7, .. }");
    assert!(items.by_ref().eq(1..8));
    assert_eq!(items.next(), None);
}

#[test]
fn exclusive() {
    setup();
    for capacity in CAPACITIES {
        let mut queue = BoundedQueue::new(capacity);
        for lap in 0..5 {
            for i in 0..capacity {
                // Either way, in turns.
                assert_eq!(if (i + lap) % 3 == 0 { queue.push(i) } else { queue.push_mut(i) }, Ok(()));
            }
            assert_eq!(queue.push_mut(0), Err(0));
            for i in 0..capacity {
                assert_eq!(if (i + lap) % 2 == 0 { queue.pop() } else { queue.pop_mut() }, Some(i));
            }
            assert_eq!(queue.pop_mut(), None);
        }
    }
}

fn round_trip<T>(count: usize, make: impl Fn(usize) -> T, number: impl Fn(&T) -> usize) {
    let queue = BoundedQueue::new(3);
    for i in 0..count {
        assert!(queue.push(make(i)).is_ok());
        assert!(queue.push(make(i + 1)).is_ok());
        assert_eq!(queue.push_all((0..3).map(|k| make(i + k))).unwrap_err().count(), 2);
        assert_eq!(queue.pop().map(|item| number(&item)), Some(number(&make(i))));
        assert_eq!(queue.pop_many(2).len(), 2);
    }
}

#[test]
fn items_of_all_kinds() {
    #[derive(Clone)]
    #[repr(align(256))]
    struct Wide(u8);
    setup();
    round_trip(100, |i| i as u8, |&i| i.into());
    round_trip(100, |_| (), |()| 0);
    round_trip(10, |i| Box::new([i; 8192]), |item| item[8191]);
    round_trip(10, |i| [i; 1024], |item| item[1023]);
    round_trip(
        100,
        |i| Wide(i as u8),
        |item| {
            assert_eq!(std::ptr::from_ref(item).addr() % 256, 0);
            item.0.into()
        },
    );
    round_trip(100, |i| i.to_string(), |item| item.parse().unwrap());
}

#[test]
fn borrowed() {
    setup();
    let text = String::from("words borrowed from here");
    let queue = BoundedQueue::new(4);
    queue.push_all(text.split(' ')).unwrap();
    assert_eq!(rest(&queue), ["words", "borrowed", "from", "here"]);
}

#[test]
fn counted_drops() {
    setup();
    for (pushed, popped) in [(0, 0), (5, 0), (5, 2), (7, 7), (7, 3)] {
        let ledger = Ledger::new(100);
        let queue = BoundedQueue::new(7);
        assert!(queue.push_all((0..pushed).map(|id| ledger.item(id))).is_ok());
        for _ in 0..popped {
            drop(queue.pop());
        }
        assert_eq!(ledger.dropped(), popped);
        let refused = queue.push_all((50..60).map(|id| ledger.item(id))).unwrap_err();
        drop(refused);
        let mut items = queue.into_iter();
        drop(items.next());
        drop(items);
        ledger.settle();
    }
}

#[test]
fn panicking_drop() {
    struct Mine<'a>(bool, &'a AtomicUsize);
    impl Drop for Mine<'_> {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
            assert!(!self.0, "as planned");
        }
    }
    setup();
    let dropped = AtomicUsize::new(0);
    let queue = BoundedQueue::new(10);
    for i in 0..10 {
        assert!(queue.push(Mine(i == 4, &dropped)).is_ok());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(queue))).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
}

#[test]
fn drop_uses_queue() {
    struct Nested<'a>(u32, &'a BoundedQueue<u32>);
    impl Drop for Nested<'_> {
        fn drop(&mut self) {
            self.1.push(self.0).unwrap();
        }
    }
    setup();
    let log = BoundedQueue::new(10);
    let queue = BoundedQueue::new(3);
    for i in 0..3 {
        assert!(queue.push(Nested(i, &log)).is_ok());
    }
    queue.clear();
    assert_eq!(rest(&log), [0, 1, 2]);
}

/// A push that succeeded is popped by whoever pops next: with as many pops as pushes before them, none finds nothing.
#[test]
fn what_was_pushed_is_popped() {
    const THREADS: usize = 4;
    setup();
    for capacity in [THREADS, THREADS + 1, 64] {
        let queue = BoundedQueue::new(capacity);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for i in 0..25_000 {
                        // Each of the others holds at most one slot, and this thread none.
                        queue.push(i).unwrap();
                        queue.pop().unwrap();
                    }
                });
            }
        });
        assert!(queue.is_empty());
    }
}

/// The same while pushes displace: the queue is never empty after a push.
#[test]
fn what_was_forced_is_there() {
    const THREADS: usize = 4;
    setup();
    for capacity in [THREADS, THREADS + 3] {
        let queue = BoundedQueue::new(capacity);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let queue = &queue;
                scope.spawn(move || {
                    for i in 0..25_000 {
                        if i % 2 == thread % 2 {
                            while queue.push(i).is_err() {
                                queue.pop();
                            }
                        } else if let Ok(Some(_)) = queue.force_push(i) {
                            let _ = queue.push(i);
                        }
                        let _ = queue.pop();
                    }
                });
            }
        });
        let left = queue.len();
        assert_eq!(rest(&queue).len(), left);
        for i in 0..capacity {
            assert_eq!(queue.push(i), Ok(()), "room is lost");
        }
    }
}

/// Threads push, force, pop, all of it, singly and in batches; each item comes out once, each consumer sees each
/// producer's in order, and in the end there is room for as many items as the capacity.
fn stress(queue: &BoundedQueue<(usize, usize)>, threads: usize, each: usize) {
    let start = Barrier::new(threads);
    let outs: Vec<Vec<(usize, usize)>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|me| {
                let (queue, start) = (&queue, &start);
                scope.spawn(move || {
                    let mut rng = Rng(me as u64 * 7919 + queue.capacity() as u64 + 1);
                    let (mut next, mut out) = (0, Vec::new());
                    start.wait();
                    while next < each {
                        match rng.below(8) {
                            0..3 => {
                                if queue.push((me, next)).is_ok() {
                                    next += 1;
                                }
                            }
                            3 => {
                                let batch = rng.below(5) as usize;
                                let left = queue
                                    .push_all((next..next + batch).map(|i| (me, i)))
                                    .map_or_else(Iterator::count, |()| 0);
                                next += batch - left;
                            }
                            4..7 => out.extend(queue.pop()),
                            _ => drop(queue.pop_many_into(&mut out, rng.below(6) as usize)),
                        }
                    }
                    out
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    let mut seen: HashMap<(usize, usize), usize> = HashMap::new();
    let check = |out: &[(usize, usize)], seen: &mut HashMap<_, _>| {
        let mut last = vec![None; threads];
        for &(producer, i) in out {
            assert!(last[producer] < Some(i), "producer {producer}: {i} after {:?}", last[producer]);
            last[producer] = Some(i);
            *seen.entry((producer, i)).or_default() += 1;
        }
    };
    for out in &outs {
        check(out, &mut seen);
    }
    let left = queue.len();
    let tail = rest(queue);
    assert_eq!(tail.len(), left);
    check(&tail, &mut seen);
    assert!(seen.values().all(|&times| times == 1));
    for producer in 0..threads {
        let count = seen.keys().filter(|key| key.0 == producer).count();
        assert!(count >= each && (0..count).all(|i| seen.contains_key(&(producer, i))), "lost");
    }
    for _ in 0..2 {
        for i in 0..queue.capacity() {
            assert_eq!(queue.push((0, i)), Ok(()), "room is lost");
        }
        assert!(queue.is_full() && queue.push((0, 0)).is_err());
        assert_eq!(rest(queue).len(), queue.capacity());
    }
}

#[test]
fn each_item_once() {
    setup();
    for capacity in [1, 2, 3, 5, 64, 1000] {
        stress(&BoundedQueue::new(capacity), 4, 20_000);
    }
}

#[test]
fn more_threads_than_slots() {
    setup();
    for capacity in [1, 2, 3] {
        stress(&BoundedQueue::new(capacity), 12, 4_000);
    }
}

#[test]
fn threads_drop_all() {
    const THREADS: usize = 4;
    const EACH: usize = 10_000;
    setup();
    let ledger = Ledger::new(THREADS * EACH);
    let queue = BoundedQueue::new(16);
    std::thread::scope(|scope| {
        for me in 0..THREADS {
            let (queue, ledger) = (&queue, &ledger);
            scope.spawn(move || {
                for i in 0..EACH {
                    let item = ledger.item(me * EACH + i);
                    match i % 4 {
                        0 => drop(queue.push(item)),
                        1 => drop(queue.force_push(item)),
                        2 => drop(queue.push_all([item])),
                        _ => {
                            drop(queue.push(item));
                            drop(queue.pop_many(3));
                        }
                    }
                }
            });
        }
    });
    drop(queue);
    ledger.settle();
}
