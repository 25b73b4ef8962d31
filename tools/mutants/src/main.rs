//! Weakens every ordering and removes every barrier and re-check of the library, one at a time, and runs those loom models of
//! its room over each that come to the place: a mutant that no model notices is a hole in the models, or an ordering that is stronger than it need be.
//!
//! Nothing is compiled again for a mutant. The loom build of the library asks at each atomic access whether this is
//! the place to change (`src/sync/mutant.rs`), and the place is named by an environment variable.
//!
//! A survivor is unexplained unless a comment above the place says `No model can tell:` and why.

mod models;
mod scan;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rayon::prelude::*;

use crate::models::Models;
use crate::scan::Mutant;
use crate::table::Row;

/// Where the table is kept, from the root of the workspace.
const TABLE: &str = "src/docs/mutants.md";

/// Weakens one ordering at a time and reports what the loom models notice.
#[derive(Parser)]
struct Options {
    /// Only files that differ from this commit (HEAD if none is named).
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, default_missing_value = "HEAD")]
    changed: Option<String>,
    /// Only files whose path contains this.
    #[arg(long, value_name = "TEXT")]
    file: Option<String>,
    /// Only the places on this line of the files.
    #[arg(long)]
    line: Option<usize>,
    /// Only those that the table does not have as killed.
    #[arg(long)]
    open: bool,
    /// Write the outcomes to the table, src/docs/mutants.md; what was not run keeps its row there.
    #[arg(long)]
    write: bool,
    /// Run none: whether the table has a row for each mutant of the sources, and none unexplained.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// List the mutants and run none.
    #[arg(long)]
    list: bool,
    /// Seconds after which one model of a mutant is given up.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Mutants at the same time (the machine's threads if not given).
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let root = root()?;
    let mut mutants = scan::scan(&root)?;
    let all = mutants.clone();
    if options.check {
        let rows = merged(&root, all, Vec::new())?;
        for row in rows.iter().filter(|row| row.is_unexplained()) {
            println!("{}: {}", row.mutant, row.outcome.as_deref().unwrap_or("not run"));
        }
        return Ok(end(&rows));
    }
    if let Some(commit) = &options.changed {
        let changed = changed(&root, commit)?;
        mutants.retain(|mutant| changed.iter().any(|path| Path::new(path) == mutant.file));
    }
    if let Some(text) = &options.file {
        mutants.retain(|mutant| mutant.file.to_string_lossy().contains(text.as_str()));
    }
    if let Some(line) = options.line {
        mutants.retain(|mutant| mutant.line == line);
    }
    if options.open {
        let open: Vec<_> =
            merged(&root, all.clone(), Vec::new())?.iter().map(|row| !row.is_killed()).collect();
        mutants.retain(|mutant| {
            let at = all.iter().position(|other| other.place() == mutant.place());
            at.is_some_and(|at| open[at])
        });
    }
    if options.list {
        mutants.iter().for_each(|mutant| println!("{mutant}"));
        println!("{} mutants", mutants.len());
        return Ok(ExitCode::SUCCESS);
    }

    let models = Models::build(&root, &mutants, options.timeout)?;
    if let Some(jobs) = options.jobs {
        rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global()?;
    }
    let (total, done) = (mutants.len(), Mutex::new(Vec::new()));
    mutants.into_par_iter().try_for_each(|mutant| {
        let row = Row::new(models.run(&mutant)?, mutant);
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!(
            "{}/{total} {}: {}",
            done.len() + 1,
            row.mutant,
            row.outcome.as_deref().unwrap_or_default()
        );
        if options.write {
            // Now, so that a run that is broken off was not in vain.
            write(&root, all.clone(), vec![row.clone()])?;
        }
        done.push(row);
        anyhow::Ok(())
    })?;
    let mut rows = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if options.write {
        write(&root, all, Vec::new())?;
    } else {
        rows.sort_by_key(|row| (row.mutant.file.clone(), row.mutant.line));
        print!("{}", table::markdown(&rows));
    }
    Ok(end(&rows))
}

/// Says how many there are of each kind; a failure if one is unexplained.
fn end(rows: &[Row]) -> ExitCode {
    eprintln!("{}", table::summary(rows));
    if rows.iter().any(Row::is_unexplained) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The table anew, with these rows in it.
fn write(root: &Path, all: Vec<Mutant>, rows: Vec<Row>) -> Result<()> {
    let page = table::markdown(&merged(root, all, rows)?);
    std::fs::write(root.join(TABLE), page).with_context(|| format!("writing {TABLE}"))
}

/// A row for each mutant of the sources: from this run, or else from the table as it is.
fn merged(root: &Path, all: Vec<Mutant>, rows: Vec<Row>) -> Result<Vec<Row>> {
    let page = match std::fs::read_to_string(root.join(TABLE)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        page => page.with_context(|| format!("reading {TABLE}"))?,
    };
    let mut outcomes = table::outcomes(&page);
    outcomes.extend(rows.into_iter().filter_map(|row| Some((table::key(&row.mutant), row.outcome?))));
    Ok(all
        .into_iter()
        .map(|mutant| Row { outcome: outcomes.get(&table::key(&mutant)).cloned(), mutant })
        .collect())
}

fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).context("this package lies two folders below the workspace")?;
    ensure!(root.join("src/sync.rs").exists(), "{} is not the workspace", root.display());
    Ok(root.to_path_buf())
}

/// Files that differ from a commit, from the root.
fn changed(root: &Path, commit: &str) -> Result<Vec<String>> {
    let output = Command::new("git").args(["diff", "--name-only", commit]).current_dir(root).output()?;
    ensure!(output.status.success(), "git diff: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}
