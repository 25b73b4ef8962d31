//! Runs latchfree's structures beside their peers on this machine, and says who wins by how much.
//!
//! `benches/README.md` explains the workloads and how to read the report.

// With some kinds left out, much serves nobody.
#![cfg_attr(
    not(all(
        feature = "queue",
        feature = "bounded",
        feature = "stack",
        feature = "hash",
        feature = "ordered",
        feature = "pin",
        feature = "stopped"
    )),
    allow(dead_code, unused_imports)
)]

mod adapters;
mod alloc;
mod cli;
mod env;
mod estimate;
mod keys;
mod measure;
mod plan;
mod probe;
mod report;
mod run;
mod stats;
mod values;
mod watch;
mod workloads;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, io};

use clap::Parser;

use crate::cli::Args;
use crate::plan::{Plan, Scope};
use crate::report::data::{Report, Settings};
use crate::report::{files, html, targets, terminal};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// What a run aims at, in clock time; a little less than it promises.
const AIM: Duration = Duration::from_secs(265);
const QUICK_AIM: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    if let Some([cell, row]) = args.probe_memory.as_deref() {
        let memory = probe::here(cell, row).ok_or("no such cell and row")?;
        println!("{}", serde_json::to_string(&memory)?);
        return Ok(());
    }
    let mut threads = args.threads.clone().unwrap_or_else(|| plan::default_threads(env::cores(), args.quick));
    threads.sort_unstable();
    threads.dedup();
    let scope = Scope { quick: args.quick, all: args.all, threads };
    let aim = if args.quick { QUICK_AIM } else { AIM };
    let plan = Plan::new(&scope, args.filter.as_ref(), args.rounds(), aim);
    if plan.is_empty() {
        return Err("no cell matches these options; `--list` without `--filter` names all of them".into());
    }
    if let Some(from) = args.work {
        run::work(&plan, args, from);
        return Ok(());
    }
    if args.list {
        print!("{}", terminal::list(&plan));
        return Ok(());
    }
    if cfg!(debug_assertions) {
        eprintln!("warning: built without optimisation; run it with `cargo run --release -p compare`");
    }
    let out = args.out();
    // Before the measurements, not after: a directory that cannot be made costs minutes otherwise.
    fs::create_dir_all(&out).map_err(|why| format!("cannot make the directory {}: {why}", out.display()))?;

    let began = Instant::now();
    let cells = watch::run(&plan, |cell| println!("{}", terminal::cell(cell)))?;
    let report = Report {
        machine: env::Machine::here(),
        settings: Settings {
            quick: args.quick,
            filter: args.filter.as_ref().map(ToString::to_string),
            threads: scope.threads,
            rounds: plan.rounds,
            ms_per_run: plan.budget.as_secs_f64() * 1e3,
        },
        targets: targets::check(&cells),
        cells,
    };
    println!("{}", terminal::summary(&report));
    write(&out, "results.json", &files::json(&report))?;
    write(&out, "results.csv", &files::csv(&report))?;
    write(&out, "report.html", &html::page(&report)?)?;
    println!(
        "Took {:.0} s, planned {:.0} s. Report: {}",
        began.elapsed().as_secs_f64(),
        plan.duration().as_secs_f64(),
        out.join("report.html").display()
    );
    Ok(())
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = dir.join(name);
    fs::write(&path, text).map_err(|why: io::Error| format!("cannot write {}: {why}", path.display()))
}
