//! Watches the process that measures: shows how far it is, and ends it if a run does not end.
//!
//! A contestant that hangs (a lock that nobody gives back, a livelock) holds its threads for ever, and no thread can be taken
//! off them from outside; a process can. So measuring has a process of its own, and another one goes on behind the
//! cell, without the row that hung.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::plan::{Cell, Part, Plan, Row};
use crate::report::data::{CellReport, RowReport};
use crate::run::{Event, Measured, left_out};

/// A run that takes so many times what all of its row's in the cell should has hung, but none that is shorter than so many ticks.
const HANGS: (u32, u32) = (20, 15);
/// Silence is counted in these: a machine that was suspended has not been silent for all that time.
const TICK: Duration = Duration::from_secs(1);

/// Runs all of the plan. `show` gets each cell as soon as it is done.
pub fn run(plan: &Plan, mut show: impl FnMut(&CellReport)) -> Result<Vec<CellReport>, String> {
    let cells: Vec<(&Part, &Cell)> = plan.cells().collect();
    let bar = bar(plan);
    let mut without: Vec<String> = Vec::new();
    let mut reports = Vec::new();
    while reports.len() < cells.len() {
        let mut worker = Worker::start(reports.len(), &without)?;
        let mut running: Option<(usize, &Row)> = None;
        loop {
            match worker.next(running.map_or(HANGS.1, |(cell, _)| patience(plan, cells[cell].1))) {
                Heard::Event(Event::Runs { cell, row }) => {
                    let (part, at) = cells[cell];
                    if running.map(|(cell, _)| cell) != Some(cell) {
                        bar.set_message(at.id());
                        bar.set_position(done(plan, &cells[..cell]));
                    }
                    running = Some((cell, Plan::rows(part, at).nth(row).expect("of the same plan")));
                    worker.go_on();
                }
                Heard::Event(Event::Done { cell, seconds, rows }) => {
                    let (part, at) = cells[cell];
                    let report = report(plan, part, at, seconds, rows, &without);
                    bar.set_position(done(plan, &cells[..=cell]));
                    bar.suspend(|| show(&report));
                    reports.push(report);
                }
                Heard::End => break,
                Heard::Nothing => {
                    worker.end();
                    let Some((cell, row)) = running else {
                        return Err("the measuring process does not start".into());
                    };
                    let at = cells[cell].1;
                    let (name, ticks) = (left_out(at, row), patience(plan, at));
                    bar.suspend(|| {
                        eprintln!("{name} did not end a run within {ticks} s and is left out from here on");
                    });
                    without.push(name);
                    break;
                }
            }
        }
        if let Some(why) = worker.failure() {
            return Err(why);
        }
    }
    bar.finish_and_clear();
    Ok(reports)
}

fn bar(plan: &Plan) -> ProgressBar {
    let bar = ProgressBar::new(plan.duration().as_millis() as u64);
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3}%  {eta} left  {msg}")
        .expect("a constant template is valid");
    bar.set_style(style);
    bar
}

/// How many ticks a run of the cell may take.
fn patience(plan: &Plan, cell: &Cell) -> u32 {
    let (times, least) = HANGS;
    (plan.duration_of_row(cell) * times).div_duration_f64(TICK).ceil().max(f64::from(least)) as u32
}

/// Planned milliseconds of some cells.
fn done(plan: &Plan, cells: &[(&Part, &Cell)]) -> u64 {
    cells.iter().map(|(part, cell)| plan.duration_of(part, cell)).sum::<Duration>().as_millis() as u64
}

fn report(
    plan: &Plan,
    part: &Part,
    cell: &Cell,
    seconds: f64,
    rows: Vec<Measured>,
    without: &[String],
) -> CellReport {
    let hung = |row: &Row| without.contains(&left_out(cell, row));
    let rows =
        Plan::rows(part, cell).zip(rows).map(|(row, measured)| RowReport::new(row, measured, hung(row)));
    let planned = plan.duration_of(part, cell).as_secs_f64();
    CellReport::new(cell, (part.kind.about_workload)(cell.workload), rows.collect()).took(seconds, planned)
}

enum Heard {
    Event(Event),
    End,
    Nothing,
}

struct Worker {
    process: Child,
    /// Until it is told to end.
    orders: Option<ChildStdin>,
    events: Receiver<Result<Event, String>>,
    failed: Option<String>,
}

impl Worker {
    /// The same program with the same arguments, from a cell on.
    fn start(from: usize, without: &[String]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|why| format!("cannot find this program: {why}"))?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).args(["--work", &from.to_string()]);
        command.args(without.iter().flat_map(|row| ["--without", row]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process =
            command.spawn().map_err(|why| format!("cannot start the measuring process: {why}"))?;
        let orders = process.stdin.take();
        let output = process.stdout.take().expect("piped");
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let event = line.map_err(|why| why.to_string());
                let event = event
                    .and_then(|line| serde_json::from_str(&line).map_err(|why| format!("{why} in {line}")));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Ok(Worker { process, orders, events, failed: None })
    }

    /// The next event, if there is one within so many ticks.
    fn next(&mut self, ticks: u32) -> Heard {
        for _ in 0..ticks {
            match self.events.recv_timeout(TICK) {
                Ok(Ok(event)) => return Heard::Event(event),
                Ok(Err(why)) => {
                    self.failed = Some(format!("the measuring process is not understood: {why}"));
                    self.end();
                    return Heard::End;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.process.wait();
                    if !status.as_ref().is_ok_and(|status| status.success()) {
                        self.failed = Some(format!("the measuring process failed: {status:?}"));
                    }
                    return Heard::End;
                }
            }
        }
        Heard::Nothing
    }

    fn go_on(&mut self) {
        // If it is gone, the next event says so.
        let _ = self.orders.as_mut().map(|orders| orders.write_all(b"\n"));
    }

    fn end(&mut self) {
        self.orders = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn failure(self) -> Option<String> {
        self.failed
    }
}
