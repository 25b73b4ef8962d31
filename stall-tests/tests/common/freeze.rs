//! A scheduler that stops threads for ever at a step of its choice, and a driver that demands that the others finish.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// What a thread does.
pub type Job = Box<dyn FnOnce() + Send>;

/// One execution's threads.
pub struct Case {
    /// Stopped at some step, each at its own.
    pub victims: Vec<Job>,
    /// Must finish meanwhile.
    pub others: Vec<Job>,
    /// Runs when the others are done and each victim stands still or is done, before they go on; must finish as well.
    pub frozen: Job,
    /// Runs when all threads are done.
    pub finish: Job,
}

/// What was explored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Executions in all.
    pub executions: usize,
    /// Executions in which a victim was stopped before it was done.
    pub stopped: usize,
    /// The last step at which the first victim was stopped.
    pub last: usize,
    /// The most steps that the others took while the victims stood still.
    pub worst: usize,
}

/// How the others were stopped, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Only stopped victims could have run.
    Blocked,
    /// The others took more steps than the bound.
    Livelock,
}

/// The first execution that failed.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "for the message")]
pub struct Failure {
    /// How.
    pub stop: Stop,
    /// The step at which the first victim was stopped.
    pub step: usize,
    /// Which of the step's executions.
    pub seed: u64,
}

/// A small generator: seeded, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// What the scheduler and the execution's main task tell each other, outside of what is scheduled.
#[derive(Default)]
struct Talk {
    /// All threads are spawned.
    started: AtomicBool,
    /// The others are done, or have failed: everybody runs.
    thawed: AtomicBool,
    found: Mutex<Found>,
}

#[derive(Clone, Copy, Default)]
struct Found {
    stats: Stats,
    failure: Option<Failure>,
    step: usize,
    seed: u64,
}

/// How an execution comes to the point where it stops the victims.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Approach {
    /// The victims run alone, one after the other, after so many random steps among all.
    Alone(usize),
    /// All run at random, until a victim has taken its steps.
    Mixed,
}

struct Freeze {
    talk: Arc<Talk>,
    bound: usize,
    seeds: u64,
    random: Random,
    approach: Approach,
    /// Random steps taken before the approach.
    prefix: usize,
    /// Steps that the victims took, at which step each is stopped, and whether it was stopped before it was done.
    taken: Vec<usize>,
    stop_at: Vec<usize>,
    stopped: Vec<bool>,
    /// The longest life of each victim but the first, as far as known.
    longest: Vec<usize>,
    /// Steps of the others while the victims stand still.
    others: usize,
    /// In this round some victim was stopped.
    round: bool,
}

impl Freeze {
    fn victim(&self, task: TaskId) -> Option<usize> {
        // The main task is 0, and spawns the victims first.
        usize::from(task).checked_sub(1).filter(|&victim| victim < self.taken.len())
    }

    /// Books the execution that ended.
    fn book(&mut self) {
        let mut found = self.talk.found.lock().unwrap();
        found.stats.executions += 1;
        if self.stopped.contains(&true) {
            found.stats.stopped += 1;
            found.stats.worst = found.stats.worst.max(self.others);
        }
        if self.stopped[0] {
            found.stats.last = found.stats.last.max(found.step);
            self.round = true;
        }
        for victim in 1..self.taken.len() {
            if self.stopped[victim] {
                self.longest[victim] = self.longest[victim].max(self.stop_at[victim] + 8);
            }
        }
    }

    fn fail(&mut self, stop: Stop) {
        let mut found = self.talk.found.lock().unwrap();
        let (step, seed) = (found.step, found.seed);
        found.failure.get_or_insert(Failure { stop, step, seed });
        self.talk.thawed.store(true, Ordering::Relaxed);
    }

    /// The victim whose turn it is to run alone, in the approach that lets them.
    fn alone(&self, runnable: &[TaskId]) -> Option<TaskId> {
        (0..self.taken.len())
            .filter(|&victim| self.taken[victim] < self.stop_at[victim])
            .map(|victim| TaskId::from(victim + 1))
            .find(|task| runnable.contains(task))
    }
}

impl Scheduler for Freeze {
    fn new_execution(&mut self) -> Option<Schedule> {
        let first = self.talk.found.lock().unwrap().step == 0;
        if first {
            let mut found = self.talk.found.lock().unwrap();
            (found.step, found.seed) = (1, 0);
        } else {
            self.book();
            let mut found = self.talk.found.lock().unwrap();
            if found.failure.is_some() {
                return None;
            }
            found.seed += 1;
            if found.seed == self.seeds {
                if !self.round {
                    return None;
                }
                (found.step, found.seed) = (found.step + 1, 0);
                self.round = false;
            }
        }
        let Found { step, seed, .. } = *self.talk.found.lock().unwrap();
        self.talk.started.store(false, Ordering::Relaxed);
        self.talk.thawed.store(false, Ordering::Relaxed);
        self.random = Random((step as u64) << 32 | seed);
        self.approach = match seed % 3 {
            0 => Approach::Alone(0),
            1 => Approach::Alone(self.random.below(160)),
            _ => Approach::Mixed,
        };
        self.prefix = 0;
        self.others = 0;
        for victim in 0..self.taken.len() {
            self.taken[victim] = 0;
            self.stopped[victim] = false;
            self.stop_at[victim] =
                if victim == 0 { step } else { 1 + self.random.below(self.longest[victim]) };
        }
        Some(Schedule::new(seed))
    }

    fn next_task(&mut self, runnable: &[&Task], _: Option<TaskId>, _: bool) -> Option<TaskId> {
        if !self.talk.started.load(Ordering::Relaxed) {
            return Some(TaskId::from(0));
        }
        let mut runnable: Vec<_> = runnable.iter().map(|task| task.id()).collect();
        if self.talk.thawed.load(Ordering::Relaxed) {
            return Some(runnable[self.random.below(runnable.len())]);
        }
        // The others may be done before the victims have come to their steps: what the main task then checks is said of victims that
        // stand still.
        if runnable.iter().any(|&task| self.victim(task).is_some_and(|v| self.taken[v] < self.stop_at[v])) {
            runnable.retain(|&task| task != TaskId::from(0));
        }
        if let Approach::Alone(prefix) = self.approach {
            if self.prefix < prefix {
                self.prefix += 1;
                return Some(runnable[self.random.below(runnable.len())]);
            }
            if let Some(task) = self.alone(&runnable) {
                self.taken[usize::from(task) - 1] += 1;
                return Some(task);
            }
        }
        let mut free = Vec::with_capacity(runnable.len());
        let mut waiting = false;
        for &task in &runnable {
            match self.victim(task) {
                Some(victim) if self.taken[victim] >= self.stop_at[victim] => self.stopped[victim] = true,
                victim => {
                    waiting |= victim.is_some();
                    free.push(task);
                }
            }
        }
        if free.is_empty() {
            self.fail(Stop::Blocked);
            return Some(runnable[self.random.below(runnable.len())]);
        }
        let task = free[self.random.below(free.len())];
        if let Some(victim) = self.victim(task) {
            self.taken[victim] += 1;
        } else if !waiting {
            self.others += 1;
            if self.others > self.bound {
                self.fail(Stop::Livelock);
            }
        }
        Some(task)
    }

    fn next_u64(&mut self) -> u64 {
        self.random.next()
    }
}

/// Stops `victims` threads of the case at every step that the first of them takes, `seeds` times each, and tells whether
/// the others finish within `bound` steps each time.
///
/// # Errors
///
/// The first execution in which they do not.
///
/// # Panics
///
/// If a thread of the case does.
pub fn explore(
    bound: usize,
    victims: usize,
    seeds: u64,
    setup: impl Fn() -> Case + Send + Sync + 'static,
) -> Result<Stats, Failure> {
    let talk = Arc::new(Talk::default());
    let scheduler = Freeze {
        talk: talk.clone(),
        bound,
        seeds,
        random: Random(0),
        approach: Approach::Mixed,
        prefix: 0,
        taken: vec![0; victims],
        stop_at: vec![0; victims],
        stopped: vec![false; victims],
        longest: vec![8; victims],
        others: 0,
        round: false,
    };
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(1_000_000);
    config.stack_size = 256 << 10;
    let main = talk.clone();
    let run = AssertUnwindSafe(|| {
        Runner::new(scheduler, config).run(move || {
            let case = setup();
            assert_eq!(case.victims.len(), victims);
            let spawn = |jobs: Vec<Job>| jobs.into_iter().map(shuttle::thread::spawn).collect::<Vec<_>>();
            let victims = spawn(case.victims);
            let others = spawn(case.others);
            main.started.store(true, Ordering::Relaxed);
            for thread in others {
                thread.join().unwrap();
            }
            if !main.thawed.load(Ordering::Relaxed) {
                (case.frozen)();
            }
            main.thawed.store(true, Ordering::Relaxed);
            for thread in victims {
                thread.join().unwrap();
            }
            (case.finish)();
        })
    });
    if let Err(panic) = catch_unwind(run) {
        let (step, seed) = talk.found.lock().map_or((0, 0), |found| (found.step, found.seed));
        eprintln!("failed with the first victim stopped at step {step}, seed {seed}");
        resume_unwind(panic);
    }
    let found = talk.found.lock().unwrap();
    found.failure.map_or(Ok(found.stats), Err)
}

/// [`explore`]s a case, whose others must never be stopped, in `at_least` executions that stop a victim: exploring nothing
/// proves nothing.
///
/// # Panics
///
/// If they are stopped, or if fewer executions stopped a victim.
#[allow(dead_code, reason = "not every binary has such cases")]
#[track_caller]
pub fn never_stops_others(
    name: &str,
    bound: usize,
    victims: usize,
    (seeds, at_least): (u64, usize),
    setup: impl Fn() -> Case + Send + Sync + 'static,
) -> Stats {
    let stats = match explore(bound, victims, seeds, setup) {
        Ok(stats) => stats,
        Err(failure) => panic!("{name}: {failure:?}"),
    };
    println!("{name}: {stats:?}");
    assert!(stats.stopped >= at_least, "{name}: {stats:?}, at least {at_least} expected");
    stats
}
