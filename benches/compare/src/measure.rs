//! Runs a body on a number of threads for a time, and counts what it cost.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::stats;

/// What a row is asked to do in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Count operations for about this long.
    Time(Duration),
    /// The same with a timestamp around every operation.
    Latency(Duration),
    /// Count bytes; no clock.
    Memory,
}

/// What one thread did.
#[derive(Default)]
pub struct Done {
    pub ops: u64,
    pub latency: Option<Histogram<u64>>,
}

impl Done {
    pub fn ops(ops: u64) -> Self {
        Done { ops, latency: None }
    }
}

/// Two cache lines, since some cores prefetch in pairs.
#[repr(align(128))]
#[derive(Default)]
pub struct Padded<T>(pub T);

/// Bytes counted in the memory pass.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    /// Bytes held per element, with `elements` in the structure.
    pub bytes_per_element: f64,
    pub elements: u64,
    /// The most bytes held at any time, while filling or draining.
    pub peak_bytes: i64,
    /// Bytes still held after everything was taken out.
    pub drained_bytes: i64,
    /// The most bytes held while threads push and pop with the structure nearly empty.
    pub churn_peak_bytes: i64,
}

/// Trials in which one thread was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Trials {
    pub went_on: u64,
    /// The others stood still until the stopped thread went on.
    pub stood_still: u64,
}

impl Trials {
    pub fn add(&mut self, more: Trials) {
        self.went_on += more.went_on;
        self.stood_still += more.stood_still;
    }
}

/// What one run of one row measured.
#[derive(Default)]
pub struct Sample {
    pub ns_per_op: f64,
    pub cpu_ns_per_op: Option<f64>,
    pub unfairness: Option<f64>,
    pub latency: Option<Histogram<u64>>,
    pub memory: Option<Memory>,
    pub trials: Option<Trials>,
}

/// The end of a timed run, as its threads see it.
pub struct Clock {
    stop: AtomicBool,
}

impl Clock {
    /// Looked at every few dozen operations only.
    pub fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

/// Runs `body(thread, clock)` on `threads` threads, which start together, and stops the clock after
/// `budget`. `counted` says which threads' operations are added up (for flows: the consumers').
pub fn timed(
    threads: usize,
    budget: Duration,
    counted: impl Fn(usize) -> bool,
    body: impl Fn(usize, &Clock) -> Done + Sync,
) -> Sample {
    let clock = Clock { stop: AtomicBool::new(false) };
    let start = Barrier::new(threads + 1);
    let cpu_before = cpu_time();
    let ran: Vec<(Instant, Instant, Done)> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|id| {
                let (clock, start, body) = (&clock, &start, &body);
                scope.spawn(move || {
                    start.wait();
                    let began = Instant::now();
                    let done = body(id, clock);
                    (began, Instant::now(), done)
                })
            })
            .collect();
        start.wait();
        thread::sleep(budget);
        clock.stop.store(true, Relaxed);
        handles.into_iter().map(|h| h.join().expect("a measured thread panicked")).collect()
    });
    let cpu = cpu_before.zip(cpu_time()).map(|(before, after)| after.saturating_sub(before));

    // The clocks of the threads, not of this one: it may be woken late when cores are few.
    let began = ran.iter().map(|r| r.0).min().expect("at least one thread");
    let ended = ran.iter().map(|r| r.1).max().expect("at least one thread");
    let ops: Vec<u64> = ran.iter().enumerate().filter(|(id, _)| counted(*id)).map(|(_, r)| r.2.ops).collect();
    let total = ops.iter().sum::<u64>().max(1) as f64;
    let mut latency: Option<Histogram<u64>> = None;
    for histogram in ran.into_iter().filter_map(|r| r.2.latency) {
        match &mut latency {
            Some(sum) => sum.add(&histogram).expect("equal bounds"),
            None => latency = Some(histogram),
        }
    }
    Sample {
        ns_per_op: (ended - began).as_nanos() as f64 / total,
        cpu_ns_per_op: cpu.map(|cpu| cpu.as_nanos() as f64 / total),
        unfairness: (ops.len() > 1).then(|| stats::unfairness(&ops)),
        latency,
        memory: None,
        trials: None,
    }
}

/// Times one operation into the histogram.
#[inline(always)]
pub fn clocked<R>(histogram: &mut Histogram<u64>, operation: impl FnOnce() -> R) -> R {
    let began = Instant::now();
    let result = operation();
    // Saturating: an outlier beyond the bounds is still an outlier.
    histogram.saturating_record(began.elapsed().as_nanos() as u64);
    result
}

/// User and system time of this process so far, where the system tells.
#[cfg(unix)]
pub fn cpu_time() -> Option<Duration> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for a write of a `rusage`.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: zeroed is a valid `rusage`, and `getrusage` has filled it.
    let usage = unsafe { usage.assume_init() };
    let of =
        |t: libc::timeval| Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64);
    Some(of(usage.ru_utime) + of(usage.ru_stime))
}

#[cfg(not(unix))]
pub fn cpu_time() -> Option<Duration> {
    None
}

/// Local work of about `ns` nanoseconds that touches no shared memory.
#[inline]
pub fn work(ns: u64) {
    spin(ns * steps_per_us() / 1000);
}

fn spin(steps: u64) {
    let mut x = 1u64;
    for _ in 0..steps {
        // A dependent chain, opaque to the optimiser, that does not hint the core to pause.
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    black_box(x);
}

fn steps_per_us() -> u64 {
    static STEPS: OnceLock<u64> = OnceLock::new();
    *STEPS.get_or_init(|| {
        const TRIAL: u64 = 20_000;
        // The fastest of several: interruptions only ever make a trial slower.
        let best = (0..20)
            .map(|_| {
                let began = Instant::now();
                spin(TRIAL);
                began.elapsed().as_nanos() as u64
            })
            .min()
            .unwrap_or(1)
            .max(1);
        (TRIAL * 1000 / best).max(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timed_run_adds_up_the_counted_threads() {
        let sample = timed(
            3,
            Duration::from_millis(2),
            |id| id > 0,
            |id, clock| {
                while !clock.stopped() {
                    std::hint::spin_loop();
                }
                Done::ops(if id == 0 { 1_000_000 } else { id as u64 * 10 })
            },
        );
        assert_eq!(sample.unfairness, Some(2.0));
        assert!(sample.ns_per_op >= 2_000_000.0 / 30.0);
    }

    #[test]
    fn work_takes_some_time() {
        let began = Instant::now();
        for _ in 0..100 {
            work(1000);
        }
        assert!(began.elapsed() >= Duration::from_micros(20));
    }
}
