//! Types that are hard on a structure, in every structure: zero-sized, huge, over-aligned, not `Sync`, borrowing, of shared ownership
//! within one thread, pointing to themselves.

mod common;

use std::cell::{Cell, RefCell};
use std::cmp::Ordering as Cmp;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::rc::{Rc, Weak};

use latchfree::reclaim::Accepts;
use latchfree::{BoundedQueue, Epoch, HashMap, HashSet, OrderedMap, OrderedSet, Queue, Stack};
use static_assertions::{assert_impl_all, assert_not_impl_any};

/// How many: a few segments, leaves and doublings.
const MANY: usize = 700;

/// Puts values made of numbers through everything and back: `make` and `number` are each other's inverse, below `range`.
fn through_all<T: Ord + Hash + Clone + Send>(
    range: usize,
    make: impl Fn(usize) -> T,
    number: impl Fn(&T) -> usize,
) {
    let numbers = || (0..MANY).map(|n| n % range);
    let distinct = range.min(MANY);

    let queue: Queue<T> = numbers().map(&make).collect();
    queue.push(make(0));
    assert!(std::iter::from_fn(|| queue.pop()).map(|item| number(&item)).eq(numbers().chain([0])));
    queue.push_all(numbers().map(&make));
    assert_eq!(queue.pop_many(usize::MAX).len() + queue.into_iter().count(), MANY);

    let stack: Stack<T> = numbers().map(&make).collect();
    assert_eq!(stack.pop().map(|item| number(&item)), numbers().next_back());
    assert_eq!(stack.pop_all().count(), MANY - 1);

    let ring = BoundedQueue::new(5);
    for n in numbers() {
        assert!(ring.push(make(n)).is_ok());
        assert_eq!(ring.pop().as_ref().map(&number), Some(n));
    }
    assert_eq!(ring.push_all(numbers().map(&make)).unwrap_err().count(), MANY - 5);
    assert_eq!(ring.force_push(make(0)).ok().flatten().as_ref().map(&number), Some(0));

    let map: HashMap<T, T> = numbers().map(|n| (make(n), make(n))).collect();
    assert_eq!(map.len(), distinct);
    {
        let pinned = map.pin();
        for n in numbers() {
            assert_eq!(pinned.get(&make(n)).map(&number), Some(n));
            assert!(pinned.update_ref(&make(n), T::clone).is_some());
        }
        assert!(
            pinned.iter().all(|(key, value)| number(key) == number(value) && aligned(key) && aligned(value))
        );
        pinned.retain(|key, _| number(key) % 2 == 0);
        assert_eq!(map.len(), distinct.div_ceil(2));
    }
    assert!(map.clone() == map);
    assert_eq!(map.into_iter().count(), distinct.div_ceil(2));

    let map = OrderedMap::<T, T>::new();
    {
        let pinned = map.pin();
        for n in numbers() {
            pinned.insert(make(n), make(n));
            assert_eq!(pinned.get(&make(n)).map(&number), Some(n));
        }
        assert_eq!(map.len(), distinct);
        assert!(pinned.iter().map(|(key, _)| number(key)).eq(0..distinct));
        assert!(
            pinned.iter().all(|(key, value)| number(key) == number(value) && aligned(key) && aligned(value))
        );
        assert_eq!(pinned.range_snapshot(make(0)..).count(), distinct);
        for n in (0..distinct).step_by(2) {
            assert_eq!(pinned.pop_first_while(1, |key, _| number(key) == n).count(), 1);
            assert_eq!(pinned.remove(&make(n + 1)).map(&number), (n + 1 < distinct).then_some(n + 1));
        }
        assert!(map.is_empty());
    }
    let set: OrderedSet<T> = numbers().map(&make).collect();
    assert!(set.into_iter().map(|item| number(&item)).eq(0..distinct));
    let set: HashSet<T> = numbers().map(&make).collect();
    assert_eq!(set.into_iter().count(), distinct);
}

fn aligned<T>(value: &T) -> bool {
    std::ptr::from_ref(value).is_aligned()
}

#[test]
fn zero_sized() {
    through_all(1, |_| (), |()| 0);
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(align(4096))]
    struct Page;
    through_all(1, |_| Page, |page| usize::from(!aligned(page)));
    through_all(1, |_| [0_u128; 0], |none| none.len());
}

#[test]
fn small() {
    through_all(2, |n| n == 1, |&bit| usize::from(bit));
    through_all(200, |n| n as u8, |&byte| usize::from(byte));
    through_all(usize::MAX, |n| n as u128 + (1 << 100), |&wide| (wide - (1 << 100)) as usize);
    through_all(2, |n| std::num::NonZeroU8::new(n as u8), |byte| byte.map_or(0, |byte| byte.get().into()));
}

/// In the middle of a page, and more than one.
#[test]
fn huge() {
    through_all(usize::MAX, |n| [n as u32; 1500], |words| words[1499] as usize);
    through_all(9, |n| [n as u8; 100_000], |bytes| bytes[99_999].into());
}

#[test]
fn over_aligned() {
    macro_rules! aligned_to {
        ($($align:literal)+) => {$({
            #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #[repr(align($align))]
            struct Aligned(usize);
            let number = |value: &Aligned| {
                assert!(aligned(value));
                value.0
            };
            through_all(usize::MAX, Aligned, number);
        })+};
    }
    aligned_to!(16 64 128 256 4096);
}

/// An item that may move between threads and not be shared.
#[test]
fn not_sync() {
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
    struct Unshared(Cell<usize>);
    impl Hash for Unshared {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.get().hash(state);
        }
    }
    assert_not_impl_any!(Unshared: Sync);
    through_all(usize::MAX, |n| Unshared(Cell::new(n)), |value| value.0.get());
    // Those that move values out are shared nevertheless.
    let (queue, stack, ring) = (Queue::new(), Stack::new(), BoundedQueue::new(1000));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..500 {
                    queue.push(Cell::new(n));
                    stack.push(Cell::new(n));
                    assert!(ring.push(Cell::new(n)).is_ok());
                    for value in [queue.pop(), stack.pop(), ring.pop()].into_iter().flatten() {
                        value.set(value.get() + 1);
                    }
                }
            });
        }
    });
}

/// Items that borrow from their surroundings, by shared and by exclusive reference.
#[test]
fn borrowing() {
    let numbers: Vec<String> = (0..MANY).map(|n| format!("{n:05}")).collect();
    through_all(MANY, |n| numbers[n].as_str(), |text| text.parse().unwrap());
    let mut sums = [0; 4];
    {
        let queue: Queue<&mut u64> = sums.iter_mut().collect();
        let stack = Stack::new();
        let map = HashMap::new();
        while let Some(sum) = queue.pop() {
            *sum += 1;
            stack.push(sum);
        }
        for (n, sum) in stack.pop_all().enumerate() {
            *sum += 10;
            map.pin().insert(n, sum);
        }
        let ordered: OrderedMap<usize, &mut u64> = map.into_iter().collect();
        ordered.into_iter().for_each(|(n, sum)| *sum += n as u64 * 100);
    }
    assert_eq!(sums, [311, 211, 111, 11]);
}

/// Graphs within one thread: items that own the structure that holds them, in a circle or not, and look at it as they go.
#[test]
fn shared_ownership() {
    #[derive(Default)]
    struct Hub {
        queue: Queue<Spoke>,
        stack: Stack<Spoke>,
        map: HashMap<usize, Spoke>,
        ordered: OrderedMap<usize, Spoke>,
        gone: Cell<usize>,
    }
    struct Spoke(Weak<Hub>, Rc<Cell<usize>>);
    impl Drop for Spoke {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            // While the hub lives, every spoke that leaves it looks around.
            if let Some(hub) = self.0.upgrade() {
                let lengths = [hub.queue.len(), hub.stack.len(), hub.map.len(), hub.ordered.len()];
                hub.gone.set(hub.gone.get() + lengths.len());
                _ = (
                    hub.queue.is_empty(),
                    hub.map.pin().get(&1).is_some(),
                    hub.ordered.pin().first_key_value().is_some(),
                );
                hub.map.collect();
            }
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let hub = Rc::new(Hub::default());
    let spoke = || Spoke(Rc::downgrade(&hub), dropped.clone());
    for n in 0..MANY {
        hub.queue.push(spoke());
        hub.stack.push(spoke());
        hub.map.pin().insert(n % 100, spoke());
        hub.ordered.pin().insert(n % 100, spoke());
    }
    hub.queue.clear();
    hub.stack.clear();
    hub.map.pin().clear();
    hub.ordered.clear();
    drop(hub);
    assert_eq!(dropped.get(), 4 * MANY);
    assert_eq!(Rc::strong_count(&dropped), 1);

    // A circle: it owns itself until it is broken, and then it is dropped while it is looked at.
    struct Ring(RefCell<Option<Rc<Queue<Ring>>>>);
    let queue = Rc::new(Queue::new());
    queue.push(Ring(RefCell::new(Some(queue.clone()))));
    queue.push(Ring(RefCell::new(None)));
    let weak = Rc::downgrade(&queue);
    drop(queue);
    let alive = weak.upgrade().expect("it owns itself");
    let item = alive.pop().expect("pushed above");
    drop(alive);
    drop(item.0.take());
    assert!(weak.upgrade().is_none());
}

/// An order and a hash that change while the map holds the key: unspecified answers, every entry dropped once, no end to nobody.
#[test]
fn keys_that_change() {
    #[derive(Clone)]
    struct Shifty(Rc<Cell<u64>>);
    impl PartialEq for Shifty {
        fn eq(&self, other: &Self) -> bool {
            self.0.get() == other.0.get()
        }
    }
    impl Eq for Shifty {}
    impl PartialOrd for Shifty {
        fn partial_cmp(&self, other: &Self) -> Option<Cmp> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Shifty {
        fn cmp(&self, other: &Self) -> Cmp {
            self.0.get().cmp(&other.0.get())
        }
    }
    impl Hash for Shifty {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.get().hash(state);
        }
    }
    let keys: Vec<Shifty> = (0..500).map(|n| Shifty(Rc::new(Cell::new(n)))).collect();
    {
        let map: HashMap<Shifty, u64> = keys.iter().cloned().map(|key| (key, 0)).collect();
        let ordered: OrderedMap<Shifty, u64> = keys.iter().cloned().map(|key| (key, 0)).collect();
        let mut rng = common::Rng(7);
        for round in 0..2000 {
            let key = &keys[rng.below(500) as usize];
            key.0.set(rng.below(1000));
            let other = &keys[rng.below(500) as usize];
            map.pin().insert(other.clone(), round);
            ordered.pin().insert(other.clone(), round);
            if round % 3 == 0 {
                map.pin().remove(key);
                ordered.pin().remove(key);
                ordered.pin().pop_first();
            }
        }
        assert!(map.pin().iter().count() <= 2500 && ordered.pin().iter().count() <= 2500);
        ordered.retain(|key, _| key.0.get() % 2 == 0);
        map.pin().retain(|key, _| key.0.get() % 2 == 0);
    }
    for key in &keys {
        assert_eq!(Rc::strong_count(&key.0), 1);
    }
}

/// A type without any auto trait.
struct Nothing(PhantomData<(*mut u8, std::marker::PhantomPinned)>);

// A structure can be moved whatever it holds, for it holds it elsewhere; but it goes no further between threads than its items do.
assert_impl_all!(Queue<Nothing>: Unpin);
assert_impl_all!(Stack<Nothing>: Unpin);
assert_impl_all!(BoundedQueue<Nothing>: Unpin);
assert_impl_all!(HashMap<Nothing, Nothing>: Unpin);
assert_impl_all!(OrderedMap<Nothing, Nothing>: Unpin);
assert_not_impl_any!(Queue<Nothing>: Send, Sync);
assert_not_impl_any!(Stack<Nothing>: Send, Sync);
assert_not_impl_any!(BoundedQueue<Nothing>: Send, Sync);
assert_not_impl_any!(HashMap<Nothing, ()>: Send, Sync);
assert_not_impl_any!(HashMap<(), Nothing>: Send, Sync);
assert_not_impl_any!(HashSet<Nothing>: Send, Sync);
assert_not_impl_any!(OrderedMap<Nothing, ()>: Send, Sync);
assert_not_impl_any!(OrderedMap<(), Nothing>: Send, Sync);
assert_not_impl_any!(OrderedSet<Nothing>: Send, Sync);
// Maps lend, so `Sync` matters to them, and sequences do not.
assert_impl_all!(Queue<Cell<u8>>: Send, Sync);
assert_impl_all!(Stack<Cell<u8>>: Send, Sync);
assert_impl_all!(BoundedQueue<Cell<u8>>: Send, Sync);
assert_impl_all!(HashMap<u8, Cell<u8>>: Send);
assert_impl_all!(OrderedMap<u8, Cell<u8>>: Send);
assert_not_impl_any!(HashMap<u8, Cell<u8>>: Sync);
assert_not_impl_any!(OrderedMap<u8, Cell<u8>>: Sync);
assert_not_impl_any!(HashSet<Cell<u8>>: Sync);
assert_not_impl_any!(OrderedSet<Cell<u8>>: Sync);
// A hasher is shared with the map.
assert_not_impl_any!(HashMap<u8, u8, Rc<std::hash::RandomState>>: Send, Sync);
// Nothing that a guard protects leaves its thread with the guard.
assert_not_impl_any!(latchfree::hash_map::Drain<'static, u8, u8>: Send, Sync);
assert_not_impl_any!(latchfree::hash_map::HashSetRef<'static, u8>: Send, Sync);
assert_not_impl_any!(latchfree::ordered_map::OrderedSetRef<'static, u8>: Send, Sync);
// What is not `'static` is the default reclaimer's business.
assert_impl_all!(Epoch: Accepts<&'static mut Nothing>, Accepts<Rc<Nothing>>);
