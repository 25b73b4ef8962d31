//! Random sequences of operations on a stack, compared with `Vec`.

mod common;

use common::Both;
#[cfg(feature = "crossbeam")]
use latchfree::reclaim::Crossbeam;
use latchfree::{Epoch, Stack};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Push,
    PushAll(usize),
    PushMut,
    Extend(usize),
    Pop,
    PopSome(usize),
    PopMut,
    PopAll(usize),
    PopMany(usize),
    Look,
    Pinned(usize),
    /// On a thread of its own, which leaves its spare nodes behind.
    Elsewhere(usize),
    Len,
    Clear,
    Collect,
    Rebuild,
}

fn op() -> impl Strategy<Value = Op> {
    // Around the size of a magazine of spare nodes, and below.
    let count = || prop_oneof![4 => 0..10_usize, 2 => 28..36_usize, 2 => 60..68_usize, 1 => 120..140_usize, 1 => 10..1500_usize];
    prop_oneof![
        8 => Just(Op::Push),
        6 => count().prop_map(Op::PushAll),
        4 => Just(Op::PushMut),
        2 => count().prop_map(Op::Extend),
        10 => Just(Op::Pop),
        8 => count().prop_map(Op::PopSome),
        4 => Just(Op::PopMut),
        2 => count().prop_map(Op::PopAll),
        6 => count().prop_map(Op::PopMany),
        3 => Just(Op::Look),
        3 => count().prop_map(Op::Pinned),
        1 => (0..70_usize).prop_map(Op::Elsewhere),
        3 => Just(Op::Len),
        1 => Just(Op::Clear),
        2 => Just(Op::Collect),
        1 => Just(Op::Rebuild),
    ]
}

fn run<R: Both>(ops: &[Op]) {
    // Strings own memory, so that a lost or doubled item is seen by the allocator and by sanitizers; numbers can be looked at.
    let (mut strings, mut numbers) = (Stack::<String, R>::default(), Stack::<u64, R>::default());
    let mut model = Vec::<u64>::new();
    let mut next = 0;
    let mut fresh = |count: usize| {
        next += count as u64;
        next - count as u64..next
    };
    let agree = |string: Option<String>, number: Option<u64>, expected: Option<u64>| {
        assert_eq!(number, expected);
        assert_eq!(string, expected.map(|n| n.to_string()));
    };
    for op in ops {
        match *op {
            Op::Push => fresh(1).for_each(|n| {
                strings.push(n.to_string());
                numbers.push(n);
                model.push(n);
            }),
            Op::PushMut => fresh(1).for_each(|n| {
                strings.push_mut(n.to_string());
                numbers.push_mut(n);
                model.push(n);
            }),
            Op::PushAll(count) => {
                let items = fresh(count);
                strings.push_all(items.clone().map(|n| n.to_string()));
                numbers.push_all(items.clone());
                model.extend(items);
            }
            Op::Extend(count) => {
                let items = fresh(count);
                strings.extend(items.clone().map(|n| n.to_string()));
                numbers.extend(items.clone());
                model.extend(items);
            }
            Op::Pop => agree(strings.pop(), numbers.pop(), model.pop()),
            Op::PopMut => agree(strings.pop_mut(), numbers.pop_mut(), model.pop()),
            Op::PopSome(max) => (0..max).for_each(|_| agree(strings.pop(), numbers.pop(), model.pop())),
            Op::PopAll(max) => {
                // The rest of what was taken is dropped.
                let (mut all, mut same) = (strings.pop_all(), numbers.pop_all());
                (0..max).for_each(|_| agree(all.next(), same.next(), model.pop()));
                model.clear();
                assert!(strings.is_empty() && numbers.is_empty());
            }
            Op::PopMany(max) => {
                let (many, same) = (strings.pop_many(max), numbers.pop_many(max));
                assert_eq!(same.len(), max.min(model.len()));
                assert_eq!(many.len(), same.len());
                many.into_iter()
                    .zip(same)
                    .for_each(|(string, number)| agree(Some(string), Some(number), model.pop()));
            }
            Op::Look => {
                assert_eq!(numbers.peek(), model.last().copied());
                assert!(numbers.iter().eq(model.iter().rev().copied()));
            }
            Op::Pinned(count) => {
                let guard = R::pin();
                for n in fresh(count) {
                    strings.push_with(n.to_string(), &guard);
                    numbers.push_with(n, &guard);
                    assert_eq!(numbers.peek_with(&guard), Some(n));
                    agree(strings.pop_with(&guard), numbers.pop_with(&guard), Some(n));
                }
            }
            Op::Elsewhere(count) => {
                let items = fresh(count);
                let (strings, numbers, model) = (&strings, &numbers, &mut model);
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        (0..count).for_each(|_| agree(strings.pop(), numbers.pop(), model.pop()));
                        for n in items {
                            strings.push(n.to_string());
                            numbers.push(n);
                            model.push(n);
                        }
                    });
                });
            }
            Op::Len => {
                assert_eq!((strings.len(), numbers.len()), (model.len(), model.len()));
                assert_eq!(strings.is_empty(), model.is_empty());
            }
            Op::Clear => {
                strings.clear();
                numbers.clear();
                model.clear();
            }
            Op::Collect => {
                strings.collect();
                numbers.collect();
            }
            Op::Rebuild => {
                // Turned over.
                strings = strings.into_iter().collect();
                numbers = numbers.into_iter().collect();
                model.reverse();
            }
        }
    }
    assert_eq!((strings.len(), numbers.len()), (model.len(), model.len()));
    assert!(numbers.into_iter().eq(model.iter().rev().copied()));
    assert!(strings.into_iter().eq(model.iter().rev().map(|n| n.to_string())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn epoch_agrees_with_vec(ops in prop::collection::vec(op(), 0..120)) {
        run::<Epoch>(&ops);
    }

    #[cfg(feature = "crossbeam")]
    #[test]
    fn crossbeam_agrees_with_vec(ops in prop::collection::vec(op(), 0..120)) {
        run::<Crossbeam>(&ops);
    }
}
