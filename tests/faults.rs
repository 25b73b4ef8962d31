//! User code that panics at its n-th call, in every structure: `Hash`, `Eq`, `Ord`, `Clone`, `Drop`, closures, iterators.
//!
//! Proptest picks operations and for each the call that panics. After every panic each key is as it was before the operation or
//! as it would be after it; a sequence has kept its items and their order; and in the end everything was dropped once.

mod common;
#[path = "common/hashers.rs"]
mod hashers;

use std::cell::Cell;
use std::cmp::Ordering as Cmp;
use std::collections::{BTreeMap, HashSet as Seen, VecDeque};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::Both;
use hashers::Hashes;
use latchfree::hash_map::Operation;
use latchfree::reclaim::Accepts;
use latchfree::{BoundedQueue, Epoch, HashMap, OrderedMap, Queue, Stack};
use proptest::prelude::*;

thread_local! {
    /// How many calls of user code until one panics; zero: none does.
    static FUSE: Cell<u32> = const { Cell::new(0) };
}

/// A call of user code.
fn burn() {
    // A second panic while the first one unwinds ends the process, in std's collections as well.
    if !std::thread::panicking() && FUSE.get() > 0 {
        FUSE.set(FUSE.get() - 1);
        assert!(FUSE.get() > 0, "seeded");
    }
}

/// Runs `f`, whose `fuse`-th call of user code panics; false if it did.
fn with_fuse(fuse: u32, f: impl FnOnce()) -> bool {
    FUSE.set(fuse);
    let done = catch_unwind(AssertUnwindSafe(f)).is_ok();
    FUSE.set(0);
    done
}

/// What lives, by serial number.
#[derive(Debug, Default)]
struct Book {
    next: AtomicUsize,
    live: Mutex<Seen<usize>>,
    /// Whether destructors burn the fuse: only where they run on the thread whose operation it was.
    destructors: bool,
}

/// Signs in, and out when it is dropped.
#[derive(Debug)]
struct Token(usize, Arc<Book>);

impl Book {
    fn sign(self: &Arc<Self>) -> Token {
        let serial = self.next.fetch_add(1, Ordering::Relaxed);
        self.live.lock().unwrap().insert(serial);
        Token(serial, self.clone())
    }

    fn live(&self) -> usize {
        self.live.lock().unwrap().len()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let first = self.1.live.lock().unwrap().remove(&self.0);
        if !first {
            eprintln!("dropped twice: {}", self.0);
            std::process::abort();
        }
        if self.1.destructors {
            burn();
        }
    }
}

/// A key or a value, all of whose methods burn the fuse.
#[derive(Debug)]
struct Item(u32, Token);

impl Hash for Item {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn();
        state.write_u64(u64::from(self.0));
    }
}
impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}
impl Eq for Item {}
impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Cmp> {
        Some(self.cmp(other))
    }
}
impl Ord for Item {
    fn cmp(&self, other: &Self) -> Cmp {
        burn();
        self.0.cmp(&other.0)
    }
}
impl Clone for Item {
    fn clone(&self) -> Self {
        burn();
        Self(self.0, self.1.1.sign())
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u32),
    TryInsert(u32),
    GetOrInsertWith(u32),
    Get(u32),
    Remove(u32),
    RemoveIf(u32, bool),
    Update(u32),
    /// Zero inserts, one removes, two changes nothing.
    Compute(u32, u8),
    Retain(u32),
    InsertMany(u32, u32),
    Collect,
    Clone,
    Compare,
    Clear,
    /// The smallest of an ordered map; any of a hash map.
    Pop,
    PopWhile(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0_u32..40;
    prop_oneof![
        6 => key.clone().prop_map(Op::Insert),
        2 => key.clone().prop_map(Op::TryInsert),
        2 => key.clone().prop_map(Op::GetOrInsertWith),
        2 => key.clone().prop_map(Op::Get),
        4 => key.clone().prop_map(Op::Remove),
        2 => (key.clone(), any::<bool>()).prop_map(|(key, yes)| Op::RemoveIf(key, yes)),
        3 => key.clone().prop_map(Op::Update),
        3 => (key.clone(), 0_u8..3).prop_map(|(key, what)| Op::Compute(key, what)),
        1 => (2_u32..5).prop_map(Op::Retain),
        3 => (key.clone(), 1_u32..60).prop_map(|(key, count)| Op::InsertMany(key, count)),
        2 => Just(Op::Collect),
        1 => Just(Op::Clone),
        1 => Just(Op::Compare),
        1 => Just(Op::Clear),
        3 => Just(Op::Pop),
        2 => key.prop_map(Op::PopWhile),
    ]
}

/// Key to value, as far as a test looks.
type Content = BTreeMap<u32, u32>;

/// What a map holds once `op` is done, where new values are `value`.
fn after(op: &Op, before: &Content, value: u32) -> Content {
    let mut map = before.clone();
    match *op {
        Op::Insert(key) | Op::Compute(key, 0) => _ = map.insert(key, value),
        Op::TryInsert(key) | Op::GetOrInsertWith(key) => _ = map.entry(key).or_insert(value),
        Op::Remove(key) | Op::RemoveIf(key, true) | Op::Compute(key, 1) => _ = map.remove(&key),
        Op::Update(key) => {
            map.entry(key).and_modify(|old| *old = value);
        }
        Op::Retain(divisor) => map.retain(|key, _| key % divisor != 0),
        Op::InsertMany(from, count) => map.extend((from..from + count).map(|key| (key, value))),
        Op::Clear => map.clear(),
        Op::Pop => _ = map.pop_first(),
        Op::PopWhile(below) => map.retain(|&key, _| key >= below),
        _ => {}
    }
    map
}

/// An iterator that panics and lies.
struct Entries(std::ops::Range<u32>, u32, Arc<Book>);

impl Iterator for Entries {
    type Item = (Item, Item);

    fn next(&mut self) -> Option<Self::Item> {
        burn();
        let key = self.0.next()?;
        Some((Item(key, self.2.sign()), Item(self.1, self.2.sign())))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        // Too little, and too much for what is there; enough to reserve memory for.
        if self.1 % 2 == 0 { (0, Some(0)) } else { (500, None) }
    }
}

trait Map {
    fn apply(&self, op: &Op, value: u32, book: &Arc<Book>);
    fn content(&self) -> Content;
    /// Whether this operation takes the smallest entries, and not any.
    const ORDERED: bool;
}

/// What both maps do alike; `$guard` is a guard.
macro_rules! alike {
    ($self:ident, $op:ident, $value:ident, $book:ident, $guard:ident) => {{
        let key = |key: u32| Item(key, $book.sign());
        let item = || Item($value, $book.sign());
        match *$op {
            Op::Insert(k) => _ = $self.insert(key(k), item(), $guard),
            Op::TryInsert(k) => _ = $self.try_insert(key(k), item(), $guard).is_ok(),
            Op::GetOrInsertWith(k) => {
                let make = || {
                    burn();
                    item()
                };
                _ = $self.get_or_insert_with(key(k), make, $guard);
            }
            Op::Get(k) => _ = $self.get(&key(k), $guard).is_some(),
            Op::Remove(k) => _ = $self.remove(&key(k), $guard),
            Op::RemoveIf(k, yes) => {
                let should = |_: &Item, _: &Item| {
                    burn();
                    yes
                };
                _ = $self.remove_if(&key(k), should, $guard).is_ok();
            }
            Op::Compute(k, what) => {
                _ = $self.compute(
                    key(k),
                    |_| {
                        burn();
                        match what {
                            0 => Operation::Insert(item()),
                            1 => Operation::Remove,
                            _ => Operation::Abort(()),
                        }
                    },
                    $guard,
                );
            }
            Op::Collect => {
                $self.collect();
                let (made, shared) = (Self::from_iter(Entries(0..20, $value, $book.clone())), $self.len());
                drop(made);
                _ = shared;
            }
            Op::Clone => drop($self.clone()),
            Op::Compare => {
                let other = Self::from_iter(Entries(0..20, $value, $book.clone()));
                _ = *$self == other;
            }
            _ => unreachable!("each map's own"),
        }
    }};
}

impl<R: Reclaims> Map for HashMap<Item, Item, Hashes, R> {
    fn apply(&self, op: &Op, value: u32, book: &Arc<Book>) {
        let guard = &R::pin();
        let update = |_: &Item| {
            burn();
            Item(value, book.sign())
        };
        let keep = |key: &Item, divisor: u32| {
            burn();
            key.0 % divisor != 0
        };
        match *op {
            // By turns with a key of its own and with the caller's, which is cloned.
            Op::Update(key) if value % 2 == 0 => _ = self.update(Item(key, book.sign()), update, guard),
            Op::Update(key) => _ = self.update_ref(&Item(key, book.sign()), update, guard),
            Op::Retain(divisor) => self.retain(|key, _| keep(key, divisor), guard),
            Op::InsertMany(from, count) => {
                self.insert_many(Entries(from..from + count, value, book.clone()), guard);
            }
            Op::Clear => self.clear(guard),
            Op::Pop => _ = self.pop_any(guard),
            Op::PopWhile(count) => self.drain(guard).take(count as usize).for_each(drop),
            _ => alike!(self, op, value, book, guard),
        }
    }

    fn content(&self) -> Content {
        let guard = R::pin();
        let content: Content = self.iter(&guard).map(|(key, value)| (key.0, value.0)).collect();
        assert_eq!((content.len(), self.iter(&guard).count()), (self.len(), self.len()), "a key twice");
        content
    }

    const ORDERED: bool = false;
}

impl<R: Reclaims> Map for OrderedMap<Item, Item, R> {
    fn apply(&self, op: &Op, value: u32, book: &Arc<Book>) {
        let guard = &R::pin();
        match *op {
            Op::Update(key) => {
                let update = |_: &Item| {
                    burn();
                    Item(value, book.sign())
                };
                _ = self.update(&Item(key, book.sign()), update, guard);
            }
            Op::Retain(divisor) => self.retain(|key, _| {
                burn();
                key.0 % divisor != 0
            }),
            Op::InsertMany(from, count) => {
                let mut shared = self;
                shared.extend(Entries(from..from + count, value, book.clone()));
            }
            Op::Clear => self.clear(),
            Op::Pop => _ = self.pop_first(guard),
            Op::PopWhile(below) => loop {
                let popped = self.pop_first_while(
                    usize::MAX,
                    |key, _| {
                        burn();
                        key.0 < below
                    },
                    guard,
                );
                if popped.count() == 0 {
                    break;
                }
            },
            _ => alike!(self, op, value, book, guard),
        }
    }

    fn content(&self) -> Content {
        let guard = R::pin();
        let keys: Vec<u32> = self.keys(&guard).map(|key| key.0).collect();
        assert!(keys.is_sorted_by(|a, b| a < b) && keys.len() == self.len(), "{keys:?} of {}", self.len());
        self.iter(&guard).map(|(key, value)| (key.0, value.0)).collect()
    }

    const ORDERED: bool = true;
}

/// Reclaimers for all that is here.
trait Reclaims: Both + Accepts<Item> + Accepts<(Item, Item)> {}
impl<R: Both + Accepts<Item> + Accepts<(Item, Item)>> Reclaims for R {}

/// Runs operations of which some panic.
fn torment<M: Map>(map: M, ops: &[(Op, u32)], book: &Arc<Book>) {
    for (n, (op, fuse)) in ops.iter().enumerate() {
        let value = n as u32 + 1;
        let before = map.content();
        let done = with_fuse(*fuse, || map.apply(op, value, book));
        let (now, wanted) = (map.content(), after(op, &before, value));
        let any = !M::ORDERED && matches!(op, Op::Pop | Op::PopWhile(_));
        if done && !any {
            assert_eq!(now, wanted, "{op:?}");
        }
        let all = before.keys().chain(wanted.keys()).chain(now.keys());
        for key in all {
            let is = now.get(key);
            let may_go = any && is.is_none();
            assert!(
                is == before.get(key) || is == wanted.get(key) || may_go,
                "{key} is {is:?} after {op:?}, {fuse}"
            );
        }
    }
    // The last one may panic as well.
    let fuse = ops.last().map_or(0, |(_, fuse)| *fuse);
    with_fuse(fuse, move || drop(map));
}

/// crossbeam-epoch drops later, and on any thread.
fn settle<R: Reclaims>(book: &Book) {
    let idle = Queue::<u64, R>::default();
    for _ in 0..1_000_000 {
        if book.live() == 0 {
            return;
        }
        idle.collect();
        std::thread::yield_now();
    }
    panic!("never dropped: {:?}", book.live.lock().unwrap());
}

fn ops() -> impl Strategy<Value = Vec<(Op, u32)>> {
    proptest::collection::vec((op(), 0_u32..60), 1..60)
}

latchfree::domain! { struct Own; }

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hash_map(ops in ops(), hashes in proptest::sample::select(&hashers::ALL[..])) {
        let book = Arc::new(Book { destructors: true, ..Book::default() });
        torment(HashMap::<Item, Item, Hashes, Epoch<Own>>::with_reclaimer(0, hashes), &ops, &book);
        prop_assert_eq!(book.live(), 0);
    }

    #[test]
    fn ordered_map(ops in ops()) {
        let book = Arc::new(Book { destructors: true, ..Book::default() });
        torment(OrderedMap::<Item, Item, Epoch<Own>>::default(), &ops, &book);
        prop_assert_eq!(book.live(), 0);
    }

    #[test]
    fn sequences(ops in proptest::collection::vec((sequence_op(), 0_u32..60), 1..40)) {
        let book = || Arc::new(Book { destructors: true, ..Book::default() });
        let own = book();
        torment_sequence(Queue::<Item, Epoch<Own>>::default(), &ops, &own);
        prop_assert_eq!(own.live(), 0);
        let own = book();
        torment_sequence(Stack::<Item, Epoch<Own>>::default(), &ops, &own);
        prop_assert_eq!(own.live(), 0);
        let own = book();
        torment_sequence(BoundedQueue::<Item>::new(37), &ops, &own);
        prop_assert_eq!(own.live(), 0);
    }
}

#[cfg(feature = "crossbeam")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_crossbeam(ops in ops(), items in proptest::collection::vec((sequence_op(), 0_u32..60), 1..40)) {
        use latchfree::reclaim::Crossbeam;
        let book = Arc::new(Book::default());
        torment(HashMap::<Item, Item, Hashes, Crossbeam>::with_reclaimer(0, Hashes::Four), &ops, &book);
        torment(OrderedMap::<Item, Item, Crossbeam>::default(), &ops, &book);
        torment_sequence(Queue::<Item, Crossbeam>::default(), &items, &book);
        torment_sequence(Stack::<Item, Crossbeam>::default(), &items, &book);
        settle::<Crossbeam>(&book);
    }
}

#[derive(Clone, Debug)]
enum SequenceOp {
    PushAll(u32),
    Extend(u32),
    Pop(u32),
    /// All that a batch gives.
    PopMany(u32),
    Clear,
}

fn sequence_op() -> impl Strategy<Value = SequenceOp> {
    // Beyond the buffers in which batches are gathered.
    let count = prop_oneof![3 => 0_u32..20, 1 => 250_u32..300];
    prop_oneof![
        3 => count.clone().prop_map(SequenceOp::PushAll),
        2 => count.clone().prop_map(SequenceOp::Extend),
        2 => count.clone().prop_map(SequenceOp::Pop),
        2 => count.prop_map(SequenceOp::PopMany),
        1 => Just(SequenceOp::Clear),
    ]
}

/// Items by number; panics in `next`.
fn items(from: u32, count: u32, book: &Arc<Book>) -> impl Iterator<Item = Item> + use<> {
    let book = book.clone();
    (from..from + count).map(move |number| {
        burn();
        Item(number, book.sign())
    })
}

fn ignore<T>(_: T) {}

/// What is there, the next to be popped first.
trait Sequence {
    /// Where a pushed item goes.
    const NEW_ONES_FIRST: bool;
    const LIMIT: usize;
    fn push_all(&self, items: impl Iterator<Item = Item>);
    fn extend(&mut self, items: impl Iterator<Item = Item>);
    fn pop(&self) -> Option<Item>;
    fn pop_many(&self, max: usize) -> usize;
    fn clear(&self);
    fn len(&self) -> usize;
}

macro_rules! sequence {
    ([$($bounds:tt)*] $type:ty, $first:expr, $limit:expr, |$this:ident, $max:ident| $pop_many:expr) => {
        impl<$($bounds)*> Sequence for $type {
            const NEW_ONES_FIRST: bool = $first;
            const LIMIT: usize = $limit;
            fn push_all(&self, items: impl Iterator<Item = Item>) {
                // What does not fit comes back and is dropped.
                ignore(self.push_all(items));
            }
            fn extend(&mut self, items: impl Iterator<Item = Item>) {
                Extend::extend(self, items);
            }
            fn pop(&self) -> Option<Item> {
                self.pop()
            }
            fn pop_many(&self, $max: usize) -> usize {
                let $this = self;
                $pop_many
            }
            fn clear(&self) {
                self.clear();
            }
            fn len(&self) -> usize {
                self.len()
            }
        }
    };
}
sequence!([R: Reclaims] Queue<Item, R>, false, usize::MAX, |queue, max| queue.pop_many(max).len());
sequence!([R: Reclaims] Stack<Item, R>, true, usize::MAX, |stack, max| stack.pop_all().take(max).count());
sequence!([] BoundedQueue<Item>, false, 37, |queue, max| queue.pop_many(max).len());

fn torment_sequence<S: Sequence>(mut sequence: S, ops: &[(SequenceOp, u32)], book: &Arc<Book>) {
    let mut next = 0;
    for (op, fuse) in ops {
        // All out and in again, which says what is there.
        let look = |sequence: &S| -> VecDeque<u32> {
            let mut all: Vec<Item> = std::iter::from_fn(|| sequence.pop()).collect();
            let numbers = all.iter().map(|item| item.0).collect();
            if S::NEW_ONES_FIRST {
                all.reverse();
            }
            sequence.push_all(all.into_iter());
            numbers
        };
        let before = look(&sequence);
        let done = with_fuse(*fuse, || match *op {
            SequenceOp::PushAll(count) => sequence.push_all(items(next, count, book)),
            SequenceOp::Extend(count) => sequence.extend(items(next, count, book)),
            SequenceOp::Pop(count) => (0..count).for_each(|_| drop(sequence.pop())),
            SequenceOp::PopMany(count) => _ = sequence.pop_many(count as usize),
            SequenceOp::Clear => sequence.clear(),
        });
        assert!(sequence.len() <= S::LIMIT);
        let now = look(&sequence);
        let old: VecDeque<u32> = now.iter().copied().filter(|&number| number < next).collect();
        let new: Vec<u32> = now.iter().copied().filter(|&number| number >= next).collect();
        // What was there is there, but for what was popped: from the front.
        assert!(old.iter().eq(before.iter().skip(before.len() - old.len())), "{before:?} {op:?} {now:?}");
        match *op {
            SequenceOp::PushAll(count) | SequenceOp::Extend(count) => {
                // The new ones are the first that the iterator gave, at the right end and in order.
                assert_eq!(old.len(), before.len());
                let room = S::LIMIT - before.len();
                let whole = (count as usize).min(room);
                assert!(
                    new.len() <= whole && (!done || new.len() == whole),
                    "{op:?}: {} of {whole}",
                    new.len()
                );
                let mut expected: Vec<u32> = (next..next + new.len() as u32).collect();
                if S::NEW_ONES_FIRST {
                    expected.reverse();
                    assert!(now.iter().take(new.len()).eq(&expected), "{op:?}: {now:?}");
                } else {
                    assert!(now.iter().skip(before.len()).eq(&expected), "{op:?}: {now:?}");
                }
                next += count;
            }
            SequenceOp::Pop(count) if done => {
                assert_eq!(old.len(), before.len().saturating_sub(count as usize))
            }
            SequenceOp::Clear if done => assert!(now.is_empty()),
            _ => {}
        }
    }
    let fuse = ops.last().map_or(0, |(_, fuse)| *fuse);
    with_fuse(fuse, move || drop(sequence));
}

/// `try_insert` gives the value back, or it is dropped: not even if the destructor of the key that came with it panics is it
/// lost.
///
/// ```text
///   the key is there: Err(value) is made, then the refused key is dropped, which panics: nobody had the result
/// ```
#[test]
fn a_refused_key_that_panics_as_it_goes() {
    let book = Arc::new(Book { destructors: true, ..Book::default() });
    let map = HashMap::<Item, Item, Hashes, Epoch<Own>>::with_reclaimer(0, Hashes::Zero);
    let guard = latchfree::Guard::<Own>::pin();
    map.insert(Item(1, book.sign()), Item(1, book.sign()), &guard);
    // Its hash, its comparison, its end.
    let refused = with_fuse(3, || ignore(map.try_insert(Item(1, book.sign()), Item(2, book.sign()), &guard)));
    assert!(!refused);
    assert_eq!(book.live(), 2);
}

/// Threads that die of a panic in the middle of an operation, again and again, hinder nobody and take nothing with them.
#[test]
fn dying_threads() {
    let book = Arc::new(Book { destructors: true, ..Book::default() });
    {
        let map = HashMap::<Item, Item, Hashes, Epoch<Own>>::with_reclaimer(0, Hashes::Four);
        let ordered = OrderedMap::<Item, Item, Epoch<Own>>::default();
        let queue = Queue::<Item, Epoch<Own>>::default();
        let stack = Stack::<Item, Epoch<Own>>::default();
        let bounded = BoundedQueue::new(64);
        let deaths = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (map, ordered, queue, stack, bounded) = (&map, &ordered, &queue, &stack, &bounded);
                let (book, deaths) = (&book, &deaths);
                scope.spawn(move || {
                    for round in 0..300_u32 {
                        let victim = scope.spawn(move || {
                            FUSE.set(1 + (round * 7 + thread) % 40);
                            for op in [Op::InsertMany(round % 30, 5), Op::Update(7), Op::Remove(round % 30)] {
                                map.apply(&op, round, book);
                                ordered.apply(&op, round, book);
                            }
                            queue.push_all(items(0, 10, book));
                            stack.push_all(items(0, 10, book));
                            drop(bounded.push_all(items(0, 10, book)));
                            drop((queue.pop_many(9), bounded.pop_many(9)));
                            stack.pop_all().take(9).for_each(drop);
                            FUSE.set(0);
                        });
                        deaths.fetch_add(usize::from(victim.join().is_err()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(deaths.into_inner() > 400);
        assert_eq!(map.content().len(), map.len());
        assert_eq!(ordered.content().len(), ordered.len());
    }
    assert_eq!(book.live(), 0);
}

/// A guard that is never given up holds memory back and nothing else: operations go on, and a structure that is dropped
/// drops all that it holds.
#[test]
fn leaked_guards() {
    latchfree::domain! { struct Leaky; }
    std::mem::forget(latchfree::Guard::<Leaky>::pin());
    let book = Arc::new(Book::default());
    {
        let map = HashMap::<Item, Item, Hashes, Epoch<Leaky>>::with_reclaimer(0, Hashes::Sip);
        let ordered = OrderedMap::<Item, Item, Epoch<Leaky>>::default();
        let queue = Queue::<Item, Epoch<Leaky>>::default();
        let stack = Stack::<Item, Epoch<Leaky>>::default();
        for round in 0..30 {
            for op in [Op::InsertMany(0, 100), Op::Retain(2), Op::PopWhile(60)] {
                map.apply(&op, round, &book);
                ordered.apply(&op, round, &book);
            }
            queue.push_all(items(0, 1000, &book));
            stack.push_all(items(0, 1000, &book));
            assert_eq!((queue.pop_many(900).len(), stack.pop_all().count()), (900, 1000));
        }
        assert!(map.backlog().objects > 1000 && ordered.backlog().objects > 1000, "{:?}", map.backlog());
        assert!(book.live() > 4000);
    }
    assert_eq!(book.live(), 0);
}
