//! Models of the ordered map's `reschedule` over the eager reclaimer. Leaves have at most two entries here, inner nodes three
//! children, so that the keys 10 and 20 are in one leaf and 30 in another.

mod common;

use std::sync::Arc;

use latchfree_loom::OrderedMap;
use latchfree_loom::model::Barriers;
use latchfree_loom::ordered_map::RescheduleError;
use latchfree_loom::reclaim::Reclaim;

use self::common::eager::Eager;
use self::common::ordered::{Items, insert, map};
use self::common::{Item, go};

/// The number of the value that is at a key.
fn at(map: &Items, key: u8) -> Option<usize> {
    map.get(&key, &Eager::pin()).map(|item| item.0)
}

fn remove(map: &Items, key: u8) -> Option<usize> {
    map.remove(&key, &Eager::pin()).map(|item| item.0)
}

fn pop(map: &Items) -> Option<(u8, usize)> {
    map.pop_first(&Eager::pin()).map(|(&key, item)| (key, item.0))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    Yes,
    NotFound,
    Occupied,
}
use Moved::{NotFound, Occupied, Yes};

fn reschedule(map: &Items, old: u8, new: u8) -> Moved {
    match map.reschedule(&old, new, &Eager::pin()) {
        Ok(_) => Yes,
        Err(RescheduleError::NotFound { key }) => {
            assert_eq!(key, new);
            NotFound
        }
        Err(RescheduleError::Occupied { current_key, key, .. }) => {
            assert_eq!((*current_key, key), (new, new));
            Occupied
        }
    }
}

fn entries(map: &Items) -> Vec<(u8, usize)> {
    map.range_snapshot::<u8, _>(.., &Eager::pin()).map(|(&key, item)| (key, item.0)).collect()
}

/// A test a model: the map uses no barriers of the asymmetric kind itself, so one kind suffices.
macro_rules! map_models {
    ($($(#[$doc:meta])* $name:ident($preemptions:expr, $at_least:expr) $body:block)+) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            fn model() $body
            common::explore(stringify!($name), Barriers::Fence, $preemptions, $at_least, model);
        }
    )+};
}

map_models! {
    /// Within a leaf, against a reader that looks at one key and then at the other.
    within_and_get(Some(2), 100) {
        let map = map(&[10, 20]);
        let a = go(&map, |map| reschedule(map, 10, 30));
        let b = go(&map, |map| if at(map, 10).is_none() { assert_eq!(at(map, 30), Some(10)) });
        let c = go(&map, |map| if at(map, 30).is_some() { assert_eq!(at(map, 10), None) });
        assert_eq!(a.join().unwrap(), Yes);
        b.join().unwrap();
        c.join().unwrap();
        assert_eq!(entries(&map), [(20, 20), (30, 10)]);
    }

    /// Over two leaves upwards, against a reader that would find it at neither.
    upwards_and_get(Some(3), 600) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| if at(map, 10).is_none() { assert_eq!(at(map, 35), Some(10)) });
        assert_eq!(a.join().unwrap(), Yes);
        b.join().unwrap();
        assert_eq!(entries(&map), [(20, 20), (30, 30), (35, 10)]);
        assert_eq!(map.len(), 3);
    }

    /// Downwards, against a reader that would find it at both.
    downwards_and_get(Some(3), 800) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 30, 5));
        let b = go(&map, |map| {
            if at(map, 5).is_some() {
                assert_eq!(at(map, 30), None);
                assert!(map.keys(&Eager::pin()).eq(&[5, 10, 20]));
                assert!(map.keys(&Eager::pin()).rev().eq(&[20, 10, 5]));
            }
        });
        assert_eq!(a.join().unwrap(), Yes);
        b.join().unwrap();
        assert_eq!(entries(&map), [(5, 30), (10, 10), (20, 20)]);
    }

    /// A snapshot shows it once.
    snapshots(Some(3), 700) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, entries);
        assert_eq!(a.join().unwrap(), Yes);
        let seen = b.join().unwrap();
        assert_eq!(seen.iter().filter(|(_, id)| *id == 10).count(), 1, "{seen:?}");
        assert_eq!(seen.len(), 3, "{seen:?}");
    }

    /// Two threads want to move one entry: one does.
    of_one_entry(Some(2), 350) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| reschedule(map, 10, 25));
        let moved = [a.join().unwrap(), b.join().unwrap()];
        assert!(matches!(moved, [Yes, NotFound] | [NotFound, Yes]), "{moved:?}");
        let key = if moved[0] == Yes { 35 } else { 25 };
        assert_eq!(at(&map, key), Some(10));
        assert_eq!(entries(&map).len(), 3);
    }

    /// Two threads want to move entries to one key: one does.
    to_one_key(Some(2), 700) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| reschedule(map, 20, 35));
        let moved = [a.join().unwrap(), b.join().unwrap()];
        assert!(matches!(moved, [Yes, Occupied] | [Occupied, Yes]), "{moved:?}");
        let (id, left) = if moved[0] == Yes { (10, 20) } else { (20, 10) };
        assert_eq!(entries(&map), [(left, left as usize), (30, 30), (35, id)]);
    }

    /// Two moves over the same two leaves, in opposite directions: each is in the other's way.
    crossing(Some(2), 1600) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| reschedule(map, 30, 15));
        assert_eq!([a.join().unwrap(), b.join().unwrap()], [Yes, Yes]);
        assert_eq!(entries(&map), [(15, 30), (20, 20), (35, 10)]);
        assert_eq!(map.len(), 3);
    }

    /// There and back by two threads, one after the other or not at all.
    there_and_back(Some(2), 200) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| reschedule(map, 35, 10));
        let moved = [a.join().unwrap(), b.join().unwrap()];
        assert_eq!(moved[0], Yes);
        assert_eq!(at(&map, 10).is_some(), moved[1] == Yes);
        assert_eq!(at(&map, 35).is_some(), moved[1] == NotFound);
    }

    /// Against the removal of the entry.
    and_remove(Some(3), 1900) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| remove(map, 10));
        match (a.join().unwrap(), b.join().unwrap()) {
            (Yes, None) => assert_eq!(entries(&map), [(20, 20), (30, 30), (35, 10)]),
            (NotFound, Some(10)) => assert_eq!(entries(&map), [(20, 20), (30, 30)]),
            other => panic!("{other:?}"),
        }
    }

    /// Against its removal from its new key.
    and_remove_there(Some(2), 600) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 30, 5));
        let b = go(&map, |map| remove(map, 5));
        assert_eq!(a.join().unwrap(), Yes);
        let removed = b.join().unwrap();
        assert!(matches!(removed, None | Some(30)));
        assert_eq!(at(&map, 5), if removed.is_none() { Some(30) } else { None });
    }

    /// The new key is taken only after the old one is gone, so that it is never in the way.
    and_key_taken_later(Some(2), 100) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| {
            let removed = remove(map, 10);
            insert(map, 35);
            removed
        });
        let (moved, removed) = (a.join().unwrap(), b.join().unwrap());
        assert!(matches!((moved, removed), (Yes, None) | (NotFound, Some(10))), "{moved:?} {removed:?}");
        assert_eq!(at(&map, 35), Some(35));
    }

    /// Against the removal of what is at the new key.
    and_remove_in_the_way(Some(2), 400) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 30));
        let b = go(&map, |map| remove(map, 30));
        let moved = a.join().unwrap();
        assert_eq!(b.join().unwrap(), Some(30));
        match moved {
            Yes => assert_eq!(entries(&map), [(20, 20), (30, 10)]),
            Occupied => assert_eq!(entries(&map), [(10, 10), (20, 20)]),
            NotFound => panic!("it was there"),
        }
    }

    /// A pop takes the entry at one of its places, and not a greater one.
    and_pop(Some(2), 1600) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 30, 5));
        let b = go(&map, |map| [pop(map), pop(map)]);
        let moved = a.join().unwrap();
        let popped = b.join().unwrap();
        assert_eq!(moved, Yes);
        assert!(
            matches!(
                popped,
                [Some((5, 30)), Some((10, 10))] | [Some((10, 10)), Some((5, 30) | (20, 20))]
            ),
            "{popped:?}"
        );
        assert_eq!(entries(&map).len(), 1);
    }

    /// The entry that is moved is the first one: a pop gets it, or the next one after it was moved.
    and_pop_of_it(Some(2), 400) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, pop);
        match (a.join().unwrap(), b.join().unwrap()) {
            (Yes, Some((20, 20))) => assert_eq!(entries(&map), [(30, 30), (35, 10)]),
            (NotFound, Some((10, 10))) => assert_eq!(entries(&map), [(20, 20), (30, 30)]),
            other => panic!("{other:?}"),
        }
    }

    /// The second leaf is split.
    and_split(Some(2), 1100) {
        let map = map(&[10, 20, 30, 40]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| insert(map, 32));
        assert_eq!(a.join().unwrap(), Yes);
        b.join().unwrap();
        assert_eq!(entries(&map), [(20, 20), (30, 30), (32, 32), (35, 10), (40, 40)]);
    }

    /// The first leaf is merged with the second one.
    and_merge(Some(1), 100) {
        let map = map(&[10, 20, 30, 40]);
        remove(&map, 20);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| remove(map, 10));
        let c = go(&map, |map| remove(map, 40));
        let (moved, removed) = (a.join().unwrap(), b.join().unwrap());
        assert!(matches!((moved, removed), (Yes, None) | (NotFound, Some(10))));
        assert_eq!(c.join().unwrap(), Some(40));
        assert_eq!(at(&map, 35).is_some(), moved == Yes);
        assert_eq!(at(&map, 30), Some(30));
    }

    /// Leaf after leaf is merged into others while an entry goes down past them.
    and_merges(Some(1), 20) {
        let map = map(&[10, 20, 30, 40, 50]);
        let a = go(&map, |map| reschedule(map, 50, 15));
        let b = go(&map, |map| [remove(map, 30), remove(map, 40)]);
        assert_eq!(a.join().unwrap(), Yes);
        assert_eq!(b.join().unwrap(), [Some(30), Some(40)]);
        assert_eq!(entries(&map), [(10, 10), (15, 50), (20, 20)]);
    }

    /// The value of an entry that is moved is replaced at one of the places, or inserted anew at the old one.
    and_insert(Some(2), 300) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| reschedule(map, 10, 35));
        let b = go(&map, |map| map.insert(10, Item::new(11), &Eager::pin()).map(|item| item.0));
        assert_eq!(a.join().unwrap(), Yes);
        match b.join().unwrap() {
            Some(10) => assert_eq!(entries(&map), [(20, 20), (30, 30), (35, 11)]),
            None => assert_eq!(entries(&map), [(10, 11), (20, 20), (30, 30), (35, 10)]),
            other => panic!("{other:?}"),
        }
    }

    /// Plain keys and values, which lie in the leaves; changed while they are moved, and not lost.
    plain_and_update(Some(2), 300) {
        let map = Arc::new(OrderedMap::<u8, u8, Eager>::default());
        for key in [10, 20, 30] {
            map.insert(key, key, &Eager::pin());
        }
        let a = go(&map, |map| {
            let guard = Eager::pin();
            *map.reschedule(&10, 35, &guard).unwrap()
        });
        let b = go(&map, |map| map.update(&10, |n| n + 1, &Eager::pin()).copied());
        let (moved, updated) = (a.join().unwrap(), b.join().unwrap());
        assert!(matches!((moved, updated), (10, None) | (11, Some(11))), "{moved} {updated:?}");
        assert_eq!(map.get(&35, &Eager::pin()), Some(&moved));
        assert_eq!(map.get(&10, &Eager::pin()), None);
    }

    /// Boxed keys: the old one lives as long as separators and the value need it, a reader compares with them all.
    boxed_keys(Some(2), 500) {
        let map = Arc::new(OrderedMap::<Key, Item, Eager>::default());
        for key in [10, 20, 30] {
            map.insert(Key(Item::new(key)), Item::new(key), &Eager::pin());
        }
        let a = go(&map, |map| {
            assert!(map.reschedule(&Key(Item::new(30)), Key(Item::new(5)), &Eager::pin()).is_ok());
            assert!(map.reschedule(&Key(Item::new(5)), Key(Item::new(40)), &Eager::pin()).is_ok());
        });
        let b = go(&map, |map| {
            let guard = Eager::pin();
            let found = map.get(&Key(Item::new(5)), &guard);
            assert!(found.is_none_or(|item| item.0 == 30));
            map.remove(&Key(Item::new(40)), &guard).map(|item| item.0)
        });
        a.join().unwrap();
        let removed = b.join().unwrap();
        assert!(matches!(removed, None | Some(30)));
        assert_eq!(map.len(), if removed.is_some() { 2 } else { 3 });
    }

    /// Store buffering: of a thread that moves an entry and then looks for a key, and one that inserts that key and then looks
    /// for the moved entry, one sees the other's change.
    two_keys(Some(2), 240) {
        let map = Arc::new(OrderedMap::<u8, u8, Eager>::default());
        for key in [10, 20, 30, 40, 50] {
            map.insert(key, 0, &Eager::pin());
        }
        let a = go(&map, |map| {
            let guard = Eager::pin();
            map.reschedule(&10, 35, &guard).unwrap();
            *map.get(&50, &guard).unwrap()
        });
        let b = go(&map, |map| {
            let guard = Eager::pin();
            map.insert(50, 1, &guard);
            map.contains_key(&35)
        });
        assert_ne!((a.join().unwrap(), b.join().unwrap()), (0, false));
    }
}

/// A key that is boxed.
struct Key(Item);
impl Clone for Key {
    fn clone(&self) -> Self {
        Self(Item::new(self.0.0))
    }
}
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }
}
impl Eq for Key {}
impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.0.cmp(&other.0.0)
    }
}
