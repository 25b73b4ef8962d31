//! serde: a queue or a stack is the sequence of its items, as they were pushed.
//!
//! Only an owned queue can be looked at without being emptied, so `Serialize` is not offered for a shared one: collect it
//! into a `Vec` first. A stack of `Copy` items can.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::reclaim::{Accepts, Reclaim};
use crate::{Queue, Stack};

/// What is filled from a sequence, one item after the other.
trait Fill<T>: Default {
    fn fill(&mut self, item: T);
}

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

struct Items<T, C>(PhantomData<(T, C)>);

impl<'de, T: Deserialize<'de>, C: Fill<T>> Visitor<'de> for Items<T, C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<C, A::Error> {
        let mut filled = C::default();
        while let Some(item) = items.next_element()? {
            filled.fill(item);
        }
        Ok(filled)
    }
}

impl<'de, T: Deserialize<'de>, R: Accepts<T>> Deserialize<'de> for Queue<T, R> {
    /// Reads a sequence, the oldest item first; what it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>, R: Accepts<T>> Deserialize<'de> for Stack<T, R> {
    /// Reads a sequence, whose last item comes to the top; what it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
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
