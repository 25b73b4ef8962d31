//! What contestants of one kind have in common, and which operations of them are run.

use crate::List;

/// Values go in and come out.
pub trait Pile: Sync {
    fn new() -> Self;
    /// May be refused where there is a bound.
    fn push(&self, value: u64);
    fn pop(&self) -> Option<u64>;
}

/// Of bounded queues.
pub const CAPACITY: usize = 1024;
/// Items of a batch.
pub const BATCH: u64 = 32;

pub fn add_pile<P: Pile>(list: &mut List, structure: &'static str, row: &'static str) {
    list.add(structure, "push + pop", row, |run| {
        run.of(P::new(), |pile, i| {
            pile.push(i);
            pile.pop()
        });
    });
    list.add(structure, "pop from empty", row, |run| run.of(P::new(), |pile, _| pile.pop()));
}

/// One end at a time, where there is room for any number.
pub fn add_unbounded<P: Pile>(list: &mut List, structure: &'static str, row: &'static str) {
    add_pile::<P>(list, structure, row);
    list.add(structure, "push", row, |run| run.of(P::new(), |pile, i| pile.push(i)));
    list.add(structure, "pop", row, |run| {
        let pile = P::new();
        // As many as will be popped.
        for i in 0..run.operations() {
            pile.push(i);
        }
        run.of(pile, |pile, _| pile.pop());
    });
}

/// Keys lead to values.
pub trait Map: Sync {
    fn new() -> Self;
    fn get(&self, key: u64) -> Option<u64>;
    /// True if the key was not there; else its value is the new one now.
    fn insert(&self, key: u64, value: u64) -> bool;
    fn remove(&self, key: u64) -> Option<u64>;

    fn filled() -> Self
    where
        Self: Sized,
    {
        let map = Self::new();
        for i in 0..ENTRIES {
            map.insert(i, i);
        }
        map
    }
}

/// How many entries there are at first, with the keys from 0 on.
pub const ENTRIES: u64 = 1024;

/// A key of the first entries, not in their order.
pub fn present(i: u64) -> u64 {
    i.wrapping_mul(97) % ENTRIES
}

/// A key that nobody else has.
pub fn absent(i: u64) -> u64 {
    ENTRIES + i
}

pub fn add_map<M: Map>(list: &mut List, structure: &'static str, row: &'static str) {
    list.add(structure, "get, found", row, |run| run.of(M::filled(), |map, i| map.get(present(i))));
    list.add(structure, "get, not found", row, |run| run.of(M::filled(), |map, i| map.get(absent(i))));
    list.add(structure, "replace", row, |run| run.of(M::filled(), |map, i| map.insert(present(i), i)));
    list.add(structure, "insert + remove", row, |run| {
        run.of(M::filled(), |map, i| {
            map.insert(absent(i), i);
            map.remove(absent(i))
        });
    });
}

/// Keys in order.
pub trait OrderedMap: Map {
    /// Removes the least.
    fn pop_first(&self) -> Option<u64>;
}

pub fn add_ordered_map<M: OrderedMap>(list: &mut List, structure: &'static str, row: &'static str) {
    add_map::<M>(list, structure, row);
    list.add(structure, "insert last + pop first", row, |run| {
        run.of(M::filled(), |map, i| {
            map.insert(absent(i), i);
            map.pop_first()
        });
    });
}
