//! serde: a queue is the sequence of its items.
//!
//! Only an owned queue can be looked at without being emptied, so `Serialize` is not offered for a shared one: collect it
//! into a `Vec` first.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use crate::Queue;
use crate::reclaim::Accepts;

impl<'de, T: Deserialize<'de>, R: Accepts<T>> Deserialize<'de> for Queue<T, R> {
    /// Reads a sequence, the oldest item first; what it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, R>(PhantomData<(T, R)>);

        impl<'de, T: Deserialize<'de>, R: Accepts<T>> Visitor<'de> for Items<T, R> {
            type Value = Queue<T, R>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence of a queue's items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut queue = Queue::default();
                while let Some(item) = items.next_element()? {
                    queue.push_mut(item);
                }
                Ok(queue)
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}
