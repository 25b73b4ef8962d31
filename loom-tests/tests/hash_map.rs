//! Models of the hash map over the eager reclaimer. Lines have two places and a second line one; a version has one bit, so
//! that every second commit revokes the claims of others; a table of n buckets grows when it holds 2n entries.

mod common;

use latchfree_loom::hash_map::{Entry, Operation};
use latchfree_loom::reclaim::Reclaim;

use self::common::eager::Eager;
use self::common::hash::*;
use self::common::{Item, go};

models_without_barriers! {
    /// The first table and its first place are raced for.
    first_insertions(Some(3), 900) {
        let map = map(&[]);
        let threads = [A, B].map(|key| go(&map, move |map| insert(map, key, 0)));
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        assert_holds(&map, &[A, B]);
    }

    /// Of two insertions of one key, one wins, and a reader sees the winner's value or none.
    one_key(Some(2), 2000) {
        let map = map(&[B]);
        let threads = [1, 2].map(|id| go(&map, move |map| insert(map, A, id)));
        let reader = go(&map, |map| [get(map, A), get(map, A)]);
        let [first, second] = threads.map(|thread| thread.join().unwrap());
        assert!(first != second);
        let winner = Some(if first { 1 } else { 2 });
        match reader.join().unwrap() {
            [None, None] => {}
            [before, after] => assert!((before.is_none() || before == winner) && after == winner),
        }
        assert_eq!(get(&map, A), winner);
        assert_holds(&map, &[A, B]);
    }

    /// The first of DLHT's races: a neighbour with the same tag is removed and our key takes its place, while another
    /// insertion of our key is between its look and its commit.
    dlht_duplicate(Some(2), 650) {
        let map = map(&[A]);
        let a = go(&map, |map| insert(map, A2, 1));
        let b = go(&map, |map| {
            remove(map, A);
            insert(map, A2, 2)
        });
        assert!(a.join().unwrap() != b.join().unwrap());
        assert_holds(&map, &[A2]);
    }

    /// The second: a replacement, or a reader, that meets an entry which is shown and not committed, in a place whose former entry
    /// it was looking for.
    dlht_uncommitted(Some(2), 1000) {
        let map = map(&[A]);
        let remover = go(&map, |map| {
            remove(map, A);
            insert(map, A, 1)
        });
        let inserter = go(&map, |map| insert(map, A, 2));
        let reader = get(&map, A);
        let (one, two) = (remover.join().unwrap(), inserter.join().unwrap());
        assert!(!(one && two));
        let last = if two { 2 } else { 1 };
        assert!(one || two);
        assert!([None, Some(A as usize), Some(last)].contains(&reader), "{reader:?}");
        assert_eq!(get(&map, A), Some(last));
    }

    /// The third: a replacement in a bucket that is being moved is not lost, nor is a removal.
    dlht_moved(Some(1), 65) {
        let map = map(&[A, B]);
        let grow = go(&map, |map| map.reserve(2));
        let updater = go(&map, |map| update(map, A));
        let removed = remove(&map, B);
        assert_eq!(removed, Some(B as usize));
        assert_eq!(updater.join().unwrap(), Some(A as usize + 100));
        grow.join().unwrap();
        assert_eq!(get(&map, A), Some(A as usize + 100));
        assert_holds(&map, &[A]);
    }

    /// A place is freed and used again under a reader's eyes: what it finds once, it finds again.
    reuse(Some(3), 600) {
        let map = map(&[A, B]);
        let writer = go(&map, |map| {
            remove(map, A);
            put(map, A2, 1);
        });
        let first = get(&map, A2);
        let second = get(&map, A2);
        assert!(first.is_none() || second == first, "{first:?}, then {second:?}");
        writer.join().unwrap();
        assert_holds(&map, &[A2, B]);
    }

    /// Updates are not lost, against a removal and an insertion.
    updates(Some(2), 900) {
        let map = map(&[A]);
        let threads = [0, 1].map(|_| go(&map, |map| update(map, A)));
        let removed = remove(&map, A);
        let updated = threads.map(|thread| thread.join().unwrap()).into_iter().flatten().count();
        // All updates came before the removal.
        assert_eq!(removed, Some(A as usize + 100 * updated));
        assert_holds(&map, &[]);
    }

    /// A count that two threads make and raise.
    computing(Some(3), 500) {
        let map = map(&[]);
        let threads = [0, 1].map(|_| {
            go(&map, |map| {
                map.compute(A, |entry| Operation::<_, ()>::Insert(Item::new(entry.map_or(1, |(_, n)| n.0 + 1))), &Eager::pin());
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(get(&map, A), Some(2));
    }

    /// An entry that was seen is replaced only if it is that one, not another with its key that came in its place.
    entries(Some(3), 1200) {
        let map = map(&[A]);
        let other = go(&map, |map| {
            let removed = remove(map, A);
            (removed, insert(map, A, 1))
        });
        let guard = Eager::pin();
        let seen = match map.entry(A, &guard) {
            Entry::Occupied(entry) => (Some(entry.get().0), entry.replace(Item::new(2)).is_ok()),
            Entry::Vacant(entry) => (None, entry.insert(Item::new(2)).is_ok()),
        };
        drop(guard);
        let first = Some(A as usize);
        let (other_saw, last) = match seen {
            (Some(1), true) => ((first, true), 2),                 // after both
            (seen, true) if seen == first => ((Some(2), true), 1), // before both
            (seen, false) if seen == first => ((first, true), 1),
            (None, true) => ((first, false), 2), // in the gap
            (None, false) => ((first, true), 1),
            impossible => panic!("{impossible:?}"),
        };
        assert_eq!(other.join().unwrap(), other_saw, "{seen:?}");
        assert_eq!(get(&map, A), Some(last));
    }

    /// Claims are revoked by a version that begins anew: the next commit is the one.
    revocation(Some(2), 160) {
        let map = sized(8, &[]);
        assert!(insert(&map, A, 0));
        let thread = go(&map, |map| insert(map, A2, 0));
        assert!(insert(&map, A3, 0));
        assert!(thread.join().unwrap());
        assert_holds(&map, &[A, A2, A3]);
    }

    /// A version comes again, and with it a header that looks the same, between an insertion's look and its commit.
    versions(Some(2), 500) {
        let map = sized(8, &[]);
        assert!(insert(&map, A, 0));
        let thread = go(&map, |map| insert(map, A2, 0));
        remove(&map, A);
        let first = insert(&map, A2, 0);
        if first {
            remove(&map, A2);
        }
        let second = insert(&map, A2, 0);
        let other = thread.join().unwrap();
        assert!(second || other);
        assert_holds(&map, &[A2]);
    }

    /// A place that a loser gives back is taken by an insertion of another key.
    released(Some(3), 1300) {
        let map = sized(8, &[]);
        let loser = go(&map, |map| insert(map, A, 1));
        let other = go(&map, |map| (insert(map, A, 2), insert(map, A2, 3)));
        assert!(loser.join().unwrap() != other.join().unwrap().0);
        assert_holds(&map, &[A, A2]);
    }

    /// Two threads move the same buckets, and one reads.
    two_helpers(Some(1), 110) {
        let map = map(&[A, B]);
        let threads = [0, 1].map(|_| go(&map, |map| map.reserve(2)));
        assert_eq!(get(&map, A), Some(A as usize));
        assert_eq!(get(&map, B), Some(B as usize));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_holds(&map, &[A, B]);
    }

    /// A migration of two chunks, of which each thread takes one.
    two_chunks(Some(1), 70) {
        let map = sized(4, &[A, B]);
        let helper = go(&map, |map| {
            map.reserve(6);
            (get(map, A), get(map, B))
        });
        map.reserve(6);
        assert_eq!((get(&map, A), get(&map, B)), (Some(A as usize), Some(B as usize)));
        assert_eq!(helper.join().unwrap(), (Some(A as usize), Some(B as usize)));
        assert_holds(&map, &[A, B]);
    }

    /// A late helper against changes in the new table.
    late_helper(Some(2), 200) {
        let map = map(&[A, B]);
        let helper = go(&map, |map| map.reserve(2));
        map.reserve(2);
        assert_eq!(remove(&map, A), Some(A as usize));
        assert!(insert(&map, A2, 1));
        helper.join().unwrap();
        assert_holds(&map, &[A2, B]);
    }

    /// A late helper does not bring back what was removed: of two removals one finds the key.
    no_return(Some(2), 1700) {
        let map = map(&[A]);
        let helper = go(&map, |map| {
            map.reserve(3);
            remove(map, A)
        });
        map.reserve(3);
        let removed = remove(&map, A);
        let other = helper.join().unwrap();
        assert!(removed.is_some() != other.is_some());
        assert_holds(&map, &[]);
    }

    /// One bucket becomes two while keys of both come and go.
    split(Some(2), 1000) {
        let map = map(&[A, B]);
        let grow = go(&map, |map| map.reserve(2));
        assert_eq!(remove(&map, A), Some(A as usize));
        assert!(insert(&map, B2, 2));
        grow.join().unwrap();
        assert_holds(&map, &[B, B2]);
    }

    /// Insertions of one key, one before the bucket is moved and one after.
    one_key_moved(Some(1), 60) {
        let map = map(&[A]);
        let grow = go(&map, |map| map.reserve(3));
        let writer = go(&map, |map| insert(map, A2, 1));
        let won = insert(&map, A2, 2);
        grow.join().unwrap();
        assert!(won != writer.join().unwrap());
        assert_holds(&map, &[A, A2]);
    }

    /// Two buckets become one, against changes in both.
    shrink(Some(1), 70) {
        let map = sized(4, &[A, B]);
        let shrink = go(&map, |map| map.shrink_to_fit());
        let writer = go(&map, |map| (update(map, A), get(map, A)));
        assert_eq!(remove(&map, B), Some(B as usize));
        assert_eq!(writer.join().unwrap(), (Some(A as usize + 100), Some(A as usize + 100)));
        shrink.join().unwrap();
        assert_holds(&map, &[A]);
    }

    /// A second line is raced for.
    second_line(Some(2), 1200) {
        let map = sized(8, &[A, A2]);
        let writer = go(&map, |map| (insert(map, A3, 1), remove(map, A)));
        assert!(insert(&map, A4, 2));
        assert_eq!(get(&map, A2), Some(A2 as usize));
        assert_eq!(writer.join().unwrap(), (true, Some(A as usize)));
        assert_holds(&map, &[A2, A3, A4]);
    }

    /// A bucket runs full and becomes a block, against a removal and a reader.
    block(Some(1), 55) {
        let map = sized(8, &[A, A2, A3]);
        let writer = go(&map, |map| insert(map, A4, 1));
        let reader = go(&map, |map| (get(map, A4), get(map, A2)));
        assert_eq!(remove(&map, A), Some(A as usize));
        assert!(writer.join().unwrap());
        assert_eq!(reader.join().unwrap().1, Some(A2 as usize));
        assert_holds(&map, &[A2, A3, A4]);
    }

    /// Two insertions make, and change, a block.
    block_of_two(Some(2), 1500) {
        let map = sized(8, &[A, A2, A3]);
        let writer = go(&map, |map| insert(map, A4, 1));
        assert!(insert(&map, A5, 1));
        assert!(writer.join().unwrap());
        assert_eq!(update(&map, A), Some(A as usize + 100));
        assert_holds(&map, &[A, A2, A3, A4, A5]);
    }

    /// A block is moved while it is changed.
    block_moved(Some(1), 120) {
        let map = sized(8, &[A, A2, A3, A4]);
        let grow = go(&map, |map| map.reserve(12));
        let writer = go(&map, |map| (insert(map, A5, 1), get(map, A5)));
        assert_eq!(remove(&map, A), Some(A as usize));
        assert_eq!(get(&map, A2), Some(A2 as usize));
        grow.join().unwrap();
        assert_eq!(writer.join().unwrap(), (true, Some(1)));
        assert_holds(&map, &[A2, A3, A4, A5]);
    }

    /// An iteration meets what is there throughout once, during a migration and a change.
    iteration(Some(3), 900) {
        let map = map(&[A, B]);
        let grow = go(&map, |map| {
            map.reserve(2);
            insert(map, A2, 1)
        });
        let mut met = keys(&map);
        met.retain(|&key| key != A2);
        assert_eq!(met, [A, B]);
        assert!(grow.join().unwrap());
        assert_holds(&map, &[A, A2, B]);
    }

    /// The same while two buckets become one.
    iteration_of_less(Some(3), 700) {
        let map = sized(4, &[A, B]);
        let shrink = go(&map, |map| map.shrink_to_fit());
        assert_eq!(keys(&map), [A, B]);
        shrink.join().unwrap();
        assert_holds(&map, &[A, B]);
    }

    /// An entry takes another one's place and is moved, in front of an iteration.
    iteration_of_updated(Some(3), 500) {
        let map = map(&[A]);
        let mover = go(&map, |map| {
            put(map, A, 1);
            map.reserve(2);
        });
        assert_eq!(keys(&map), [A]);
        mover.join().unwrap();
        assert_holds(&map, &[A]);
    }
}
