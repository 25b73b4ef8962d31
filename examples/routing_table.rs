//! A routing table that is swapped as a whole under its readers: each request sees one table from beginning to end.
//!
//! `cargo run --release --example routing_table`

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use latchfree::HashMap;

/// Immutable once it is published. Every route of a version leads to that version's backends.
struct Table {
    version: u64,
    routes: BTreeMap<&'static str, String>,
}

impl Table {
    fn new(version: u64) -> Self {
        let routes = ["/", "/api", "/static"].map(|path| (path, format!("backend {version} of {path}")));
        Self { version, routes: routes.into() }
    }

    /// The longest route that is a prefix of the path.
    fn route(&self, path: &str) -> Option<&str> {
        let fits = |(route, _): &(&&str, &String)| path.starts_with(**route);
        self.routes.iter().rev().find(fits).map(|(_, backend)| backend.as_str())
    }
}

fn main() {
    // One table a host.
    let hosts: HashMap<&str, Table> = HashMap::new();
    hosts.pin().insert("example.org", Table::new(0));
    let (stop, requests) = (AtomicBool::new(false), AtomicU64::new(0));

    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut newest = 0;
                while !stop.load(Ordering::Relaxed) {
                    let hosts = hosts.pin(); // what is lent from here on stays, swapped out or not
                    let table = hosts.get("example.org").expect("never removed");
                    let backend = table.route("/api/users").expect("there is a route for everything");
                    assert_eq!(backend, format!("backend {} of /api", table.version));
                    assert!(table.version >= newest, "versions do not go back");
                    newest = table.version;
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for version in 1..=1000 {
            hosts.pin().insert("example.org", Table::new(version));
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    hosts.collect();
    println!(
        "{} requests over 1000 versions; tables not freed yet: {}",
        requests.into_inner(),
        hosts.backlog().objects
    );
}
