//! A rate limiter: at most so many requests a client and window, never one more, however many threads ask.
//!
//! The check and the count are one atomic step of the map: `compute`.
//!
//! `cargo run --release --example rate_limiter`

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use latchfree::HashMap;
use latchfree::hash_map::{Compute, Operation};

const LIMIT: u64 = 100;

#[derive(Clone, Copy)]
struct Window {
    number: u64,
    used: u64,
}

struct Limiter {
    clients: HashMap<u32, Window>,
}

impl Limiter {
    /// True if the client may make one more request in this window.
    fn admit(&self, client: u32, window: u64) -> bool {
        let clients = self.clients.pin();
        // May run more than once, if other threads change the entry meanwhile: it only looks and decides.
        let outcome = clients.compute(client, |entry| match entry {
            Some((_, seen)) if seen.number > window => Operation::Abort(()), // a straggler's window
            Some((_, seen)) if seen.number == window && seen.used == LIMIT => Operation::Abort(()),
            Some((_, seen)) if seen.number == window => {
                Operation::Insert(Window { number: window, used: seen.used + 1 })
            }
            _ => Operation::Insert(Window { number: window, used: 1 }),
        });
        !matches!(outcome, Compute::Aborted(()))
    }
}

fn main() {
    const THREADS: usize = 4;
    const CLIENTS: u32 = 8;
    const WINDOWS: u64 = 20;
    let limiter = Limiter { clients: HashMap::new() };
    let admitted: Vec<Vec<AtomicU64>> =
        (0..WINDOWS).map(|_| (0..CLIENTS).map(|_| AtomicU64::new(0)).collect()).collect();

    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for window in 0..WINDOWS {
                    for request in 0..u64::from(CLIENTS) * LIMIT {
                        let client = (request % u64::from(CLIENTS)) as u32;
                        if limiter.admit(client, window) {
                            admitted[window as usize][client as usize].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });

    let counts = || admitted.iter().flatten().map(|count| count.load(Ordering::Relaxed));
    assert!(counts().all(|count| count <= LIMIT), "the limit is never exceeded");
    println!(
        "admitted {} of {} requests",
        counts().sum::<u64>(),
        THREADS as u64 * WINDOWS * u64::from(CLIENTS) * LIMIT
    );
}
