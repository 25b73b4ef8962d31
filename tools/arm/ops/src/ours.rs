//! Our operations. Rows that begin with `latchfree` are those that `count --check` watches.

use latchfree::reclaim::{Barrier, Crossbeam, Reclaim, choose_barrier};
use latchfree::{Queue, pin};

use crate::List;
use crate::shapes::{Pile, add_unbounded};

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
}
