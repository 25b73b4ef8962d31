//! Histories of maps, checked key by key: a map is linearizable if each key is (locality), so all orders of one key's
//! operations are tried, which is quick, because few of them overlap.

use std::collections::HashSet;
use std::sync::Barrier;

use super::Rng;

/// What was done to one key, and what it found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Get(Option<u64>),
    /// The new value, and the old one.
    Insert(u64, Option<u64>),
    /// As the above, and nothing if there is an old one.
    TryInsert(u64, Option<u64>),
    Remove(Option<u64>),
    /// Adds to the value that is there, which this was.
    Add(u64, Option<u64>),
    /// Sets a value to the second if it is the first.
    Exchange(u64, u64, Option<u64>),
}

impl Op {
    /// The value after it, if it can come at this one.
    fn after(self, value: Option<u64>) -> Option<Option<u64>> {
        let (found, then) = match self {
            Self::Get(found) => (found, value),
            Self::Insert(new, found) => (found, Some(new)),
            Self::TryInsert(new, found) => (found, value.or(Some(new))),
            Self::Remove(found) => (found, None),
            Self::Add(n, found) => (found, value.map(|value| value + n)),
            Self::Exchange(current, new, found) => {
                (found, value.map(|value| if value == current { new } else { value }))
            }
        };
        (found == value).then_some(then)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub call: u64,
    pub ret: u64,
    pub op: Op,
}

/// Tries all orders. Works through the history in windows: where no operation is under way, what came before is settled but
/// for the values that it may have left.
pub fn is_linearizable(mut history: Vec<Event>) -> bool {
    history.sort_by_key(|event| event.call);
    let mut values = HashSet::from([None]);
    let mut window: Vec<Event> = Vec::new();
    let mut end = 0;
    for event in history {
        if event.call > end && !window.is_empty() {
            values = values_after(&window, &values);
            window.clear();
        }
        end = end.max(event.ret);
        window.push(event);
    }
    !values_after(&window, &values).is_empty()
}

fn values_after(window: &[Event], before: &HashSet<Option<u64>>) -> HashSet<Option<u64>> {
    // What is done is a prefix of the window and a few after it, so a set of those suffices to tell states apart.
    type State = (usize, Vec<usize>, Option<u64>);
    let mut found = HashSet::new();
    let mut seen: HashSet<State> = HashSet::new();
    let mut states: Vec<State> = before.iter().map(|&value| (0, Vec::new(), value)).collect();
    while let Some(state) = states.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        let (prefix, beyond, value) = state;
        if prefix == window.len() {
            found.insert(value);
            continue;
        }
        let left = || (prefix..window.len()).filter(|index| !beyond.contains(index));
        let mut first_ret = u64::MAX;
        for index in left() {
            // Whoever was called after another returned comes after it; the window is sorted by calls.
            if window[index].call > first_ret {
                break;
            }
            first_ret = first_ret.min(window[index].ret);
            if let Some(then) = window[index].op.after(value) {
                let mut beyond = beyond.clone();
                beyond.push(index);
                beyond.sort_unstable();
                let mut prefix = prefix;
                while beyond.first() == Some(&prefix) {
                    beyond.remove(0);
                    prefix += 1;
                }
                states.push((prefix, beyond, then));
            }
        }
    }
    found
}

/// Time stamps may be some instructions early or late, and a store may be seen some later: intervals are widened by so many
/// ticks.
const SLACK: u64 = 500;

impl Event {
    /// An operation that was called and returned at these times.
    pub fn new(call: u64, ret: u64, op: Op) -> Self {
        Self { call: call.saturating_sub(SLACK), ret: ret + SLACK, op }
    }
}

/// What a thread is to do next.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub key: u64,
    /// Below 16: which operation.
    pub pick: u64,
    /// Not used before, and large enough for what is added to it meanwhile.
    pub value: u64,
}

/// Four threads on a few keys, each event of which `act` makes and times; it is told what the thread saw last, and may say so.
/// `upkeep` comes between: other keys that come and go, so that the table grows, shrinks and is rebuilt.
pub fn record(
    keys: u64,
    ops: usize,
    seed: u64,
    act: impl Fn(Step, &mut u64) -> Event + Sync,
    upkeep: impl Fn(usize, &mut Rng) + Sync,
) -> Vec<Vec<Event>> {
    const THREADS: usize = 4;
    let start = Barrier::new(THREADS);
    let all: Vec<Vec<(u64, Event)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|thread| {
                let (act, upkeep, start) = (&act, &upkeep, &start);
                scope.spawn(move || {
                    let mut rng = Rng(seed * 977 + thread * 31 + 1);
                    let mut events = Vec::with_capacity(ops);
                    let mut value = (thread + 1) << 40;
                    let mut seen = 0;
                    start.wait();
                    for n in 0..ops {
                        let (key, pick) = (rng.below(keys), rng.below(16));
                        value += 1 << 8;
                        events.push((key, act(Step { key, pick, value }, &mut seen)));
                        upkeep(n % 64, &mut rng);
                    }
                    events
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut by_key = vec![Vec::new(); keys as usize];
    for (key, event) in all.into_iter().flatten() {
        by_key[key as usize].push(event);
    }
    by_key
}
