//! Hammers every structure with its checks on, for as long as asked: `cargo run --release -p soak -- --minutes 10`.
//!
//! Threads run random operations for a round, whose result is then checked with nobody else about. A line a minute tells
//! operations, backlog and memory; the first violation ends the run with an error and the seed.

mod maps;
mod queues;
mod token;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Hammers every structure with checks on.
#[derive(Parser)]
struct Options {
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// More threads than cores, so that they are interrupted in the middle of operations.
    #[arg(long, default_value_t = 2 * thread::available_parallelism().map_or(2, |n| n.get()))]
    threads: usize,
    /// Seconds between two checks of the whole.
    #[arg(long, default_value_t = 2.0)]
    round: f64,
    /// Repeats the choice of operations; threads still meet as they like.
    #[arg(long)]
    seed: Option<u64>,
    /// Only structures whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// A structure with what is known of its contents.
trait Hammer: Sync {
    fn name(&self) -> &'static str;
    /// One random operation, and the checks that hold at any time.
    fn step(&self, thread: usize, rng: &mut SmallRng) -> Result<(), String>;
    /// The checks that hold when nobody else uses it. `round` numbers them.
    fn settle(&mut self, round: u64) -> Result<(), String>;
    /// Objects that wait to be freed.
    fn backlog(&self) -> usize;
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| rand::rng().random());
    let mut hammers: Vec<Box<dyn Hammer>> = vec![
        Box::new(queues::Unbounded::new(options.threads)),
        Box::new(queues::Bounded::new(options.threads)),
        Box::new(queues::Pool::new()),
        Box::new(maps::Hash::new(options.threads)),
        Box::new(maps::Counters::new()),
        Box::new(maps::Ordered::new(options.threads)),
    ];
    hammers.retain(|hammer| hammer.name().contains(&options.only));
    println!("seed {seed}, {} threads, {} minutes", options.threads, options.minutes);

    let start = Instant::now();
    let end = start + Duration::from_secs_f64(60.0 * options.minutes);
    let (mut steps, mut round, mut minute) = (0, 0, 0);
    while Instant::now() < end {
        let outcome = run_round(&hammers, &options, seed.wrapping_add(round)).and_then(|done| {
            steps += done;
            let backlogs: Vec<_> =
                hammers.iter().map(|hammer| format!("{} {}", hammer.name(), hammer.backlog())).collect();
            for hammer in &mut hammers {
                hammer.settle(round).map_err(|fault| format!("{}: {fault}", hammer.name()))?;
            }
            Ok(backlogs)
        });
        let backlogs = match outcome {
            Ok(backlogs) => backlogs,
            Err(fault) => {
                println!("VIOLATION in round {round}, seed {seed}: {fault}");
                return ExitCode::FAILURE;
            }
        };
        round += 1;
        let minutes = start.elapsed().as_secs() / 60;
        if minutes > minute || round == 1 || Instant::now() >= end {
            minute = minutes;
            let memory = memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem >> 20);
            println!(
                "{:>4.0} s  {:>7.1} million operations  {memory} MiB  backlog: {}",
                start.elapsed().as_secs_f64(),
                steps as f64 / 1e6,
                backlogs.join(", ")
            );
        }
    }
    drop(hammers);
    let left = token::live();
    if left != 0 {
        println!("VIOLATION, seed {seed}: {left} values were not dropped once");
        return ExitCode::FAILURE;
    }
    println!("no violation in {round} rounds");
    ExitCode::SUCCESS
}

/// Returns how many operations were done.
fn run_round(hammers: &[Box<dyn Hammer>], options: &Options, seed: u64) -> Result<u64, String> {
    let (stop, steps) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|thread| {
                let (stop, steps) = (&stop, &steps);
                scope.spawn(move || {
                    let mut rng = SmallRng::seed_from_u64(seed ^ (thread as u64) << 48);
                    let mut done = 0;
                    while !stop.load(Ordering::Relaxed) {
                        // Some operations in a row, so that threads meet in one structure.
                        let hammer = &hammers[rng.random_range(0..hammers.len())];
                        for _ in 0..rng.random_range(1..200) {
                            if let Err(fault) = hammer.step(thread, &mut rng) {
                                stop.store(true, Ordering::Relaxed);
                                return Err(format!("{}: {fault}", hammer.name()));
                            }
                            done += 1;
                        }
                    }
                    steps.fetch_add(done, Ordering::Relaxed);
                    Ok(())
                })
            })
            .collect();
        let end = Instant::now() + Duration::from_secs_f64(options.round);
        while Instant::now() < end && !stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    Ok(steps.into_inner())
}
