//! Which places of a leaf hold entries: one word, the only part of a leaf that changes.
//!
//! ```text
//!   places   [ 0 .. len: sorted when the leaf was made | len .. len + LOG: the log ]
//!
//!   word     bit 63    62   61..32: for each place of the log, six bits             31..0
//!            closed     -   0 free, 1 + rank: there, 63: gone                       a bit for each sorted place: there
//! ```
//! A removal takes places out, an insertion puts one of the log in, a replacement does both, and any number of places go in one
//! compare-exchange. A place is filled by the thread that claimed it, before the word says that it is there, and never again: so
//! whoever has read the word once has an atomic snapshot of the leaf, whose contents stay as they are. The *rank* of an entry in the
//! log is how many sorted places come before it, so that nobody has to look at the log for a key of another rank.
//!
//! **Invariants**
//!
//! 1. A word never comes back in its leaf: places go from free to there to gone, and none the other way.
//! 2. Entries of the log with the same rank are in the order of their keys. Whoever would break that makes a new leaf instead.
//! 3. A closed word never changes. A leaf is replaced only after it was closed: one that is open is in the tree.

use super::rebuild::LEAF_MAX;

/// Places that a leaf has for what is inserted after it was made. Five fit into the word: with them, and with nodes' memory going
/// round in threads, 50 % writes in a map of a thousand `u64` took 0.84 of the time with one thread, 0.56 with 2 and 0.40 with 8. Fewer in
/// models, where two are enough for an order among them.
pub(super) const LOG: usize = if cfg!(not(target_has_atomic = "64")) {
    0
} else if cfg!(any(latchfree_loom, latchfree_stall)) {
    2
} else {
    5
};

/// Places of a leaf at the most.
pub(super) const PLACES: usize = LEAF_MAX + LOG;

const CLOSED: u64 = 1 << 63;
/// The first bit of the log, and bits of a place there.
const SHIFT: u32 = 32;
const WIDTH: u32 = 6;
const FIELD: u64 = (1 << WIDTH) - 1;
const GONE: u64 = FIELD;
/// The lowest bit of each field.
const ONES: u64 = {
    let (mut ones, mut slot) = (0, 0);
    while slot < LOG as u32 {
        ones |= 1 << (SHIFT + slot * WIDTH);
        slot += 1;
    }
    ones
};
/// For the number of a place in the log.
const SLOT_BITS: u32 = 3;
const LOGGED: u64 = ONES * FIELD;
const SORTED: u64 = (1 << SHIFT) - 1;
const _: () = assert!(LEAF_MAX <= SHIFT as usize && LOG <= 5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State(pub(super) u64);

impl State {
    /// Of a new leaf: so many sorted places, all there.
    #[inline(always)]
    pub(super) fn new(len: usize, is_closed: bool) -> Self {
        debug_assert!(len <= LEAF_MAX);
        Self(((1 << len) - 1) | if is_closed { CLOSED } else { 0 })
    }

    #[inline(always)]
    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(super) fn closed(self) -> Self {
        Self(self.0 | CLOSED)
    }

    #[inline(always)]
    fn field(self, slot: usize) -> u64 {
        self.0 >> (SHIFT + slot as u32 * WIDTH) & FIELD
    }

    /// The rank of a place of the log, if it is there.
    #[inline(always)]
    pub(super) fn logged(self, slot: usize) -> Option<usize> {
        match self.field(slot) {
            0 | GONE => None,
            rank => Some(rank as usize - 1),
        }
    }

    #[inline(always)]
    pub(super) fn has_sorted(self, place: usize) -> bool {
        self.0 >> place & 1 != 0
    }

    /// True if something of this rank may be in the log; seldom although nothing is.
    #[inline(always)]
    pub(super) fn may_log(self, rank: usize) -> bool {
        // A field is zero where it is that rank; the borrow of such a one may make the next look so.
        let apart = (self.0 ^ (ONES * (rank as u64 + 1))) & LOGGED;
        apart.wrapping_sub(ONES) & !apart & ONES << (WIDTH - 1) != 0
    }

    /// What is in the log in the order of its keys (see the second invariant): ranks, shifted, with slots, and how many these are.
    #[inline(always)]
    fn by_rank(self) -> ([u16; LOG], usize) {
        const ABSENT: u16 = (GONE - 1) as u16;
        // What is free or gone comes last.
        let key = |slot: usize| (self.field(slot).wrapping_sub(1) & FIELD) as u16;
        let keys: [u16; LOG] = core::array::from_fn(|slot| (key(slot) << SLOT_BITS) | slot as u16);
        let (mut sorted, mut count) = ([0; LOG], 0);
        for &key in &keys {
            // Counted instead of sorted: no branch depends on what they are.
            sorted[keys.iter().map(|&other| usize::from(other < key)).sum::<usize>()] = key;
            count += usize::from(key >> SLOT_BITS < ABSENT);
        }
        (sorted, count)
    }

    /// How many entries.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        // The highest bit of each field that is not zero: by the carry of the others, or its own.
        const HIGHEST: u64 = ONES << (WIDTH - 1);
        const OTHERS: u64 = LOGGED ^ HIGHEST;
        let nonzero = |fields: u64| (((fields & OTHERS) + OTHERS) | fields) & HIGHEST;
        // Neither free nor gone, which is all ones.
        let logged = nonzero(self.0 & LOGGED) & nonzero(!self.0 & LOGGED);
        ((self.0 & SORTED) | logged).count_ones() as usize
    }

    /// Without a place, in a leaf of so many sorted ones.
    #[inline(always)]
    pub(super) fn without(self, place: usize, sorted: usize) -> Self {
        if place < sorted {
            Self(self.0 & !(1 << place))
        } else {
            Self(self.0 | GONE << (SHIFT + (place - sorted) as u32 * WIDTH))
        }
    }

    /// With a place of the log, which was free.
    #[inline(always)]
    pub(super) fn with(self, slot: usize, rank: usize) -> Self {
        debug_assert_eq!(self.field(slot), 0);
        Self(self.0 | (rank as u64 + 1) << (SHIFT + slot as u32 * WIDTH))
    }
}

/// Room for [`PLACES`], and for what [`Order::new`] writes beyond.
const ROOM: usize = PLACES + LEAF_MAX + 1;

/// Places of a leaf that hold entries, in the order of their keys.
#[derive(Clone, Copy)]
pub(super) struct Order {
    len: u8,
    places: [u8; ROOM],
}

impl PartialEq for Order {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

/// Each number at its own place.
const ASCENDING: [u8; ROOM] = {
    let (mut places, mut at) = ([0; ROOM], 0);
    while at < ROOM {
        places[at] = at as u8;
        at += 1;
    }
    places
};

impl Order {
    pub(super) const EMPTY: Self = Self { len: 0, places: [0; ROOM] };

    /// Of a leaf with so many sorted places.
    #[inline]
    pub(super) fn new(state: State, sorted: usize) -> Self {
        debug_assert!(sorted <= LEAF_MAX);
        let there = state.0 & SORTED;
        let is_whole = there == (1 << sorted) - 1;
        // Arrays are copied whole, whose lengths are known when this is compiled, for speed.
        let mut order = Self { len: sorted as u8, places: ASCENDING };
        if !is_whole {
            order.len = 0;
            let mut rest = there;
            while rest != 0 {
                order.push(rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
        }
        if state.0 & LOGGED != 0 {
            order.merge(state, sorted, is_whole);
        }
        debug_assert_eq!(order.len(), state.len());
        order
    }

    /// Puts what is in the log between the sorted places, which are there already.
    #[inline]
    fn merge(&mut self, state: State, sorted: usize, is_whole: bool) {
        let before = self.places;
        let (logged, count) = state.by_rank();
        for (index, &key) in logged[..count].iter().enumerate() {
            let (rank, slot) = (usize::from(key >> SLOT_BITS), usize::from(key) % (1 << SLOT_BITS));
            let below = if is_whole { rank } else { (state.0 & ((1 << rank) - 1)).count_ones() as usize };
            self.places[below + index] = (sorted + slot) as u8;
            // All that may come behind.
            self.places[below + index + 1..][..LEAF_MAX].copy_from_slice(&before[below..][..LEAF_MAX]);
        }
        self.len += count as u8;
    }

    #[inline(always)]
    pub(super) fn push(&mut self, place: usize) {
        self.places[usize::from(self.len)] = place as u8;
        self.len += 1;
    }

    /// Without a place.
    pub(super) fn remove(&mut self, place: usize) {
        if let Some(at) = self.as_slice().iter().position(|&it| usize::from(it) == place) {
            self.places.copy_within(at + 1.., at);
            self.len -= 1;
        }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    #[inline(always)]
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.places[..usize::from(self.len)]
    }

    /// The place of the entry at `index`.
    #[inline(always)]
    pub(super) fn place(&self, index: usize) -> usize {
        debug_assert!(index < self.len());
        self.places[index].into()
    }
}

impl FromIterator<usize> for Order {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        let mut order = Self::EMPTY;
        places.into_iter().for_each(|place| order.push(place));
        order
    }
}
