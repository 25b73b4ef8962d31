//! Queues and the stack: each item comes out once; those of one producer come out of a queue in order.

use std::sync::atomic::{AtomicU64, Ordering};

use latchfree::{BoundedQueue, Queue, Stack};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::Hammer;
use crate::token::Token;

/// What a structure took in and gave out: numbers of items and the sums of their numbers, which agree when it is empty.
#[derive(Default)]
struct Balance {
    pushed: AtomicU64,
    popped: AtomicU64,
    pushed_sum: AtomicU64,
    popped_sum: AtomicU64,
}

impl Balance {
    fn push(&self, number: u64) {
        self.pushed.fetch_add(1, Ordering::Relaxed);
        self.pushed_sum.fetch_add(number, Ordering::Relaxed);
    }

    fn pop(&self, token: &Token) -> Result<(), String> {
        self.popped.fetch_add(1, Ordering::Relaxed);
        self.popped_sum.fetch_add(token.number, Ordering::Relaxed);
        token.verify()
    }

    fn settle(&mut self) -> Result<(), String> {
        let (pushed, popped) = (*self.pushed.get_mut(), *self.popped.get_mut());
        let sums_agree = self.pushed_sum.get_mut() == self.popped_sum.get_mut();
        if pushed == popped && sums_agree {
            Ok(())
        } else {
            Err(format!("{pushed} pushed, {popped} popped, sums agree: {sums_agree}"))
        }
    }
}

/// Each thread's next number.
struct Numbers(Vec<AtomicU64>);

impl Numbers {
    fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| AtomicU64::new(0)).collect())
    }

    fn next(&self, thread: usize) -> u64 {
        self.0[thread].fetch_add(1, Ordering::Relaxed)
    }
}

/// That items of one producer come out in order.
struct InOrder(Vec<Option<u64>>);

impl InOrder {
    fn new(threads: usize) -> Self {
        Self(vec![None; threads])
    }

    fn next(&mut self, token: &Token) -> Result<(), String> {
        let before = self.0[token.thread].replace(token.number);
        if before < Some(token.number) { Ok(()) } else { Err(format!("{token:?} after number {before:?}")) }
    }
}

/// The unbounded queue.
pub struct Unbounded {
    queue: Queue<Token>,
    numbers: Numbers,
    balance: Balance,
    threads: usize,
}

impl Unbounded {
    pub fn new(threads: usize) -> Self {
        Self { queue: Queue::new(), numbers: Numbers::new(threads), balance: Balance::default(), threads }
    }
}

impl Hammer for Unbounded {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn step(&self, thread: usize, rng: &mut SmallRng) -> Result<(), String> {
        let make = || {
            let number = self.numbers.next(thread);
            self.balance.push(number);
            Token::new(thread, number)
        };
        match rng.random_range(0..100) {
            0..45 => self.queue.push(make()),
            45..48 => self.queue.push_all((0..rng.random_range(1..400)).map(|_| make())),
            48..94 => {
                if let Some(token) = self.queue.pop() {
                    self.balance.pop(&token)?;
                }
            }
            94..98 => {
                let mut order = InOrder::new(self.threads);
                for token in self.queue.pop_many(rng.random_range(1..400)) {
                    self.balance.pop(&token)?;
                    order.next(&token)?;
                }
            }
            _ => drop(self.queue.is_empty()),
        }
        Ok(())
    }

    fn settle(&mut self, round: u64) -> Result<(), String> {
        let mut order = InOrder::new(self.threads);
        while let Some(token) = self.queue.pop_mut() {
            self.balance.pop(&token)?;
            order.next(&token)?;
        }
        if round.is_multiple_of(2) {
            self.queue.collect();
        }
        self.balance.settle()
    }

    fn backlog(&self) -> usize {
        self.queue.backlog().objects
    }
}

/// The bounded queue, so small that it is full and empty all the time.
pub struct Bounded {
    queue: BoundedQueue<Token>,
    numbers: Numbers,
    balance: Balance,
    threads: usize,
}

impl Bounded {
    pub fn new(threads: usize) -> Self {
        Self {
            queue: BoundedQueue::new(7),
            numbers: Numbers::new(threads),
            balance: Balance::default(),
            threads,
        }
    }
}

impl Hammer for Bounded {
    fn name(&self) -> &'static str {
        "bounded queue"
    }

    fn step(&self, thread: usize, rng: &mut SmallRng) -> Result<(), String> {
        let number = self.numbers.next(thread);
        match rng.random_range(0..100) {
            0..45 => {
                self.balance.push(number);
                if let Err(token) = self.queue.push(Token::new(thread, number)) {
                    self.balance.pop(&token)?;
                }
            }
            45..50 => {
                self.balance.push(number);
                if let Ok(Some(token)) | Err(token) = self.queue.force_push(Token::new(thread, number)) {
                    self.balance.pop(&token)?;
                }
            }
            50..95 => {
                if let Some(token) = self.queue.pop() {
                    self.balance.pop(&token)?;
                }
            }
            _ => {
                for token in self.queue.pop_many(4) {
                    self.balance.pop(&token)?;
                }
            }
        }
        if self.queue.len() > self.queue.capacity() {
            return Err(format!("{} items of {}", self.queue.len(), self.queue.capacity()));
        }
        Ok(())
    }

    fn settle(&mut self, _round: u64) -> Result<(), String> {
        let mut order = InOrder::new(self.threads);
        while let Some(token) = self.queue.pop_mut() {
            self.balance.pop(&token)?;
            order.next(&token)?;
        }
        self.balance.settle()?;
        // Nothing is in flight: every slot is there again.
        for number in 0..self.queue.capacity() as u64 {
            self.queue
                .push(Token::new(0, number))
                .map_err(|token| format!("no room for {token:?} when quiescent"))?;
        }
        self.queue.clear();
        Ok(())
    }

    fn backlog(&self) -> usize {
        0
    }
}

/// The stack.
pub struct Pool {
    stack: Stack<Token>,
    next: AtomicU64,
    balance: Balance,
}

impl Pool {
    pub fn new() -> Self {
        Self { stack: Stack::new(), next: AtomicU64::new(0), balance: Balance::default() }
    }
}

impl Hammer for Pool {
    fn name(&self) -> &'static str {
        "stack"
    }

    fn step(&self, thread: usize, rng: &mut SmallRng) -> Result<(), String> {
        let make = || {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.balance.push(number);
            Token::new(thread, number)
        };
        match rng.random_range(0..1000) {
            0..470 => self.stack.push(make()),
            470..490 => self.stack.push_all((0..rng.random_range(1..40)).map(|_| make())),
            490..998 => {
                if let Some(token) = self.stack.pop() {
                    self.balance.pop(&token)?;
                }
            }
            _ => {
                for token in self.stack.pop_all() {
                    self.balance.pop(&token)?;
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, round: u64) -> Result<(), String> {
        while let Some(token) = self.stack.pop_mut() {
            self.balance.pop(&token)?;
        }
        let length = self.stack.len();
        if length > 0 {
            return Err(format!("an empty stack of length {length}"));
        }
        if round.is_multiple_of(2) {
            self.stack.collect();
        }
        self.balance.settle()
    }

    fn backlog(&self) -> usize {
        self.stack.backlog().objects
    }
}
