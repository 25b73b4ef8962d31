//! Every operation as a victim, while others push and pop.

use std::ptr::NonNull;
use std::sync::Arc;

use latchfree_stall::reclaim::{Participant, Reclaim, Retired, barrier, choose_barrier};
use latchfree_stall::{Epoch, Queue};

use super::BARRIER;
use super::freeze::{Case, Job, never_stops_others};
use super::ledger::{Id, Item, Ledger, MAIN};

struct World {
    queue: Queue<Item>,
    garbage: <Epoch as Reclaim>::Garbage,
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
    fn pushed(&self, ids: impl IntoIterator<Item = Id>) {
        self.world.ledger.pushed(ids);
    }
    fn popped(&self, item: Option<Item>) -> Option<Id> {
        self.world.ledger.popped(self.who, item)
    }
    fn push(&mut self) {
        let item = self.make();
        let id = item.id;
        self.world.queue.push(item);
        self.pushed([id]);
    }
    fn push_all(&mut self, count: usize) {
        let items: Vec<_> = (0..count).map(|_| self.make()).collect();
        let ids: Vec<_> = items.iter().map(|item| item.id).collect();
        self.world.queue.push_all(items);
        self.pushed(ids);
    }
    fn push_pop_with(&mut self) {
        let participant: Participant = Participant::register();
        let mut guard = participant.pin();
        let item = self.make();
        let id = item.id;
        self.world.queue.push_with(item, &guard);
        self.pushed([id]);
        guard.repin();
        self.popped(self.world.queue.pop_with(&guard));
    }
    fn pop(&mut self) {
        self.popped(self.world.queue.pop());
    }
    fn pop_many(&mut self, max: usize) {
        for item in self.world.queue.pop_many(max) {
            self.popped(Some(item));
        }
    }
    /// Retires an item of its own, which nobody else ever saw.
    fn retire(&mut self) {
        unsafe fn reclaim(item: NonNull<u8>) {
            // SAFETY: the box that was retired, once.
            drop(unsafe { Box::from_raw(item.cast::<Item>().as_ptr()) });
        }
        let object = NonNull::from(Box::leak(Box::new(self.make()))).cast();
        let guard = latchfree_stall::pin();
        let retired = Retired { object, reclaim, bytes: size_of::<Item>() };
        // SAFETY: nobody can reach the object; it is retired once, and items may be dropped anywhere.
        unsafe { Epoch::retire(&self.world.garbage, retired, &guard) };
    }
    fn churn(&mut self) {
        for _ in 0..8 {
            self.push();
            self.pop();
        }
    }
}

/// What the queue looks like at the beginning.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// Never used.
    New,
    /// Used, with segments that wait to be reused.
    Used,
    /// As before, with so many items in it.
    Items(usize),
}

/// A victim's operation.
type Operation = fn(&mut Hand);

/// How many items the frozen victims may hold: taken, and not yet out of their hands.
fn holds(max: usize) -> impl Fn(usize) -> bool + Copy + Send + Sync + 'static {
    move |missing| missing <= max
}

fn case(start: Start, victims: Vec<Operation>, held: impl Fn(usize) -> bool + Send + 'static) -> Case {
    // All that a process has before `main`: the domain. In the model it is made by its first user, under a lock.
    drop(latchfree_stall::pin());
    let ledger = Arc::new(Ledger::default());
    let world = Arc::new(World { queue: Queue::new(), garbage: Epoch::garbage(0), ledger: ledger.clone() });
    let mut main = Hand { world: world.clone(), who: MAIN, next: 0 };
    if !matches!(start, Start::New) {
        main.churn();
    }
    if let Start::Items(count) = start {
        main.push_all(count);
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
                    hand.retire();
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
                    let _ = (hand.world.queue.is_empty(), hand.world.queue.len());
                }
                hand.world.queue.collect();
            }),
        ),
    ];
    let frozen = Box::new(move || {
        drain(&main);
        assert!(main.world.queue.is_empty(), "empty and not empty, while nobody moves");
        {
            let missing = main.world.ledger.missing();
            assert!(held(missing), "{missing} items are hidden behind the stopped thread");
        }
        let id = (main.who, main.next);
        main.push();
        assert_eq!(main.popped(main.world.queue.pop()), Some(id));
        assert!(main.world.queue.pop().is_none());
    });
    let finish = Box::new(move || {
        let hand = Hand { world, who: MAIN + 1, next: 0 };
        // Every other case leaves the rest to the queue's destructor.
        let drained = !matches!(start, Start::Items(_));
        if drained {
            drain(&hand);
        }
        hand.world.queue.collect();
        assert_eq!(hand.world.queue.backlog().objects, 0, "nobody is pinned");
        Epoch::collect(&hand.world.garbage);
        assert_eq!(Epoch::backlog(&hand.world.garbage).objects, 0, "nobody is pinned");
        let ledger = hand.world.ledger.clone();
        if drained {
            ledger.settle_in_order();
        }
        drop(Arc::into_inner(hand.world).expect("all threads are done"));
        ledger.settle_in_order();
    });
    Case { victims, others, frozen, finish }
}

fn drain(hand: &Hand) {
    while hand.popped(hand.world.queue.pop()).is_some() {}
}

/// Steps that the others may take in all, audit included; about eight times what they do take.
const BOUND: usize = 6_000;

fn check(
    name: &str,
    (seeds, at_least): (u64, usize),
    victims: &[Operation],
    held: impl Fn(usize) -> bool + Copy + Send + Sync + 'static,
) {
    // Refused only if the other is in force, which the test then shows.
    let _ = choose_barrier(BARRIER);
    assert_eq!(barrier(), BARRIER);
    for start in [Start::New, Start::Used, Start::Items(3)] {
        let victims = victims.to_vec();
        let name = format!("{name}, {start:?}, {BARRIER:?}");
        never_stops_others(&name, BOUND, victims.len(), (seeds, at_least), move || {
            case(start, victims.clone(), held)
        });
    }
}

const ONE: u64 = 24;
const TWO: u64 = 36;

#[test]
fn push() {
    check("push", (ONE, 100), &[Hand::push], holds(0));
}

#[test]
fn pushes() {
    check("push x 4", (ONE, 400), &[|hand| (0..4).for_each(|_| hand.push())], holds(0));
}

#[test]
fn pop() {
    check("pop", (ONE, 100), &[Hand::pop], holds(1));
}

#[test]
fn pops() {
    check("pop x 4", (ONE, 300), &[|hand| (0..4).for_each(|_| hand.pop())], holds(1));
}

#[test]
fn push_pop_under_a_participant() {
    check("push_with, pop_with", (ONE, 300), &[Hand::push_pop_with], holds(1));
}

#[test]
fn push_all() {
    check("push_all", (ONE, 300), &[|hand| hand.push_all(5)], holds(0));
}

#[test]
fn pop_many() {
    check("pop_many", (ONE, 100), &[|hand| hand.pop_many(2)], holds(2));
}

#[test]
fn looks() {
    check("len", (ONE, 100), &[|hand| drop(hand.world.queue.len().to_string())], holds(0));
    check("is_empty", (ONE, 100), &[|hand| drop(hand.world.queue.is_empty().to_string())], holds(0));
    check("backlog", (ONE, 10), &[|hand| drop(format!("{:?}", hand.world.queue.backlog()))], holds(0));
}

#[test]
fn clear() {
    check("clear", (ONE, 100), &[|hand| hand.world.queue.clear()], holds(1));
}

#[test]
fn collect() {
    check("collect", (ONE, 100), &[|hand| hand.world.queue.collect()], holds(0));
    check(
        "churn, collect",
        (ONE / 2, 300),
        &[|hand| {
            hand.push_all(3);
            hand.pop_many(2);
            hand.world.queue.collect();
        }],
        holds(2),
    );
}

#[test]
fn guards() {
    check(
        "pin, flush, repin",
        (ONE, 100),
        &[|_| {
            let mut guard = latchfree_stall::pin();
            guard.flush();
            guard.repin();
            drop(latchfree_stall::pin());
        }],
        holds(0),
    );
    check("pin_owned", (ONE, 100), &[|_| drop(latchfree_stall::pin_owned())], holds(0));
    check(
        "register",
        (ONE, 50),
        &[|_| drop(Participant::<latchfree_stall::reclaim::epoch::Global>::register())],
        holds(0),
    );
}

#[test]
fn retire() {
    check(
        "retire",
        (ONE, 300),
        &[|hand| {
            hand.retire();
            hand.retire();
            Epoch::collect(&hand.world.garbage);
        }],
        holds(0),
    );
}

#[test]
fn two_producers() {
    check("push, push", (TWO, 150), &[Hand::push, Hand::push], holds(0));
    check("push_all, push", (TWO, 300), &[|hand| hand.push_all(5), Hand::push], holds(0));
}

#[test]
fn two_consumers() {
    check("pop, pop", (TWO, 150), &[Hand::pop, Hand::pop], holds(2));
    check(
        "pop_many, clear",
        (TWO, 150),
        &[|hand| hand.pop_many(2), |hand| hand.world.queue.clear()],
        holds(3),
    );
}

#[test]
fn producer_and_consumer() {
    check("push, pop", (TWO, 150), &[Hand::push, Hand::pop], holds(1));
    check("pop, push", (TWO, 150), &[Hand::pop, Hand::push], holds(1));
    check("push_all, pop_many", (TWO, 300), &[|hand| hand.push_all(5), |hand| hand.pop_many(2)], holds(2));
}

#[test]
fn retire_and_push_all() {
    check("retire, push_all", (TWO, 300), &[Hand::retire, |hand| hand.push_all(5)], holds(0));
}
