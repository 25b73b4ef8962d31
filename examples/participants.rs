//! Explicit participants instead of thread-locals: for executors whose tasks share threads, and for `no_std`.
//!
//! Each task has a critical section of its own, which may last from one poll to the next.
//!
//! `cargo run --release --example participants`

use latchfree::Queue;
use latchfree::reclaim::Participant;

/// A task of a little executor: doubles what it finds in one queue and puts it into the next.
struct Stage<'q> {
    input: &'q Queue<u64>,
    output: &'q Queue<u64>,
    participant: Participant,
}

impl<'q> Stage<'q> {
    fn new(input: &'q Queue<u64>, output: &'q Queue<u64>) -> Self {
        Self { input, output, participant: Participant::register() }
    }

    /// Does up to 64 items under one guard; false if there was nothing to do.
    fn poll(&mut self) -> bool {
        let guard = self.participant.pin();
        let mut done = 0;
        while done < 64 {
            let Some(n) = self.input.pop_with(&guard) else { break };
            self.output.push_with(2 * n, &guard);
            done += 1;
        }
        done > 0
    }
}

fn main() {
    let queues: Vec<Queue<u64>> = (0..5).map(|_| Queue::new()).collect();
    queues[0].push_all(1..=10_000);

    let mut stages: Vec<_> = queues.windows(2).map(|pair| Stage::new(&pair[0], &pair[1])).collect();
    // One thread runs them all; none of them touches a thread-local.
    while stages.iter_mut().map(Stage::poll).filter(|&busy| busy).count() > 0 {}

    let results: Vec<u64> = std::iter::from_fn(|| queues[4].pop()).collect();
    assert_eq!(results, (1..=10_000).map(|n| 16 * n).collect::<Vec<_>>(), "in order, through every stage");
    println!("{} items went through {} stages", results.len(), stages.len());
}
