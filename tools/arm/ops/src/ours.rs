//! Our operations. Rows that begin with `latchfree` are those that `count --check` watches.

use latchfree::reclaim::{Barrier, Crossbeam, Reclaim, choose_barrier};
use latchfree::{BoundedQueue, CopyMap, HashMap, OrderedMap, Queue, Stack, pin};
use rustc_hash::FxBuildHasher;

use crate::List;
use crate::shapes::{
    BATCH, CAPACITY, ENTRIES, Map, Pile, absent, add_map, add_ordered_map, add_pile, add_unbounded, present,
};

/// For rows that show what it costs where the system has no `membarrier`.
fn fences() {
    choose_barrier(Barrier::Fence).expect("nothing has pinned yet");
}

impl<R: Reclaim + Sync> Pile for Queue<u64, R>
where
    Queue<u64, R>: Default + Sync,
{
    fn new() -> Self {
        Self::default()
    }
    #[inline(always)]
    fn push(&self, value: u64) {
        Queue::push(self, value);
    }
    #[inline(always)]
    fn pop(&self) -> Option<u64> {
        Queue::pop(self)
    }
}

impl<R: Reclaim + Sync> Pile for Stack<u64, R>
where
    Stack<u64, R>: Default + Sync,
{
    fn new() -> Self {
        Self::default()
    }
    #[inline(always)]
    fn push(&self, value: u64) {
        Stack::push(self, value);
    }
    #[inline(always)]
    fn pop(&self) -> Option<u64> {
        Stack::pop(self)
    }
}

impl Pile for BoundedQueue<u64> {
    fn new() -> Self {
        Self::new(CAPACITY)
    }
    #[inline(always)]
    fn push(&self, value: u64) {
        let _ = BoundedQueue::push(self, value);
    }
    #[inline(always)]
    fn pop(&self) -> Option<u64> {
        BoundedQueue::pop(self)
    }
}

type Hash = HashMap<u64, u64, FxBuildHasher>;
type Copied = CopyMap<u64, u64, FxBuildHasher>;
type Ordered = OrderedMap<u64, u64>;

/// What is under a guard and returned by reference.
macro_rules! lending {
    ($($map:ty),+) => {$(
        impl Map for $map {
            fn new() -> Self {
                Self::default()
            }
            #[inline(always)]
            fn get(&self, key: u64) -> Option<u64> {
                self.pin().get(&key).copied()
            }
            #[inline(always)]
            fn insert(&self, key: u64, value: u64) -> bool {
                self.pin().insert(key, value).is_none()
            }
            #[inline(always)]
            fn remove(&self, key: u64) -> Option<u64> {
                self.pin().remove(&key).copied()
            }
        }
    )+};
}
lending!(Hash, Ordered);

impl Map for Copied {
    fn new() -> Self {
        Self::default()
    }
    #[inline(always)]
    fn get(&self, key: u64) -> Option<u64> {
        CopyMap::get(self, &key)
    }
    #[inline(always)]
    fn insert(&self, key: u64, value: u64) -> bool {
        CopyMap::insert(self, key, value).is_none()
    }
    #[inline(always)]
    fn remove(&self, key: u64) -> Option<u64> {
        CopyMap::remove(self, &key)
    }
}

impl crate::shapes::OrderedMap for Ordered {
    #[inline(always)]
    fn pop_first(&self) -> Option<u64> {
        self.pin().pop_first().map(|(_, &value)| value)
    }
}

fn one() -> Queue<u64> {
    Queue::from_iter([1])
}

pub fn add(list: &mut List) {
    list.add("guard", "pin + unpin", "latchfree", |run| run.of((), |(), _| drop(pin())));
    list.add("guard", "pin + unpin", "latchfree, fences", |run| {
        fences();
        run.of((), |(), _| drop(pin()));
    });
    list.add("guard", "pin + unpin, nested", "latchfree", |run| {
        let _outer = pin();
        run.of((), |(), _| drop(pin()));
    });

    add_unbounded::<Queue<u64>>(list, "queue", "latchfree");
    add_unbounded::<Queue<u64, Crossbeam>>(list, "queue", "latchfree, crossbeam");
    list.add("queue", "push + pop", "latchfree, fences", |run| {
        fences();
        run.of(Queue::<u64>::new(), |queue, i| {
            queue.push(i);
            queue.pop()
        });
    });
    list.add("queue", "push + pop", "latchfree, one guard", |run| {
        run.of(Queue::<u64>::new(), |queue, i| {
            let guard = pin();
            queue.push_with(i, &guard);
            queue.pop_with(&guard)
        });
    });
    list.add("queue", "is_empty", "latchfree", |run| run.of(one(), |queue, _| queue.is_empty()));
    list.add("queue", "len", "latchfree", |run| run.of(one(), |queue, _| queue.len()));
    list.add("queue", "push_all + pop_many, 32", "latchfree", |run| {
        run.of(Queue::<u64>::new(), |queue, i| {
            queue.push_all(i..i + BATCH);
            queue.pop_many(BATCH as usize)
        });
    });

    add_bounded(list);
    add_stack(list);
    add_hash_maps(list);
    add_ordered(list);
}

fn add_bounded(list: &mut List) {
    add_pile::<BoundedQueue<u64>>(list, "bounded queue", "latchfree");
    list.add("bounded queue", "push + pop", "latchfree, fences", |run| {
        fences();
        run.of(BoundedQueue::<u64>::new(CAPACITY), |queue, i| (queue.push(i), queue.pop()));
    });
    list.add("bounded queue", "push to full", "latchfree", |run| {
        let queue = BoundedQueue::new(1);
        queue.push(0).expect("empty");
        run.of(queue, |queue, i| queue.push(i));
    });
    list.add("bounded queue", "force_push to full", "latchfree", |run| {
        let queue = BoundedQueue::new(CAPACITY);
        (0..CAPACITY as u64).for_each(|i| queue.push(i).expect("room"));
        run.of(queue, |queue, i| queue.force_push(i));
    });
    list.add("bounded queue", "is_empty", "latchfree", |run| {
        run.of(BoundedQueue::<u64>::new(CAPACITY), |queue, _| queue.is_empty());
    });
    list.add("bounded queue", "push_all + pop_many, 32", "latchfree", |run| {
        run.of(BoundedQueue::<u64>::new(CAPACITY), |queue, i| {
            let refused = queue.push_all(i..i + BATCH).is_err();
            (refused, queue.pop_many(BATCH as usize))
        });
    });
}

fn add_stack(list: &mut List) {
    add_unbounded::<Stack<u64>>(list, "stack", "latchfree");
    add_unbounded::<Stack<u64, Crossbeam>>(list, "stack", "latchfree, crossbeam");
    list.add("stack", "push + pop", "latchfree, fences", |run| {
        fences();
        run.of(Stack::<u64>::new(), |stack, i| {
            stack.push(i);
            stack.pop()
        });
    });
    list.add("stack", "push + pop", "latchfree, one guard", |run| {
        run.of(Stack::<u64>::new(), |stack, i| {
            let guard = pin();
            stack.push_with(i, &guard);
            stack.pop_with(&guard)
        });
    });
    list.add("stack", "peek", "latchfree", |run| {
        run.of(Stack::<u64>::from_iter([1]), |stack, _| stack.peek())
    });
    list.add("stack", "len", "latchfree", |run| run.of(Stack::<u64>::from_iter([1]), |stack, _| stack.len()));
    list.add("stack", "push_all + pop_many, 32", "latchfree", |run| {
        run.of(Stack::<u64>::new(), |stack, i| {
            stack.push_all(i..i + BATCH);
            stack.pop_many(BATCH as usize)
        });
    });
}

fn add_hash_maps(list: &mut List) {
    add_map::<Hash>(list, "hash map", "latchfree");
    add_map::<Copied>(list, "hash map", "latchfree CopyMap");
    list.add("hash map", "get, found", "latchfree, fences", |run| {
        fences();
        run.of(Hash::filled(), |map, i| Map::get(map, present(i)));
    });
    list.add("hash map", "get, found", "latchfree, one guard", |run| {
        // One of each thread, in the model as well.
        std::thread_local!(static GUARD: latchfree::Guard = pin());
        run.of(Hash::filled(), |map, i| GUARD.with(|guard| map.get(&present(i), guard).copied()));
    });
    list.add("hash map", "get_many, 32", "latchfree", |run| {
        run.of(Hash::filled(), |map, i| {
            let mut sum = 0;
            map.pin().get_many_with(&batch(i), |_, value| sum += value.unwrap_or(&0));
            sum
        });
    });
    list.add("hash map", "get_many, 32", "latchfree CopyMap", |run| {
        run.of(Copied::filled(), |map, i| {
            let mut sum = 0;
            map.get_many_with(&batch(i), |_, value| sum += value.unwrap_or(0));
            sum
        });
    });
    list.add("hash map", "update", "latchfree", |run| {
        run.of(Hash::filled(), |map, i| map.pin().update(present(i), |value| value + 1).copied());
    });
    list.add("hash map", "update", "latchfree CopyMap", |run| {
        run.of(Copied::filled(), |map, i| map.fetch_update(&present(i), |value| Some(value.wrapping_add(1))));
    });
    list.add("hash map", "len", "latchfree", |run| run.of(Hash::filled(), |map, _| map.len()));
}

/// Keys of a batch, half of which are there.
fn batch(i: u64) -> [u64; BATCH as usize] {
    std::array::from_fn(|at| if at % 2 == 0 { present(i + at as u64) } else { absent(i + at as u64) })
}

fn add_ordered(list: &mut List) {
    add_ordered_map::<Ordered>(list, "ordered map", "latchfree");
    list.add("ordered map", "get, found", "latchfree, fences", |run| {
        fences();
        run.of(Ordered::filled(), |map, i| Map::get(map, present(i)));
    });
    list.add("ordered map", "first key", "latchfree", |run| {
        run.of(Ordered::filled(), |map, _| map.pin().first_key_value().map(|(&key, _)| key));
    });
    list.add("ordered map", "scan of 100", "latchfree", |run| {
        run.of(Ordered::filled(), |map, i| {
            let from = present(i) % (ENTRIES - 100);
            map.pin().range(from..from + 100).map(|(_, &value)| value).sum::<u64>()
        });
    });
    list.add("ordered map", "reschedule", "latchfree", |run| {
        run.of(Ordered::filled(), |map, i| {
            // From the first half of the entries to keys of nobody's, and back by the next one.
            let (here, there) = (present(i / 2), absent(present(i / 2)));
            let (old, new) = if i % 2 == 0 { (here, there) } else { (there, here) };
            map.pin().reschedule(&old, new).is_ok()
        });
    });
}
