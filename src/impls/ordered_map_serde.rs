//! serde: an ordered map is a map, and an ordered set a sequence.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::reclaim::{Accepts, Reclaim};
use crate::{OrderedMap, OrderedSet};

impl<K: Ord + Serialize, V: Serialize, R: Reclaim> Serialize for OrderedMap<K, V, R> {
    /// The entries of one scan, by ascending keys.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pinned = self.pin();
        // Others may change the map meanwhile: what is written down as the length must be what follows.
        let entries: alloc::vec::Vec<_> = pinned.iter().collect();
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (key, value) in entries {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>, R: Accepts<(K, V)>> Deserialize<'de>
    for OrderedMap<K, V, R>
{
    /// Reads a map; of equal keys the last counts. What it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V, R>(PhantomData<(K, V, R)>);

        impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>, R: Accepts<(K, V)>> Visitor<'de>
            for Entries<K, V, R>
        {
            type Value = OrderedMap<K, V, R>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut read = alloc::vec::Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    read.push(entry);
                }
                Ok(read.into_iter().collect())
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: Ord + Serialize, R: Reclaim> Serialize for OrderedSet<T, R> {
    /// The elements of one scan, ascending.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pinned = self.pin();
        let elements: alloc::vec::Vec<_> = pinned.iter().collect();
        let mut sequence = serializer.serialize_seq(Some(elements.len()))?;
        for element in elements {
            sequence.serialize_element(element)?;
        }
        sequence.end()
    }
}

impl<'de, T: Ord + Deserialize<'de>, R: Accepts<(T, ())>> Deserialize<'de> for OrderedSet<T, R> {
    /// Reads a sequence; of equal elements the last counts. What it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, R>(PhantomData<(T, R)>);

        impl<'de, T: Ord + Deserialize<'de>, R: Accepts<(T, ())>> Visitor<'de> for Elements<T, R> {
            type Value = OrderedSet<T, R>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence of a set's elements")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut read = alloc::vec::Vec::new();
                while let Some(element) = elements.next_element()? {
                    read.push(element);
                }
                Ok(read.into_iter().collect())
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}
