//! A model of the bounded queue that takes minutes: `cargo test -p loom-tests -- --include-ignored`.

mod common;

use std::sync::Arc;

use latchfree_loom::BoundedQueue;
use latchfree_loom::model::Barriers;

use self::common::{Item, go};

type Items = BoundedQueue<Item>;

fn push(queue: &Items, id: usize) -> bool {
    queue.push(Item::new(id)).is_ok()
}

fn pop(queue: &Items) -> Option<usize> {
    queue.pop().map(|item| item.0)
}

deep_models! {
    /// A producer passes over a slot that another one finds free at this moment: that one has seen the holder's word, which the
    /// holder itself has not followed by its barrier yet.
    passed_over_and_found(Some(2), 2000) {
        let mut queue = Items::new(2);
        for id in [100, 101] {
            queue.push_mut(Item::new(id)).unwrap();
        }
        let queue = Arc::new(queue);
        let a = go(&queue, pop);
        let b = go(&queue, |queue| {
            let first = pop(queue);
            (first, push(queue, 1))
        });
        let c = go(&queue, |queue| push(queue, 2));
        let mut found: Vec<_> = a.join().unwrap().into_iter().collect();
        let (first, pushed) = b.join().unwrap();
        found.extend(first);
        let pushed = [pushed, c.join().unwrap()];
        if pushed == [true; 2] {
            assert!(!push(&queue, 3), "two items");
        }
        found.extend(std::iter::from_fn(|| pop(&queue)));
        found.sort_unstable();
        let mut expected: Vec<_> =
            [1, 2].into_iter().zip(pushed).filter_map(|(id, pushed)| pushed.then_some(id)).collect();
        expected.extend([100, 101]);
        assert_eq!(found, expected);
    }
}
