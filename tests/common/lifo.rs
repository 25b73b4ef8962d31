//! Two checkers of the linearizability of histories of stack operations.
//!
//! The fast one decides by taking the history apart, as J. H. Lee and U. Mathur's *Efficient decrease-and-conquer
//! linearizability monitoring* ([2024](https://arxiv.org/abs/2410.04581)); the slow one tries all orders; each is the other's test.
//!
//! Values are pushed once. A value is *surely there* after its push returned and before its pop was called. Then, each step
//! without loss:
//!
//! - a value that is never surely there can be pushed and popped at one instant, between any others: it is left out;
//! - at an instant at which no value is surely there, the stack may be empty: what lies before and after it is decided apart,
//!   and an empty answer needs such an instant;
//! - where there is no such instant, one value lies at the bottom all the time: its push was called before any other operation
//!   returned, and its pop returned after any other was called. If there is none, the history is wrong. One such is left
//!   out, whichever: the others can be moved between its push and its pop.

use std::collections::{HashMap, HashSet};

use super::history::{Event, Op};

/// A reason why a history is not linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    PushedTwice(u64),
    FromNowhere(u64),
    PoppedTwice(u64),
    PoppedBeforePush(u64),
    /// An empty answer between these times, during all of which some item was there.
    FalseEmpty(u64, u64),
    /// Of so many values none can lie at the bottom; one of them.
    Tangled(usize, u64),
}

#[derive(Clone, Copy, Debug)]
struct Life {
    value: u64,
    push: (u64, u64),
    pop: (u64, u64),
}

/// Takes the history apart; quadratic at worst, and nearly linear while the stack is often empty.
pub fn check(history: &[Event]) -> Result<(), Violation> {
    let mut lives: HashMap<u64, Life> = HashMap::new();
    for event in history {
        if let Op::Push(value) = event.op {
            // Popped by nobody: at the end of time.
            let life = Life { value, push: (event.call, event.ret), pop: (u64::MAX, u64::MAX) };
            if lives.insert(value, life).is_some() {
                return Err(Violation::PushedTwice(value));
            }
        }
    }
    let mut popped = HashSet::new();
    for event in history {
        if let Op::Pop(value) = event.op {
            let Some(life) = lives.get_mut(&value) else { return Err(Violation::FromNowhere(value)) };
            if !popped.insert(value) {
                return Err(Violation::PoppedTwice(value));
            }
            if event.ret < life.push.0 {
                return Err(Violation::PoppedBeforePush(value));
            }
            life.pop = (event.call, event.ret);
        }
    }
    let mut sure: Vec<Life> = lives.into_values().filter(|life| life.push.1 < life.pop.0).collect();
    sure.sort_unstable_by_key(|life| life.push.1);

    let parts = parts(sure);
    let spans: Vec<(u64, u64)> = parts.iter().map(|part| (part[0].push.1, end(part))).collect();
    for event in history.iter().filter(|event| event.op == Op::Empty) {
        let before = spans.partition_point(|&(from, _)| from < event.call);
        if before > 0 && spans[before - 1].1 > event.ret {
            return Err(Violation::FalseEmpty(event.call, event.ret));
        }
    }
    let mut work = parts;
    while let Some(mut part) = work.pop() {
        let (first_ret, last_call) = (part[0].push.1, end(&part));
        let before = part.len();
        // All that fit: those that are left fit still when one of them is left out.
        part.retain(|life| life.push.0 > first_ret || life.pop.1 < last_call);
        if part.len() == before {
            return Err(Violation::Tangled(before, part[0].value));
        }
        work.extend(self::parts(part));
    }
    Ok(())
}

/// When the last value is no longer surely there.
fn end(part: &[Life]) -> u64 {
    part.iter().map(|life| life.pop.0).max().unwrap_or(0)
}

/// What is between instants at which no value is surely there; sorted by the return of the push, as are the parts.
fn parts(lives: Vec<Life>) -> Vec<Vec<Life>> {
    let mut parts: Vec<Vec<Life>> = Vec::new();
    let mut until = 0;
    for life in lives {
        match parts.last_mut() {
            Some(part) if life.push.1 < until => part.push(life),
            _ => parts.push(vec![life]),
        }
        until = until.max(life.pop.0);
    }
    parts
}

/// Tries all orders; for a handful of operations.
pub fn is_linearizable(history: &[Event]) -> bool {
    fn search(
        history: &[Event],
        done: u32,
        stack: &mut Vec<u64>,
        seen: &mut HashSet<(u32, Vec<u64>)>,
    ) -> bool {
        if done.count_ones() as usize == history.len() {
            return true;
        }
        if !seen.insert((done, stack.clone())) {
            return false;
        }
        let left = |index: &usize| done & (1 << index) == 0;
        let first_ret = (0..history.len()).filter(left).map(|index| history[index].ret).min();
        for index in (0..history.len()).filter(left) {
            // Whoever was called after another returned comes after it.
            if Some(history[index].call) > first_ret {
                continue;
            }
            let before = stack.clone();
            let allowed = match history[index].op {
                Op::Push(value) => {
                    stack.push(value);
                    true
                }
                Op::Pop(value) => stack.pop() == Some(value),
                Op::Empty => stack.is_empty(),
            };
            if allowed && search(history, done | 1 << index, stack, seen) {
                return true;
            }
            *stack = before;
        }
        false
    }
    search(history, 0, &mut Vec::new(), &mut HashSet::new())
}
