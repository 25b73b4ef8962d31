//! The memory pass, in a process of its own for each row: reclaimers are global, and would otherwise
//! free or keep during one row what another row has retired.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::measure::{Memory, Pass};
use crate::plan::{self, Cell, Row, Scope};

/// A pass that has not ended by then hangs; less than what `watch` allows this process.
const HANGS: Duration = Duration::from_secs(50);
const TICK: Duration = Duration::from_millis(10);

/// Asks a new process of this program.
pub fn elsewhere(cell: &Cell, row: &Row) -> Option<Memory> {
    let program = std::env::current_exe().ok()?;
    let mut probe = Command::new(program)
        .args(["--probe-memory", &cell.id(), row.name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    // Its one line fits into the pipe.
    for _ in 0..HANGS.as_millis() / TICK.as_millis() {
        if let Some(status) = probe.try_wait().ok()? {
            let mut line = String::new();
            probe.stdout.take()?.read_to_string(&mut line).ok()?;
            return status.success().then(|| serde_json::from_str(&line).ok())?;
        }
        thread::sleep(TICK);
    }
    probe.kill().and_then(|()| probe.wait()).ok()?;
    None
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
