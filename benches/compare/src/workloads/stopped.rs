//! One thread is stopped by a signal in the middle of whatever it does, and the others are timed meanwhile.
//!
//! What a preemption, a page fault or a debugger does to one thread is done here on purpose, and for longer: the signal's
//! handler sleeps. In each trial the victim was pushing and popping, so it stops now inside an operation and now between two.
//! What counts is whether each of the others finishes some more operations while the victim stands still, in how many trials, and how
//! long it takes until they have: microseconds, or as long as the victim stands still.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::queue::read;
use crate::adapters::queue::{
    Concurrent, CrossbeamChannel, Flume, Handle as _, Kanal, Ours, ParkingLot, Queue, Seg, StdMutex,
};
use crate::adapters::{bounded, stack};
use crate::alloc;
use crate::measure::{Padded, Pass, Sample, Trials};
use crate::plan::{Cell, Kind, Role, Row, Scope};
use crate::stats;
use crate::values::U64;

/// How long the victim stands still at most: several times what a scheduler may keep a thread waiting anyway. It goes on as
/// soon as the others have.
const STOP: Duration = Duration::from_millis(40);
/// Operations that each of the others has to finish meanwhile; those that were in flight are among them.
const ENOUGH: u64 = 100;
/// Trials in a run.
const TRIALS: u64 = 20;
/// Threads besides the victim.
const OTHERS: usize = 2;

macro_rules! row {
    ($queue:ty, $name:literal, $role:ident) => {
        Row {
            name: $name,
            role: Role::$role,
            note: "",
            supports: |_| true,
            run: |_, pass| run::<$queue>(pass),
        }
    };
}

pub fn kind() -> Kind {
    Kind {
        name: "stopped",
        about: "What a stopped thread does to the others.",
        rows: vec![
            row!(bounded::Ours<u64>, "latchfree::BoundedQueue", Ours),
            row!(Ours<u64>, "latchfree::Queue", Ours),
            row!(stack::Ours<u64>, "latchfree::Stack", Ours),
            row!(bounded::Array<u64>, "crossbeam ArrayQueue", Peer),
            row!(Seg<u64>, "crossbeam SegQueue", Peer),
            row!(bounded::Concurrent<u64>, "concurrent-queue, bounded", Peer),
            row!(Concurrent<u64>, "concurrent-queue", Peer),
            row!(CrossbeamChannel<u64>, "crossbeam-channel", Peer),
            row!(Flume<u64>, "flume", Peer),
            row!(Kanal<u64>, "kanal", Peer),
            row!(StdMutex<u64>, "std Mutex<VecDeque>", Peer),
            row!(ParkingLot<u64>, "parking_lot Mutex<VecDeque>", Peer),
        ],
        cells,
        about_workload: |_| {
            "Two threads push and pop in pairs beside a third, which a signal stops in the middle of the same: the time until \
             each of the two has finished 100 more pairs, mean over trials; 40 ms means that they stood still, as long as it did. The \
             quantiles are over trials."
        },
    }
}

fn cells(_: &Scope) -> Vec<Cell> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    vec![Cell {
        kind: "stopped",
        workload: "pairs",
        value: U64,
        threads: OTHERS,
        label: "2, one more stopped".into(),
        unit: "µs/trial",
        timed: true,
        latency: true,
    }]
}

/// The victim has come to the handler.
static BLOCKED: AtomicBool = AtomicBool::new(false);
/// The victim was inside the allocator, which is not what is measured: not stopped.
static DECLINED: AtomicBool = AtomicBool::new(false);
/// The victim may go on.
static RELEASED: AtomicBool = AtomicBool::new(false);

fn run<Q: Queue<u64>>(pass: Pass) -> Sample {
    if pass == Pass::Memory {
        return Sample::default();
    }
    let queue = Q::new(1024);
    let over = AtomicBool::new(false);
    let victim = AtomicI32::new(0);
    let done: [Padded<AtomicU64>; OTHERS] = Default::default();
    let mut latency = stats::histogram();
    let mut trials = Trials::default();
    let mut sum = 0;
    let _watch = alloc::Watch::start();
    signal::install(handler);
    thread::scope(|scope| {
        scope.spawn(|| {
            victim.store(signal::this_thread(), Ordering::Release);
            let mut queue = queue.handle();
            while !over.load(Ordering::Relaxed) {
                queue.push(1);
                read(queue.pop());
            }
        });
        for done in &done {
            let (queue, over) = (&queue, &over);
            scope.spawn(move || {
                let mut queue = queue.handle();
                while !over.load(Ordering::Relaxed) {
                    queue.push(2);
                    read(queue.pop());
                    done.0.store(done.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                }
            });
        }
        while victim.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        for trial in 0..TRIALS {
            loop {
                // At another point of the victim's loop each time.
                thread::sleep(Duration::from_micros(100 + trial * 37 % 300));
                DECLINED.store(false, Ordering::Relaxed);
                RELEASED.store(false, Ordering::Relaxed);
                signal::send(victim.load(Ordering::Relaxed));
                while !BLOCKED.load(Ordering::Acquire) && !DECLINED.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                if BLOCKED.load(Ordering::Acquire) {
                    break;
                }
            }
            let began = Instant::now();
            let before = done.each_ref().map(|done| done.0.load(Ordering::Relaxed));
            let went_on = || {
                let now = done.each_ref().map(|done| done.0.load(Ordering::Relaxed));
                now.iter().zip(before).all(|(now, before)| now - before >= ENOUGH)
            };
            let mut moved = went_on();
            while !moved && began.elapsed() < STOP {
                thread::sleep(Duration::from_micros(20));
                moved = went_on();
            }
            trials.add(Trials { went_on: moved.into(), stood_still: (!moved).into() });
            let took = began.elapsed().min(STOP).as_nanos() as u64;
            RELEASED.store(true, Ordering::Release);
            while BLOCKED.load(Ordering::Acquire) {
                thread::yield_now();
            }
            sum += took;
            latency.saturating_record(took);
        }
        over.store(true, Ordering::Relaxed);
    });
    Sample {
        ns_per_op: sum as f64 / TRIALS as f64 / 1e3,
        latency: Some(latency),
        trials: Some(trials),
        ..Sample::default()
    }
}

/// Runs on the victim.
extern "C" fn handler(_: i32) {
    if alloc::is_inside() {
        DECLINED.store(true, Ordering::Release);
        return;
    }
    BLOCKED.store(true, Ordering::Release);
    while !RELEASED.load(Ordering::Acquire) {
        signal::doze();
    }
    BLOCKED.store(false, Ordering::Release);
}

#[cfg(target_os = "linux")]
mod signal {
    const SIGNAL: i32 = libc::SIGUSR2;

    pub(super) fn install(handler: extern "C" fn(i32)) {
        // SAFETY: a zeroed `sigaction` with a handler set is valid; the handler touches atomics, a thread-local without
        // destructor, and `nanosleep`, all of which a signal handler may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut());
        }
    }

    pub(super) fn this_thread() -> i32 {
        // SAFETY: takes nothing, fails never.
        unsafe { libc::syscall(libc::SYS_gettid) as i32 }
    }

    pub(super) fn send(thread: i32) {
        // SAFETY: takes integers.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
    }

    pub(super) fn doze() {
        let time = libc::timespec { tv_sec: 0, tv_nsec: 100_000 };
        // SAFETY: reads the time, and writes nothing.
        unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) };
    }
}

#[cfg(not(target_os = "linux"))]
mod signal {
    pub(super) fn install(_: extern "C" fn(i32)) {}
    pub(super) fn this_thread() -> i32 {
        1
    }
    pub(super) fn send(_: i32) {}
    pub(super) fn doze() {}
}
