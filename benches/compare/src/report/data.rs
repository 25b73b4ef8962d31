//! Results as plain data; what is written to `results.json`.

use serde::Serialize;

use crate::env::Machine;
use crate::measure::{Memory, Trials};
use crate::plan::{Cell, Role, Row};
use crate::report::targets::Target;
use crate::run::Measured;
use crate::stats::{self, Latency};

#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub settings: Settings,
    pub cells: Vec<CellReport>,
    pub targets: Vec<Target>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub quick: bool,
    pub filter: Option<String>,
    pub threads: Vec<usize>,
    pub rounds: usize,
    pub ms_per_run: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct CellReport {
    pub id: String,
    pub kind: &'static str,
    pub workload: &'static str,
    pub value: &'static str,
    pub threads: usize,
    pub label: String,
    /// What `cost` is counted in; less is better in every unit.
    pub unit: &'static str,
    pub about: &'static str,
    pub best_peer: Option<&'static str>,
    /// What the cell took, and what the plan expected.
    pub seconds: f64,
    pub planned_seconds: f64,
    /// Cheapest first.
    pub rows: Vec<RowReport>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RowReport {
    pub name: &'static str,
    pub role: Role,
    pub note: &'static str,
    /// The median over rounds, in the cell's unit.
    pub cost: Option<f64>,
    /// The least and the most of any round.
    pub range: (f64, f64),
    /// The best peer's cost over this one: above 1 beats every peer.
    pub speed: Option<f64>,
    pub cpu_ns: Option<f64>,
    /// Most operations of a thread over the fewest of a thread, median over rounds.
    pub unfairness: Option<f64>,
    pub latency: Option<Latency>,
    pub memory: Option<Memory>,
    /// Over all rounds.
    pub trials: Option<Trials>,
    pub samples: Vec<f64>,
    /// A run of it did not end, so that it was left out.
    pub hung: bool,
}

impl RowReport {
    pub fn new(row: &Row, measured: Measured, hung: bool) -> Self {
        let costs = match &measured.memory {
            Some(memory) => vec![memory.bytes_per_element],
            None => measured.ns,
        };
        RowReport {
            name: row.name,
            role: row.role,
            note: row.note,
            cost: stats::median(&costs),
            range: stats::range(&costs),
            speed: None,
            cpu_ns: stats::median(&measured.cpu),
            unfairness: stats::median(&measured.unfairness),
            latency: measured.latency,
            memory: measured.memory,
            trials: measured.trials,
            samples: costs,
            hung,
        }
    }
}

impl CellReport {
    pub fn new(cell: &Cell, about: &'static str, mut rows: Vec<RowReport>) -> Self {
        let cost = |row: &RowReport| row.cost.unwrap_or(f64::INFINITY);
        rows.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        let best = rows.iter().find(|row| row.role == Role::Peer && row.cost.is_some());
        let (best_peer, best_cost) = (best.map(|row| row.name), best.and_then(|row| row.cost));
        for row in &mut rows {
            row.speed = best_cost.zip(row.cost).map(|(best, own)| stats::speed(best, own));
        }
        CellReport {
            id: cell.id(),
            kind: cell.kind,
            workload: cell.workload,
            value: cell.value,
            threads: cell.threads,
            label: cell.label.clone(),
            unit: cell.unit,
            about,
            best_peer,
            seconds: 0.0,
            planned_seconds: 0.0,
            rows,
        }
    }

    pub fn took(mut self, seconds: f64, planned: f64) -> Self {
        (self.seconds, self.planned_seconds) = (seconds, planned);
        self
    }

    pub fn row(&self, name: &str) -> Option<&RowReport> {
        self.rows.iter().find(|row| row.name == name)
    }

    pub fn best_peer_row(&self) -> Option<&RowReport> {
        self.row(self.best_peer?)
    }

    /// Our rows with a verdict: one a structure, and not the variants that are named with a bracket.
    pub fn candidates(&self) -> impl Iterator<Item = &RowReport> {
        self.rows.iter().filter(|row| row.role == Role::Ours && !row.name.contains('('))
    }
}

impl Report {
    /// In how many cells each of our structures is ahead, even and behind; one without a number is behind.
    pub fn scores(&self) -> Vec<(&'static str, [usize; 3])> {
        let mut scores: Vec<(&'static str, [usize; 3])> = Vec::new();
        for cell in self.cells.iter().filter(|cell| cell.best_peer.is_some()) {
            for ours in cell.candidates() {
                let at = match ours.speed.map_or(Verdict::Behind, Verdict::of) {
                    Verdict::Ahead => 0,
                    Verdict::Even => 1,
                    Verdict::Behind => 2,
                };
                match scores.iter_mut().find(|(name, _)| *name == ours.name) {
                    Some((_, score)) => score[at] += 1,
                    None => {
                        let mut score = [0; 3];
                        score[at] = 1;
                        scores.push((ours.name, score));
                    }
                }
            }
        }
        scores
    }
}

/// What a ratio to the best peer means; differences below three percent mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ahead,
    Even,
    Behind,
}

impl Verdict {
    pub fn of(speed: f64) -> Self {
        match speed {
            s if s >= 1.03 => Verdict::Ahead,
            s if s <= 0.97 => Verdict::Behind,
            _ => Verdict::Even,
        }
    }
}

/// The verdict on a row that hung or failed.
pub const NO_NUMBER: &str = "▼ no number";

/// A verdict that no colour is needed to read.
pub fn verdict(speed: f64) -> String {
    match Verdict::of(speed) {
        Verdict::Ahead => format!("▲ ahead {speed:.2}×"),
        Verdict::Behind => format!("▼ behind {speed:.2}×"),
        Verdict::Even => format!("= even {speed:.2}×"),
    }
}

/// Three significant digits or so, without exponents.
pub fn short(x: f64) -> String {
    match x.abs() {
        a if !a.is_finite() => "-".into(),
        a if a >= 100.0 => format!("{x:.0}"),
        a if a >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    }
}

/// Nanoseconds in the unit that keeps them readable.
pub fn duration(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{} µs", short(ns as f64 / 1e3)),
        _ => format!("{} ms", short(ns as f64 / 1e6)),
    }
}

pub fn bytes(count: i64) -> String {
    match count.unsigned_abs() {
        0..10_240 => format!("{count} B"),
        10_240..10_485_760 => format!("{} KiB", short(count as f64 / 1024.0)),
        _ => format!("{} MiB", short(count as f64 / 1_048_576.0)),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn row(name: &'static str, role: Role, cost: f64) -> RowReport {
        RowReport {
            name,
            role,
            note: "",
            cost: Some(cost),
            range: (cost, cost),
            speed: None,
            cpu_ns: None,
            unfairness: None,
            latency: None,
            memory: None,
            trials: None,
            samples: vec![cost],
            hung: false,
        }
    }

    pub fn cell(workload: &'static str, threads: usize, rows: Vec<RowReport>) -> CellReport {
        let cell = Cell {
            kind: "queue",
            workload,
            value: "u64",
            threads,
            label: threads.to_string(),
            unit: "ns/item",
            timed: true,
            latency: false,
        };
        CellReport::new(&cell, "about", rows)
    }

    #[test]
    fn limits_are_no_peers() {
        let rows = vec![
            row("ours", Role::Ours, 20.0),
            row("slow", Role::Peer, 90.0),
            row("fast", Role::Peer, 30.0),
            row("limit", Role::Limit, 1.0),
        ];
        let cell = cell("pairs", 2, rows);
        assert_eq!(cell.best_peer, Some("fast"));
        assert_eq!(cell.candidates().next().unwrap().speed, Some(1.5));
        assert_eq!(cell.row("slow").unwrap().speed, Some(30.0 / 90.0));
        assert_eq!(cell.rows[0].name, "limit");
    }

    #[test]
    fn verdicts_say_losses_as_plainly_as_wins() {
        assert_eq!(verdict(1.5), "▲ ahead 1.50×");
        assert_eq!(verdict(0.5), "▼ behind 0.50×");
        assert_eq!(verdict(1.0), "= even 1.00×");
    }

    #[test]
    fn a_row_without_a_number_is_behind() {
        let mut hung = row("ours", Role::Ours, 1.0);
        (hung.cost, hung.hung) = (None, true);
        let cell = cell("pairs", 2, vec![hung, row("peer", Role::Peer, 2.0)]);
        assert_eq!((cell.rows[1].name, cell.rows[1].speed), ("ours", None));
        assert_eq!(super::super::terminal::tag(&cell, &cell.rows[1]), "hung");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            (short(1234.6), short(12.34), short(1.234)),
            ("1235".into(), "12.3".into(), "1.23".into())
        );
        assert_eq!((duration(950), duration(1_500_000)), ("950 ns".into(), "1500 µs".into()));
        assert_eq!((bytes(100), bytes(2_097_152)), ("100 B".into(), "2048 KiB".into()));
    }
}
