//! The memory pass, in a process of its own for each row: reclaimers are global, and would otherwise
//! free or keep during one row what another row has retired.

use std::process::Command;

use crate::measure::{Memory, Pass};
use crate::plan::{self, Cell, Row, Scope};

/// Asks a new process of this program.
pub fn elsewhere(cell: &Cell, row: &Row) -> Option<Memory> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new(program).args(["--probe-memory", &cell.id(), row.name]).output().ok()?;
    output.status.success().then(|| serde_json::from_slice(&output.stdout).ok())?
}

/// What that process does.
pub fn here(cell: &str, row: &str) -> Option<Memory> {
    let scope = Scope { quick: false, all: true, threads: vec![1] };
    plan::kinds().into_iter().find_map(|kind| {
        let cell = (kind.cells)(&scope).into_iter().find(|c| c.id() == cell)?;
        let row = kind.rows.iter().find(|r| r.name == row)?;
        (row.run)(&cell, Pass::Memory).memory
    })
}
