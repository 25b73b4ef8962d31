//! What the project has promised of its maps.

use super::data::{CellReport, RowReport};
use super::targets::Target;

const HASH: &str = "latchfree::HashMap";
const COPY: &str = "latchfree::CopyMap";
const ORDERED: &str = "latchfree::OrderedMap";

/// The targets that the measured cells say something about, over words.
pub fn check(cells: &[CellReport]) -> Vec<Target> {
    let mut targets = Vec::new();
    for cell in cells.iter().filter(|cell| cell.value == "u64") {
        let name = format!("{} {} {}", cell.kind, cell.workload, cell.label);
        if let Some(row) = cell.row(HASH) {
            hash_map(cell, row, &format!("{name}: HashMap"), &mut targets);
        }
        if let Some(row) = cell.row(COPY) {
            copy_map(cell, row, &format!("{name}: CopyMap"), &mut targets);
        }
        if let Some(row) = cell.row(ORDERED) {
            ordered_map(cell, row, &name, &mut targets);
        }
    }
    targets
}

/// Look-ups and mixes of single keys, by the entries: those that hold for every spread of keys.
fn points(workload: &str) -> Option<&str> {
    let rest = workload.strip_prefix("read")?;
    let (_, size) = rest.split_once('-')?;
    (!size.ends_with("-pinned")).then(|| size.split('-').next().unwrap_or(size))
}

fn hash_map(cell: &CellReport, row: &RowReport, name: &str, targets: &mut Vec<Target>) {
    match (cell.workload, points(cell.workload), cell.threads) {
        ("read-1k", _, 1) => {
            targets.extend(cost(cell, row, "unshared HashMap", name, 1.3));
            targets.extend(best_peer(row, name, 1.0));
        }
        ("read-1m", _, 1) => {
            targets.extend(speed(cell, row, "papaya", name, 1.5));
            targets.extend(best_peer(row, name, 0.75));
        }
        ("get-many-1m", _, 1) => targets.extend(best_peer(row, name, 1.0)),
        (_, Some("1k"), 2..) => targets.extend(best_peer(row, name, 1.0)),
        (_, Some("1m"), 2..) => targets.extend(best_peer(row, name, 0.8)),
        ("grow" | "grow-10m", _, threads) => {
            if threads > 1 {
                targets.extend(best_peer(row, name, 1.0));
            }
            targets.extend(tails(cell, row, name));
        }
        ("memory", _, _) => targets.extend(cost(cell, row, "papaya", name, 1.0)),
        _ => {}
    }
}

fn copy_map(cell: &CellReport, row: &RowReport, name: &str, targets: &mut Vec<Target>) {
    let is_walk = cell.workload.contains("walk");
    match (cell.workload, points(cell.workload), cell.threads) {
        ("memory", _, _) => targets.extend(cost(cell, row, "papaya", name, 1.0)),
        ("grow" | "grow-10m", _, _) => {
            targets.extend(best_peer(row, name, 1.0));
            targets.extend(tails(cell, row, name));
        }
        (_, Some(_), 2..) => targets.extend(best_peer(row, name, 1.2)),
        (workload, _, 1) if !is_walk => {
            targets.extend(best_peer(row, name, 1.0));
            if workload == "read-1m" {
                targets.extend(cost(cell, row, "unshared HashMap", name, 1.4));
            }
        }
        _ => {}
    }
}

fn ordered_map(cell: &CellReport, row: &RowReport, name: &str, targets: &mut Vec<Target>) {
    if cell.workload == "memory" {
        return;
    }
    if cell.threads == 1 {
        targets.extend(speed(cell, row, "crossbeam SkipMap", name, 3.0));
        targets.extend(match cell.workload {
            "read-1m" => speed(cell, row, "unshared BTreeMap", name, 1.0),
            "scan100" => speed(cell, row, "concurrent-map", name, 1.0),
            "read50-1k" | "read50-1m" => speed(cell, row, "std Mutex<BTreeMap>", name, 1.0),
            _ => None,
        });
    } else {
        let reads = cell.workload.starts_with("read-") || cell.workload.starts_with("scan");
        targets.extend(best_peer(row, name, if reads { 1.5 } else { 1.0 }));
    }
    if cell.workload == "timers" {
        if cell.threads == 4 {
            targets.extend(speed(cell, row, "std Mutex<BTreeMap>", name, 3.0));
        }
        targets.extend(tail(cell, row, name, "p99.9", |row| Some(row.latency.as_ref()?.p99_9)));
    }
}

fn best_peer(row: &RowReport, name: &str, bound: f64) -> Option<Target> {
    Some(Target::at_least(format!("{name}: speed relative to the best peer"), row.speed?, bound))
}

fn speed(cell: &CellReport, row: &RowReport, other: &str, name: &str, bound: f64) -> Option<Target> {
    let ratio = cell.row(other)?.cost? / row.cost?;
    Some(Target::at_least(format!("{name}: speed relative to {other}"), ratio, bound))
}

fn cost(cell: &CellReport, row: &RowReport, other: &str, name: &str, bound: f64) -> Option<Target> {
    let ratio = row.cost? / cell.row(other)?.cost?;
    Some(Target::at_most(format!("{name}: cost relative to {other}"), ratio, bound))
}

fn tails(cell: &CellReport, row: &RowReport, name: &str) -> Vec<Target> {
    let p99_999 = tail(cell, row, name, "p99.999", |row| Some(row.latency.as_ref()?.p99_999));
    let longest = tail(cell, row, name, "longest", |row| Some(row.latency.as_ref()?.max));
    p99_999.into_iter().chain(longest).collect()
}

/// Against the least of all peers, whichever it is.
fn tail(
    cell: &CellReport,
    row: &RowReport,
    name: &str,
    what: &str,
    of: fn(&RowReport) -> Option<u64>,
) -> Option<Target> {
    let peers = cell.rows.iter().filter(|row| row.role == crate::plan::Role::Peer);
    let least = peers.filter_map(of).min()?.max(1);
    let ratio = of(row)? as f64 / least as f64;
    Some(Target::at_most(format!("{name}: {what} latency relative to the least of any peer"), ratio, 1.0))
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::{cell, row};
    use super::*;
    use crate::plan::Role;

    fn met(cell: &CellReport) -> Vec<(f64, bool)> {
        check(std::slice::from_ref(cell)).iter().map(|t| (t.measured, t.met)).collect()
    }

    #[test]
    fn targets_are_checked_against_the_right_rows() {
        let rows = vec![
            row(HASH, Role::Ours, 12.0),
            row("papaya", Role::Peer, 30.0),
            row("scc HashIndex", Role::Peer, 15.0),
            row("unshared HashMap", Role::Limit, 10.0),
        ];
        // 1.2 times the limit's cost, 1.25 times the best peer's speed.
        let read = cell("read-1k", 1, rows.clone());
        assert_eq!(met(&read), [(1.2, true), (1.25, true)]);
        // 2.5 times papaya's speed.
        let read = cell("read-1m", 1, rows.clone());
        assert_eq!(met(&read), [(2.5, true), (1.25, true)]);
        // The bounds depend on the size and on the structure.
        let mixed = cell("read50-1m-zipf", 2, rows);
        assert_eq!(met(&mixed), [(1.25, true)]);

        let rows = vec![
            row(ORDERED, Role::Ours, 100.0),
            row("crossbeam SkipMap", Role::Peer, 350.0),
            row("concurrent-map", Role::Peer, 120.0),
        ];
        let scan = cell("scan100", 1, rows.clone());
        assert_eq!(met(&scan), [(3.5, true), (1.2, true)]);
        let scan = cell("scan100", 2, rows);
        assert_eq!(met(&scan), [(1.2, false)]);
    }
}
