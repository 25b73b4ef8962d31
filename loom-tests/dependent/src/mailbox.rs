//! The code under the model.

use crate::world::{AtomicBool, Ordering, Queue};

/// A queue of letters that can be closed: what was sent before it is seen closed is received.
pub struct Mailbox<T> {
    letters: Queue<T>,
    closed: AtomicBool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { letters: Queue::new(), closed: AtomicBool::new(false) }
    }
}

impl<T> Mailbox<T> {
    /// Sends a letter.
    pub fn send(&self, letter: T) {
        self.letters.push(letter);
    }

    /// Says that the sender has sent its last letter.
    pub fn close(&self) {
        // Release: what was sent before happens before this is seen.
        self.closed.store(true, Ordering::Release);
    }

    /// A letter, or `Err(true)` if there will be none any more, or `Err(false)` if there is none now.
    ///
    /// # Errors
    ///
    /// As said.
    pub fn receive(&self) -> Result<T, bool> {
        // Before the look at the letters: the other way round the last one could be missed.
        let closed = self.closed.load(Ordering::Acquire);
        self.letters.pop().ok_or(closed)
    }
}
