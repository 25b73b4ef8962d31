//! A job queue with back-pressure: producers that meet a full queue do a job themselves instead of waiting.
//!
//! `cargo run --release --example job_queue`

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use latchfree::{BoundedQueue, Queue};

const PRODUCERS: u64 = 2;
const WORKERS: usize = 2;
const JOBS: u64 = 100_000;

struct Job(u64);

impl Job {
    /// How many steps Collatz's sequence takes to 1.
    fn run(self) -> (u64, u32) {
        let (mut n, mut steps) = (self.0, 0);
        while n != 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        (self.0, steps)
    }
}

fn main() {
    let jobs = BoundedQueue::new(256);
    let results = Queue::new();
    let (by_producers, closed) = (AtomicU64::new(0), AtomicBool::new(false));

    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    // Asked before the look: what was pushed before `closed` is seen by a look that comes after it.
                    let last_look = closed.load(Ordering::Acquire);
                    let batch = jobs.pop_many(32);
                    if batch.is_empty() {
                        if last_look {
                            break;
                        }
                        // Whether to spin, sleep or park while there is nothing to do is the application's choice.
                        thread::yield_now();
                    }
                    results.push_all(batch.into_iter().map(Job::run));
                }
            });
        }
        thread::scope(|producers| {
            for producer in 0..PRODUCERS {
                let (jobs, results, by_producers) = (&jobs, &results, &by_producers);
                producers.spawn(move || {
                    for n in (1..=JOBS).filter(|n| n % PRODUCERS == producer) {
                        // Back-pressure: a full queue hands the job back.
                        if let Err(job) = jobs.push(Job(n)) {
                            results.push(job.run());
                            by_producers.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        closed.store(true, Ordering::Release);
    });

    let results: Vec<_> = results.into_iter().collect();
    assert_eq!(results.len() as u64, JOBS, "every job was done once");
    let (n, steps) = results.iter().max_by_key(|(_, steps)| steps).expect("there are jobs");
    println!("{JOBS} jobs, {} of them done by producers", by_producers.into_inner());
    println!("the longest sequence below {JOBS} begins at {n} and takes {steps} steps");
}
