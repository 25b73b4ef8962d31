//! The traits of other crates: serde and rayon.
#![cfg(any(feature = "serde", feature = "rayon"))]

use latchfree::{HashMap, HashSet, Queue};

#[cfg(feature = "serde")]
mod serde {
    use super::{HashMap, HashSet, Queue};

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
    fn a_sequence_becomes_a_queue_in_order() {
        let queue: Queue<String> = serde_json::from_str(r#"["a", "b", "c"]"#).unwrap();
        assert_eq!(queue.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_bad_item_is_an_error_and_the_good_ones_are_dropped() {
        let queue: Result<Queue<u8>, _> = serde_json::from_str("[1, 2, 300]");
        assert!(queue.unwrap_err().to_string().contains("300"));
    }
}

#[cfg(feature = "rayon")]
mod rayon {
    use ::rayon::prelude::*;

    use super::{HashMap, HashSet, Queue};

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
    fn maps_and_sets_in_parallel() {
        let map: HashMap<u64, u64> = (0..ITEMS).into_par_iter().map(|n| (n, n * 2)).collect();
        assert_eq!(map.len(), ITEMS as usize);
        let guard = latchfree::pin();
        assert_eq!(map.par_iter(&guard).map(|(k, v)| v - k).sum::<u64>(), ITEMS * (ITEMS - 1) / 2);
        assert_eq!((&map.pin()).into_par_iter().count(), ITEMS as usize);
        (&map).par_extend((0..ITEMS).into_par_iter().map(|n| (n, n)));
        assert_eq!(map.into_par_iter().map(|(_, v)| v).sum::<u64>(), ITEMS * (ITEMS - 1) / 2);
        let set: HashSet<u64> = (0..ITEMS).into_par_iter().map(|n| n % 10).collect();
        assert_eq!(set.len(), 10);
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
}
