//! Runs a plan: every row of a cell once per round, in an order that rotates with the round, so that
//! a machine that slows down for a while slows everybody down.

use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::{Memory, Pass, Sample};
use crate::plan::{Cell, LATENCY_ROUNDS, Part, Plan, Row};
use crate::probe;
use crate::report::data::{CellReport, RowReport};
use crate::stats::{self, Latency};

/// Touches code and allocator before anything counts.
const WARM_UP: Duration = Duration::from_millis(2);

/// What a row has shown so far.
#[derive(Default)]
struct Tally {
    ns: Vec<f64>,
    cpu: Vec<f64>,
    unfairness: Vec<f64>,
    latency: Option<Histogram<u64>>,
    memory: Option<Memory>,
}

impl Tally {
    fn timed(&mut self, sample: Sample) {
        self.ns.push(sample.ns_per_op);
        self.cpu.extend(sample.cpu_ns_per_op);
        self.unfairness.extend(sample.unfairness);
    }

    fn latency(&mut self, sample: Sample) {
        match (&mut self.latency, sample.latency) {
            (Some(sum), Some(more)) => sum.add(&more).expect("equal bounds"),
            (none @ None, more) => *none = more,
            (Some(_), None) => {}
        }
    }

    fn report(self, row: &Row) -> RowReport {
        let costs = match &self.memory {
            Some(memory) => vec![memory.bytes_per_element],
            None => self.ns,
        };
        RowReport {
            name: row.name,
            role: row.role,
            note: row.note,
            cost: stats::median(&costs),
            range: stats::range(&costs),
            speed: None,
            cpu_ns: stats::median(&self.cpu),
            unfairness: stats::median(&self.unfairness),
            latency: self.latency.as_ref().map(Latency::of),
            memory: self.memory,
            samples: costs,
        }
    }
}

/// Runs all of the plan. `show` gets each cell as soon as it is done.
pub fn run(plan: &Plan, mut show: impl FnMut(&CellReport)) -> Vec<CellReport> {
    let bar = ProgressBar::new(plan.duration().as_millis() as u64);
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3}%  {eta} left  {msg}")
        .expect("a constant template is valid");
    bar.set_style(style);
    let mut reports = Vec::new();
    for part in &plan.parts {
        for cell in &part.cells {
            bar.set_message(cell.id());
            let report = run_cell(plan, part, cell, &bar);
            bar.suspend(|| show(&report));
            reports.push(report);
        }
    }
    bar.finish_and_clear();
    reports
}

fn run_cell(plan: &Plan, part: &Part, cell: &Cell, bar: &ProgressBar) -> CellReport {
    let rows: Vec<&Row> = Plan::rows(part, cell).collect();
    let mut tallies: Vec<Tally> = rows.iter().map(|_| Tally::default()).collect();
    let budget = plan.budget_of(cell);
    let step = budget.as_millis() as u64;
    // Slow rows drain for longer than the budget; the bar only promises what is planned.
    let mut rounds = |count: usize, pass: Pass, put: fn(&mut Tally, Sample)| {
        for round in 0..count {
            for turn in 0..rows.len() {
                let i = (turn + round) % rows.len();
                put(&mut tallies[i], (rows[i].run)(cell, pass));
                bar.inc(step);
            }
        }
    };
    if cell.timed {
        for row in &rows {
            (row.run)(cell, Pass::Time(WARM_UP));
        }
        rounds(plan.rounds, Pass::Time(budget), Tally::timed);
        if cell.latency {
            rounds(LATENCY_ROUNDS, Pass::Latency(budget), Tally::latency);
        }
    } else {
        for (row, tally) in rows.iter().zip(&mut tallies) {
            tally.memory = probe::elsewhere(cell, row);
            bar.inc(step);
        }
    }
    let reports = rows.iter().zip(tallies).map(|(row, tally)| tally.report(row)).collect();
    CellReport::new(cell, (part.kind.about_workload)(cell.workload), reports)
}
