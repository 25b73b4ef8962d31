//! How long runs take: a window of time in most workloads, and what comes on top of it.
//!
//! Threads are started and joined, maps filled, queues drained, processes started, and some workloads do a fixed piece of work however
//! long it takes: without this `--list` promised half of the time that a run took. The numbers are means over the rows of a
//! cell, measured on a quiet virtual machine with 2 cores of an AMD EPYC; `results.json` says of each cell what was planned
//! and what it took.

use crate::keys::TEXT;
use crate::plan::Cell;

/// What a row of a cell costs in time, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Whether a run lasts for the plan's window, or until its work is done.
    pub window: bool,
    /// Of a run, beside the window.
    pub run: f64,
    /// Of a run with timestamps, beside the window.
    pub latency_run: f64,
    /// Once in a cell: the warm-up, filling a map, a process of its own.
    pub once: f64,
    /// The most rounds, and the most with timestamps, that are worth their time.
    pub rounds: usize,
    pub latency_rounds: usize,
}

/// However many rounds there are otherwise.
const LATENCY_ROUNDS: usize = 3;

impl Estimate {
    pub fn of(cell: &Cell) -> Self {
        let crowd = cell.threads > 2;
        let once = if crowd { 8.0 } else { 4.0 };
        let beside = if crowd { 4.0 } else { 2.0 };
        let usual = Estimate {
            window: true,
            run: beside,
            latency_run: beside,
            once,
            rounds: usize::MAX,
            latency_rounds: LATENCY_ROUNDS,
        };
        let map = cell.kind == "hash" || cell.kind == "ordered";
        let fixed = |run, latency_run, rounds, latency_rounds| Estimate {
            window: false,
            run,
            latency_run,
            once: 0.0,
            rounds,
            latency_rounds,
        };
        let slower = |few, many| if crowd { many } else { few };
        match cell.workload {
            "memory" => {
                let once = match (cell.kind, cell.value == TEXT) {
                    ("hash", false) => 150.0,
                    ("hash", true) => 400.0,
                    ("ordered", false) => 300.0,
                    ("ordered", true) => 1200.0,
                    _ => 25.0,
                };
                Estimate { once, ..usual }
            }
            // Its runs know the latencies as well.
            _ if cell.kind == "stopped" => fixed(170.0, 0.0, 5, 0),
            "grow-10m" => fixed(slower(2000.0, 4000.0), slower(2500.0, 5000.0), 3, 1),
            // A million insertions with a timestamp each are enough.
            "grow" => fixed(slower(40.0, 65.0), slower(200.0, 330.0), 5, 1),
            "grow-ascending" => fixed(15.0, 70.0, 5, 1),
            "mix-rapid-grow" => fixed(30.0, 0.0, 7, 0),
            "mix-read-heavy" | "mix-exchange" => Estimate { once: 100.0, ..usual },
            // Once a row, in the first cell of its size; the others find it filled.
            "read-1m" if map && cell.threads == 1 => Estimate { once: 300.0, ..usual },
            "read-1m" if cell.value == TEXT && cell.kind == "ordered" => Estimate { once: 1400.0, ..usual },
            "read-1m" if cell.value == TEXT => Estimate { once: 390.0, ..usual },
            "read-1m-pinned" => Estimate { once: 90.0, ..usual },
            // The first cell of all.
            "read-1k" if cell.kind == "ordered" && cell.threads == 1 => Estimate { once: 100.0, ..usual },
            // Each thread sets its first timers before.
            "timers" => Estimate {
                run: beside + 5.0 * cell.threads as f64,
                latency_run: beside + 5.0 * cell.threads as f64,
                ..usual
            },
            _ => usual,
        }
    }
}
