//! What the project has promised of itself, and whether this run shows it.

use serde::Serialize;

use super::data::{CellReport, RowReport};

const OURS: &str = "latchfree::Queue";
const SEG: &str = "crossbeam SegQueue";

#[derive(Clone, Debug, Serialize)]
pub struct Target {
    pub what: String,
    pub measured: f64,
    pub bound: f64,
    /// Whether `measured` has to be at least the bound, or else at most.
    pub at_least: bool,
    pub met: bool,
}

impl Target {
    pub fn at_least(what: String, measured: f64, bound: f64) -> Self {
        Target { what, measured, bound, at_least: true, met: measured >= bound }
    }

    pub fn at_most(what: String, measured: f64, bound: f64) -> Self {
        Target { what, measured, bound, at_least: false, met: measured <= bound }
    }

    pub fn bound_text(&self) -> String {
        format!("{} {}", if self.at_least { "≥" } else { "≤" }, self.bound)
    }
}

/// The targets that the measured cells say something about.
pub fn check(cells: &[CellReport]) -> Vec<Target> {
    let mut targets = Vec::new();
    let single = find(cells, "pairs", 1).and_then(|cell| cell.row(OURS)).and_then(|row| row.cost);
    for cell in cells {
        if let Some(ratio) = pin(cell) {
            targets.push(Target::at_most(
                "pin + unpin, cost relative to crossbeam_epoch::pin".into(),
                ratio,
                0.35,
            ));
        }
        if cell.kind == "stack" && cell.value == "u64" {
            targets.extend(stack(cell));
        }
        targets.extend(bounded(cell));
        targets.extend(stopped(cell));
        if cell.kind != "queue" || cell.value != "u64" {
            continue;
        }
        let Some(ours) = cell.row(OURS) else { continue };
        let over_seg = cell.row(SEG).and_then(|seg| ratio(seg, ours));
        let name = format!("{} {}", cell.workload, cell.label);
        match (cell.workload, cell.threads) {
            ("pairs", 1) => targets.extend(over_seg.map(|s| at_least(&name, "SegQueue", s, 1.4))),
            ("burst", 1) => targets.extend(over_seg.map(|s| at_least(&name, "SegQueue", s, 1.3))),
            ("batch32", 1) => targets.extend(
                single
                    .zip(ours.cost)
                    .map(|(single, batch)| at_least(&name, "own single operations", single / batch, 4.0)),
            ),
            ("pairs", _) => targets.extend(ours.speed.map(|s| at_least(&name, "the best peer", s, 1.5))),
            ("flow", _) => targets.extend(ours.speed.map(|s| at_least(&name, "the best peer", s, 1.0))),
            _ => {}
        }
        if let (Some(own), Some(seg)) = (&ours.latency, cell.row(SEG).and_then(|seg| seg.latency.as_ref())) {
            let relative = own.p99_9 as f64 / seg.p99_9.max(1) as f64;
            targets.push(Target::at_most(
                format!("{name}: p99.9 latency relative to SegQueue"),
                relative,
                1.0,
            ));
        }
        if let (Some(unfairness), "pairs") = (ours.unfairness, cell.workload) {
            targets.push(Target::at_most(
                format!("{name}: most over fewest operations of a thread"),
                unfairness,
                4.0,
            ));
        }
    }
    targets.extend(super::map_targets::check(cells));
    targets
}

fn at_least(name: &str, whom: &str, measured: f64, bound: f64) -> Target {
    Target::at_least(format!("{name}: speed relative to {whom}"), measured, bound)
}

fn stack(cell: &CellReport) -> Option<Target> {
    let ours = cell.row("latchfree::Stack")?;
    let over_mutex = ratio(cell.row("parking_lot Mutex<Vec>")?, ours)?;
    let name = format!("stack {} {}", cell.workload, cell.label);
    match (cell.workload, cell.threads) {
        ("pairs", 1) => Some(at_least(&name, "parking_lot Mutex<Vec>", over_mutex, 1.2)),
        ("pairs", _) => Some(at_least(&name, "the best peer", ours.speed?, 1.5)),
        ("burst", 1) => Some(at_least(&name, "parking_lot Mutex<Vec>", over_mutex, 0.9)),
        _ => None,
    }
}

fn find<'a>(cells: &'a [CellReport], workload: &str, threads: usize) -> Option<&'a CellReport> {
    cells
        .iter()
        .find(|c| c.kind == "queue" && c.workload == workload && c.threads == threads && c.value == "u64")
}

/// How many times as fast `ours` is as `other`.
fn ratio(other: &RowReport, ours: &RowReport) -> Option<f64> {
    Some(other.cost? / ours.cost?)
}

fn pin(cell: &CellReport) -> Option<f64> {
    if cell.kind != "pin" {
        return None;
    }
    Some(cell.row("latchfree::pin")?.cost? / cell.row("crossbeam_epoch::pin")?.cost?)
}

/// The bounded queue's.
fn bounded(cell: &CellReport) -> Option<Target> {
    if cell.kind != "bounded" || cell.value != "u64" {
        return None;
    }
    let ours = cell.row("latchfree::BoundedQueue")?;
    let over_array = ratio(cell.row("crossbeam ArrayQueue")?, ours)?;
    let name = format!("bounded {} {}", cell.workload, cell.label);
    match (cell.workload, cell.threads) {
        ("pairs", 1) => Some(at_least(&name, "ArrayQueue", over_array, 0.95)),
        ("batch32", 1) => Some(at_least(&name, "ArrayQueue", over_array, 3.0)),
        ("pairs", _) => Some(at_least(&name, "the best peer", ours.speed?, 1.5)),
        ("flow", _) => Some(at_least(&name, "the best peer", ours.speed?, 1.0)),
        _ => None,
    }
}

/// A stopped thread stops nobody: in no trial of ours did the others stand still until the victim went on.
fn stopped(cell: &CellReport) -> Vec<Target> {
    if cell.kind != "stopped" {
        return Vec::new();
    }
    ["latchfree::BoundedQueue", OURS, "latchfree::Stack"]
        .into_iter()
        .filter_map(|name| {
            let trials = cell.row(name)?.trials?;
            let what = format!("{name}: trials in which the others stood still beside a stopped thread");
            Some(Target::at_most(what, trials.stood_still as f64, 0.0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::{cell, row};
    use super::*;
    use crate::plan::Role;

    #[test]
    fn targets_are_checked_against_the_right_rows() {
        let cells = [
            cell("pairs", 1, vec![row(OURS, Role::Ours, 20.0), row(SEG, Role::Peer, 30.0)]),
            cell("pairs", 2, vec![row(OURS, Role::Ours, 20.0), row(SEG, Role::Peer, 28.0)]),
            cell("batch32", 1, vec![row(OURS, Role::Ours, 4.0), row(SEG, Role::Peer, 30.0)]),
        ];
        let targets = check(&cells);
        let met: Vec<(f64, bool)> = targets.iter().map(|t| (t.measured, t.met)).collect();
        assert_eq!(met, [(1.5, true), (1.4, false), (5.0, true)]);
    }
}
