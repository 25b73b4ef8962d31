//! Models of the ordered map over the eager reclaimer. Leaves have at most two entries here, inner nodes three children.

mod common;

use std::sync::Arc;

use latchfree_loom::OrderedMap;
use latchfree_loom::model::{Barriers, use_logs};
use latchfree_loom::ordered_map::InlineKeys;
use latchfree_loom::reclaim::Reclaim;

use self::common::eager::Eager;
use self::common::ordered::{Items, insert, map};
use self::common::{Item, go};

fn get(map: &Items, key: u8) -> bool {
    let guard = Eager::pin();
    let found = map.get(&key, &guard);
    assert!(found.is_none_or(|item| item.0 == usize::from(key)));
    found.is_some()
}

fn remove(map: &Items, key: u8) -> bool {
    map.remove(&key, &Eager::pin()).is_some()
}

fn pop(map: &Items) -> Option<u8> {
    map.pop_first(&Eager::pin()).map(|(&key, _)| key)
}

fn pops(map: &Items, below: u8, max: usize) -> Vec<u8> {
    map.pop_first_while(max, |&key, _| key < below, &Eager::pin()).map(|(&key, _)| key).collect()
}

/// What a scan yields, which is in order.
fn scan(map: &Items) -> Vec<u8> {
    let guard = Eager::pin();
    let keys: Vec<_> = map.keys(&guard).copied().collect();
    assert!(keys.is_sorted_by(|one, two| one < two), "{keys:?}");
    keys
}

fn snapshot(map: &Items) -> Vec<u8> {
    map.range_snapshot::<u8, _>(.., &Eager::pin()).map(|(&key, _)| key).collect()
}

/// A key of the user's own, in the nodes, whose halves belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due(u32, u32);

impl Due {
    fn new(at: u32) -> Self {
        Self(at, !at)
    }
}

type Dues = OrderedMap<Due, Item, Eager, InlineKeys>;

fn dues(at: &[u32]) -> Arc<Dues> {
    Arc::new(at.iter().map(|&at| (Due::new(at), Item::new(at as usize))).collect())
}

/// Leaves of two entries each, whose logs have room for two more.
fn logged(keys: &[u8]) -> Arc<Items> {
    use_logs();
    map(keys)
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
    /// The root is raced for.
    first_inserts(Some(3), 200) {
        let map = map(&[]);
        let (a, b) = (go(&map, |map| insert(map, 1)), go(&map, |map| insert(map, 2)));
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [1, 2]);
    }

    /// Of the same key.
    inserts_of_one_key(Some(3), 400) {
        let map = map(&[1]);
        let (a, b) = (go(&map, |map| insert(map, 1)), go(&map, |map| {
            map.try_insert(2, Item::new(2), &Eager::pin()).is_ok()
        }));
        a.join().unwrap();
        assert!(b.join().unwrap());
        assert_eq!(scan(&map), [1, 2]);
    }

    /// Two insertions into a full root leaf, which becomes a tree.
    inserts_and_growth(Some(2), 400) {
        let map = map(&[1, 2]);
        let (a, b) = (go(&map, |map| insert(map, 3)), go(&map, |map| insert(map, 4)));
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [1, 2, 3, 4]);
        assert_eq!(map.len(), 4);
    }

    /// Insertions that split two leaves of one parent, with a reader.
    inserts_and_splits(Some(1), 200) {
        let map = map(&[10, 20, 30, 40]);
        let (a, b) = (go(&map, |map| insert(map, 11)), go(&map, |map| {
            insert(map, 41);
            assert!(get(map, 41));
        }));
        let c = go(&map, |map| get(map, 20));
        a.join().unwrap();
        b.join().unwrap();
        assert!(c.join().unwrap());
        assert_eq!(scan(&map), [10, 11, 20, 30, 40, 41]);
    }

    /// A split against a reader of the keys that move, and of the new one.
    split_and_get(Some(3), 1300) {
        let map = map(&[10, 20, 30, 40]);
        let a = go(&map, |map| insert(map, 11));
        let b = go(&map, |map| {
            let first = get(map, 11);
            assert!(get(map, 10) && get(map, 20));
            assert!(get(map, 11) || !first, "it does not disappear");
        });
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [10, 11, 20, 30, 40]);
    }

    /// A leaf is emptied and merged, while others insert into it and scan.
    merge_insert_scan(Some(1), 250) {
        let map = map(&[10, 20, 30, 40]);
        let a = go(&map, |map| {
            assert!(remove(map, 10));
            assert!(remove(map, 20));
        });
        let b = go(&map, |map| insert(map, 15));
        let c = go(&map, |map| {
            let keys = scan(map);
            assert!(keys.contains(&30) && keys.contains(&40), "{keys:?}");
        });
        a.join().unwrap();
        b.join().unwrap();
        c.join().unwrap();
        assert_eq!(scan(&map), [15, 30, 40]);
    }

    /// Two threads remove the same entries, and merge: each is removed once.
    removes(Some(2), 1200) {
        let map = map(&[10, 20, 30]);
        let threads = [0, 1].map(|_| go(&map, |map| {
            usize::from(remove(map, 10)) + usize::from(remove(map, 20))
        }));
        assert_eq!(threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>(), 2);
        assert_eq!(scan(&map), [30]);
        assert_eq!(map.len(), 1);
    }

    /// The tree becomes a leaf again while another thread inserts.
    collapse_and_insert(Some(2), 700) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| {
            assert!(remove(map, 30));
            assert!(remove(map, 20));
        });
        let b = go(&map, |map| insert(map, 40));
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [10, 40]);
    }

    /// Batches are popped once, in order.
    pop_against_pop(Some(2), 600) {
        let map = map(&[10, 20, 30]);
        let threads = [0, 1].map(|_| go(&map, |map| pops(map, 40, 2)));
        let mut popped = threads.map(|thread| thread.join().unwrap()).concat();
        popped.extend(std::iter::from_fn(|| pop(&map)));
        popped.sort_unstable();
        assert_eq!(popped, [10, 20, 30]);
    }

    /// A smaller key is inserted where the first leaf is being emptied: what is popped after it is not greater.
    pop_against_smaller(Some(2), 1300) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| pops(map, 99, 2));
        let b = go(&map, |map| {
            insert(map, 5);
            pop(map).expect("its own is there, or was popped together with one that was not")
        });
        let popped = a.join().unwrap();
        let own = b.join().unwrap();
        assert!(own == 5 || popped.contains(&5), "{own} with 5 in the map, {popped:?}");
        assert_eq!(popped.len() + 1 + scan(&map).len(), 4);
    }

    /// Emptying from one end while the other end is popped, over a merge.
    pop_both_ends(Some(2), 1000) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| [pop(map), pop(map)]);
        let b = go(&map, |map| {
            map.pop_last(&Eager::pin()).map(|(&key, _)| key)
        });
        let mut popped: Vec<_> = a.join().unwrap().into_iter().flatten().collect();
        popped.extend(b.join().unwrap());
        assert_eq!(popped.len(), 3, "{popped:?}");
        assert!(map.is_empty());
    }

    /// A map that always has an entry does not look empty, over a merge of its first leaf.
    never_empty(Some(2), 700) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| {
            insert(map, 40);
            assert_eq!(pops(map, 99, 2), [10, 20]);
            assert_eq!(pop(map), Some(30));
        });
        let b = go(&map, |map| {
            let guard = Eager::pin();
            let first = *map.first_key_value(&guard).expect("never empty").0;
            assert!(!map.is_empty());
            first
        });
        a.join().unwrap();
        assert!(matches!(b.join().unwrap(), 10 | 30 | 40));
    }

    /// The first leaf is emptied; while it waits to be merged away, a smaller key is inserted into it and the next leaf changes.
    /// Whoever looked at the empty leaf before does not find what the next one has become.
    first_is_linearizable(Some(2), 7000) {
        let map = map(&[10, 20, 30]);
        pops(&map, 99, 1);
        let a = go(&map, |map| assert!(remove(map, 20)));
        let b = go(&map, |map| {
            insert(map, 5);
            insert(map, 40);
            assert!(remove(map, 30));
        });
        let c = go(&map, |map| map.first_key_value(&Eager::pin()).map(|(&key, _)| key));
        a.join().unwrap();
        b.join().unwrap();
        assert!(matches!(c.join().unwrap(), Some(20 | 30 | 5)), "40 is never the first");
        assert_eq!(scan(&map), [5, 40]);
    }

    /// A token moves between leaves, inserted before it is removed: a snapshot shows one or two.
    snapshots(Some(2), 1100) {
        let map = map(&[10, 20, 30, 40]);
        remove(&map, 10);
        let a = go(&map, |map| {
            insert(map, 35);
            assert!(remove(map, 20));
            insert(map, 15);
            assert!(remove(map, 35));
        });
        let b = go(&map, snapshot);
        a.join().unwrap();
        let keys = b.join().unwrap();
        let tokens = keys.iter().filter(|&&key| matches!(key, 20 | 35 | 15)).count();
        assert!(tokens > 0 && keys.contains(&30) && keys.contains(&40), "{keys:?}");
        assert_eq!(scan(&map), [15, 30, 40]);
    }

    /// Updates are not lost over a split.
    updates_and_split(Some(2), 280) {
        let map = Arc::new(OrderedMap::<u8, u8, Eager>::default());
        for key in [10, 20] {
            map.insert(key, 0, &Eager::pin());
        }
        let threads = [0, 1].map(|thread| go(&map, move |map| {
            if thread == 1 {
                map.insert(15, 0, &Eager::pin());
            }
            map.update(&20, |n| n + 1, &Eager::pin()).is_some()
        }));
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        assert_eq!(map.get(&20, &Eager::pin()), Some(&2));
    }

    /// Boxed keys: a separator outlives its entry, while another thread compares with it.
    separators(Some(2), 800) {
        let map = Arc::new(OrderedMap::<Key, u8, Eager>::default());
        for key in [10, 20, 30] {
            map.insert(Key(Item::new(key)), 0, &Eager::pin());
        }
        let a = go(&map, |map| {
            let probe = Key(Item::new(20));
            assert!(map.remove(&probe, &Eager::pin()).is_some());
            let probe = Key(Item::new(30));
            assert!(map.remove(&probe, &Eager::pin()).is_some());
        });
        let b = go(&map, |map| {
            let probe = Key(Item::new(10));
            assert!(map.contains_key(&probe));
            map.insert(Key(Item::new(40)), 0, &Eager::pin());
        });
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(map.len(), 2);
    }

    /// Removal against replacement of one key.
    remove_and_replace(Some(3), 800) {
        let map = map(&[10, 20]);
        let a = go(&map, |map| remove(map, 10));
        let b = go(&map, |map| map.insert(10, Item::new(10), &Eager::pin()).is_some());
        let (removed, replaced) = (a.join().unwrap(), b.join().unwrap());
        assert!(removed);
        assert_eq!(get(&map, 10), !replaced);
    }

    /// Two levels of inner nodes: one below the root gets too long and is split, while another thread inserts below it.
    inner_split(Some(2), 800) {
        let map = map(&[10, 20, 30, 40, 50, 60, 70, 80]);
        // Of its leaves only the first is full: full ones are split together.
        assert!(remove(&map, 40) && remove(&map, 60));
        let a = go(&map, |map| insert(map, 35));
        let b = go(&map, |map| {
            insert(map, 5);
            assert!(get(map, 5) && get(map, 30));
        });
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [5, 10, 20, 30, 35, 50, 70, 80]);
    }

    /// With a leaf that is split, the next one, which is full as well: closed by whoever makes the parent anew, while another thread removes
    /// from it.
    full_ones_together(Some(1), 80) {
        let map = map(&[10, 20, 30, 40, 50, 60, 70, 80]);
        assert!(remove(&map, 60));
        let a = go(&map, |map| insert(map, 15));
        let b = go(&map, |map| {
            assert!(remove(map, 30));
            insert(map, 35);
        });
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [10, 15, 20, 35, 40, 50, 70, 80]);
        assert_eq!(map.len(), 8);
    }

    /// The same with a log, and with one that is empty and goes to its neighbour.
    full_and_empty_ones_together(Some(2), 800) {
        let map = logged(&[10, 20, 30, 40, 50, 60, 70, 80]);
        assert!(remove(&map, 30) && remove(&map, 40) && remove(&map, 60));
        insert(&map, 11);
        insert(&map, 12);
        let a = go(&map, |map| insert(map, 13));
        let b = go(&map, |map| {
            insert(map, 35);
            assert!(remove(map, 50));
        });
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [10, 11, 12, 13, 20, 35, 70, 80]);
        assert_eq!(map.len(), 8);
    }

    /// One below the root gets too short, is merged with its neighbour, and the tree loses a level.
    inner_merge(Some(2), 1400) {
        let map = map(&[10, 20, 30, 40, 50, 60, 70, 80]);
        assert!([20, 40, 50, 60].into_iter().all(|key| remove(&map, key)));
        let a = go(&map, |map| assert!(remove(map, 70)));
        let b = go(&map, |map| {
            insert(map, 25);
            assert!(get(map, 25) && get(map, 80));
        });
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [10, 25, 30, 80]);
    }

    /// Store buffering: of two threads that each change the value of one key, in leaves of their own, and then look at the other's,
    /// one sees the other's change. One guard each, and nothing that is split or counted: that would order the two as well.
    two_keys(Some(3), 400) {
        let map = Arc::new(OrderedMap::<u8, u8, Eager>::default());
        for key in [10, 20, 30] {
            map.insert(key, 0, &Eager::pin());
        }
        let threads = [(10, 30), (30, 10)].map(|(mine, other)| go(&map, move |map| {
            let guard = Eager::pin();
            assert_eq!(map.insert(mine, 1, &guard), Some(&0));
            *map.get(&other, &guard).unwrap()
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [0, 0]);
    }

    /// Predicates see what is removed.
    retain_and_insert(Some(2), 280) {
        let map = map(&[10, 20, 30]);
        let a = go(&map, |map| map.retain(|&key, _| key > 15));
        let b = go(&map, |map| insert(map, 40));
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(scan(&map), [20, 30, 40]);
    }

    /// Keys of the user's own are read from leaves and separators while these are copied and split.
    own_keys(Some(2), 200) {
        let map = dues(&[10, 20, 30]);
        let a = go(&map, |map| {
            map.insert(Due::new(11), Item::new(11), &Eager::pin());
            map.insert(Due::new(12), Item::new(12), &Eager::pin());
        });
        let b = go(&map, |map| {
            let guard = Eager::pin();
            let (first, item) = map.first_key_value(&guard).expect("never empty");
            assert_eq!((*first, item.0), (Due::new(10), 10));
            let mut scan = map.keys(&guard).copied();
            assert!(scan.all(|due| due == Due::new(due.0)));
            assert!(map.get(&Due::new(20), &guard).is_some_and(|item| item.0 == 20));
        });
        a.join().unwrap();
        b.join().unwrap();
        let guard = Eager::pin();
        assert!(map.keys(&guard).map(|due| due.0).eq([10, 11, 12, 20, 30]));
    }
}

map_models! {
    /// Two entries come to a leaf's log, with a reader who sees them whole, and in order.
    log_inserts(Some(2), 300) {
        let map = logged(&[10, 20]);
        let (a, b) = (go(&map, |map| insert(map, 11)), go(&map, |map| insert(map, 12)));
        let c = go(&map, |map| {
            let keys = scan(map);
            assert!(keys.contains(&10) && keys.contains(&20));
            assert!(get(map, 11) || !keys.contains(&11));
        });
        for thread in [a, b, c] {
            thread.join().unwrap();
        }
        assert_eq!(scan(&map), [10, 11, 12, 20]);
        assert_eq!(map.len(), 4);
    }

    /// Of one key, that is in the sorted part: each replaces one, and is dropped once.
    log_inserts_of_one_key(Some(3), 300) {
        let map = logged(&[10, 20]);
        let threads = [0, 1].map(|_| go(&map, |map| {
            let guard = Eager::pin();
            assert!(map.insert(10, Item::new(10), &guard).is_some_and(|old| old.0 == 10));
        }));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(scan(&map), [10, 20]);
        assert_eq!(map.len(), 2);
    }

    /// One inserts what is not there, the other removes it, and inserts it again.
    log_insert_and_remove(Some(3), 300) {
        let map = logged(&[10, 20]);
        let a = go(&map, |map| map.try_insert(15, Item::new(15), &Eager::pin()).is_ok());
        let b = go(&map, |map| {
            let removed = remove(map, 15);
            insert(map, 15);
            removed
        });
        let (inserted, removed) = (a.join().unwrap(), b.join().unwrap());
        assert!(inserted || !removed);
        assert_eq!(scan(&map), [10, 15, 20]);
    }

    /// The log becomes full, and the leaf is closed and split, while others change it in place.
    log_is_full(Some(2), 500) {
        let map = logged(&[10, 20]);
        insert(&map, 11);
        let a = go(&map, |map| {
            insert(map, 12);
            assert!(get(map, 12));
        });
        let b = go(&map, |map| insert(map, 13));
        let c = go(&map, |map| assert!(remove(map, 20)));
        for thread in [a, b, c] {
            thread.join().unwrap();
        }
        assert_eq!(scan(&map), [10, 11, 12, 13]);
        assert_eq!(map.len(), 4);
    }

    /// A leaf is emptied, closed and merged away, while something comes to its log.
    log_insert_and_merge(Some(2), 500) {
        let map = logged(&[10, 20, 30]);
        let a = go(&map, |map| {
            assert!(remove(map, 10));
            assert!(remove(map, 20));
        });
        let b = go(&map, |map| {
            insert(map, 15);
            assert!(get(map, 15));
        });
        for thread in [a, b] {
            thread.join().unwrap();
        }
        assert_eq!(scan(&map), [15, 30]);
    }

    /// What is due goes in one step, with what is in the log, and a snapshot is of one moment.
    log_pops_and_snapshot(Some(2), 300) {
        let map = logged(&[10, 20]);
        insert(&map, 15);
        let a = go(&map, |map| pops(map, 18, 9));
        let b = go(&map, |map| insert(map, 12));
        let c = go(&map, snapshot);
        let (popped, ()) = (a.join().unwrap(), b.join().unwrap());
        let seen = c.join().unwrap();
        assert!(popped == [10, 15] || popped == [10, 12, 15], "{popped:?}");
        assert_eq!(seen.contains(&10), seen.contains(&15), "{seen:?}");
        assert_eq!(popped.len() + scan(&map).len(), 4);
    }

    /// Store buffering again, with changes that make no new leaf.
    log_two_keys(Some(3), 50) {
        use_logs();
        let map = Arc::new([10, 20, 30].into_iter().map(|key| (key, 0)).collect::<OrderedMap<u8, u8, Eager>>());
        let threads = [(10, 30), (30, 10)].map(|(mine, other)| go(&map, move |map| {
            let guard = Eager::pin();
            assert_eq!(map.insert(mine, 1, &guard), Some(&0));
            *map.get(&other, &guard).unwrap()
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [0, 0]);
    }

    /// A move to another leaf against a change in the log of the one that it leaves: that is closed for it.
    log_and_reschedule(Some(2), 500) {
        let map = logged(&[10, 20, 30]);
        let a = go(&map, |map| {
            let guard = Eager::pin();
            map.reschedule(&10, 35, &guard).map(|item| assert_eq!(item.0, 10)).is_ok()
        });
        let b = go(&map, |map| insert(map, 15));
        let c = go(&map, |map| map.get(&10, &Eager::pin()).is_some());
        assert!(a.join().unwrap());
        b.join().unwrap();
        c.join().unwrap();
        let keys: Vec<_> = map.keys(&Eager::pin()).copied().collect();
        assert_eq!(keys, [15, 20, 30, 35]);
    }

    /// A move within a leaf against a reader of both keys, and a removal of another one.
    log_and_reschedule_within(Some(2), 200) {
        let map = logged(&[10, 20]);
        let a = go(&map, |map| map.reschedule(&10, 15, &Eager::pin()).map(|item| item.0).ok());
        let b = go(&map, |map| remove(map, 20));
        let c = go(&map, |map| snapshot(map).len());
        assert_eq!(a.join().unwrap(), Some(10));
        assert!(b.join().unwrap());
        assert!(matches!(c.join().unwrap(), 1 | 2));
        let keys: Vec<_> = map.keys(&Eager::pin()).copied().collect();
        assert_eq!(keys, [15]);
    }
}

/// A key that is boxed.
struct Key(Item);
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
