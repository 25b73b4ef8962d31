//! Two copies of the library in one process do not disturb each other.

use std::thread;

/// Fills and drains a queue of either copy, with so many items that segments are retired.
macro_rules! churn {
    ($queue:expr) => {
        (0..10_000_u64).for_each(|item| $queue.push(item));
        for item in 0..10_000 {
            assert_eq!($queue.pop(), Some(item));
        }
    };
}

fn a_guard_of_one_holds_nothing_of_the_other_back() {
    let (ours, theirs) = (latchfree::Queue::new(), latchfree_again::Queue::new());
    let guard = latchfree::pin();
    thread::scope(|scope| {
        scope.spawn(|| {
            churn!(ours);
            churn!(theirs);
            ours.collect();
            theirs.collect();
        });
    });
    assert!(ours.backlog().objects > 0, "this thread's guard holds it back");
    assert_eq!(theirs.backlog().objects, 0, "and is no guard of the other copy's");
    drop(guard);
    ours.collect();
    assert_eq!(ours.backlog().objects, 0);
}

fn both_have_barriers_and_work_on_the_same_threads() {
    let (ours, theirs) = (latchfree::Queue::new(), latchfree_again::Queue::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let _guards = (latchfree::pin(), latchfree_again::pin());
                for item in 0..10_000_u64 {
                    ours.push(item);
                    theirs.push(ours.pop().unwrap());
                }
            });
        }
    });
    assert_eq!((ours.len(), theirs.len()), (0, 40_000));
    let name = |barrier: &dyn std::fmt::Debug| format!("{barrier:?}");
    assert_eq!(name(&latchfree::reclaim::barrier()), name(&latchfree_again::reclaim::barrier()));
}

/// One after the other: each would hold the other's garbage back.
#[test]
fn copies_are_apart() {
    a_guard_of_one_holds_nothing_of_the_other_back();
    both_have_barriers_and_work_on_the_same_threads();
}
