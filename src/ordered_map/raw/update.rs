//! Changes that depend on what is there, and removals.

use equivalent::Comparable;

use super::entry::{Fresh, Item};
use super::form::Layout;
use super::search::{Edge, Probe};
use super::state::Order;
use super::{Raw, Taken};
use crate::compute::Operation;
use crate::reclaim::Reclaim;

/// What came of it.
pub(in crate::ordered_map) enum Computed<K, V, T> {
    Inserted(Item<K, V>),
    Updated { old: Item<K, V>, new: Item<K, V> },
    Removed(Item<K, V>),
    Absent,
    Aborted(T),
}

/// The entry that is there, and the key and the value that were not inserted.
type Refused<K, V> = (Item<K, V>, K, V);

impl<K, V, R: Reclaim, L: Layout<K, V>> Raw<K, V, R, L> {
    /// Inserts an entry if there is none of this key; else gives key and value back beside the one that there is.
    pub(in crate::ordered_map) fn try_insert(
        &self,
        key: K,
        value: V,
        guard: &R::Guard,
    ) -> Result<Item<K, V>, Refused<K, V>>
    where
        K: Ord,
    {
        let mut fresh = Fresh::new(key, value);
        loop {
            let place = self.place(Edge::Below(Probe::new::<K>(fresh.key())), guard);
            let found = place.find(Probe::new::<K>(fresh.key()));
            if let (Ok(index), Some(leaf)) = (found, place.leaf) {
                let (key, value) = fresh.into_pair();
                // SAFETY: within the leaf.
                return Err((unsafe { leaf.item(index) }, key, value));
            }
            if let Some(put) = self.put(place, found, &mut fresh, guard) {
                fresh.give();
                let new = put.new;
                self.has_put(put, guard);
                return Ok(new);
            }
        }
    }

    /// Does what `f` wants with the entry that there is. `f` is called again if the leaf changed meanwhile.
    pub(in crate::ordered_map) fn compute<T>(
        &self,
        mut key: K,
        mut f: impl FnMut(Option<&Item<K, V>>) -> Operation<V, T>,
        guard: &R::Guard,
    ) -> Computed<K, V, T>
    where
        K: Ord,
    {
        loop {
            let place = self.place(Edge::Below(Probe::new::<K>(&key)), guard);
            let found = place.find(Probe::new::<K>(&key));
            let current = match (found, place.leaf) {
                // SAFETY: within the leaf.
                (Ok(index), Some(leaf)) => Some(unsafe { leaf.item(index) }),
                _ => None,
            };
            match (f(current.as_ref()), found) {
                (Operation::Abort(result), _) => return Computed::Aborted(result),
                (Operation::Insert(value), _) => {
                    let mut fresh = Fresh::new(key, value);
                    if let Some(put) = self.put(place, found, &mut fresh, guard) {
                        fresh.give();
                        let new = put.new;
                        return match self.has_put(put, guard) {
                            Some(old) => Computed::Updated { old, new },
                            None => Computed::Inserted(new),
                        };
                    }
                    // The value is dropped: `f` makes another one.
                    (key, _) = fresh.into_pair();
                }
                (Operation::Remove, Ok(index)) => {
                    let edge = Edge::Below(Probe::new::<K>(&key));
                    if self.take(place, &[index as u8], edge, guard) {
                        return Computed::Removed(current.expect("it was found"));
                    }
                }
                (Operation::Remove, Err(_)) => return Computed::Absent,
            }
        }
    }

    /// Replaces the value of a key by what `f` makes of it; the new entry and the old one. `f` is called again if the entry
    /// changed meanwhile.
    pub(in crate::ordered_map) fn update<Q: ?Sized + Comparable<K>>(
        &self,
        probe: Probe<'_, Q>,
        mut f: impl FnMut(&V) -> V,
        guard: &R::Guard,
    ) -> Option<[Item<K, V>; 2]>
    where
        K: Ord + Clone,
    {
        let mut fresh: Option<Fresh<K, V, L>> = None;
        // Of the value that `fresh` was made from.
        let mut from = core::ptr::null();
        loop {
            let place = self.place(Edge::Below(probe), guard);
            let found = place.find(probe);
            let (Ok(index), Some(leaf)) = (found, place.leaf) else { return None };
            // SAFETY: within the leaf; key and value are protected by the guard.
            let (current, key, value) = unsafe {
                let current = leaf.item(index);
                (current, &*current.key, &*current.value)
            };
            let mut new = match fresh.take() {
                // The same value: addresses are not used again under the guard.
                Some(fresh) if from == current.value => fresh,
                Some(fresh) => Fresh::new(fresh.into_pair().0, f(value)),
                None => Fresh::new(key.clone(), f(value)),
            };
            from = current.value;
            if let Some(put) = self.put(place, found, &mut new, guard) {
                new.give();
                let item = put.new;
                let old = self.has_put(put, guard).expect("the key was found");
                return Some([item, old]);
            }
            fresh = Some(new);
        }
    }

    /// Removes the entry of a key if the predicate holds; else returns the entry as an error.
    pub(in crate::ordered_map) fn remove_if<Q: ?Sized + Comparable<K>>(
        &self,
        probe: Probe<'_, Q>,
        mut predicate: impl FnMut(&K, &V) -> bool,
        guard: &R::Guard,
    ) -> Result<Option<Item<K, V>>, Item<K, V>>
    where
        K: Ord,
    {
        loop {
            let place = self.place(Edge::Below(probe), guard);
            let found = place.find(probe);
            let (Ok(index), Some(leaf)) = (found, place.leaf) else { return Ok(None) };
            // SAFETY: within the leaf; key and value are protected by the guard.
            let (current, wanted) = unsafe {
                let current = leaf.item(index);
                (current, predicate(&*current.key, &*current.value))
            };
            if !wanted {
                return Err(current);
            }
            if self.take(place, &[index as u8], Edge::Below(probe), guard) {
                return Ok(Some(current));
            }
        }
    }

    /// Removes the first entries, while the predicate holds, at most `max` and at most a leaf's.
    pub(in crate::ordered_map) fn pop_first_while(
        &self,
        max: usize,
        mut predicate: impl FnMut(&K, &V) -> bool,
        guard: &R::Guard,
    ) -> Taken<K, V, L>
    where
        K: Ord,
    {
        self.pop(
            Edge::First,
            |place, order| {
                let mut holds = |place_in: usize| {
                    // SAFETY: it is there; key and value are protected by the guard.
                    place.leaf.is_some_and(|leaf| unsafe {
                        let item = leaf.item(place_in);
                        predicate(&*item.key, &*item.value)
                    })
                };
                let first = order.as_slice().iter().copied().map(usize::from);
                first.take(max).take_while(|&place| holds(place)).collect()
            },
            guard,
        )
    }

    /// Removes the last entry.
    pub(in crate::ordered_map) fn pop_last(&self, guard: &R::Guard) -> Option<Item<K, V>>
    where
        K: Ord,
    {
        self.pop(Edge::Last, |_, order| Order::from_iter([order.place(order.len() - 1)]), guard).next()
    }

    /// Takes what `choose` says out of the first or the last leaf. An empty one is merged away first: to go on to its neighbour
    /// would miss what is inserted behind our back.
    fn pop(
        &self,
        edge: Edge<'_, K>,
        mut choose: impl FnMut(&super::Place<'_, K, V, L>, &Order) -> Order,
        guard: &R::Guard,
    ) -> Taken<K, V, L>
    where
        K: Ord,
    {
        loop {
            let place = self.place(edge, guard);
            if place.len() == 0 {
                if place.is_root {
                    return Taken::none();
                }
                self.tend(edge, guard);
                continue;
            }
            let gone = choose(&place, &place.order());
            if gone.len() == 0 {
                return Taken::none();
            }
            if self.take(place, gone.as_slice(), edge, guard) {
                return Taken { leaf: place.leaf, order: gone, range: 0..gone.len() };
            }
        }
    }
}
