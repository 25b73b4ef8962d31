//! Models of the map of inline entries over the eager reclaimer. Lines have three places and a second line one; a line has three
//! commits, the fourth makes it a block; a table of n buckets grows when it holds 2n entries.

mod common;

use std::sync::Arc;

use latchfree_loom::CopyMap;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;

use self::common::eager::Eager;
use self::common::go;
use self::common::tens::Tens;

/// Equal hashes.
const A: u64 = 10;
const A2: u64 = 11;
const A3: u64 = 12;
const A4: u64 = 13;
/// Another bucket once there are two.
const B: u64 = 20;
const B2: u64 = 21;

type Map = CopyMap<u64, u64, Tens, Eager>;

/// A value that says whose it is.
fn value(key: u64, n: u64) -> u64 {
    key * 100 + n
}

/// With a table for so many, and a value of each key. What it holds was moved into the table, so that no commit was made there.
fn sized(capacity: usize, keys: &[u64]) -> Arc<Map> {
    let map = Map::with_reclaimer(0, Tens);
    for &key in keys {
        assert_eq!(map.insert(key, value(key, 0)), None);
    }
    map.reserve(capacity - keys.len());
    Arc::new(map)
}

fn map(keys: &[u64]) -> Arc<Map> {
    sized(keys.len(), keys)
}

fn add(map: &Map, key: u64) -> Option<u64> {
    map.fetch_update(&key, |n| Some(n + 1)).ok()
}

/// What a look-up finds is the key's own.
fn get(map: &Map, key: u64) -> Option<u64> {
    let found = map.get(&key);
    assert!(found.is_none_or(|value| value / 100 == key), "{found:?} of {key}");
    found
}

fn keys(map: &Map) -> Vec<u64> {
    let mut keys: Vec<_> = map
        .iter()
        .map(|(key, value)| {
            assert_eq!(value / 100, key);
            key
        })
        .collect();
    keys.sort_unstable();
    keys
}

/// What is in the map in the end, found both ways.
fn assert_holds(map: &Map, expected: &[u64]) {
    assert_eq!(keys(map), expected);
    assert!(expected.iter().all(|&key| get(map, key).is_some()));
    assert_eq!(map.len(), expected.len());
}

models_without_barriers! {
    /// The first table and its first place are raced for.
    first_insertions(Some(2), 160) {
        let map = map(&[]);
        let threads = [A, B].map(|key| go(&map, move |map| map.try_insert(key, value(key, 0)).is_ok()));
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        assert_holds(&map, &[A, B]);
    }

    /// Of two insertions of one key, one wins, and a reader sees the winner's value or none.
    one_key(Some(1), 65) {
        let map = sized(4, &[B]);
        let threads = [1, 2].map(|n| go(&map, move |map| map.try_insert(A, value(A, n)).is_ok()));
        let reader = go(&map, |map| [get(map, A), get(map, A)]);
        let [first, second] = threads.map(|thread| thread.join().unwrap());
        assert!(first != second);
        let winner = Some(value(A, if first { 1 } else { 2 }));
        match reader.join().unwrap() {
            [None, None] => {}
            [before, after] => assert!((before.is_none() || before == winner) && after == winner),
        }
        assert_eq!(get(&map, A), winner);
        assert_holds(&map, &[A, B]);
    }

    /// A neighbour with the same tag is removed and our key takes its place, while another insertion of our key is between its look
    /// and its commit.
    duplicate(Some(2), 300) {
        let map = sized(4, &[A]);
        let a = go(&map, |map| map.try_insert(A2, value(A2, 1)).is_ok());
        let b = go(&map, |map| {
            map.remove(&A);
            map.try_insert(A2, value(A2, 2)).is_ok()
        });
        assert!(a.join().unwrap() != b.join().unwrap());
        assert_holds(&map, &[A2]);
    }

    /// A slow reader: the place that it looks at is freed, and another key of the same tag is put there.
    reuse(Some(3), 500) {
        let map = sized(4, &[A]);
        let writer = go(&map, |map| {
            assert_eq!(map.remove(&A), Some(value(A, 0)));
            assert_eq!(map.insert(A2, value(A2, 0)), None);
        });
        let reader = go(&map, |map| {
            let first = get(map, A2);
            let gone = get(map, A);
            assert!(first.is_none() || gone.is_none());
            first
        });
        let first = reader.join().unwrap();
        writer.join().unwrap();
        assert!(first.is_none() || first == get(&map, A2));
        assert_holds(&map, &[A2]);
    }

    /// A key that is there throughout is found, though each update puts it into another place, and the former one is used again.
    never_missed(Some(1), 38) {
        let map = sized(4, &[A]);
        let writer = go(&map, |map| (add(map, A), add(map, A)));
        let other = go(&map, |map| map.insert(A2, value(A2, 0)));
        let first = get(&map, A).expect("it is there");
        let second = get(&map, A).expect("it is there still");
        assert!(first <= second);
        assert_eq!(writer.join().unwrap(), (Some(value(A, 0)), Some(value(A, 1))));
        assert_eq!(other.join().unwrap(), None);
        assert_eq!(get(&map, A), Some(value(A, 2)));
        assert_holds(&map, &[A, A2]);
    }

    /// What a thread did before it put a value in, or took it out, is seen by whoever finds it there, or gone.
    causality(Some(3), 50) {
        let map = sized(4, &[A]);
        let done = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let flags = done.clone();
        let writer = go(&map, move |map| {
            flags[0].store(1, Relaxed);
            map.insert(A2, value(A2, 0));
            flags[1].store(1, Relaxed);
            map.remove(&A);
        });
        if get(&map, A).is_none() {
            assert_eq!(done[1].load(Relaxed), 1);
        } else if get(&map, A2).is_some() {
            assert_eq!(done[0].load(Relaxed), 1);
        }
        writer.join().unwrap();
        assert_holds(&map, &[A2]);
    }

    /// A slow updater: the entry that it found is removed, and its place holds another key of the same tag.
    late_update(Some(3), 400) {
        let map = sized(4, &[A]);
        let updater = go(&map, |map| add(map, A));
        let writer = go(&map, |map| {
            let removed = map.remove(&A);
            map.insert(A2, value(A2, 0));
            removed
        });
        let updated = updater.join().unwrap();
        assert_eq!(writer.join().unwrap(), Some(value(A, updated.map_or(0, |_| 1))));
        assert_eq!(get(&map, A2), Some(value(A2, 0)));
        assert_holds(&map, &[A2]);
    }

    /// Updates are not lost, against a removal.
    updates(Some(1), 17) {
        let map = sized(4, &[A]);
        let threads = [0, 1].map(|_| go(&map, |map| add(map, A)));
        let removed = map.remove(&A);
        let updated = threads.map(|thread| thread.join().unwrap()).into_iter().flatten().count();
        // All updates came before the removal.
        assert_eq!(removed, Some(value(A, updated as u64)));
        assert_holds(&map, &[]);
    }

    /// A count that two threads make and raise, to its limit.
    limit(Some(2), 400) {
        let map = map(&[]);
        let threads = [0, 1].map(|_| go(&map, |map| [map.add_if_below(A, 1, 3), map.add_if_below(A, 1, 3)]));
        let sums = threads.map(|thread| thread.join().unwrap()).concat();
        assert_eq!(sums.iter().filter(|sum| sum.is_ok()).count(), 3);
        assert_eq!(map.get(&A), Some(3));
    }

    /// A line's versions are used up, and the updates go on in a block; a reader finds the key in either.
    used_up(Some(1), 40) {
        let map = sized(4, &[A]);
        let threads = [0, 1].map(|_| go(&map, |map| (add(map, A), add(map, A))));
        assert!(get(&map, A).is_some());
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(get(&map, A), Some(value(A, 4)));
        assert_holds(&map, &[A]);
    }

    /// A place that a loser gives back is taken by an insertion of another key.
    released(Some(2), 130) {
        let map = sized(8, &[]);
        let loser = go(&map, |map| map.try_insert(A, value(A, 1)).is_ok());
        let other = go(&map, |map| {
            (map.try_insert(A, value(A, 2)).is_ok(), map.try_insert(A2, value(A2, 3)).is_ok())
        });
        let (won, new) = other.join().unwrap();
        assert!(new && loser.join().unwrap() != won);
        assert_holds(&map, &[A, A2]);
    }

    /// All places are taken, so that an update makes a block, against a removal and a reader.
    full(Some(1), 38) {
        let map = sized(8, &[A, A2, A3]);
        assert_eq!(map.insert(A4, value(A4, 0)), None);
        let updater = go(&map, |map| add(map, A4));
        let reader = go(&map, |map| (get(map, A4), get(map, A2)));
        assert_eq!(map.remove(&A), Some(value(A, 0)));
        assert_eq!(updater.join().unwrap(), Some(value(A4, 0)));
        let (updated, other) = reader.join().unwrap();
        assert!(updated.is_some() && other.is_some());
        assert_eq!(get(&map, A4), Some(value(A4, 1)));
        assert_holds(&map, &[A2, A3, A4]);
    }

    /// Two threads move the same buckets, and one reads: one helper fills a bucket, and the other takes over.
    two_helpers(Some(1), 100) {
        let map = map(&[A, B]);
        let threads = [0, 1].map(|_| go(&map, |map| map.reserve(2)));
        assert_eq!(get(&map, A), Some(value(A, 0)));
        assert_eq!(get(&map, B), Some(value(B, 0)));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_holds(&map, &[A, B]);
    }

    /// A late helper, filling or taking over, against changes in the new table.
    late_helper(Some(2), 200) {
        let map = map(&[A, B]);
        let helper = go(&map, |map| map.reserve(2));
        map.reserve(2);
        assert_eq!(map.remove(&A), Some(value(A, 0)));
        assert_eq!(map.insert(A2, value(A2, 1)), None);
        assert_eq!(add(&map, A2), Some(value(A2, 1)));
        helper.join().unwrap();
        assert_eq!(get(&map, A2), Some(value(A2, 2)));
        assert_holds(&map, &[A2, B]);
    }

    /// An update in a bucket that is being moved is not lost, nor is a removal.
    moved(Some(1), 55) {
        let map = map(&[A, B]);
        let grow = go(&map, |map| map.reserve(2));
        let updater = go(&map, |map| add(map, A));
        assert_eq!(map.remove(&B), Some(value(B, 0)));
        assert_eq!(updater.join().unwrap(), Some(value(A, 0)));
        grow.join().unwrap();
        assert_eq!(get(&map, A), Some(value(A, 1)));
        assert_holds(&map, &[A]);
    }

    /// A late helper does not bring back what was removed: of two removals one finds the key.
    no_return(Some(1), 45) {
        let map = map(&[A]);
        let helper = go(&map, |map| {
            map.reserve(3);
            map.remove(&A)
        });
        map.reserve(3);
        let removed = map.remove(&A);
        let other = helper.join().unwrap();
        assert!(removed.is_some() != other.is_some());
        assert_holds(&map, &[]);
    }

    /// One bucket becomes two while keys of both come and go.
    split(Some(1), 18) {
        let map = map(&[A, B]);
        let grow = go(&map, |map| map.reserve(2));
        assert_eq!(map.remove(&A), Some(value(A, 0)));
        assert_eq!(map.insert(B2, value(B2, 0)), None);
        grow.join().unwrap();
        assert_holds(&map, &[B, B2]);
    }

    /// Insertions of one key, one before the bucket is moved and one after.
    one_key_moved(Some(1), 55) {
        let map = map(&[A]);
        let grow = go(&map, |map| map.reserve(3));
        let writer = go(&map, |map| map.try_insert(A2, value(A2, 1)).is_ok());
        let won = map.try_insert(A2, value(A2, 2)).is_ok();
        grow.join().unwrap();
        assert!(won != writer.join().unwrap());
        assert_holds(&map, &[A, A2]);
    }

    /// Two buckets become one, against changes in both.
    shrink(Some(1), 60) {
        let map = sized(4, &[A, B]);
        let shrink = go(&map, |map| map.shrink_to_fit());
        let writer = go(&map, |map| (add(map, A), get(map, A)));
        assert_eq!(map.remove(&B), Some(value(B, 0)));
        assert_eq!(writer.join().unwrap(), (Some(value(A, 0)), Some(value(A, 1))));
        shrink.join().unwrap();
        assert_holds(&map, &[A]);
    }

    /// A second line is raced for, by an insertion and by a migration that seals the link.
    second_line(Some(1), 20) {
        let map = sized(4, &[A, A2, A3]);
        let grow = go(&map, |map| map.reserve(3));
        assert_eq!(map.insert(A4, value(A4, 0)), None);
        grow.join().unwrap();
        assert_holds(&map, &[A, A2, A3, A4]);
    }

    /// A block is moved while it is changed.
    block_moved(Some(1), 100) {
        let map = sized(4, &[A]);
        (0..4).for_each(|_| _ = add(&map, A));
        let grow = go(&map, |map| map.reserve(5));
        let writer = go(&map, |map| add(map, A));
        assert_eq!(map.insert(A2, value(A2, 0)), None);
        assert_eq!(writer.join().unwrap(), Some(value(A, 4)));
        grow.join().unwrap();
        assert_eq!(get(&map, A), Some(value(A, 5)));
        assert_holds(&map, &[A, A2]);
    }

    /// An iteration meets what is there throughout once, during updates and a migration.
    iteration(Some(1), 60) {
        let map = map(&[A, B]);
        let grow = go(&map, |map| map.reserve(2));
        let writer = go(&map, |map| add(map, A));
        assert_eq!(keys(&map), [A, B]);
        assert_eq!(writer.join().unwrap(), Some(value(A, 0)));
        grow.join().unwrap();
        assert_holds(&map, &[A, B]);
    }

    /// The same while two buckets become one.
    iteration_of_less(Some(2), 120) {
        let map = sized(4, &[A, B]);
        let shrink = go(&map, |map| map.shrink_to_fit());
        assert_eq!(keys(&map), [A, B]);
        shrink.join().unwrap();
        assert_holds(&map, &[A, B]);
    }
}
