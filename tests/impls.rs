//! The traits of other crates: serde and rayon.
#![cfg(any(feature = "serde", feature = "rayon"))]

use latchfree::{HashMap, HashSet, OrderedMap, OrderedSet, Queue, Stack};

#[cfg(feature = "serde")]
mod serde {
    use super::{HashMap, HashSet, OrderedMap, OrderedSet, Queue, Stack};

    #[test]
    fn a_sequence_becomes_a_queue_in_order() {
        let queue: Queue<String> = serde_json::from_str(r#"["a", "b", "c"]"#).unwrap();
        assert_eq!(queue.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_stack_comes_back_as_it_was() {
        let stack: Stack<u64> = (0..1000).collect();
        let text = serde_json::to_string(&stack).unwrap();
        assert!(text.starts_with("[0,1,2,"));
        let back: Stack<u64> = serde_json::from_str(&text).unwrap();
        assert!(back.into_iter().eq((0..1000).rev()));
        assert_eq!(stack.len(), 1000);
        assert!(serde_json::from_str::<Stack<u8>>("[1, 2, 300]").is_err());
    }

    #[test]
    fn a_bad_item_is_an_error_and_the_good_ones_are_dropped() {
        let queue: Result<Queue<u8>, _> = serde_json::from_str("[1, 2, 300]");
        assert!(queue.unwrap_err().to_string().contains("300"));
    }

    #[test]
    fn maps_and_sets_come_and_go() {
        let map: HashMap<String, u32> = serde_json::from_str(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap();
        assert_eq!((map.len(), map.get_cloned("a")), (2, Some(3)));
        let text = serde_json::to_string(&map).unwrap();
        assert_eq!(serde_json::from_str::<HashMap<String, u32>>(&text).unwrap(), map);
        let set: HashSet<u8> = serde_json::from_str("[1, 2, 1]").unwrap();
        assert!(set.len() == 2 && set.pin().contains(&1));
        set.pin().remove(&1);
        assert_eq!(serde_json::to_string(&set.pin()).unwrap(), "[2]");
        assert!(serde_json::from_str::<HashMap<u8, u8>>(r#"{"1": 2, "300": 4}"#).is_err());
    }

    #[test]
    fn maps_of_copies_come_and_go() {
        use latchfree::CopyMap;
        let map: CopyMap<u64, i8> = serde_json::from_str(r#"{"1": -1, "2": 2, "1": 3}"#).unwrap();
        assert_eq!((map.len(), map.get(&1)), (2, Some(3)));
        let text = serde_json::to_string(&map).unwrap();
        assert_eq!(serde_json::from_str::<CopyMap<u64, i8>>(&text).unwrap(), map);
        assert!(serde_json::from_str::<CopyMap<u8, u8>>(r#"{"1": 300}"#).is_err());
    }

    #[test]
    fn ordered_maps_and_sets_come_and_go() {
        let map: OrderedMap<String, u64> = serde_json::from_str(r#"{"b": 2, "a": 1, "b": 3}"#).unwrap();
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"a":1,"b":3}"#);
        let set: OrderedSet<u64> = serde_json::from_str("[3, 1, 2, 3]").unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), "[1,2,3]");
        assert!(serde_json::from_str::<OrderedMap<String, u8>>(r#"{"a": 1, "b": 300}"#).is_err());
    }
}

#[cfg(feature = "rayon")]
mod rayon {
    use ::rayon::prelude::*;

    #[test]
    fn maps_of_copies_in_parallel() {
        let map: latchfree::CopyMap<u64, u64> = (0..10_000_u64).into_par_iter().map(|n| (n, n)).collect();
        assert_eq!((map.len(), map.par_iter().map(|(_, n)| n).sum::<u64>()), (10_000, 49_995_000));
        (&map).par_extend((5_000..20_000_u64).into_par_iter().map(|n| (n, 1)));
        assert_eq!(map.into_par_iter().map(|(key, _)| key).max(), Some(19_999));
    }

    use super::{HashMap, HashSet, OrderedMap, OrderedSet, Queue, Stack};

    const ITEMS: u64 = 100_000;

    #[test]
    fn a_shared_queue_is_filled_in_parallel() {
        let queue = Queue::new();
        (&queue).par_extend((0..ITEMS).into_par_iter());
        assert_eq!(queue.len(), ITEMS as usize);
        let mut items: Vec<_> = queue.into_iter().collect();
        items.sort_unstable();
        assert!(items.into_iter().eq(0..ITEMS));
    }

    #[test]
    fn parallel_iterators_come_and_go() {
        let queue: Queue<u64> = (0..ITEMS).into_par_iter().map(|n| n * 2).collect();
        assert_eq!(queue.into_par_iter().sum::<u64>(), ITEMS * (ITEMS - 1));
    }

    #[test]
    fn an_owned_queue_keeps_its_order() {
        let mut queue: Queue<u64> = (0..ITEMS).collect();
        queue.par_extend([7_u64]);
        assert!(queue.into_par_iter().collect::<Vec<_>>().into_iter().eq((0..ITEMS).chain([7])));
    }

    #[test]
    fn stacks_come_and_go() {
        let mut stack: Stack<u64> = (0..ITEMS).into_par_iter().collect();
        (&stack).par_extend((ITEMS..2 * ITEMS).into_par_iter());
        stack.par_extend([2 * ITEMS]);
        assert_eq!(stack.len() as u64, 2 * ITEMS + 1);
        assert_eq!(stack.into_par_iter().sum::<u64>(), ITEMS * (2 * ITEMS + 1));
        let stack: Stack<u64> = (0..ITEMS).collect();
        assert!(stack.into_par_iter().collect::<Vec<_>>().into_iter().eq((0..ITEMS).rev()));
    }

    #[cfg(target_has_atomic = "64")]
    #[test]
    fn a_bounded_queue_keeps_its_order() {
        let queue = latchfree::BoundedQueue::new(ITEMS as usize);
        queue.push_all(0..ITEMS).unwrap();
        assert!(queue.into_par_iter().collect::<Vec<_>>().into_iter().eq(0..ITEMS));
    }

    #[test]
    fn maps_and_sets_in_parallel() {
        let map: HashMap<u64, u64> = (0..ITEMS).into_par_iter().map(|n| (n, n * 2)).collect();
        assert_eq!(map.len(), ITEMS as usize);
        let guard = latchfree::pin();
        assert_eq!(map.par_iter(&guard).map(|(k, v)| v - k).sum::<u64>(), ITEMS * (ITEMS - 1) / 2);
        assert_eq!((&map.pin()).into_par_iter().count(), ITEMS as usize);
        (&map).par_extend((0..ITEMS).into_par_iter().map(|n| (n, n)));
        assert_eq!(map.into_par_iter().map(|(_, v)| v).sum::<u64>(), ITEMS * (ITEMS - 1) / 2);
        let mut set: HashSet<u64> = (0..ITEMS).into_par_iter().map(|n| n % 10).collect();
        (&set).par_extend([10_u64]);
        set.par_extend([11_u64]);
        assert_eq!(set.pin().par_iter().sum::<u64>(), 66);
        assert_eq!(set.into_par_iter().count(), 12);
    }

    #[test]
    fn ordered_maps_and_sets_come_and_go() {
        let mut map: OrderedMap<u64, String> =
            (0..10_000_u64).into_par_iter().map(|n| (n, n.to_string())).collect();
        (&map).par_extend((10_000..ITEMS).into_par_iter().map(|n| (n, n.to_string())));
        map.par_extend((0..100_u64).into_par_iter().map(|n| (n, String::new())));
        assert_eq!(map.len(), ITEMS as usize);
        let pinned = map.pin();
        assert_eq!(pinned.into_par_iter().filter(|(_, text)| text.is_empty()).count(), 100);
        drop(pinned);
        assert!(map.into_par_iter().map(|(n, _)| n).collect::<Vec<_>>().into_iter().eq(0..ITEMS));
        let mut set: OrderedSet<u64> = (0..ITEMS).into_par_iter().map(|n| n % 1000).collect();
        set.par_extend([5000_u64]);
        assert_eq!(set.pin().par_iter().min(), Some(&0));
        assert_eq!(set.into_par_iter().max(), Some(5000));
    }
}
