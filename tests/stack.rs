//! The stack's behaviour, over both reclaimers; `stack_fence` runs the same without `membarrier`.

mod common;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::Ordering;

use common::{Both, Count, Counted, Ledger, drained, over_both};
use latchfree::reclaim::Accepts;
use latchfree::{Epoch, Stack};

fn setup() {
    common::choose(module_path!());
}

over_both! {
    last_in_first_out, empty_answers, batches, length, lying_iterators, panicking_iterator, iterator_uses_stack,
    conversions, exclusive, under_one_guard, zero_sized, huge, aligned, tiny, strings, counted_drops, partially_drained,
    panicking_drop, drop_uses_stack, copies, snapshots, snapshots_beside_pops, copies_are_whole, forgotten_iterators,
    backlog_collected, spare_nodes_of_gone_threads, memory_is_used_again, each_item_once, batches_stay_together,
    threads_drop_all, more_threads_than_places,
}

type Pair = (usize, u64);

fn rest<T, R: Accepts<T>>(stack: &Stack<T, R>) -> Vec<T> {
    std::iter::from_fn(|| stack.pop()).collect()
}

fn last_in_first_out<R: Both>() {
    let stack = Stack::<u64, R>::default();
    for i in 0..1000 {
        stack.push(i);
        stack.push(i + 1_000_000);
        assert_eq!(stack.pop(), Some(i + 1_000_000));
    }
    assert_eq!(stack.len(), 1000);
    assert!(rest(&stack).into_iter().eq((0..1000).rev()));
}

fn empty_answers<R: Both>() {
    let stack = Stack::<u64, R>::default();
    // Before it was used, and in each state after.
    for round in 0..3 {
        assert!(stack.is_empty());
        assert_eq!(stack.len(), 0);
        assert_eq!(stack.pop(), None);
        assert_eq!(stack.pop_all().next(), None);
        assert_eq!(stack.peek(), None);
        assert_eq!(stack.iter().next(), None);
        stack.clear();
        stack.push_all([]);
        assert!(stack.is_empty());
        stack.push_all(0..500 * round);
        stack.clear();
    }
}

fn batches<R: Both>() {
    let stack = Stack::<u64, R>::default();
    stack.push(0);
    stack.push_all(1..10);
    stack.push(10);
    assert_eq!(stack.pop(), Some(10));
    let mut all = stack.pop_all();
    assert!(stack.is_empty());
    stack.push(77);
    assert_eq!(all.next(), Some(9));
    assert!(all.by_ref().eq((0..9).rev()));
    assert_eq!((all.next(), all.next()), (None, None));
    drop(all);
    assert_eq!(rest(&stack), [77]);
    stack.push_all(0..500);
    assert!(stack.pop_many(0).is_empty());
    assert_eq!(stack.pop_many(3), [499, 498, 497]);
    let mut items = vec![0];
    assert_eq!(stack.pop_many_into(&mut items, 495), 495);
    assert!(items[1..].iter().copied().eq((2..497).rev()));
    assert_eq!(stack.len(), 2);
    assert_eq!(stack.pop_many(usize::MAX), [1, 0]);
    assert!(stack.pop_many(usize::MAX).is_empty() && stack.is_empty());
    // On a thread that did not take it.
    stack.push_all(0..5000);
    let all = stack.pop_all();
    let all: Vec<_> = std::thread::scope(|scope| scope.spawn(|| all.collect()).join().unwrap());
    assert!(all.into_iter().eq((0..5000).rev()));
    assert_eq!(stack.len(), 0);
}

fn length<R: Both>() {
    let stack = Stack::<u64, R>::default();
    for i in 0..200 {
        assert_eq!(stack.len(), i);
        assert_eq!(stack.is_empty(), i == 0);
        stack.push(0);
    }
    // On other threads: only the sum means anything.
    for i in (0..200).rev() {
        std::thread::scope(|scope| scope.spawn(|| stack.pop()).join().unwrap()).unwrap();
        assert_eq!(stack.len(), i);
        assert_eq!(stack.is_empty(), i == 0);
    }
    stack.push_all(0..10);
    let all = stack.pop_all();
    assert_eq!(stack.len(), 10, "what was taken counts until it is yielded");
    drop(all);
    assert_eq!(stack.len(), 0);
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
        for len in [0, 1, 33, 1000] {
            let stack = Stack::<u64, R>::default();
            stack.push_all(Liar(0..len, hint));
            assert!(rest(&stack).into_iter().eq((0..len).rev()), "{hint:?} for {len}");
            let stack = Stack::<u64, R>::from_iter(Liar(0..len, hint));
            assert!(stack.into_iter().eq((0..len).rev()), "{hint:?} for {len}");
        }
    }
}

fn panicking_iterator<R: Both>() {
    for at in [0, 1, 31, 32, 33, 700] {
        let ledger = Ledger::new(1000);
        let mut stack = Stack::<Counted, R>::default();
        let items = || {
            let ledger = ledger.clone();
            (0..1000).map(move |id| {
                assert!(id != at, "seeded");
                ledger.item(id)
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(|| stack.push_all(items()))).is_err());
        // All or nothing.
        assert_eq!((stack.len(), ledger.dropped()), (0, at));
        assert!(stack.is_empty());
        ledger.settle();
        let ledger = Ledger::new(1000);
        let items = (0..1000).map(|id| {
            assert!(id != at, "seeded");
            ledger.item(id)
        });
        assert!(catch_unwind(AssertUnwindSafe(|| stack.extend(items))).is_err());
        assert_eq!((stack.len(), ledger.dropped()), (at, 0));
        drop(stack);
        ledger.settle();
    }
}

fn iterator_uses_stack<R: Both>() {
    let stack = Stack::<u64, R>::from_iter(0..600);
    // Turns it over: all of it is out before anything is pushed.
    stack.push_all((0..600).map(|_| stack.pop().unwrap()));
    assert!(rest(&stack).into_iter().eq(0..600));
    // Pushes by itself: these lie below.
    stack.push_all((0..10).inspect(|i| stack.push(i + 100)));
    assert!(rest(&stack).into_iter().eq((0..10).rev().chain((100..110).rev())));
    // Takes all while it is asked.
    stack.push_all(0..10);
    stack.push_all([1, 2].into_iter().chain(stack.pop_all()));
    assert!(rest(&stack).into_iter().eq((0..10).chain([2, 1])));
}

fn conversions<R: Both>() {
    let mut stack: Stack<u64, R> = (0..5).collect();
    assert_eq!(format!("{stack:?}"), "Stack { len: 5, .. }");
    stack.extend(5..7);
    (&stack).extend(7..9);
    assert_eq!(
        format!("{:?} {:?}", stack.iter(), Stack::<u64, R>::default().pop_all()),
        "Iter { .. } PopAll { .. }"
    );
    let mut items = stack.into_iter();
    assert_eq!(items.next(), Some(8));
    assert_eq!(items.size_hint(), (0, Some(8)));
    assert_eq!(format!("{items:?}"), "IntoIter { len: 8, .. }");
    assert!(items.by_ref().eq((0..8).rev()));
    assert_eq!(items.next(), None);
    assert_eq!(items.next(), None);
}

fn exclusive<R: Both>() {
    let mut stack = Stack::<u64, R>::default();
    assert_eq!(stack.pop_mut(), None);
    // Shared and exclusive operations go on where the other stopped.
    for i in 0..2000 {
        if i % 3 == 0 { stack.push(i) } else { stack.push_mut(i) }
    }
    for i in (0..2000).rev() {
        assert_eq!(if i % 2 == 0 { stack.pop() } else { stack.pop_mut() }, Some(i));
    }
    assert_eq!((stack.pop_mut(), stack.pop()), (None, None));
}

fn under_one_guard<R: Both>() {
    let stack = Stack::<u64, R>::default();
    let guard = R::pin();
    for _ in 0..3 {
        for i in 0..3000 {
            stack.push_with(i, &guard);
        }
        assert_eq!(stack.peek_with(&guard), Some(2999));
        for i in (0..3000).rev() {
            assert_eq!(stack.pop_with(&guard), Some(i));
        }
    }
    assert_eq!(stack.pop_with(&guard), None);
    assert_eq!(stack.peek_with(&guard), None);
    drop(guard);
    assert!(drained(|| stack.collect(), || stack.backlog().objects));
}

fn zero_sized<R: Both>() {
    let stack = Stack::<(), R>::default();
    stack.push_all([(); 1000]);
    stack.push(());
    assert_eq!(stack.len(), 1001);
    assert_eq!(stack.iter().count(), 1001);
    assert_eq!(stack.pop(), Some(()));
    assert_eq!(stack.pop_all().count(), 1000);
}

/// Any value that tells its number.
fn round_trip<T, R: Accepts<T>>(count: usize, make: impl Fn(usize) -> T, number: impl Fn(&T) -> usize) {
    let stack = Stack::<T, R>::default();
    stack.push_all((0..count).map(&make));
    (count..2 * count).for_each(|i| stack.push(make(i)));
    let mut items: Vec<T> = (0..count / 2).map(|_| stack.pop().unwrap()).collect();
    stack.push(items.pop().unwrap());
    items.extend(stack);
    assert!(items.iter().map(number).eq((0..2 * count).rev()));
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
    let stack = Stack::new();
    stack.push_all(text.split(' '));
    assert_eq!(stack.peek(), Some("three"));
    assert_eq!(rest(&stack), ["three", "two", "one"]);
}

#[test]
fn in_a_static() {
    static STACK: Stack<u64> = Stack::new();
    setup();
    std::thread::scope(|scope| {
        for i in 0..4 {
            scope.spawn(move || STACK.push(i));
        }
    });
    let mut items = rest(&STACK);
    items.sort_unstable();
    assert_eq!(items, [0, 1, 2, 3]);
}

fn counted_drops<R: Both>() {
    let ledger = Ledger::new(3000);
    let stack = Stack::<Counted, R>::default();
    (0..1000).for_each(|id| stack.push(ledger.item(id)));
    stack.push_all((1000..2000).map(|id| ledger.item(id)));
    assert_eq!(ledger.dropped(), 0);
    drop(stack.pop());
    let held = stack.pop();
    assert_eq!(ledger.dropped(), 1);
    let mut all = stack.pop_all();
    drop(all.next());
    (2000..3000).for_each(|id| stack.push(ledger.item(id)));
    assert_eq!(ledger.dropped(), 2);
    drop(all);
    assert_eq!(ledger.dropped(), 1999);
    stack.clear();
    assert_eq!(ledger.dropped(), 2999);
    drop((held, stack));
    ledger.settle();
}

fn partially_drained<R: Both>() {
    for taken in [0, 1, 31, 32, 33, 999, 1000] {
        let ledger = Ledger::new(1000);
        let stack = Stack::<Counted, R>::from_iter((0..1000).map(|id| ledger.item(id)));
        assert!((0..taken).all(|id| stack.pop().unwrap().id == 999 - id));
        drop(stack);
        ledger.settle();
        // The iterators drop their rest as well.
        let ledger = Ledger::new(1000);
        let mut items = Stack::<Counted, R>::from_iter((0..1000).map(|id| ledger.item(id))).into_iter();
        assert_eq!(items.by_ref().take(taken).count(), taken);
        drop(items);
        ledger.settle();
        let ledger = Ledger::new(1000);
        let stack = Stack::<Counted, R>::from_iter((0..1000).map(|id| ledger.item(id)));
        let mut items = stack.pop_all();
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
        let stack = Stack::<Mine, R>::from_iter((0..600).map(|id| Mine(ledger.item(id), id == at)));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(stack))).is_err());
        ledger.settle();
        // What was taken in one step is dropped whatever happens, and the stack goes on.
        let ledger = Ledger::new(600);
        let stack = Stack::<Mine, R>::from_iter((0..600).map(|id| Mine(ledger.item(id), id == at)));
        assert!(catch_unwind(AssertUnwindSafe(|| stack.clear())).is_err());
        assert_eq!((stack.len(), ledger.dropped()), (0, 600));
        ledger.settle();
        let ledger = Ledger::new(600);
        let items =
            Stack::<Mine, R>::from_iter((0..600).map(|id| Mine(ledger.item(id), id == at))).into_iter();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(items))).is_err());
        ledger.settle();
    }
}

/// Pushes another one when it is dropped, as long as there is one.
struct Nested<R: Accepts<Nested<R>>>(usize, std::sync::Arc<Stack<Nested<R>, R>>);

impl<R: Accepts<Nested<R>>> Drop for Nested<R> {
    fn drop(&mut self) {
        if self.0 > 0 {
            self.1.push(Nested(self.0 - 1, self.1.clone()));
        }
    }
}

fn drop_uses_stack<R: Both + Accepts<Nested<R>>>() {
    let stack = std::sync::Arc::new(Stack::<Nested<R>, R>::default());
    stack.push_all((0..3).map(|_| Nested(5, stack.clone())));
    for round in 0..6 {
        assert_eq!(stack.len(), 3, "round {round}");
        stack.clear();
    }
    assert!(stack.is_empty());
    assert_eq!(std::sync::Arc::strong_count(&stack), 1);
}

#[test]
fn ten_million_items_are_dropped_without_recursion() {
    setup();
    // On a small stack.
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    let dropping = thread.spawn(|| {
        let mut stack = Stack::<Box<u8>>::new();
        stack.extend((0..10_000_000).map(|i| Box::new(i as u8)));
        assert_eq!(stack.len(), 10_000_000);
        drop(stack);
    });
    dropping.unwrap().join().unwrap();
}

fn copies<R: Both>() {
    let stack = Stack::<u64, R>::default();
    for i in 0..100 {
        stack.push(i);
        assert_eq!(stack.peek(), Some(i));
    }
    for i in (0..100).rev() {
        assert_eq!(stack.peek(), Some(i));
        assert!(stack.iter().eq((0..=i).rev()));
        assert_eq!(stack.pop(), Some(i));
    }
}

fn snapshots<R: Both>() {
    let stack = Stack::<u64, R>::from_iter(0..500);
    let (first, second) = (stack.iter(), stack.iter());
    // Each pop would hand its node to the next push, were it not for the readers.
    for i in (0..250).rev() {
        assert_eq!(stack.pop(), Some(i + 250));
        stack.push(i + 1000);
        assert_eq!(stack.pop(), Some(i + 1000));
    }
    stack.push_all(2000..2100);
    assert_eq!(stack.iter().count(), 350);
    assert!(first.eq((0..500).rev()));
    stack.clear();
    stack.push_all(3000..4000);
    assert!(second.eq((0..500).rev()));
    assert!(stack.iter().eq((3000..4000).rev()));
}

fn snapshots_beside_pops<R: Both>() {
    // Consecutive numbers, so that a snapshot is a run of them.
    let (stack, stop) = (Stack::<u64, R>::from_iter(0..100), Count::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..3_000_u64 {
                let count = round % 50;
                (0..count).for_each(|i| stack.push(100 + i));
                (0..count).rev().for_each(|i| assert_eq!(stack.pop(), Some(100 + i)));
            }
            stop.store(1, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while stop.load(Ordering::Relaxed) == 0 {
                let items: Vec<_> = stack.iter().collect();
                assert!(items.len() >= 100 && items.iter().copied().eq((0..items.len() as u64).rev()));
            }
        });
    });
}

/// Three words that agree, in as many cache lines as may be.
type Words = [u64; 24];

fn copies_are_whole<R: Both + Accepts<Words>>() {
    let (stack, stop) = (Stack::<Words, R>::default(), Count::new(0));
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (stack, stop) = (&stack, &stop);
            scope.spawn(move || {
                for i in 0..30_000 {
                    stack.push([i * 2 + thread; 24]);
                    stack.pop().unwrap();
                }
                stop.fetch_add(1, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while stop.load(Ordering::Relaxed) < 2 {
                for words in stack.peek().into_iter().chain(stack.iter()) {
                    assert!(words.iter().all(|&word| word == words[0]), "{words:?}");
                }
            }
        });
    });
}

fn forgotten_iterators<R: Both>() {
    let ledger = Ledger::new(10);
    let stack = Stack::<Counted, R>::from_iter((0..10).map(|id| ledger.item(id)));
    std::mem::forget(stack.pop_all());
    assert!(stack.is_empty());
    assert_eq!((stack.len(), ledger.dropped()), (10, 0));
    drop(stack);
    // On a thread of its own, and in a domain of its own: what a leaked guard holds back is held for ever.
    let stack = Stack::<u64, Epoch<Leaky>>::from_iter(0..1000);
    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(stack.iter()));
    });
    for i in (0..1000).rev() {
        assert_eq!(stack.pop(), Some(i));
        stack.push(i);
        assert_eq!(stack.pop(), Some(i));
    }
    // A chunk of which a slot was spoiled is never used again: at least each of those that were there.
    assert!(stack.backlog().objects >= 1000, "{:?}", stack.backlog());
    drop(stack);
}

latchfree::domain! { struct Leaky; }
latchfree::domain! { struct Own; }

fn backlog_collected<R: Both>() {
    let stack = Stack::<u64, R>::from_iter(0..100_000);
    assert_eq!(stack.backlog().objects, 0);
    stack.clear();
    assert!(drained(|| stack.collect(), || stack.backlog().objects));
    stack.push_all(0..100_000);
    assert!(rest(&stack).into_iter().eq((0..100_000).rev()));
    assert!(drained(|| stack.collect(), || stack.backlog().objects));
}

#[test]
fn one_thread_alone_collects_at_once() {
    setup();
    let stack = Stack::<u64, Epoch<Own>>::from_iter(0..100_000);
    {
        let _reader = stack.iter();
        (0..1000).for_each(|_| assert!(stack.pop().is_some()));
        (0..1000).for_each(|i| stack.push(i));
        assert!(stack.backlog().objects > 0, "what readers may look at is not used again");
    }
    stack.clear();
    stack.collect();
    assert_eq!(stack.backlog(), Default::default());
}

fn spare_nodes_of_gone_threads<R: Both>() {
    let stack = Stack::<u64, R>::default();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|i| stack.push(i)));
            }
        });
        assert_eq!(rest(&stack).len(), 200);
    }
    assert!(drained(|| stack.collect(), || stack.backlog().objects));
}

fn memory_is_used_again<R: Both>() {
    // Up and down at all depths around the sizes of the lists; each goes through all generations.
    let stack = Stack::<u64, R>::default();
    for depth in (1..200).chain([1000]) {
        for _ in 0..20 {
            (0..depth).for_each(|i| stack.push(i));
            assert!((0..depth).rev().all(|i| stack.pop() == Some(i)));
        }
    }
    assert!(stack.is_empty());
}

/// Producers push `each` numbered items by `push`, consumers take them by `pop`; all get all, once.
fn stress<R: Both>(
    each: u64,
    push: impl Fn(&Stack<Pair, R>, usize, u64) -> u64 + Sync,
    pop: impl Fn(&Stack<Pair, R>, &mut Vec<Pair>) + Sync,
) -> Vec<Vec<Pair>> {
    const SIDE: usize = 3;
    let stack = Stack::<Pair, R>::default();
    let (start, taken) = (Barrier::new(2 * SIDE), Count::new(0));
    let received: Vec<Vec<Pair>> = std::thread::scope(|scope| {
        for producer in 0..SIDE {
            let (stack, start, push) = (&stack, &start, &push);
            scope.spawn(move || {
                start.wait();
                let mut next = 0;
                while next < each {
                    next += push(stack, producer, next);
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
                        pop(&stack, &mut items);
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
    let mut all = received.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq((0..SIDE).flat_map(|producer| (0..each).map(move |i| (producer, i)))));
    assert!(stack.is_empty() && stack.pop().is_none());
    assert_eq!(stack.len(), 0);
    received
}

fn each_item_once<R: Both>() {
    let push = |stack: &Stack<Pair, R>, producer, next| {
        stack.push((producer, next));
        1
    };
    stress::<R>(100_000, push, |stack, items| items.extend(stack.pop()));
}

fn batches_stay_together<R: Both>() {
    const BATCH: u64 = 10;
    let push = |stack: &Stack<Pair, R>, producer, next: u64| {
        stack.push_all((next..next + BATCH).map(|i| (producer, i)));
        BATCH
    };
    let received = stress::<R>(100_000, push, |stack, items| items.extend(stack.pop_all()));
    // Whole batches, newest first, and nothing between.
    for items in &received {
        let mut last = HashMap::new();
        for batch in items.chunks(BATCH as usize) {
            let (producer, number) = batch[0];
            assert!(batch.iter().copied().eq((0..BATCH).map(|i| (producer, number - i))), "{batch:?}");
            last.insert(producer, number);
        }
    }
}

fn threads_drop_all<R: Both>() {
    let ledger = Ledger::new(80_000);
    let stack = Stack::<Counted, R>::default();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (stack, ledger) = (&stack, &ledger);
            scope.spawn(move || {
                for id in thread * 20_000..(thread + 1) * 20_000 {
                    stack.push(ledger.item(id));
                    // More is pushed than popped, so that some is left.
                    if id % 3 != 0 {
                        drop(stack.pop());
                    }
                    if id % 1000 == 0 {
                        stack.clear();
                    }
                }
            });
        }
    });
    assert_eq!(stack.len(), 80_000 - ledger.dropped());
    drop(stack);
    ledger.settle();
}

/// More threads at one time than there are places for: the others count together and keep no nodes.
fn more_threads_than_places<R: Both>() {
    const THREADS: usize = 160;
    let (stack, barrier) = (Stack::<u64, R>::default(), Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (stack, barrier) = (&stack, &barrier);
            scope.spawn(move || {
                stack.push(thread);
                barrier.wait();
                for _ in 0..100 {
                    let item = stack.pop().unwrap();
                    stack.push(item);
                }
                barrier.wait();
            });
        }
    });
    assert_eq!(stack.len(), THREADS);
    let mut items = rest(&stack);
    items.sort_unstable();
    assert!(items.into_iter().eq(0..THREADS as u64));
    assert!(drained(|| stack.collect(), || stack.backlog().objects));
}
