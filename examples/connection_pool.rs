//! A pool of connections on a stack: the one used last is taken first, because its caches are warm.
//!
//! `cargo run --release --example connection_pool`

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use latchfree::Stack;

/// What is expensive to open.
struct Connection {
    number: usize,
    requests: usize,
}

struct Pool {
    idle: Stack<Connection>,
    opened: AtomicUsize,
}

impl Pool {
    const fn new() -> Self {
        Self { idle: Stack::new(), opened: AtomicUsize::new(0) }
    }

    /// An idle connection, or a new one; never waits.
    fn get(&self) -> Pooled<'_> {
        let connection = self.idle.pop().unwrap_or_else(|| Connection {
            number: self.opened.fetch_add(1, Ordering::Relaxed),
            requests: 0,
        });
        Pooled { connection: Some(connection), pool: self }
    }
}

/// A connection that goes back when it is dropped, also by a panic.
struct Pooled<'a> {
    connection: Option<Connection>,
    pool: &'a Pool,
}

impl Deref for Pooled<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("taken by drop only")
    }
}

impl DerefMut for Pooled<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("taken by drop only")
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        self.pool.idle.push(self.connection.take().expect("dropped once"));
    }
}

fn main() {
    const THREADS: usize = 4;
    const REQUESTS: usize = 100_000;
    static POOL: Pool = Pool::new();

    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..REQUESTS {
                    POOL.get().requests += 1;
                }
            });
        }
    });

    let mut connections: Vec<_> = POOL.idle.pop_all().collect();
    connections.sort_by_key(|connection| connection.number);
    let requests: usize = connections.iter().map(|connection| connection.requests).sum();
    assert_eq!(requests, THREADS * REQUESTS, "no request and no connection was lost");
    assert!(connections.len() <= THREADS, "never more connections than users at a time");
    for connection in &connections {
        println!("connection {} served {} requests", connection.number, connection.requests);
    }
}
