//! The queue's workloads, on queues of fixed capacity.

use super::queue::{about_workload, run};
use crate::adapters::bounded::{
    Array, Concurrent, CrossbeamChannel, Flume, Kanal, Ours, ParkingLot, StdMutex,
};
use crate::plan::{Cell, Kind, Role, Row, Scope};
use crate::values::{BIG, Big, SMALL, Small, U64};

/// A row over the three types of values.
macro_rules! row {
    ($queue:ident, $name:literal, $role:ident, $note:literal) => {
        Row {
            name: $name,
            role: Role::$role,
            note: $note,
            supports: |_| true,
            run: |cell, pass| match cell.value {
                U64 => run::<$queue<u64>, u64>(cell, pass),
                SMALL => run::<$queue<Small>, Small>(cell, pass),
                _ => run::<$queue<Big>, Big>(cell, pass),
            },
        }
    };
}

pub fn kind() -> Kind {
    Kind {
        name: "bounded",
        about: "FIFO queues of fixed capacity for many producers and consumers; a producer that finds one full yields.",
        rows: vec![
            row!(Ours, "latchfree::BoundedQueue", Ours, ""),
            row!(Array, "crossbeam ArrayQueue", Peer, ""),
            row!(Concurrent, "concurrent-queue", Peer, ""),
            row!(CrossbeamChannel, "crossbeam-channel", Peer, ""),
            row!(Flume, "flume", Peer, ""),
            row!(Kanal, "kanal", Peer, ""),
            row!(StdMutex, "std Mutex<VecDeque>", Peer, "baseline"),
            row!(ParkingLot, "parking_lot Mutex<VecDeque>", Peer, "baseline"),
        ],
        cells,
        about_workload,
    }
}

fn cells(scope: &Scope) -> Vec<Cell> {
    let most = scope.threads.iter().copied().max().unwrap_or(1);
    let mut cells = Vec::new();
    let mut add = |workload, value, threads: usize, latency: bool| {
        let label = if workload == "flow" { format!("{0}P{0}C", threads / 2) } else { threads.to_string() };
        let unit = if workload == "memory" { "bytes/element" } else { "ns/item" };
        let timed = workload != "memory";
        cells.push(Cell { kind: "bounded", workload, value, threads, label, unit, timed, latency });
    };
    let values: &[&'static str] = if scope.quick { &[U64] } else { &[U64, SMALL, BIG] };
    for &value in values {
        let word = value == U64;
        for &threads in &scope.threads {
            let ends = threads == 1 || threads == most;
            if word || ends {
                add("pairs", value, threads, word && threads > 1);
            }
            if word && threads % 2 == 0 {
                add("flow", value, threads, threads <= 4);
            }
            if word && ends {
                add("batch32", value, threads, false);
            }
        }
        if word {
            add("burst", value, 1, false);
        }
        add("memory", value, 1, false);
    }
    cells
}
