//! Values whose drops are counted, and which say who made them.

use std::sync::atomic::{AtomicIsize, Ordering};

static LIVE: AtomicIsize = AtomicIsize::new(0);

/// The n-th value of a thread.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token {
    pub thread: usize,
    pub number: u64,
    /// Fits to the others, or the memory was somebody else's.
    check: u64,
}

fn check(thread: usize, number: u64) -> u64 {
    (thread as u64 ^ number.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Token {
    pub fn new(thread: usize, number: u64) -> Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self { thread, number, check: check(thread, number) }
    }

    /// An error if this is no value that anybody made.
    pub fn verify(&self) -> Result<(), String> {
        if self.check == check(self.thread, self.number) {
            Ok(())
        } else {
            Err(format!("torn value {self:?}"))
        }
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        Self::new(self.thread, self.number)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many there are.
pub fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}
