//! Random sequences of operations, compared with `VecDeque`.

mod common;

use std::collections::VecDeque;

use common::Both;
#[cfg(feature = "crossbeam")]
use latchfree::reclaim::Crossbeam;
use latchfree::{Epoch, Queue};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Push,
    PushAll(usize),
    PushMut,
    Extend(usize),
    Pop,
    PopMany(usize),
    PopMut,
    Pinned(usize),
    Len,
    IsEmpty,
    Clear,
    Collect,
    Rebuild,
}

fn op() -> impl Strategy<Value = Op> {
    // Around the sizes of a segment and of the gathering buffer.
    let count = || prop_oneof![4 => 0..10_usize, 1 => 250..260_usize, 1 => 10..1500_usize];
    prop_oneof![
        8 => Just(Op::Push),
        6 => count().prop_map(Op::PushAll),
        4 => Just(Op::PushMut),
        2 => count().prop_map(Op::Extend),
        10 => Just(Op::Pop),
        8 => count().prop_map(Op::PopMany),
        4 => Just(Op::PopMut),
        3 => count().prop_map(Op::Pinned),
        3 => Just(Op::Len),
        3 => Just(Op::IsEmpty),
        1 => Just(Op::Clear),
        2 => Just(Op::Collect),
        1 => Just(Op::Rebuild),
    ]
}

fn run<R: Both>(ops: &[Op]) {
    let mut queue = Queue::<String, R>::default();
    let mut model = VecDeque::<String>::new();
    let mut next = 0_u64;
    // Strings own memory, so that a lost or doubled item is seen by the allocator and by sanitizers.
    let mut fresh = |count: usize| -> Vec<String> {
        next += count as u64;
        (next - count as u64..next).map(|i| i.to_string()).collect()
    };
    for op in ops {
        match *op {
            Op::Push => {
                let item = fresh(1).remove(0);
                model.push_back(item.clone());
                queue.push(item);
            }
            Op::PushMut => {
                let item = fresh(1).remove(0);
                model.push_back(item.clone());
                queue.push_mut(item);
            }
            Op::PushAll(count) => {
                let items = fresh(count);
                model.extend(items.iter().cloned());
                queue.push_all(items);
            }
            Op::Extend(count) => {
                let items = fresh(count);
                model.extend(items.iter().cloned());
                queue.extend(items);
            }
            Op::Pop => assert_eq!(queue.pop(), model.pop_front()),
            Op::PopMut => assert_eq!(queue.pop_mut(), model.pop_front()),
            Op::PopMany(max) => {
                let items = queue.pop_many(max);
                // Some, if there are any and any were asked for, and at most `max`.
                assert!(items.len() <= max && (items.is_empty() == (max == 0 || model.is_empty())));
                assert!(items.iter().eq(model.drain(..items.len()).collect::<Vec<_>>().iter()));
            }
            Op::Pinned(count) => {
                let guard = R::pin();
                for item in fresh(count) {
                    model.push_back(item.clone());
                    queue.push_with(item, &guard);
                    assert_eq!(queue.pop_with(&guard), model.pop_front());
                }
            }
            Op::Len => assert_eq!(queue.len(), model.len()),
            Op::IsEmpty => assert_eq!(queue.is_empty(), model.is_empty()),
            Op::Clear => {
                queue.clear();
                model.clear();
            }
            Op::Collect => queue.collect(),
            Op::Rebuild => queue = queue.into_iter().collect(),
        }
    }
    assert_eq!(queue.len(), model.len());
    assert!(queue.into_iter().eq(model));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn epoch_agrees_with_vecdeque(ops in prop::collection::vec(op(), 0..120)) {
        run::<Epoch>(&ops);
    }

    #[cfg(feature = "crossbeam")]
    #[test]
    fn crossbeam_agrees_with_vecdeque(ops in prop::collection::vec(op(), 0..120)) {
        run::<Crossbeam>(&ops);
    }
}
