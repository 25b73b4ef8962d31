//! Timers on an ordered map: set, cancelled and moved by many threads, and fired in order by one.
//!
//! The key is the due time with a number that makes it unique, so that the timers that are due are a prefix of the map.
//!
//! `cargo run --release --example timers`

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use latchfree::OrderedMap;

/// When it is due, in ticks, and which one it is.
type Due = (u64, u64);

struct Timers {
    due: OrderedMap<Due, String>,
    next: AtomicU64,
}

impl Timers {
    /// Returns what cancels it.
    fn set(&self, at: u64, what: String) -> Due {
        let due = (at, self.next.fetch_add(1, Ordering::Relaxed));
        self.due.pin().insert(due, what);
        due
    }

    /// False if it fired already, or was cancelled.
    fn cancel(&self, due: Due) -> bool {
        self.due.pin().remove(&due).is_some()
    }

    /// Fires everything that is due, in order, many with one step.
    fn fire(&self, now: u64, mut fire: impl FnMut(&Due, &str)) {
        let due = self.due.pin();
        loop {
            let mut fired = 0;
            for (key, what) in due.pop_first_while(64, |key, _| key.0 <= now) {
                fire(key, what);
                fired += 1;
            }
            if fired == 0 {
                return;
            }
        }
    }
}

fn main() {
    const THREADS: u64 = 3;
    const EACH: u64 = 10_000;
    let timers = Timers { due: OrderedMap::new(), next: AtomicU64::new(0) };
    let (clock, cancelled) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut fired = 0_u64;

    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let (timers, clock, cancelled) = (&timers, &clock, &cancelled);
                scope.spawn(move || {
                    for i in 0..EACH {
                        let now = clock.load(Ordering::Relaxed);
                        let due = timers.set(now + 5 + i % 50, format!("request {i} of worker {worker}"));
                        // Nearly every request is answered before its time is up.
                        if i % 20 != 0 && timers.cancel(due) {
                            cancelled.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        loop {
            let done = workers.iter().all(|worker| worker.is_finished());
            let now = clock.fetch_add(1, Ordering::Relaxed);
            timers.fire(if done { u64::MAX } else { now }, |_, _| fired += 1);
            if done {
                break;
            }
            thread::yield_now();
        }
    });

    assert!(timers.due.is_empty());
    assert_eq!(
        fired + cancelled.load(Ordering::Relaxed),
        THREADS * EACH,
        "each fired or was cancelled, and not both"
    );
    println!("{fired} timers fired, {} were cancelled in time", cancelled.into_inner());
}
