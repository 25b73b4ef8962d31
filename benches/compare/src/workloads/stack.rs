//! Stacks and pools, under the workloads of queues that ask for no order.

use super::queue::run;
use crate::adapters::queue::{Array, Seg};
use crate::adapters::stack::{Ours, OursCrossbeam, ParkingLot, Sdd, SddBag, StdMutex};
use crate::plan::{Cell, Kind, Role, Row, Scope};
use crate::values::{BIG, Big, SMALL, Small, U64};

/// A row over the three types of values.
macro_rules! row {
    ($stack:ident, $name:literal, $role:ident, $note:literal, $supports:expr) => {
        Row {
            name: $name,
            role: Role::$role,
            note: $note,
            supports: $supports,
            run: |cell, pass| match cell.value {
                U64 => run::<$stack<u64>, u64>(cell, pass),
                SMALL => run::<$stack<Small>, Small>(cell, pass),
                _ => run::<$stack<Big>, Big>(cell, pass),
            },
        }
    };
    ($stack:ident, $name:literal, $role:ident, $note:literal) => {
        row!($stack, $name, $role, $note, |_| true)
    };
}

pub fn kind() -> Kind {
    Kind {
        name: "stack",
        about: "LIFO stacks for many threads, and the queues and bags that serve as pools.",
        rows: vec![
            row!(Ours, "latchfree::Stack", Ours, "reclaims with Epoch, the default"),
            row!(OursCrossbeam, "latchfree::Stack (crossbeam)", Ours, "reclaims with crossbeam-epoch"),
            row!(Sdd, "sdd::Stack", Peer, "hands out shared entries; values are copied out"),
            row!(
                SddBag,
                "sdd::Bag",
                Peer,
                "no order; not where it grows large, which takes it minutes",
                |cell| { cell.workload == "pairs" || cell.workload == "batch32" }
            ),
            row!(Seg, "crossbeam SegQueue", Peer, "a queue as a pool"),
            row!(Array, "crossbeam ArrayQueue", Peer, "a queue as a pool; bounded"),
            row!(StdMutex, "std Mutex<Vec>", Peer, "baseline"),
            row!(ParkingLot, "parking_lot Mutex<Vec>", Peer, "baseline"),
        ],
        cells,
        about_workload,
    }
}

fn about_workload(workload: &str) -> &'static str {
    match workload {
        "pairs" => "Each thread pushes one item and pops one, over and over: a pool in use.",
        "flow" => {
            "Producers only push, consumers only pop; the time runs until the last item is out. \
             Producers rest while they are 65,536 items ahead (16 MiB of large ones)."
        }
        "burst" => "All threads fill the stack, then all drain it.",
        "batch32" => {
            "Each thread pushes 32 items at once and pops up to 32; a loop where a contestant has no such batches."
        }
        _ => {
            "Bytes from a counting allocator, in a fresh process for each row: filled by one thread, \
             drained, and then pairs on two threads."
        }
    }
}

fn cells(scope: &Scope) -> Vec<Cell> {
    let threads = &scope.threads;
    let most = threads.iter().copied().max().unwrap_or(1);
    let mut cells = Vec::new();
    let mut add = |workload, value, threads: usize, latency: bool| {
        cells.push(Cell {
            kind: "stack",
            workload,
            value,
            threads,
            label: if workload == "flow" { format!("{0}P{0}C", threads / 2) } else { threads.to_string() },
            unit: if workload == "memory" { "bytes/element" } else { "ns/item" },
            timed: workload != "memory",
            latency,
        });
    };
    let values: &[&'static str] = if scope.quick { &[U64] } else { &[U64, SMALL, BIG] };
    for &value in values {
        let word = value == U64;
        for &t in threads {
            // Large values: the ends of the range, since moving them hides most differences.
            if word || t == 1 || t == most {
                add("pairs", value, t, word && t > 1);
            }
            if word && t == 2 {
                add("flow", value, t, false);
            }
            if t == 1 {
                add("burst", value, t, false);
            }
            if word && t == 1 {
                add("batch32", value, t, false);
            }
        }
        add("memory", value, 1, false);
    }
    cells
}
