//! What a dependent does with each structure, with whichever features it chose.

use std::collections::hash_map::RandomState;

use latchfree::reclaim::Participant;
use latchfree::{BoundedQueue, CopyMap, HashMap, HashSet, OrderedMap, OrderedSet, Queue, Stack};

static JOBS: Queue<u32> = Queue::new();
static POOL: Stack<Vec<u8>> = Stack::new();

fn main() {
    let participant: Participant = Participant::register();
    let guard = participant.pin();

    JOBS.push_all(0..1000);
    JOBS.push_with(1000, &guard);
    assert_eq!(std::iter::from_fn(|| JOBS.pop_with(&guard)).sum::<u32>(), 500_500);

    POOL.push(Vec::with_capacity(100));
    assert_eq!(POOL.pop_with(&guard).map(|buffer| buffer.capacity()), Some(100));

    let bounded = BoundedQueue::new(1);
    assert_eq!((bounded.push(1), bounded.push(2)), (Ok(()), Err(2)));

    let map = HashMap::with_hasher(RandomState::new());
    map.insert("key", 1, &guard);
    assert_eq!(map.get("key", &guard), Some(&1));
    assert_eq!(map.entry("key", &guard).and_update(|n| n + 1).or_insert(1), &2);

    let set = HashSet::with_hasher(RandomState::new());
    assert!(set.insert("element", &guard) && !set.insert("element", &guard));

    let counts = CopyMap::with_hasher(RandomState::new());
    assert_eq!([1, 1, 1].map(|key: u32| counts.add_if_below(key, 1_u8, 2)), [Ok(1), Ok(2), Err(2)]);

    let ordered = OrderedMap::new();
    ordered.insert(2, "two", &guard);
    ordered.insert(1, "one", &guard);
    assert_eq!(ordered.first_key_value(&guard), Some((&1, &"one")));
    assert_eq!(ordered.pop_first_while(9, |&key, _| key < 2, &guard).len(), 1);

    let elements = OrderedSet::from([3, 1, 2]);
    assert_eq!(elements.first(&guard), Some(&1));
    println!("ok");
}
