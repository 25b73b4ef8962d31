//! serde: an ordered map is a map, and an ordered set a sequence.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::serde_fill;
use crate::ordered_map::Layout;
use crate::reclaim::{Accepts, Reclaim};
use crate::{OrderedMap, OrderedSet};

impl<K: Ord + Serialize, V: Serialize, R: Reclaim, L: Layout<K, V>> Serialize for OrderedMap<K, V, R, L> {
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

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>, R: Accepts<(K, V)>, L: Layout<K, V>>
    Deserialize<'de> for OrderedMap<K, V, R, L>
{
    /// Reads a map; of equal keys the last counts. What it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries: alloc::vec::Vec<(K, V)> = serde_fill::map(deserializer)?;
        Ok(entries.into_iter().collect())
    }
}

impl<T: Ord + Serialize, R: Reclaim, L: Layout<T, ()>> Serialize for OrderedSet<T, R, L> {
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

impl<'de, T: Ord + Deserialize<'de>, R: Accepts<(T, ())>, L: Layout<T, ()>> Deserialize<'de>
    for OrderedSet<T, R, L>
{
    /// Reads a sequence; of equal elements the last counts. What it says of its length is not relied on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements: alloc::vec::Vec<T> = serde_fill::sequence(deserializer)?;
        Ok(elements.into_iter().collect())
    }
}
