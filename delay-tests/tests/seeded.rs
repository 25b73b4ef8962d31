//! A fault that must be noticed, or the delays prove nothing: the exchange by which a producer appends a segment is a comparison and then a store, with an
//! instruction or two between them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

use latchfree_delay::{Queue, delays};

const FILE: &str = "src/queue/unbounded.rs";

/// The line where a producer appends a segment.
fn line() -> u32 {
    let source = include_str!("../../src/queue/unbounded.rs");
    let found: Vec<_> =
        source.lines().enumerate().filter(|(_, line)| line.contains("last.next.compare_exchange(")).collect();
    let [(index, _)] = found[..] else { panic!("appended at {} places", found.len()) };
    index as u32 + 1
}

/// Of four kilobytes, so that a segment has four.
struct Large(#[allow(dead_code, reason = "for its size")] [u64; 512]);

/// True if all that two threads push is there in the end.
fn is_whole() -> bool {
    const EACH: usize = 2000;
    let queue = Queue::<Large>::new();
    let start = Barrier::new(2);
    let pushed = catch_unwind(AssertUnwindSafe(|| {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    (0..EACH).for_each(|n| queue.push(Large([n as u64; 512])));
                });
            }
        });
    }));
    pushed.is_ok() && queue.into_iter().count() == 2 * EACH
}

#[test]
fn a_broken_exchange_is_noticed() {
    const WANTED: usize = 4;
    delays::split(FILE, line());
    let (mut rounds, mut missed, mut shown) = (0, 0, 0);
    // Threads meet as the machine lets them: on a busy one, in one run of twenty.
    while shown < WANTED && rounds < 5000 {
        rounds += 1;
        delays::switch(false);
        missed += usize::from(!is_whole());
        delays::switch(true);
        shown += usize::from(!is_whole());
    }
    // Nothing is asserted of the runs without delays: this fault was seen as often in those.
    println!("of {rounds} runs: {missed} without delays, {shown} with them");
    assert_eq!(shown, WANTED, "of {rounds} runs");
}
