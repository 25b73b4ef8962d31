//! Runs one operation, many times, between the marks that `tools/arm/plugin.c` looks for.
//!
//! ```text
//! arm-ops                                       lists the operations
//! arm-ops STRUCTURE OPERATION ROW TIMES         one thread
//! arm-ops STRUCTURE OPERATION ROW TIMES TEAM    each of a team's threads, TIMES in all
//! ```
//! Each run is a process of its own, so that no operation's counts depend on which others there are. On other processors,
//! and without the plugin, it does the same and nothing is counted.

mod ours;
#[cfg(feature = "peers")]
mod peers;
mod shapes;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Barrier;

/// An operation on a structure, by one of the contestants.
struct Operation {
    structure: &'static str,
    operation: &'static str,
    row: &'static str,
    run: fn(Run),
}

/// All operations; `add` is the one line that a new one takes.
#[derive(Default)]
struct List(Vec<Operation>);

impl List {
    fn add(&mut self, structure: &'static str, operation: &'static str, row: &'static str, run: fn(Run)) {
        self.0.push(Operation { structure, operation, row, run });
    }
}

/// How often, and by how many threads.
#[derive(Clone, Copy)]
struct Run {
    times: u64,
    /// 0: by this thread alone, outside of the model.
    team: u64,
}

impl Run {
    /// Does `operation` on `state`; its number differs between any two calls, and between threads.
    fn of<S: Sync, R>(self, state: S, operation: impl Fn(&S, u64) -> R + Sync) {
        if self.team == 0 {
            // Thread-locals, lazy binding, the first segments and the first garbage are not of interest.
            for number in 0..self.times {
                black_box(call(&operation, &state, number));
            }
            self.repeat(self.times..2 * self.times, &state, &operation);
            return;
        }
        let each = self.times / self.team;
        let barrier = Barrier::new(self.team as usize);
        std::thread::scope(|scope| {
            for rank in 0..self.team {
                let (state, operation, barrier) = (&state, &operation, &barrier);
                scope.spawn(move || {
                    let from = (rank << 32) + rank * 7919;
                    barrier.wait();
                    mark::<JOIN>();
                    for number in from..from + WARM_UP {
                        black_box(call(operation, state, number));
                    }
                    mark::<LEAVE>();
                    barrier.wait();
                    mark::<JOIN>();
                    self.repeat(from + WARM_UP..from + WARM_UP + each, state, operation);
                    mark::<LEAVE>();
                });
            }
        });
    }

    /// How many operations there will be, or a few more.
    fn operations(self) -> u64 {
        if self.team == 0 { 2 * self.times } else { self.times + self.team * WARM_UP }
    }

    fn repeat<S, R>(self, numbers: std::ops::Range<u64>, state: &S, operation: &impl Fn(&S, u64) -> R) {
        for number in numbers {
            let number = black_box(number);
            mark::<BEGIN>();
            let result = call(operation, state, number);
            mark::<END>();
            black_box(result);
        }
    }
}

/// Operations of each thread of a team before it is measured.
const WARM_UP: u64 = 64;

/// Never inlined, so that nothing of an operation moves out of the loop; costs its call and return.
#[inline(never)]
fn call<S, R>(operation: &impl Fn(&S, u64) -> R, state: &S, number: u64) -> R {
    operation(state, number)
}

const BEGIN: u16 = 0x1000;
const END: u16 = 0x2000;
const JOIN: u16 = 0x3000;
const LEAVE: u16 = 0x4000;

/// An instruction without an effect, for the plugin.
#[inline(always)]
fn mark<const MARK: u16>() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: writes to the register that is always zero.
    unsafe {
        std::arch::asm!("movz xzr, #{}", const MARK)
    }
}

fn main() -> ExitCode {
    let mut list = List::default();
    ours::add(&mut list);
    #[cfg(feature = "peers")]
    peers::add(&mut list);

    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.is_empty() {
        for Operation { structure, operation, row, .. } in &list.0 {
            println!("{structure}\t{operation}\t{row}");
        }
        return ExitCode::SUCCESS;
    }
    let number = |at: usize| words.get(at).map_or(Some(0), |word| word.parse().ok());
    let (Some(times), Some(team)) = (number(3), number(4)) else {
        eprintln!("arm-ops: not a number");
        return ExitCode::FAILURE;
    };
    let wanted = |o: &&Operation| words[..3.min(words.len())] == [o.structure, o.operation, o.row];
    let Some(found) = list.0.iter().find(wanted) else {
        eprintln!("arm-ops: no such operation: {}", words.join(" / "));
        return ExitCode::FAILURE;
    };
    (found.run)(Run { times, team });
    ExitCode::SUCCESS
}
