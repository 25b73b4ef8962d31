//! A model of the stack that takes minutes: with two preemptions an offer's own orderings are all that hands its value over, where
//! with one the making of the places does.

mod common;

use std::sync::Arc;

use latchfree_loom::Stack;
use latchfree_loom::model::Barriers;
use loom::thread::spawn;

use self::common::Item;
use self::common::eager::Eager;

deep_models! {
    /// Two pushes that meet at the top, one of which may be met by the pop.
    elimination(Some(2), 2700) {
        let stack = Arc::new(Stack::<Item, Eager>::default());
        stack.push(Item::new(0));
        let producers = [1, 2].map(|id| {
            let stack = stack.clone();
            spawn(move || stack.push(Item::new(id)))
        });
        let (taken, consumer) = (stack.clone(), stack.clone());
        let consumer = spawn(move || consumer.pop().map(|item| item.0));
        producers.into_iter().for_each(|thread| thread.join().unwrap());
        let mut found = vec![consumer.join().unwrap().expect("never empty")];
        found.extend(std::iter::from_fn(|| taken.pop().map(|item| item.0)));
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2]);
    }
}
