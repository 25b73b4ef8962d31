//! Maps: each thread knows what it did to keys of its own; shared keys are counted; others must not disturb either.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use latchfree::{CopyMap, HashMap, OrderedMap};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::Hammer;
use crate::token::Token;

/// Keys of each thread.
const OWN: u64 = 400;
/// Keys that are there from the beginning and are never removed.
const FIXED: u64 = 50;

/// What a thread knows of its own keys: the number of the value that each has.
type Known = Mutex<Vec<Option<u64>>>;

fn known(threads: usize) -> Vec<Known> {
    (0..threads).map(|_| Mutex::new(vec![None; OWN as usize])).collect()
}

fn expect(what: &str, found: Option<&Token>, expected: Option<u64>) -> Result<(), String> {
    found.map_or(Ok(()), Token::verify)?;
    let found = found.map(|token| token.number);
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}")) }
}

/// The hash map, which grows and shrinks.
pub struct Hash {
    map: HashMap<(usize, u64), Token>,
    known: Vec<Known>,
    counted: AtomicU64,
}

/// A key that nobody owns.
const SHARED: usize = usize::MAX;

impl Hash {
    pub fn new(threads: usize) -> Self {
        let map: HashMap<_, _> = (0..FIXED).map(|key| ((SHARED, key), Token::new(0, key))).collect();
        map.pin().insert((SHARED, FIXED), Token::new(0, 0));
        Self { map, known: known(threads), counted: AtomicU64::new(0) }
    }
}

impl Hammer for Hash {
    fn name(&self) -> &'static str {
        "hash map"
    }

    fn step(&self, thread: usize, rng: &mut SmallRng) -> Result<(), String> {
        let map = self.map.pin();
        let mut known = self.known[thread].lock().expect("nobody panics here");
        let (own, number) = (rng.random_range(0..OWN), rng.random_range(0..1 << 40));
        let (key, expected) = ((thread, own), &mut known[own as usize]);
        match rng.random_range(0..1000) {
            0..300 => {
                expect("insert", map.insert(key, Token::new(thread, number)), expected.replace(number))?
            }
            300..600 => expect("remove", map.remove(&key), expected.take())?,
            600..700 => {
                let updated = map.update(key, |token| Token::new(thread, token.number + 1));
                *expected = expected.map(|number| number + 1);
                expect("update", updated, *expected)?;
            }
            700..900 => expect("get", map.get(&key), *expected)?,
            900..990 => {
                map.update((SHARED, FIXED), |token| Token::new(thread, token.number + 1));
                self.counted.fetch_add(1, Ordering::Relaxed);
            }
            990..995 => {
                let fixed = map.iter().filter(|((owner, key), _)| *owner == SHARED && *key < FIXED).count();
                if fixed as u64 != FIXED {
                    return Err(format!("an iteration saw {fixed} of {FIXED} keys that are never removed"));
                }
            }
            995..999 => self.map.reserve(rng.random_range(0..10_000)),
            _ => self.map.shrink_to_fit(),
        }
        Ok(())
    }

    fn settle(&mut self, round: u64) -> Result<(), String> {
        let map = self.map.pin();
        let mut present = FIXED as usize + 1;
        for (thread, known) in self.known.iter_mut().enumerate() {
            for (own, &mut expected) in known.get_mut().expect("nobody panics here").iter_mut().enumerate() {
                expect("settled", map.get(&(thread, own as u64)), expected)?;
                present += usize::from(expected.is_some());
            }
        }
        if map.len() != present || map.iter().count() != present {
            return Err(format!("length {}, {} iterated, {present} expected", map.len(), map.iter().count()));
        }
        expect("count", map.get(&(SHARED, FIXED)), Some(*self.counted.get_mut()))?;
        drop(map);
        if round.is_multiple_of(2) {
            self.map.collect();
        }
        Ok(())
    }

    fn backlog(&self) -> usize {
        self.map.backlog().objects
    }
}

/// The ordered map: own keys, keys that are never removed, and a queue of priorities at its front.
pub struct Ordered {
    map: OrderedMap<(u64, u64), Token>,
    known: Vec<Known>,
    numbers: AtomicU64,
    pushed: AtomicU64,
    popped: AtomicU64,
}

/// Keys below this first half are popped by anybody.
const POPPED: u64 = 1 << 32;

impl Ordered {
    pub fn new(threads: usize) -> Self {
        let map = OrderedMap::new();
        for key in 0..FIXED {
            map.pin().insert((u64::MAX, key), Token::new(0, key));
        }
        let zero = || AtomicU64::new(0);
        Self { map, known: known(threads), numbers: zero(), pushed: zero(), popped: zero() }
    }

    fn pop(&self, max: usize) -> Result<(), String> {
        let mut before = None;
        for (key, token) in self.map.pin().pop_first_while(max, |key, _| key.0 < POPPED) {
            token.verify()?;
            if before >= Some(*key) {
                return Err(format!("{key:?} popped after {before:?}"));
            }
            before = Some(*key);
            self.popped.fetch_add(token.number, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Hammer for Ordered {
    fn name(&self) -> &'static str {
        "ordered map"
    }

    fn step(&self, thread: usize, rng: &mut SmallRng) -> Result<(), String> {
        let map = self.map.pin();
        let mut known = self.known[thread].lock().expect("nobody panics here");
        let (own, number) = (rng.random_range(0..OWN), rng.random_range(0..1 << 40));
        // Keys of different threads lie side by side.
        let (key, expected) = ((POPPED + own, thread as u64), &mut known[own as usize]);
        match rng.random_range(0..1000) {
            0..250 => {
                expect("insert", map.insert(key, Token::new(thread, number)), expected.replace(number))?
            }
            250..500 => expect("remove", map.remove(&key), expected.take())?,
            500..650 => expect("get", map.get(&key), *expected)?,
            650..800 => {
                let number = self.numbers.fetch_add(1, Ordering::Relaxed);
                map.insert((rng.random_range(0..1000), number), Token::new(thread, number));
                self.pushed.fetch_add(number, Ordering::Relaxed);
            }
            800..980 => self.pop(rng.random_range(1..20))?,
            980..990 => {
                let fixed = map.range((u64::MAX, 0)..).count();
                if fixed as u64 != FIXED {
                    return Err(format!("a scan saw {fixed} of {FIXED} keys that are never removed"));
                }
            }
            _ => {
                let keys: Vec<_> = map.iter().map(|(key, _)| *key).collect();
                if !keys.is_sorted_by(|a, b| a < b) {
                    return Err("a scan was not sorted".into());
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, round: u64) -> Result<(), String> {
        while self.map.pin().first_key_value().is_some_and(|(key, _)| key.0 < POPPED) {
            self.pop(64)?;
        }
        let (pushed, popped) = (*self.pushed.get_mut(), *self.popped.get_mut());
        if pushed != popped {
            return Err(format!("priorities: {pushed} in and {popped} out, as sums"));
        }
        let map = self.map.pin();
        let mut present = FIXED as usize;
        for (thread, known) in self.known.iter_mut().enumerate() {
            for (own, &mut expected) in known.get_mut().expect("nobody panics here").iter_mut().enumerate() {
                expect("settled", map.get(&(POPPED + own as u64, thread as u64)), expected)?;
                present += usize::from(expected.is_some());
            }
        }
        if map.len() != present || map.iter().count() != present {
            return Err(format!("length {}, {} iterated, {present} expected", map.len(), map.iter().count()));
        }
        drop(map);
        if round.is_multiple_of(2) {
            self.map.collect();
        }
        Ok(())
    }

    fn backlog(&self) -> usize {
        self.map.backlog().objects
    }
}

/// The map of plain values: counters with a limit.
pub struct Counters {
    map: CopyMap<u64, u64>,
    added: AtomicU64,
}

const LIMIT: u64 = 1_000_000;

impl Counters {
    pub fn new() -> Self {
        Self { map: CopyMap::new(), added: AtomicU64::new(0) }
    }
}

impl Hammer for Counters {
    fn name(&self) -> &'static str {
        "copy map"
    }

    fn step(&self, thread: usize, rng: &mut SmallRng) -> Result<(), String> {
        let key = rng.random_range(0..300);
        match rng.random_range(0..100) {
            0..70 => {
                if self.map.add_if_below(key, 1, LIMIT).is_ok() {
                    self.added.fetch_add(1, Ordering::Relaxed);
                }
            }
            70..80 => {
                // Whoever removes a counter takes its count away with it.
                if let Some(count) = self.map.remove(&key) {
                    self.added.fetch_sub(count, Ordering::Relaxed);
                }
            }
            80..99 => {
                if self.map.get(&key).is_some_and(|count| count > LIMIT) {
                    return Err(format!("the count of {key} is above the limit"));
                }
            }
            _ if thread == 0 => self.map.shrink_to_fit(),
            _ => self.map.reserve(rng.random_range(0..10_000)),
        }
        Ok(())
    }

    fn settle(&mut self, _round: u64) -> Result<(), String> {
        let sum: u64 = self.map.iter().map(|(_, count)| count).sum();
        let added = *self.added.get_mut();
        if sum == added { Ok(()) } else { Err(format!("the counters hold {sum}, {added} were added")) }
    }

    fn backlog(&self) -> usize {
        self.map.backlog().objects
    }
}
