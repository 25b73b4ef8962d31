//! Runs a plan: every row of a cell once per round, in an order that rotates with the round, so that
//! a machine that slows down for a while slows everybody down.
//!
//! This side measures, in a process of its own, and says before each run what it is about to run; `watch` is the other
//! side, which draws, prints, and ends this process if a run never does.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::cli::Args;
use crate::estimate::Estimate;
use crate::measure::{Memory, Pass, Sample, Trials};
use crate::plan::{Cell, FEWEST_ROUNDS, Part, Plan, Row};
use crate::probe;
use crate::stats::Latency;

/// Touches code and allocator before anything counts.
const WARM_UP: Duration = Duration::from_millis(2);
/// A cell that takes so many times as long as planned ends with the rounds that it has, if those are enough.
const PATIENCE: f64 = 1.5;

/// What one row has shown in one cell.
#[derive(Default, Serialize, Deserialize)]
pub struct Measured {
    pub ns: Vec<f64>,
    pub cpu: Vec<f64>,
    pub unfairness: Vec<f64>,
    pub latency: Option<Latency>,
    pub memory: Option<Memory>,
    pub trials: Option<Trials>,
}

/// What the measuring process says, a line each.
#[derive(Serialize, Deserialize)]
pub enum Event {
    /// It is about to run this row of this cell, by their numbers in the plan, and waits for a line before it does.
    Runs { cell: usize, row: usize },
    /// A cell is done.
    Done { cell: usize, seconds: f64, rows: Vec<Measured> },
}

/// Measures the cells from `args.work` on.
pub fn work(plan: &Plan, args: &Args, from: usize) {
    let cells = plan.parts.iter().flat_map(|part| part.cells.iter().map(move |cell| (part, cell)));
    for (number, (part, cell)) in cells.enumerate().skip(from) {
        let began = Instant::now();
        let rows = run_cell(plan, part, cell, args, |row| {
            say(&Event::Runs { cell: number, row });
            let mut line = String::new();
            if io::stdin().lock().read_line(&mut line).is_ok_and(|read| read > 0) {
                return;
            }
            // Nobody listens any more.
            std::process::exit(1);
        });
        say(&Event::Done { cell: number, seconds: began.elapsed().as_secs_f64(), rows });
    }
}

fn say(event: &Event) {
    let mut out = io::stdout().lock();
    let line = serde_json::to_string(event).expect("plain data has a JSON form");
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// What is known of a row before it is all put together.
#[derive(Default)]
struct Tally {
    measured: Measured,
    latency: Option<Histogram<u64>>,
}

impl Tally {
    fn timed(&mut self, sample: Sample) {
        // JSON knows no others.
        let finite = |x: &f64| x.is_finite();
        self.measured.ns.extend(Some(sample.ns_per_op).filter(finite));
        self.measured.cpu.extend(sample.cpu_ns_per_op.filter(finite));
        self.measured.unfairness.extend(sample.unfairness.filter(finite));
        if let Some(trials) = sample.trials {
            self.measured.trials.get_or_insert_default().add(trials);
        }
        // Most workloads have none in this pass.
        self.latency(sample);
    }

    fn latency(&mut self, sample: Sample) {
        match (&mut self.latency, sample.latency) {
            (Some(sum), Some(more)) => sum.add(&more).expect("equal bounds"),
            (none @ None, more) => *none = more,
            (Some(_), None) => {}
        }
    }

    fn done(mut self) -> Measured {
        self.measured.latency = self.latency.as_ref().map(Latency::of);
        self.measured
    }
}

fn run_cell(plan: &Plan, part: &Part, cell: &Cell, args: &Args, about_to: impl Fn(usize)) -> Vec<Measured> {
    let rows: Vec<&Row> = Plan::rows(part, cell).collect();
    let left_out = |row: &Row| args.without.contains(&left_out(cell, row));
    let mut tallies: Vec<Tally> = rows.iter().map(|_| Tally::default()).collect();
    let began = Instant::now();
    let planned = plan.duration_of(part, cell).as_secs_f64();
    let budget = plan.budget_of(cell);
    let late = || began.elapsed().as_secs_f64() > planned * PATIENCE;
    let mut rounds = |count: usize, pass: Pass, put: fn(&mut Tally, Sample)| {
        for round in 0..count {
            // All rows have the same number of rounds, even so.
            if round >= FEWEST_ROUNDS && late() {
                break;
            }
            for turn in 0..rows.len() {
                let i = (turn + round) % rows.len();
                if !left_out(rows[i]) {
                    about_to(i);
                    put(&mut tallies[i], (rows[i].run)(cell, pass));
                }
            }
        }
    };
    if !cell.timed {
        for (i, (row, tally)) in rows.iter().zip(&mut tallies).enumerate() {
            if !left_out(row) {
                about_to(i);
                tally.measured.memory = probe::elsewhere(cell, row);
            }
        }
        return tallies.into_iter().map(Tally::done).collect();
    }
    let estimate = Estimate::of(cell);
    if estimate.window {
        rounds(1, Pass::Time(WARM_UP), |_, _| ());
    }
    rounds(plan.rounds_of(cell), Pass::Time(budget), Tally::timed);
    if cell.latency {
        rounds(plan.latency_rounds_of(cell), Pass::Latency(budget), Tally::latency);
    }
    tallies.into_iter().map(Tally::done).collect()
}

/// How a row that hung is named: it is left out of all cells of the workload that it hung in.
pub fn left_out(cell: &Cell, row: &Row) -> String {
    format!("{}/{}/{}", cell.kind, cell.workload, row.name)
}
