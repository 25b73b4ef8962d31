//! serde: a queue or a stack is the sequence of its items, as they were pushed.
//!
//! Only an owned queue can be looked at without being emptied, so `Serialize` is not offered for a shared one: collect it
//! into a `Vec` first. A stack of `Copy` items can.

use alloc::vec::Vec;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::serde_fill::{self, Fill};
use crate::reclaim::{Accepts, Reclaim};
use crate::{Queue, Stack};

impl<T, R: Accepts<T>> Fill<T> for Queue<T, R> {
    fn fill(&mut self, item: T) {
        self.push_mut(item);
    }
}

impl<T, R: Accepts<T>> Fill<T> for Stack<T, R> {
    fn fill(&mut self, item: T) {
        self.push_mut(item);
    }
}

impl<'de, T: Deserialize<'de>, R: Accepts<T>> Deserialize<'de> for Queue<T, R> {
    /// Reads a sequence, the oldest item first; what it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_fill::sequence(deserializer)
    }
}

impl<'de, T: Deserialize<'de>, R: Accepts<T>> Deserialize<'de> for Stack<T, R> {
    /// Reads a sequence, whose last item comes to the top; what it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_fill::sequence(deserializer)
    }
}

impl<T: Copy + Serialize, R: Reclaim> Serialize for Stack<T, R> {
    /// Writes a snapshot, the top item last.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Copied first, for a serializer may take long and the iterator holds a guard.
        let items: Vec<T> = self.iter().collect();
        serializer.collect_seq(items.iter().rev())
    }
}
