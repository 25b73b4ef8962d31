//! Histories of queue operations and two checkers of their linearizability.
//!
//! The fast one looks for the bad patterns of a queue of distinct values (Henzinger, Sezgin, Vafeiadis 2013; Bouajjani,
//! Emmi, Enea, Hamza 2015), the slow one tries all orders; each is the other's test.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Debug;

use super::Rng;

/// What an operation did. Empty answers are all alike, whoever gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Push(u64),
    Pop(u64),
    Empty,
}

/// One operation and the times between which it took effect, both included.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub call: u64,
    pub ret: u64,
    pub op: Op,
}

/// A reason why a history is not linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    PushedTwice(u64),
    FromNowhere(u64),
    PoppedTwice(u64),
    PoppedBeforePush(u64),
    /// The second was pushed after the first and popped before it, or the first never.
    Overtaken(u64, u64),
    /// An empty answer between these times, during all of which some item was there.
    FalseEmpty(u64, u64),
}

/// Ticks of a clock that all threads share and that does not fence: a fence would hide reorderings of the queue.
#[inline(always)]
pub fn now() -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: the instruction is there on every x86_64.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
    }
}

/// The time stamp may be taken some instructions early or late, and a store may be seen some later: intervals are
/// widened by so many ticks, about a microsecond.
pub const SLACK: u64 = 2048;

pub fn event(call: u64, ret: u64, op: Op) -> Event {
    Event { call, ret, op }
}

/// An operation that began at `call` and has just returned.
pub fn widened(call: u64, op: Op) -> Event {
    event(call.saturating_sub(SLACK), now() + SLACK, op)
}

/// A fast checker against a search, on short histories of which about half are right; `take` says what is popped next.
pub fn checker_agrees_with_search<V: Debug>(
    longest: u64,
    take: fn(&mut VecDeque<u64>) -> Option<u64>,
    check: fn(&[Event]) -> Result<(), V>,
    is_linearizable: fn(&[Event]) -> bool,
) {
    let mut rng = Rng(42);
    let (mut good, mut bad) = (0, 0);
    for round in 0..60_000 {
        let len = 2 + rng.below(longest - 1);
        let (mut items, mut next) = (VecDeque::new(), 0);
        let mut history = Vec::new();
        for at in 0..len {
            // A right answer at time `at`, and an interval around it.
            let op = if rng.below(2) == 0 {
                next += 1;
                items.push_back(next);
                Op::Push(next)
            } else {
                take(&mut items).map_or(Op::Empty, Op::Pop)
            };
            let at = at * 4;
            history.push(event(at.saturating_sub(rng.below(8)), at + rng.below(8), op));
        }
        // Most are spoilt: an answer is changed, or an interval moved.
        for _ in 0..rng.below(3) {
            let index = rng.below(len) as usize;
            match (rng.below(3), history[index].op) {
                (0, Op::Pop(_) | Op::Empty) => history[index].op = Op::Empty,
                (1, Op::Pop(_) | Op::Empty) => history[index].op = Op::Pop(1 + rng.below(4)),
                _ => {
                    let call = rng.below(len * 4);
                    (history[index].call, history[index].ret) = (call, call + rng.below(6));
                }
            }
        }
        let fast = check(&history);
        let slow = is_linearizable(&history);
        assert_eq!(fast.is_ok(), slow, "round {round}: {fast:?} for {history:#?}");
        *if slow { &mut good } else { &mut bad } += 1;
    }
    assert!(good > 10_000 && bad > 10_000, "one-sided: {good} good, {bad} bad");
}

/// Looks for bad patterns, in O(n log n).
pub fn check(history: &[Event]) -> Result<(), Violation> {
    let mut pushes: HashMap<u64, Event> = HashMap::new();
    let mut pops: HashMap<u64, Event> = HashMap::new();
    let mut empties = Vec::new();
    for &event in history {
        match event.op {
            Op::Push(value) if pushes.insert(value, event).is_some() => {
                return Err(Violation::PushedTwice(value));
            }
            Op::Pop(value) if pops.insert(value, event).is_some() => {
                return Err(Violation::PoppedTwice(value));
            }
            Op::Push(_) | Op::Pop(_) => {}
            Op::Empty => empties.push(event),
        }
    }
    for (&value, pop) in &pops {
        let Some(push) = pushes.get(&value) else { return Err(Violation::FromNowhere(value)) };
        if pop.ret < push.call {
            return Err(Violation::PoppedBeforePush(value));
        }
    }
    let popped_from = |value| pops.get(&value).map_or(u64::MAX, |pop: &Event| pop.call);

    // First in, first out: among the values surely pushed before `b`, none may be popped surely later than `b`.
    let mut by_return: Vec<(u64, u64)> = pushes.iter().map(|(&value, push)| (push.ret, value)).collect();
    let mut by_call: Vec<(u64, u64)> = pushes.iter().map(|(&value, push)| (push.call, value)).collect();
    by_return.sort_unstable();
    by_call.sort_unstable();
    let mut earlier = by_return.iter().peekable();
    let mut latest: Option<(u64, u64)> = None;
    for &(call, b) in &by_call {
        while let Some(&(_, a)) = earlier.next_if(|&&(ret, _)| ret < call) {
            latest = latest.max(Some((popped_from(a), a)));
        }
        if let (Some((call, a)), Some(pop)) = (latest, pops.get(&b)) {
            if call > pop.ret {
                return Err(Violation::Overtaken(a, b));
            }
        }
    }

    // Empty: merge the open intervals in which a value is surely there; an answer must not lie within one of them.
    let mut full: Vec<(u64, u64)> = by_return
        .iter()
        .map(|&(ret, value)| (ret, popped_from(value)))
        .filter(|&(from, to)| from < to)
        .collect();
    full.dedup_by(|next, last| {
        let overlap = next.0 < last.1;
        if overlap {
            last.1 = last.1.max(next.1);
        }
        overlap
    });
    for empty in empties {
        let after = full.partition_point(|&(from, _)| from < empty.call);
        if after > 0 && full[after - 1].1 > empty.ret {
            return Err(Violation::FalseEmpty(empty.call, empty.ret));
        }
    }
    Ok(())
}

/// Tries all orders; for a handful of operations.
pub fn is_linearizable(history: &[Event]) -> bool {
    fn search(
        history: &[Event],
        done: u32,
        queue: &mut VecDeque<u64>,
        seen: &mut HashSet<(u32, Vec<u64>)>,
    ) -> bool {
        if done.count_ones() as usize == history.len() {
            return true;
        }
        if !seen.insert((done, queue.iter().copied().collect())) {
            return false;
        }
        let left = |index: &usize| done & (1 << index) == 0;
        let first_ret = (0..history.len()).filter(left).map(|index| history[index].ret).min();
        for index in (0..history.len()).filter(left) {
            // Whoever was called after another returned comes after it.
            if Some(history[index].call) > first_ret {
                continue;
            }
            let before = queue.clone();
            let allowed = match history[index].op {
                Op::Push(value) => {
                    queue.push_back(value);
                    true
                }
                Op::Pop(value) => queue.pop_front() == Some(value),
                Op::Empty => queue.is_empty(),
            };
            if allowed && search(history, done | 1 << index, queue, seen) {
                return true;
            }
            *queue = before;
        }
        false
    }
    search(history, 0, &mut VecDeque::new(), &mut HashSet::new())
}
