//! The price of a critical section: every operation without a guard at hand pays it once.

use crate::adapters::pin::{Crossbeam, Ours, Pin};
use crate::measure::{self, Done, Pass, Sample};
use crate::plan::{Cell, Kind, Role, Row, Scope};

pub fn kind() -> Kind {
    let row = |name, role, run| Row { name, role, note: "", supports: |_| true, run };
    Kind {
        name: "pin",
        about: "Entering and leaving a critical section of a reclaimer.",
        rows: vec![
            row("latchfree::pin", Role::Ours, run::<Ours>),
            row("crossbeam_epoch::pin", Role::Peer, run::<Crossbeam>),
        ],
        cells,
        about_workload: |_| "One thread pins and unpins, nothing else.",
    }
}

fn cells(scope: &Scope) -> Vec<Cell> {
    let cell = Cell {
        kind: "pin",
        workload: "pin+unpin",
        value: "-",
        threads: 1,
        label: "1".into(),
        unit: "ns/pin",
        timed: true,
        latency: false,
    };
    if scope.threads.contains(&1) { vec![cell] } else { Vec::new() }
}

fn run<P: Pin>(cell: &Cell, pass: Pass) -> Sample {
    let Pass::Time(budget) = pass else { return Sample::default() };
    measure::timed(
        cell.threads,
        budget,
        |_| true,
        |_, clock| {
            let mut ops = 0;
            while !clock.stopped() {
                for _ in 0..64 {
                    P::pin_unpin();
                }
                ops += 64;
            }
            Done::ops(ops)
        },
    )
}
