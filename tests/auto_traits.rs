//! Auto traits and sizes, checked by the compiler; and the lifetimes that items may have.

use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

use latchfree::ordered_map::InlineKeys;
#[cfg(feature = "crossbeam")]
use latchfree::reclaim::Crossbeam;
use latchfree::reclaim::{Accepts, Guard, OwnedGuard, Participant, ParticipantGuard};
use latchfree::{
    Epoch, HashMap, HashSet, OrderedMap, OrderedSet, Queue, Stack, hash_map, ordered_map, queue, stack,
};
use static_assertions::{assert_eq_size, assert_impl_all, assert_not_impl_any};

latchfree::domain! { struct Own; }

// Sharing a queue sends its items and shares none: `Send` suffices, `Sync` does not help.
assert_impl_all!(Queue<u64>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Queue<Cell<u64>>: Send, Sync);
#[cfg(feature = "crossbeam")]
assert_impl_all!(Queue<u64, Crossbeam>: Send, Sync);
assert_impl_all!(Queue<Cell<u64>, Epoch<Own>>: Send, Sync);
assert_not_impl_any!(Queue<Rc<u64>>: Send, Sync);
assert_not_impl_any!(Queue<*const u64>: Send, Sync);
assert_not_impl_any!(Queue<std::sync::MutexGuard<'static, u64>>: Send, Sync);
assert_not_impl_any!(Queue<&'static Cell<u64>>: Send, Sync);
assert_impl_all!(queue::IntoIter<u64>: Send);
assert_not_impl_any!(queue::IntoIter<Rc<u64>>: Send, Sync);

// The same for stacks; what a snapshot holds belongs to the thread that pinned.
assert_impl_all!(Stack<u64>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Stack<Cell<u64>, Epoch<Own>>: Send, Sync);
assert_not_impl_any!(Stack<Rc<u64>>: Send, Sync);
assert_not_impl_any!(Stack<&'static Cell<u64>>: Send, Sync);
assert_impl_all!(stack::IntoIter<u64>: Send);
assert_impl_all!(stack::PopAll<'static, u64>: Send);
assert_not_impl_any!(stack::PopAll<'static, Rc<u64>>: Send, Sync);
assert_not_impl_any!(stack::Iter<'static, u64>: Send, Sync);
#[cfg(target_has_atomic = "64")]
mod bounded {
    use super::*;
    use latchfree::BoundedQueue;
    use latchfree::queue::bounded::{CapacityError, IntoIter};

    assert_impl_all!(BoundedQueue<u64>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    assert_impl_all!(BoundedQueue<Cell<u64>>: Send, Sync);
    assert_not_impl_any!(BoundedQueue<Rc<u64>>: Send, Sync);
    assert_not_impl_any!(BoundedQueue<std::sync::MutexGuard<'static, u64>>: Send, Sync);
    assert_impl_all!(IntoIter<u64>: Send);
    assert_not_impl_any!(IntoIter<Rc<u64>>: Send, Sync);
    assert_impl_all!(CapacityError: std::error::Error, Send, Sync, Copy);
}
// A shared map lends what it holds, and drops on one thread what another inserted.
assert_impl_all!(OrderedMap<u64, String>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(OrderedMap<u64, String, Epoch, InlineKeys>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(OrderedMap<*const u8, u64, Epoch, InlineKeys>: Send, Sync);
assert_not_impl_any!(OrderedMap<&'static Cell<u64>, u64, Epoch, InlineKeys>: Send, Sync);
assert_impl_all!(OrderedMap<u64, Cell<u64>>: Send);
assert_not_impl_any!(OrderedMap<u64, Cell<u64>>: Sync, RefUnwindSafe);
assert_not_impl_any!(OrderedMap<Rc<u64>, u64>: Send, Sync);
assert_not_impl_any!(OrderedMap<u64, Rc<u64>>: Send, Sync);
assert_not_impl_any!(OrderedMap<u64, std::sync::MutexGuard<'static, u64>>: Send, Sync);
#[cfg(feature = "crossbeam")]
assert_impl_all!(OrderedMap<u64, String, Crossbeam>: Send, Sync);
assert_impl_all!(OrderedSet<u64>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(OrderedSet<Rc<u64>>: Send, Sync);
assert_impl_all!(ordered_map::IntoIter<u64, Cell<u64>>: Send, Sync);
assert_not_impl_any!(ordered_map::IntoIter<u64, Rc<u64>>: Send, Sync);
assert_not_impl_any!(ordered_map::OrderedMapRef<'static, u64, u64>: Send, Sync);
assert_not_impl_any!(ordered_map::Iter<'static, u64, u64>: Send, Sync);
// Sharing a map lends its keys and values to all threads, and drops them on any.
assert_impl_all!(HashMap<u64, u64>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(HashSet<u64>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(HashMap<u64, Cell<u64>>: Send);
assert_not_impl_any!(HashMap<u64, Cell<u64>>: Sync);
assert_not_impl_any!(HashMap<Cell<u64>, u64>: Sync);
assert_not_impl_any!(HashMap<u64, Rc<u64>>: Send, Sync);
assert_not_impl_any!(HashMap<Rc<u64>, u64>: Send, Sync);
assert_not_impl_any!(HashMap<u64, std::sync::MutexGuard<'static, u64>>: Send, Sync);
assert_not_impl_any!(hash_map::HashMapRef<'static, u64, u64>: Send, Sync);
assert_not_impl_any!(hash_map::Entry<'static, u64, u64>: Send, Sync);
assert_impl_all!(hash_map::ChangedError<'static, u64, u64>: std::error::Error);
assert_impl_all!(hash_map::Iter<'static, u64, u64>: Send, Sync);
assert_not_impl_any!(hash_map::Iter<'static, u64, Cell<u64>>: Send, Sync);
assert_impl_all!(hash_map::IntoIter<u64, Cell<u64>>: Send);
assert_not_impl_any!(hash_map::IntoIter<u64, Rc<u64>>: Send, Sync);
#[cfg(feature = "crossbeam")]
assert_impl_all!(HashMap<u64, u64, std::hash::RandomState, Crossbeam>: Send, Sync);

// A guard belongs to its thread; an owned one moves, and is used by one thread at a time.
assert_not_impl_any!(Guard: Send, Sync, Clone);
assert_not_impl_any!(Guard<Own>: Send, Sync);
assert_impl_all!(OwnedGuard: Send);
assert_not_impl_any!(OwnedGuard: Sync, Clone);
assert_impl_all!(Participant: Send);
assert_not_impl_any!(Participant: Sync, Clone);
assert_not_impl_any!(ParticipantGuard<'static>: Send, Sync);

assert_eq_size!(Guard, usize);
assert_eq_size!(Option<Guard>, usize);
assert_eq_size!(OwnedGuard, usize);
assert_eq_size!(Participant, usize);

// The default reclaimer holds anything, crossbeam-epoch's what may be dropped anywhere at any time.
assert_impl_all!(Epoch: Accepts<Rc<u64>>, Accepts<u64>);
#[cfg(feature = "crossbeam")]
assert_impl_all!(Crossbeam: Accepts<u64>);
#[cfg(feature = "crossbeam")]
assert_not_impl_any!(Crossbeam: Accepts<Rc<u64>>);

#[test]
fn items_may_borrow() {
    fn longest<'a>(text: &'a str) -> Option<&'a str> {
        let queue: Queue<&'a str> = text.split_whitespace().collect();
        queue.into_iter().max_by_key(|word| word.len())
    }
    let text = String::from("a queue of borrowed words");
    assert_eq!(longest(&text), Some("borrowed"));
    drop(text);
}

#[test]
fn items_may_borrow_across_threads() {
    let cells: Vec<_> = (0..100).map(std::sync::atomic::AtomicU32::new).collect();
    let queue = Queue::new();
    std::thread::scope(|scope| {
        scope.spawn(|| queue.push_all(&cells));
        scope.spawn(|| {
            let mut seen = 0;
            while seen < 100 {
                seen += queue.pop_many(7).len();
            }
        });
    });
    drop(queue);
    drop(cells);
}

/// Items that are not `Send` work where nobody shares the queue.
#[test]
fn items_may_stay_on_one_thread() {
    let shared = Rc::new(5);
    let queue: Queue<Rc<i32>> = std::iter::repeat_n(shared.clone(), 1000).collect();
    assert_eq!(queue.pop().as_deref(), Some(&5));
    drop(queue);
    assert_eq!(Rc::strong_count(&shared), 1);
}
