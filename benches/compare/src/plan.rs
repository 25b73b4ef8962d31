//! What is measured: kinds of structures, their rows (ours and the peers) and cells (a workload with a
//! value type and a number of threads).

use std::time::Duration;

use regex::Regex;

use crate::estimate::Estimate;
use crate::measure::{Pass, Sample};

/// Whose row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Ours,
    Peer,
    /// No structure but a bound on what one could do; never "the best peer".
    Limit,
}

/// One contestant.
pub struct Row {
    pub name: &'static str,
    pub role: Role,
    /// What a reader has to know about it, such as "bounded"; may be empty.
    pub note: &'static str,
    pub supports: fn(&Cell) -> bool,
    pub run: fn(&Cell, Pass) -> Sample,
}

/// One workload with one value type and one number of threads.
#[derive(Clone, Debug)]
pub struct Cell {
    pub kind: &'static str,
    pub workload: &'static str,
    pub value: &'static str,
    pub threads: usize,
    /// The threads as people say them: `2`, `1P1C`.
    pub label: String,
    pub unit: &'static str,
    pub timed: bool,
    pub latency: bool,
}

impl Cell {
    /// The name that `--filter` sees.
    pub fn id(&self) -> String {
        format!("{}/{}/{}/{}", self.kind, self.workload, self.value, self.label)
    }
}

/// A kind of structure. A new kind is one adapter file and one workload file, listed in `kinds`.
pub struct Kind {
    pub name: &'static str,
    pub about: &'static str,
    pub rows: Vec<Row>,
    pub cells: fn(&Scope) -> Vec<Cell>,
    /// A sentence about each workload, for the report.
    pub about_workload: fn(&str) -> &'static str,
}

/// What the user's options leave to be measured.
pub struct Scope {
    pub quick: bool,
    /// Also the cells that a usual run leaves out for their time.
    pub all: bool,
    pub threads: Vec<usize>,
}

pub fn kinds() -> Vec<Kind> {
    vec![
        #[cfg(feature = "queue")]
        crate::workloads::queue::kind(),
        #[cfg(feature = "bounded")]
        crate::workloads::bounded::kind(),
        #[cfg(feature = "stack")]
        crate::workloads::stack::kind(),
        #[cfg(feature = "hash")]
        crate::workloads::hash::kind(),
        #[cfg(feature = "ordered")]
        crate::workloads::ordered::kind(),
        #[cfg(feature = "pin")]
        crate::workloads::pin::kind(),
        #[cfg(feature = "stopped")]
        crate::workloads::stopped::kind(),
    ]
}

/// Thread numbers from one to four times the cores; with many cores not every power of two.
pub fn default_threads(cores: usize, quick: bool) -> Vec<usize> {
    let mut threads = if quick { vec![1, cores, 4 * cores] } else { vec![1, 2, cores, 2 * cores, 4 * cores] };
    threads.sort_unstable();
    threads.dedup();
    threads
}

/// One kind with the cells that are left of it.
pub struct Part {
    pub kind: Kind,
    pub cells: Vec<Cell>,
}

pub struct Plan {
    pub parts: Vec<Part>,
    pub rounds: usize,
    pub budget: Duration,
}

/// Fewer say nothing of how far runs are apart.
pub const FEWEST_ROUNDS: usize = 3;
/// What makes a run mean something, and what makes a longer one no better, in milliseconds.
const BUDGETS: std::ops::RangeInclusive<f64> = 12.0..=40.0;

impl Plan {
    pub fn new(scope: &Scope, filter: Option<&Regex>, rounds: usize, aim: Duration) -> Self {
        let parts: Vec<Part> = kinds()
            .into_iter()
            .map(|kind| {
                let mut cells = (kind.cells)(scope);
                cells.retain(|cell| filter.is_none_or(|f| f.is_match(&cell.id())));
                Part { kind, cells }
            })
            .filter(|part| !part.cells.is_empty())
            .collect();
        // The budget of a run follows from the aim.
        let mut plan = Plan { parts, rounds, budget: Duration::ZERO };
        let fixed = plan.duration();
        plan.budget = Duration::from_millis(1);
        let weight = (plan.duration() - fixed).as_secs_f64().max(1e-6);
        let budget =
            (aim.saturating_sub(fixed).as_secs_f64() / weight).clamp(*BUDGETS.start(), *BUDGETS.end());
        plan.budget = Duration::from_secs_f64(budget / 1e3);
        plan
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// All cells with their kinds, in the order in which they run.
    pub fn cells(&self) -> impl Iterator<Item = (&Part, &Cell)> {
        self.parts.iter().flat_map(|part| part.cells.iter().map(move |cell| (part, cell)))
    }

    /// Runs of a cell: more threads than cores need longer, until each has had several turns.
    pub fn budget_of(&self, cell: &Cell) -> Duration {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if cell.threads > cores { self.budget * 2 } else { self.budget }
    }

    pub fn rounds_of(&self, cell: &Cell) -> usize {
        self.rounds.min(Estimate::of(cell).rounds)
    }

    /// Rounds with timestamps: latency needs many operations more than many rounds.
    pub fn latency_rounds_of(&self, cell: &Cell) -> usize {
        self.rounds.div_ceil(3).min(Estimate::of(cell).latency_rounds)
    }

    /// The rows that can run in the cell.
    pub fn rows<'a>(part: &'a Part, cell: &'a Cell) -> impl Iterator<Item = &'a Row> + 'a {
        part.kind.rows.iter().filter(move |row| (row.supports)(cell))
    }

    /// What one row of the cell takes.
    pub fn duration_of_row(&self, cell: &Cell) -> Duration {
        let estimate = Estimate::of(cell);
        let window = if estimate.window { self.budget_of(cell).as_secs_f64() * 1e3 } else { 0.0 };
        let mut ms = estimate.once;
        if cell.timed {
            ms += self.rounds_of(cell) as f64 * (window + estimate.run);
        }
        if cell.latency {
            ms += self.latency_rounds_of(cell) as f64 * (window + estimate.latency_run);
        }
        Duration::from_secs_f64(ms / 1e3)
    }

    pub fn duration_of(&self, part: &Part, cell: &Cell) -> Duration {
        self.duration_of_row(cell) * Self::rows(part, cell).count() as u32
    }

    /// Clock time of the whole.
    pub fn duration(&self) -> Duration {
        self.cells().map(|(part, cell)| self.duration_of(part, cell)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_reach_four_times_the_cores() {
        assert_eq!(default_threads(2, false), [1, 2, 4, 8]);
        assert_eq!(default_threads(1, false), [1, 2, 4]);
        assert_eq!(default_threads(16, false), [1, 2, 16, 32, 64]);
        assert_eq!(default_threads(2, true), [1, 2, 8]);
    }

    #[test]
    fn ids_are_unique_and_filters_select() {
        let scope = Scope { quick: false, all: true, threads: vec![1, 2, 4, 8] };
        let aim = Duration::from_secs(200);
        let plan = Plan::new(&scope, None, 9, aim);
        let mut ids: Vec<String> = plan.parts.iter().flat_map(|p| p.cells.iter().map(Cell::id)).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
        let pairs = Plan::new(&scope, Some(&Regex::new("queue/pairs/").unwrap()), 9, aim);
        assert!(pairs.parts.iter().all(|p| p.cells.iter().all(|c| c.workload == "pairs")));
        assert!(Plan::new(&scope, Some(&Regex::new("no such cell").unwrap()), 9, aim).is_empty());
    }
}
