//! The queue's behaviour, over both reclaimers; `queue_fence` runs the same without `membarrier`.

mod common;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::Ordering;

use common::{Both, Count, Counted, Ledger, drained, over_both};
use latchfree::reclaim::Accepts;
use latchfree::{Epoch, Queue};

fn setup() {
    common::choose(module_path!());
}

over_both! {
    first_in_first_out, empty_answers, batches, length, lying_iterators, panicking_iterator, iterator_uses_queue,
    many_segments, conversions, exclusive, under_one_guard, zero_sized, huge, aligned, tiny, strings, counted_drops,
    partially_drained, panicking_drop, backlog_collected, each_item_once, batches_keep_order, threads_drop_all,
}

type Pair = (usize, u64);

fn rest<T, R: Accepts<T>>(queue: &Queue<T, R>) -> Vec<T> {
    std::iter::from_fn(|| queue.pop()).collect()
}

fn first_in_first_out<R: Both>() {
    let queue = Queue::<u64, R>::default();
    for i in 0..1000 {
        queue.push(i);
        queue.push(i + 1_000_000);
        assert_eq!(queue.pop(), Some(if i % 2 == 0 { i / 2 } else { i / 2 + 1_000_000 }));
    }
    assert_eq!(queue.len(), 1000);
    assert_eq!(rest(&queue).len(), 1000);
}

fn empty_answers<R: Both>() {
    let queue = Queue::<u64, R>::default();
    // Before there is a segment, and in each state after.
    for round in 0..3 {
        assert!(queue.is_empty());
        assert_eq!(queue.len(), 0);
        assert_eq!(queue.pop(), None);
        assert!(queue.pop_many(5).is_empty());
        assert_eq!(queue.pop_many_into(&mut Vec::new(), usize::MAX), 0);
        queue.clear();
        queue.push_all([]);
        assert!(queue.is_empty());
        queue.push_all(0..500 * round);
        queue.clear();
    }
}

fn batches<R: Both>() {
    let queue = Queue::<u64, R>::default();
    queue.push_all(0..10);
    assert!(queue.pop_many(0).is_empty());
    assert_eq!(queue.pop_many_into(&mut vec![1], 0), 0);
    assert_eq!(queue.pop_many(3), [0, 1, 2]);
    let mut items = vec![77];
    assert_eq!(queue.pop_many_into(&mut items, 4), 4);
    assert_eq!(items, [77, 3, 4, 5, 6]);
    assert_eq!(queue.pop_many(usize::MAX), [7, 8, 9]);
    // A grab ends with a segment, but is never empty while there is something.
    queue.push_all(0..5000);
    let mut all = Vec::new();
    while queue.pop_many_into(&mut all, 300) > 0 {}
    assert!(all.iter().copied().eq(0..5000));
}

fn length<R: Both>() {
    let queue = Queue::<u64, R>::default();
    for i in 0..700 {
        assert_eq!(queue.len(), i);
        assert_eq!(queue.is_empty(), i == 0);
        queue.push(0);
    }
    for i in (0..700).rev() {
        queue.pop();
        assert_eq!(queue.len(), i);
        assert_eq!(queue.is_empty(), i == 0);
    }
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

fn lying_iterators<R: Both>() {
    for hint in [(usize::MAX, None), (0, Some(0)), (5, Some(3)), (usize::MAX, Some(0)), (300, Some(300))] {
        for len in [0, 1, 255, 256, 257, 1000] {
            let queue = Queue::<u64, R>::default();
            queue.push_all(Liar(0..len, hint));
            assert!(rest(&queue).into_iter().eq(0..len), "{hint:?} for {len}");
            let queue = Queue::<u64, R>::from_iter(Liar(0..len, hint));
            assert!(queue.into_iter().eq(0..len), "{hint:?} for {len}");
        }
    }
}

fn panicking_iterator<R: Both>() {
    for at in [0, 1, 255, 256, 257, 700] {
        let ledger = Ledger::new(1000);
        let mut queue = Queue::<Counted, R>::default();
        let items = || {
            let ledger = ledger.clone();
            (0..1000).map(move |id| {
                assert!(id != at, "seeded");
                ledger.item(id)
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(|| queue.push_all(items()))).is_err());
        // Whole buffers were pushed; what was gathered after them is gone.
        let pushed = at / 256 * 256;
        assert_eq!((queue.len(), ledger.dropped()), (pushed, at - pushed));
        assert!(rest(&queue).iter().map(|item| item.id).eq(0..pushed));
        ledger.settle();
        let ledger = Ledger::new(1000);
        let items = (0..1000).map(|id| {
            assert!(id != at, "seeded");
            ledger.item(id)
        });
        assert!(catch_unwind(AssertUnwindSafe(|| queue.extend(items))).is_err());
        assert_eq!(ledger.dropped(), at - pushed);
        drop(queue);
        ledger.settle();
    }
}

fn iterator_uses_queue<R: Both>() {
    let queue = Queue::<u64, R>::from_iter(0..600);
    // Rotates: the first is popped only after it was asked for.
    queue.push_all((0..600).map(|_| queue.pop().unwrap()));
    assert_eq!(rest(&queue), (0..600).collect::<Vec<_>>());
    // Pushes by itself: these come first, for the batch is gathered before it is pushed.
    queue.push_all((0..10).inspect(|i| queue.push(i + 100)));
    assert!(rest(&queue).into_iter().eq((100..110).chain(0..10)));
}

fn many_segments<R: Both>() {
    let queue = Queue::<u64, R>::default();
    queue.push_all(0..20_000);
    for i in 0..20_000 {
        assert_eq!(queue.pop(), Some(i));
        queue.push(i + 20_000);
    }
    assert_eq!(queue.len(), 20_000);
    assert!(queue.into_iter().eq(20_000..40_000));
}

fn conversions<R: Both>() {
    let mut queue: Queue<u64, R> = (0..5).collect();
    assert_eq!(format!("{queue:?}"), "Queue { len: 5, .. }");
    queue.extend(5..7);
    (&queue).extend(7..9);
    let mut items = queue.into_iter();
    assert_eq!(items.next(), Some(0));
    assert_eq!(items.size_hint(), (0, Some(8)));
    assert_eq!(format!("{items:?}"), "IntoIter { len: 8, .. }");
    assert!(items.by_ref().eq(1..9));
    assert_eq!(items.next(), None);
    assert_eq!(items.next(), None);
}

fn exclusive<R: Both>() {
    let mut queue = Queue::<u64, R>::default();
    assert_eq!(queue.pop_mut(), None);
    // Shared and exclusive operations go on where the other stopped.
    for i in 0..2000 {
        if i % 3 == 0 { queue.push(i) } else { queue.push_mut(i) }
    }
    for i in 0..2000 {
        assert_eq!(if i % 2 == 0 { queue.pop() } else { queue.pop_mut() }, Some(i));
    }
    assert_eq!((queue.pop_mut(), queue.pop()), (None, None));
}

fn under_one_guard<R: Both>() {
    let queue = Queue::<u64, R>::default();
    let guard = R::pin();
    for i in 0..3000 {
        queue.push_with(i, &guard);
    }
    for i in 0..3000 {
        assert_eq!(queue.pop_with(&guard), Some(i));
    }
    assert_eq!(queue.pop_with(&guard), None);
    drop(guard);
    assert!(drained(|| queue.collect(), || queue.backlog().objects));
}

fn zero_sized<R: Both>() {
    let queue = Queue::<(), R>::default();
    queue.push_all([(); 1000]);
    queue.push(());
    assert_eq!(queue.len(), 1001);
    let mut items = Vec::new();
    while queue.pop_many_into(&mut items, 7) > 0 {}
    assert_eq!(items.len(), 1001);
}

/// Any value that tells its number.
fn round_trip<T, R: Accepts<T>>(count: usize, make: impl Fn(usize) -> T, number: impl Fn(&T) -> usize) {
    let queue = Queue::<T, R>::default();
    queue.push_all((0..count).map(&make));
    (count..2 * count).for_each(|i| queue.push(make(i)));
    let mut items = queue.pop_many(3);
    items.extend((items.len()..count).map(|_| queue.pop().unwrap()));
    items.extend(queue);
    assert!(items.iter().map(number).eq(0..2 * count));
}

fn huge<R: Both + Accepts<[u8; 65536]>>() {
    let number = |item: &[u8; 65536]| {
        assert!(item.iter().all(|&byte| byte == item[0]));
        usize::from(item[0])
    };
    round_trip::<[u8; 65536], R>(20, |i| [i as u8; 65536], number);
}

#[repr(align(128))]
struct Wide(u8);

fn aligned<R: Both + Accepts<Wide>>() {
    let number = |item: &Wide| {
        assert_eq!((&raw const *item).addr() % 128, 0);
        usize::from(item.0)
    };
    round_trip::<Wide, R>(120, |i| Wide(i as u8), number);
}

fn tiny<R: Both>() {
    round_trip::<u8, R>(128, |i| i as u8, |&item| usize::from(item));
}

fn strings<R: Both>() {
    round_trip::<String, R>(1000, |i| i.to_string(), |item| item.parse().unwrap());
}

#[test]
fn borrowed() {
    setup();
    let text = String::from("one two three");
    let queue = Queue::new();
    queue.push_all(text.split(' '));
    assert_eq!(rest(&queue), ["one", "two", "three"]);
}

#[test]
fn in_a_static() {
    static QUEUE: Queue<u64> = Queue::new();
    setup();
    std::thread::scope(|scope| {
        for i in 0..4 {
            scope.spawn(move || QUEUE.push(i));
        }
    });
    let mut items = rest(&QUEUE);
    items.sort_unstable();
    assert_eq!(items, [0, 1, 2, 3]);
}

fn counted_drops<R: Both>() {
    let ledger = Ledger::new(3000);
    let queue = Queue::<Counted, R>::default();
    (0..1000).for_each(|id| queue.push(ledger.item(id)));
    queue.push_all((1000..3000).map(|id| ledger.item(id)));
    assert_eq!(ledger.dropped(), 0);
    drop(queue.pop());
    drop(queue.pop_many(10));
    let held = queue.pop();
    let dropped = ledger.dropped();
    assert!((2..=11).contains(&dropped));
    queue.clear();
    assert_eq!(ledger.dropped(), 2999);
    drop((held, queue));
    ledger.settle();
}

fn partially_drained<R: Both>() {
    for taken in [0, 1, 255, 256, 257, 999, 1000] {
        let ledger = Ledger::new(1000);
        let queue = Queue::<Counted, R>::from_iter((0..1000).map(|id| ledger.item(id)));
        assert!((0..taken).all(|id| queue.pop().unwrap().id == id));
        drop(queue);
        ledger.settle();
        // The iterator drops its rest as well.
        let ledger = Ledger::new(1000);
        let mut items = Queue::<Counted, R>::from_iter((0..1000).map(|id| ledger.item(id))).into_iter();
        assert_eq!(items.by_ref().take(taken).count(), taken);
        drop(items);
        ledger.settle();
    }
}

/// Panics when it is dropped, if told to.
struct Mine(Counted, bool);

impl Drop for Mine {
    fn drop(&mut self) {
        assert!(!self.1, "seeded in {}", self.0.id);
    }
}

fn panicking_drop<R: Both + Accepts<Mine>>() {
    for at in [0, 1, 300, 599] {
        let ledger = Ledger::new(600);
        let queue = Queue::<Mine, R>::from_iter((0..600).map(|id| Mine(ledger.item(id), id == at)));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(queue))).is_err());
        ledger.settle();
        // `clear` stops there, and the queue goes on.
        let ledger = Ledger::new(600);
        let queue = Queue::<Mine, R>::from_iter((0..600).map(|id| Mine(ledger.item(id), id == at)));
        assert!(catch_unwind(AssertUnwindSafe(|| queue.clear())).is_err());
        assert_eq!(queue.len(), 599 - at);
        drop(queue);
        ledger.settle();
    }
}

/// Its destructor pushes its successor and pops the one before.
struct Reborn(u32);

static REBORN: Queue<Reborn> = Queue::new();

impl Drop for Reborn {
    fn drop(&mut self) {
        if self.0 > 0 {
            REBORN.push(Reborn(self.0 - 1));
            REBORN.push(Reborn(0));
            std::mem::forget(REBORN.pop());
        }
    }
}

#[test]
fn drop_uses_queue() {
    setup();
    REBORN.push_all((0..50).map(Reborn));
    while !REBORN.is_empty() {
        REBORN.clear();
    }
    assert_eq!(REBORN.len(), 0);
}

fn backlog_collected<R: Both>() {
    let queue = Queue::<u64, R>::default();
    assert_eq!(queue.backlog(), Default::default());
    queue.push_all(0..100_000);
    let guard = R::pin();
    queue.clear();
    let waiting = queue.backlog();
    // The guard protects every segment that was retired under it.
    assert!(waiting.objects >= 100 && waiting.bytes >= 100_000 * 8, "{waiting:?}");
    drop(guard);
    assert!(drained(|| queue.collect(), || queue.backlog().objects));
    assert_eq!(queue.backlog().bytes, 0);
    assert_eq!(queue.pop(), None);
    queue.push(1);
    assert_eq!(queue.pop(), Some(1));
}

#[test]
fn one_collect_suffices_when_nobody_is_pinned() {
    latchfree::domain! { struct Own; }
    setup();
    let queue = Queue::<u64, Epoch<Own>>::from_iter(0..100_000);
    assert_eq!(queue.backlog().objects, 0);
    queue.clear();
    assert!(queue.backlog().objects > 0);
    queue.collect();
    assert_eq!(queue.backlog(), Default::default());
}

/// Producers push `each` numbered items by `push`, consumers take them by `pop`; all get all, once, and in order.
fn stress<R: Both>(
    each: u64,
    push: impl Fn(&Queue<Pair, R>, usize, u64) -> u64 + Sync,
    pop: impl Fn(&Queue<Pair, R>, &mut Vec<Pair>) + Sync,
) {
    const SIDE: usize = 3;
    let queue = Queue::<Pair, R>::default();
    let (start, taken) = (Barrier::new(2 * SIDE), Count::new(0));
    let received: Vec<Vec<Pair>> = std::thread::scope(|scope| {
        for producer in 0..SIDE {
            let (queue, start, push) = (&queue, &start, &push);
            scope.spawn(move || {
                start.wait();
                let mut next = 0;
                while next < each {
                    next += push(queue, producer, next);
                }
            });
        }
        let consumers: Vec<_> = (0..SIDE)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let mut items = Vec::new();
                    while taken.load(Ordering::Relaxed) < SIDE * each as usize {
                        let before = items.len();
                        pop(&queue, &mut items);
                        taken.fetch_add(items.len() - before, Ordering::Relaxed);
                        if items.len() == before {
                            std::thread::yield_now();
                        }
                    }
                    items
                })
            })
            .collect();
        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect()
    });
    for items in &received {
        let mut last = HashMap::new();
        for &(producer, number) in items {
            assert!(last.insert(producer, number).is_none_or(|last| last < number), "out of order");
        }
    }
    let mut all = received.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq((0..SIDE).flat_map(|producer| (0..each).map(move |i| (producer, i)))));
    assert!(queue.is_empty() && queue.pop().is_none());
}

fn each_item_once<R: Both>() {
    let push = |queue: &Queue<Pair, R>, producer, next| {
        queue.push((producer, next));
        1
    };
    stress::<R>(100_000, push, |queue, items| items.extend(queue.pop()));
}

fn batches_keep_order<R: Both>() {
    let push = |queue: &Queue<Pair, R>, producer, next: u64| {
        let count = (next % 61 + 1).min(150_000 - next);
        queue.push_all((next..next + count).map(|i| (producer, i)));
        count
    };
    stress::<R>(150_000, push, |queue, items| {
        queue.pop_many_into(items, 40);
    });
}

fn threads_drop_all<R: Both>() {
    let ledger = Ledger::new(80_000);
    let queue = Queue::<Counted, R>::default();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (queue, ledger) = (&queue, &ledger);
            scope.spawn(move || {
                for id in thread * 20_000..(thread + 1) * 20_000 {
                    queue.push(ledger.item(id));
                    // More is pushed than popped, so that some is left.
                    if id % 3 != 0 {
                        drop(queue.pop());
                    }
                }
            });
        }
    });
    assert!(queue.len() >= 80_000 - ledger.dropped());
    drop(queue);
    ledger.settle();
}
