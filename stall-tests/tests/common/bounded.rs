//! Every operation of the bounded queue as a victim, while others push and pop.

use std::sync::Arc;

use latchfree_stall::BoundedQueue;
use latchfree_stall::reclaim::{barrier, choose_barrier};

use super::BARRIER;
use super::freeze::{Case, Job, never_stops_others};
use super::ledger::{Id, Item, Ledger, MAIN};

struct World {
    queue: BoundedQueue<Item>,
    ledger: Arc<Ledger>,
}

/// A thread's access to the world.
struct Hand {
    world: Arc<World>,
    who: usize,
    next: usize,
}

impl Hand {
    fn make(&mut self) -> Item {
        let id = (self.who, self.next);
        self.next += 1;
        self.world.ledger.make(id)
    }
    fn pushed(&self, id: Id) {
        self.world.ledger.pushed([id]);
    }
    fn popped(&self, item: Option<Item>) -> Option<Id> {
        self.world.ledger.popped(self.who, item)
    }
    /// Whether there was room.
    fn push(&mut self) -> bool {
        let item = self.make();
        let id = item.id;
        let done = self.world.queue.push(item).is_ok();
        if done {
            self.pushed(id);
        }
        done
    }
    fn force_push(&mut self) {
        let item = self.make();
        let id = item.id;
        if let Ok(displaced) = self.world.queue.force_push(item) {
            self.pushed(id);
            self.popped(displaced);
        }
    }
    fn push_all(&mut self, count: usize) {
        let items: Vec<_> = (0..count).map(|_| self.make()).collect();
        let ids: Vec<_> = items.iter().map(|item| item.id).collect();
        let left = self.world.queue.push_all(items).map_or_else(Iterator::count, |()| 0);
        ids[..count - left].iter().for_each(|&id| self.pushed(id));
    }
    fn pop(&mut self) -> Option<Id> {
        self.popped(self.world.queue.pop())
    }
    fn one_push(&mut self) {
        self.push();
    }
    fn one_pop(&mut self) {
        self.pop();
    }
    fn pop_many(&mut self, max: usize) {
        for item in self.world.queue.pop_many(max) {
            self.popped(Some(item));
        }
    }
}

/// A victim's operation.
type Operation = fn(&mut Hand);

/// Capacity, items in it at the beginning, and how far the ring has turned before.
#[derive(Clone, Copy, Debug)]
struct Start {
    capacity: usize,
    items: usize,
    turned: usize,
}

/// Slots that the stopped victims may hold, and among them those with an item that is out of reach.
#[derive(Clone, Copy)]
struct Holds {
    slots: usize,
    items: usize,
}

fn case(start: Start, victims: Vec<Operation>, holds: Holds) -> Case {
    let ledger = Arc::new(Ledger::default());
    let world = Arc::new(World { queue: BoundedQueue::new(start.capacity), ledger: ledger.clone() });
    let mut main = Hand { world: world.clone(), who: MAIN, next: 0 };
    for _ in 0..start.turned {
        assert!(main.push());
        assert!(main.pop().is_some());
    }
    for _ in 0..start.items {
        assert!(main.push());
    }
    let job = |who, work: Box<dyn FnOnce(&mut Hand) + Send>| -> Job {
        let mut hand = Hand { world: world.clone(), who, next: 0 };
        Box::new(move || work(&mut hand))
    };
    let victims =
        victims.into_iter().enumerate().map(|(who, operation)| job(who, Box::new(operation))).collect();
    let others = vec![
        job(
            5,
            Box::new(|hand| {
                for _ in 0..3 {
                    hand.push();
                    hand.push_all(2);
                    hand.pop();
                    hand.force_push();
                }
            }),
        ),
        job(
            6,
            Box::new(|hand| {
                for _ in 0..3 {
                    hand.pop_many(2);
                    hand.push();
                    hand.pop();
                    let queue = &hand.world.queue;
                    let _ = (queue.is_empty(), queue.len(), queue.is_full());
                }
            }),
        ),
    ];
    let frozen = Box::new(move || {
        while main.pop().is_some() {}
        assert!(main.world.queue.is_empty(), "empty and not empty, while nobody moves");
        {
            let missing = main.world.ledger.missing();
            assert!(missing <= holds.items, "{missing} items are hidden behind the stopped thread");
        }
        // Twice, for more than a lap.
        for _ in 0..2 {
            let first = main.next;
            while main.push() {}
            let room = main.next - 1 - first;
            assert!(room + holds.slots >= start.capacity, "there is room for {room} only");
            assert!(main.world.queue.is_full());
            for number in first..first + room {
                assert_eq!(main.pop(), Some((MAIN, number)));
            }
            assert_eq!(main.pop(), None);
        }
    });
    let finish = Box::new(move || {
        let mut hand = Hand { world, who: MAIN + 1, next: 0 };
        while hand.pop().is_some() {}
        ledger.settle_in_order();
        for _ in 0..2 {
            for filled in 0..start.capacity {
                assert_eq!(hand.world.queue.len(), filled);
                assert!(hand.push(), "room is lost");
            }
            assert!(hand.world.queue.is_full() && !hand.push());
            // The second time the rest is left to the queue's destructor.
            assert!(hand.pop().is_some());
            if hand.next == start.capacity + 1 {
                while hand.pop().is_some() {}
            }
        }
        drop(Arc::into_inner(hand.world).expect("all threads are done"));
        ledger.settle_in_order();
    });
    Case { victims, others, frozen, finish }
}

/// Steps that the others may take in all, audit included; about eight times what they do take.
const BOUND: usize = 12_000;

fn check(name: &str, (seeds, at_least): (u64, usize), victims: &[Operation], slots: usize, items: usize) {
    // Refused only if the other is in force, which the test then shows.
    let _ = choose_barrier(BARRIER);
    assert_eq!(barrier(), BARRIER);
    for start in [
        Start { capacity: 1, items: 0, turned: 0 },
        Start { capacity: 1, items: 1, turned: 1 },
        Start { capacity: 2, items: 1, turned: 0 },
        Start { capacity: 2, items: 2, turned: 3 },
        Start { capacity: 3, items: 0, turned: 1 },
        Start { capacity: 3, items: 3, turned: 2 },
        Start { capacity: 5, items: 4, turned: 3 },
    ] {
        let victims = victims.to_vec();
        let name = format!("{name}, {start:?}, {BARRIER:?}");
        never_stops_others(&name, BOUND, victims.len(), (seeds, at_least), move || {
            case(start, victims.clone(), Holds { slots, items })
        });
    }
}

const ONE: u64 = 18;
const TWO: u64 = 24;

#[test]
fn push() {
    check("push", (ONE, 20), &[Hand::one_push], 1, 0);
    check("push x 3", (ONE, 100), &[|hand| (0..3).for_each(|_| hand.one_push())], 1, 0);
}

#[test]
fn pop() {
    check("pop", (ONE, 20), &[Hand::one_pop], 1, 1);
    check("pop x 3", (ONE, 50), &[|hand| (0..3).for_each(|_| hand.one_pop())], 1, 1);
}

#[test]
fn both() {
    check(
        "push, pop, push, pop",
        (ONE, 100),
        &[|hand| {
            for _ in 0..2 {
                hand.push();
                hand.pop();
            }
        }],
        1,
        1,
    );
}

#[test]
fn push_all() {
    check("push_all", (ONE, 50), &[|hand| hand.push_all(3)], 3, 0);
}

#[test]
fn pop_many() {
    check("pop_many", (ONE, 20), &[|hand| hand.pop_many(2)], 2, 2);
}

#[test]
fn force_push() {
    check("force_push", (ONE, 20), &[Hand::force_push], 2, 1);
    check("force_push x 3", (ONE, 100), &[|hand| (0..3).for_each(|_| hand.force_push())], 2, 1);
}

#[test]
fn looks() {
    check(
        "len, is_empty, is_full",
        (ONE, 50),
        &[|hand| {
            let queue = &hand.world.queue;
            drop(format!("{} {} {}", queue.len(), queue.is_empty(), queue.is_full()));
        }],
        0,
        0,
    );
    check("clear", (ONE, 20), &[|hand| hand.world.queue.clear()], 1, 1);
}

#[test]
fn two_producers() {
    check("push, push", (TWO, 50), &[Hand::one_push, Hand::one_push], 2, 0);
    check("push_all, push", (TWO, 50), &[|hand| hand.push_all(3), Hand::one_push], 4, 0);
}

#[test]
fn two_consumers() {
    check("pop, pop", (TWO, 50), &[Hand::one_pop, Hand::one_pop], 2, 2);
    check("pop_many, pop", (TWO, 50), &[|hand| hand.pop_many(2), Hand::one_pop], 3, 3);
}

#[test]
fn producer_and_consumer() {
    check("push, pop", (TWO, 50), &[Hand::one_push, Hand::one_pop], 2, 1);
    check("pop, push", (TWO, 50), &[Hand::one_pop, Hand::one_push], 2, 1);
    check("force_push, push", (TWO, 50), &[Hand::force_push, Hand::one_push], 3, 1);
    check("force_push, pop", (TWO, 50), &[Hand::force_push, Hand::one_pop], 3, 2);
    check("push_all, pop_many", (TWO, 50), &[|hand| hand.push_all(3), |hand| hand.pop_many(2)], 5, 2);
}
