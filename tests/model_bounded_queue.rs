//! Random sequences of operations on a bounded queue, compared with `VecDeque`.
#![cfg(target_has_atomic = "64")]

use std::collections::VecDeque;

use latchfree::BoundedQueue;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Push,
    PushMut,
    Force,
    PushAll(usize),
    Pop,
    PopMut,
    PopMany(usize),
    Look,
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    // Around the sizes of the gathering buffer and of the rings.
    let count = || prop_oneof![6 => 0..10_usize, 2 => 60..70_usize, 1 => 0..200_usize];
    prop_oneof![
        10 => Just(Op::Push),
        4 => Just(Op::PushMut),
        4 => Just(Op::Force),
        6 => count().prop_map(Op::PushAll),
        10 => Just(Op::Pop),
        4 => Just(Op::PopMut),
        6 => count().prop_map(Op::PopMany),
        6 => Just(Op::Look),
        1 => Just(Op::Clear),
    ]
}

/// Capacities and first laps: small ones, around powers of two, and laps that wrap around.
fn shape() -> impl Strategy<Value = (usize, u64)> {
    let capacity = prop_oneof![6 => 1..6_usize, 2 => 30..35_usize, 1 => 60..70_usize, 1 => Just(128_usize)];
    (capacity, prop_oneof![Just(0), Just(u64::MAX - 3), Just((1 << 58) - 3), Just((1 << 59) - 3)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_vecdeque((capacity, lap) in shape(), ops in prop::collection::vec(op(), 0..200)) {
        let mut queue = BoundedQueue::<String>::with_first_lap(capacity, lap);
        let mut model = VecDeque::<String>::new();
        let mut next = 0_u64;
        // Strings own memory, so that a lost or doubled item is seen by the allocator and by sanitizers.
        let mut fresh = || {
            next += 1;
            next.to_string()
        };
        for op in ops {
            match op {
                Op::Push | Op::PushMut => {
                    let item = fresh();
                    let expected = if model.len() < capacity {
                        model.push_back(item.clone());
                        Ok(())
                    } else {
                        Err(item.clone())
                    };
                    let found = if matches!(op, Op::Push) { queue.push(item) } else { queue.push_mut(item) };
                    prop_assert_eq!(found, expected);
                }
                Op::Force => {
                    let item = fresh();
                    let displaced = if model.len() == capacity { model.pop_front() } else { None };
                    model.push_back(item.clone());
                    prop_assert_eq!(queue.force_push(item), Ok(displaced));
                }
                Op::PushAll(count) => {
                    let items: Vec<_> = (0..count).map(|_| fresh()).collect();
                    let fits = count.min(capacity - model.len());
                    model.extend(items[..fits].iter().cloned());
                    let left = queue.push_all(items.iter().cloned()).map_or_else(Iterator::collect, |()| Vec::new());
                    prop_assert_eq!(&left, &items[fits..]);
                }
                Op::Pop => prop_assert_eq!(queue.pop(), model.pop_front()),
                Op::PopMut => prop_assert_eq!(queue.pop_mut(), model.pop_front()),
                Op::PopMany(max) => {
                    // Nobody else is there: all that can be had.
                    let count = max.min(model.len());
                    prop_assert_eq!(queue.pop_many(max), model.drain(..count).collect::<Vec<_>>());
                }
                Op::Look => {
                    prop_assert_eq!(queue.len(), model.len());
                    prop_assert_eq!(queue.is_empty(), model.is_empty());
                    prop_assert_eq!(queue.is_full(), model.len() == capacity);
                }
                Op::Clear => {
                    queue.clear();
                    model.clear();
                }
            }
        }
        prop_assert_eq!(queue.len(), model.len());
        prop_assert!(queue.into_iter().eq(model));
    }
}
