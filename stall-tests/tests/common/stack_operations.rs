//! Every operation on a stack as a victim, while others push and pop.

use std::sync::Arc;

use latchfree_stall::Stack;
use latchfree_stall::reclaim::{Participant, barrier, choose_barrier};

use super::BARRIER;
use super::freeze::{Case, Job, never_stops_others};
use super::ledger::{Id, Item, Ledger, MAIN};

struct World {
    stack: Stack<Item>,
    /// What can be looked at.
    numbers: Stack<usize>,
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
        self.world.stack.push(item);
        self.pushed([id]);
    }
    fn push_all(&mut self, count: usize) {
        let items: Vec<_> = (0..count).map(|_| self.make()).collect();
        let ids: Vec<_> = items.iter().map(|item| item.id).collect();
        self.world.stack.push_all(items);
        self.pushed(ids);
    }
    fn push_pop_with(&mut self) {
        let participant: Participant = Participant::register();
        let mut guard = participant.pin();
        let item = self.make();
        let id = item.id;
        self.world.stack.push_with(item, &guard);
        self.pushed([id]);
        guard.repin();
        self.popped(self.world.stack.pop_with(&guard));
    }
    fn pop(&mut self) {
        self.popped(self.world.stack.pop());
    }
    fn pop_all(&mut self) {
        for item in self.world.stack.pop_all() {
            self.popped(Some(item));
        }
    }
    fn pop_many(&mut self) {
        for item in self.world.stack.pop_many(2) {
            self.popped(Some(item));
        }
    }
    /// Looks at numbers, which come and go as well.
    fn look(&mut self) {
        let numbers = &self.world.numbers;
        numbers.push(2);
        assert!(numbers.peek().is_none_or(|number| number < 3));
        assert!(numbers.iter().all(|number| number < 3));
        numbers.pop();
    }
    fn churn(&mut self) {
        for _ in 0..8 {
            self.push();
            self.pop();
        }
    }
}

/// What the stack looks like at the beginning.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// Never used.
    New,
    /// Used, with spare nodes.
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
    let world = Arc::new(World { stack: Stack::new(), numbers: Stack::new(), ledger: ledger.clone() });
    world.numbers.push(1);
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
                    hand.look();
                }
            }),
        ),
        job(
            6,
            Box::new(|hand| {
                for _ in 0..3 {
                    hand.pop_many();
                    hand.pop_all();
                    hand.push();
                    hand.pop();
                    let _ = (hand.world.stack.is_empty(), hand.world.stack.len());
                }
                hand.world.stack.collect();
            }),
        ),
    ];
    let frozen = Box::new(move || {
        drain(&main);
        assert!(main.world.stack.is_empty(), "empty and not empty, while nobody moves");
        {
            let missing = main.world.ledger.missing();
            assert!(held(missing), "{missing} items are hidden behind the stopped thread");
        }
        let id = (main.who, main.next);
        main.push();
        assert_eq!(main.popped(main.world.stack.pop()), Some(id));
        assert!(main.world.stack.pop().is_none());
    });
    let finish = Box::new(move || {
        let hand = Hand { world, who: MAIN + 1, next: 0 };
        // Every other case leaves the rest to the queue's destructor.
        let drained = !matches!(start, Start::Items(_));
        if drained {
            drain(&hand);
        }
        hand.world.stack.collect();
        assert_eq!(hand.world.stack.backlog().objects, 0, "nobody is pinned");
        if drained {
            assert_eq!(hand.world.stack.len(), 0, "exact when nobody is at work");
        }
        let ledger = hand.world.ledger.clone();
        if drained {
            ledger.settle();
        }
        drop(Arc::into_inner(hand.world).expect("all threads are done"));
        ledger.settle();
    });
    Case { victims, others, frozen, finish }
}

fn drain(hand: &Hand) {
    while hand.popped(hand.world.stack.pop()).is_some() {}
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
    check("push x 4", (ONE, 300), &[|hand| (0..4).for_each(|_| hand.push())], holds(0));
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
fn churn() {
    check("churn", (ONE / 2, 300), &[|hand| hand.churn()], holds(1));
}

#[test]
fn push_pop_under_a_participant() {
    check("push_with, pop_with", (ONE, 300), &[Hand::push_pop_with], holds(1));
}

#[test]
fn push_all() {
    check("push_all", (ONE, 100), &[|hand| hand.push_all(5)], holds(0));
}

#[test]
fn pop_many() {
    check("pop_many", (ONE, 50), &[Hand::pop_many], holds(2));
}

#[test]
fn pop_all() {
    check("pop_all", (ONE, 25), &[Hand::pop_all], holds(usize::MAX));
}

#[test]
fn looks() {
    check("len", (ONE, 20), &[|hand| drop(hand.world.stack.len().to_string())], holds(0));
    check("is_empty", (ONE, 10), &[|hand| drop(hand.world.stack.is_empty().to_string())], holds(0));
    check("peek, iter", (ONE, 300), &[Hand::look], holds(0));
    check("backlog", (ONE, 10), &[|hand| drop(format!("{:?}", hand.world.stack.backlog()))], holds(0));
}

#[test]
fn clear() {
    check("clear", (ONE, 25), &[|hand| hand.world.stack.clear()], holds(usize::MAX));
}

#[test]
fn collect() {
    check("collect", (ONE, 100), &[|hand| hand.world.stack.collect()], holds(0));
    check(
        "churn, collect",
        (ONE / 2, 300),
        &[|hand| {
            hand.push_all(3);
            hand.pop();
            hand.world.stack.collect();
        }],
        holds(1),
    );
}

#[test]
fn two_producers() {
    check("push, push", (TWO, 150), &[Hand::push, Hand::push], holds(0));
    check("push_all, push", (TWO, 200), &[|hand| hand.push_all(5), Hand::push], holds(0));
}

#[test]
fn two_consumers() {
    check("pop, pop", (TWO, 150), &[Hand::pop, Hand::pop], holds(2));
    check("pop_all, pop", (TWO, 55), &[Hand::pop_all, Hand::pop], holds(usize::MAX));
}

#[test]
fn producer_and_consumer() {
    check("push, pop", (TWO, 150), &[Hand::push, Hand::pop], holds(1));
    check("pop, push", (TWO, 150), &[Hand::pop, Hand::push], holds(1));
    check("look, pop", (TWO, 300), &[Hand::look, Hand::pop], holds(1));
}
