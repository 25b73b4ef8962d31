//! What serde reads sequences and maps into, one item after the other: what a format says of a length is not relied on.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What is filled one item, or one entry, after the other.
pub(super) trait Fill<T>: Default {
    fn fill(&mut self, item: T);
}

/// Reads a sequence.
pub(super) fn sequence<'de, T, C, D>(deserializer: D) -> Result<C, D::Error>
where
    T: Deserialize<'de>,
    C: Fill<T>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(Items(PhantomData))
}

/// Reads a map.
pub(super) fn map<'de, K, V, C, D>(deserializer: D) -> Result<C, D::Error>
where
    K: Deserialize<'de>,
    V: Deserialize<'de>,
    C: Fill<(K, V)>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Entries(PhantomData))
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

struct Entries<K, V, C>(PhantomData<(K, V, C)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>, C: Fill<(K, V)>> Visitor<'de> for Entries<K, V, C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<C, A::Error> {
        let mut filled = C::default();
        while let Some(entry) = entries.next_entry()? {
            filled.fill(entry);
        }
        Ok(filled)
    }
}

/// Before a structure is built of all at once.
impl<T> Fill<T> for alloc::vec::Vec<T> {
    fn fill(&mut self, item: T) {
        self.push(item);
    }
}

/// An iterator of unknown length: formats that write it first must not take a guess for it.
#[cfg(target_has_atomic = "64")]
pub(super) struct Unsized<I>(pub(super) I);

#[cfg(target_has_atomic = "64")]
impl<I: Iterator> Iterator for Unsized<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }
}
