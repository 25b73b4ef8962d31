//! The header word of a bucket: what each of its places is, in 64 bits that change together.
//!
//! ```text
//!   63     58   57     56    55      42 41                              0
//!   | version | frozen | init | 7 x 2   | 6 x 7                           |
//!                               extra     lanes: 0 free, 1 trying, 2 dead, 4..=127 the tag of a valid entry
//!                               places: 0 free, 1 trying, 2 dead, 3 valid
//! ```
//! A tag is seven bits of the entry's hash, so one look at one word names the places that an entry may be in: in all
//! six lanes at once, by arithmetic on the whole word.

/// Places of a bucket's line, whose tags are in the header.
pub(super) const LANES: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 2 } else { 6 };
/// Places of a bucket's second line.
pub(super) const EXTRAS: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 } else { 7 };
/// All of them.
pub(super) const PLACES: usize = LANES + EXTRAS;

const LANE_BITS: usize = 7;
const EXTRA_BITS: usize = 2;
/// Where the extra places begin.
const EXTRA: usize = 42;
const INIT: u64 = 1 << 56;
const FROZEN: u64 = 1 << 57;
/// Six bits in all; one in models, so that versions begin anew at every second commit.
const VERSION: u64 = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 << 63 } else { 1 << 58 };

const FREE: u64 = 0;
const TRYING: u64 = 1;
const DEAD: u64 = 2;
/// An extra place's.
const VALID: u64 = 3;
/// The least tag. Two tags that differ in the last bit only are both tags, or neither is one: see [`Header::matches`].
const LEAST_TAG: u64 = 4;

/// The lowest bit of each lane.
const ONES: u64 = {
    let (mut ones, mut lane) = (0, 0);
    while lane < LANES {
        ones |= 1 << (lane * LANE_BITS);
        lane += 1;
    }
    ones
};
const LANE_MASK: u64 = ONES * ((1 << LANE_BITS) - 1);
const HIGHS: u64 = ONES << (LANE_BITS - 1);
/// The lowest bit of each extra place.
const EXTRA_ONES: u64 = {
    let (mut ones, mut place) = (0, 0);
    while place < EXTRAS {
        ones |= 1 << (EXTRA + place * EXTRA_BITS);
        place += 1;
    }
    ones
};

/// What a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody's; its slot holds no entry.
    Free,
    /// Claimed by an insertion that is under way.
    Trying,
    /// Was `Trying` when the version wrapped: the insertion has to look for another place and to free this one.
    Dead,
    /// Holds an entry, or did until a moment ago.
    Valid,
}

/// A header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header(pub(super) u64);

impl Header {
    /// Of a bucket of a table that is being filled from another: nothing was moved here yet.
    pub(super) const UNINIT: Self = Self(0);
    /// Of an empty bucket that is in use.
    pub(super) const EMPTY: Self = Self(INIT);
    /// Of a bucket that is in the form of a block from the start.
    pub(super) const BLOCK: Self = Self(INIT | FROZEN);
    /// What freezes a bucket.
    pub(super) const FREEZE: u64 = FROZEN;

    /// The tag of a hash.
    #[inline(always)]
    pub(super) fn tag(hash: u64) -> u64 {
        let tag = hash & 0x7f;
        if tag < LEAST_TAG { tag | 0x40 } else { tag }
    }

    /// In use, and its line is where its entries are.
    #[inline(always)]
    pub(super) fn is_live(self) -> bool {
        self.0 & (INIT | FROZEN) == INIT
    }

    #[inline(always)]
    pub(super) fn is_uninit(self) -> bool {
        self.0 & INIT == 0
    }

    #[inline(always)]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & FROZEN != 0
    }

    /// The lanes that have this tag, as a set of bits of which each lane has one.
    ///
    /// The first is right. A later one may be wrong by a borrow, and has the tag with its last bit flipped then: that
    /// is a valid lane, too, so that whoever looks at its slot finds what may be looked at.
    #[inline(always)]
    pub(super) fn matches(self, tag: u64) -> u64 {
        let differ = (self.0 ^ (ONES * tag)) & LANE_MASK;
        differ.wrapping_sub(ONES) & !differ & HIGHS
    }

    /// The lane of a bit that [`matches`](Self::matches) set.
    #[inline(always)]
    pub(super) fn lane(bits: u64) -> usize {
        bits.trailing_zeros() as usize / LANE_BITS
    }

    /// Some place of the second line is valid.
    #[inline(always)]
    pub(super) fn has_extras(self) -> bool {
        self.0 & (self.0 >> 1) & EXTRA_ONES != 0
    }

    fn shift(place: usize) -> usize {
        if place < LANES { place * LANE_BITS } else { EXTRA + (place - LANES) * EXTRA_BITS }
    }

    /// All bits of a place.
    pub(super) fn mask(place: usize) -> u64 {
        let width = if place < LANES { LANE_BITS } else { EXTRA_BITS };
        ((1 << width) - 1) << Self::shift(place)
    }

    pub(super) fn place(self, place: usize) -> Place {
        match (self.0 & Self::mask(place)) >> Self::shift(place) {
            FREE => Place::Free,
            TRYING => Place::Trying,
            DEAD => Place::Dead,
            _ => Place::Valid,
        }
    }

    #[inline(always)]
    pub(super) fn is_valid(self, place: usize) -> bool {
        self.place(place) == Place::Valid
    }

    /// The first free place, lanes first.
    pub(super) fn free(self) -> Option<usize> {
        (0..PLACES).find(|&place| self.place(place) == Place::Free)
    }

    fn with(self, place: usize, value: u64) -> Self {
        Self(self.0 & !Self::mask(place) | value << Self::shift(place))
    }

    /// With a free place claimed.
    pub(super) fn claimed(self, place: usize) -> Self {
        debug_assert_eq!(self.place(place), Place::Free);
        self.with(place, TRYING)
    }

    /// With an entry in a place, as a child is built.
    pub(super) fn filled(self, place: usize, tag: u64) -> Self {
        self.with(place, if place < LANES { tag } else { VALID })
    }

    /// With a claimed place's entry committed: the next version. When versions begin anew, all other claims are
    /// revoked, so that none of them ever meets a header that looks like the one it knew.
    pub(super) fn committed(self, place: usize, tag: u64) -> Self {
        debug_assert_eq!(self.place(place), Place::Trying);
        let mut header = self.filled(place, tag);
        header.0 = header.0.wrapping_add(VERSION);
        if header.0 / VERSION == 0 {
            for other in 0..PLACES {
                if header.place(other) == Place::Trying {
                    header = header.with(other, DEAD);
                }
            }
        }
        header
    }
}

#[cfg(all(test, not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use super::*;

    #[test]
    fn bits_do_not_overlap() {
        let all = (0..PLACES).fold(INIT | FROZEN, |bits, place| {
            assert_eq!(bits & Header::mask(place), 0, "place {place}");
            bits | Header::mask(place)
        });
        assert_eq!(all, VERSION - 1, "no bit is left over");
    }

    #[test]
    fn tags_are_found_and_nothing_but_valid_lanes() {
        for tag in 0..0x80 {
            let tag = Header::tag(tag);
            assert!((LEAST_TAG..0x80).contains(&tag));
            for other in 0..0x80 {
                for place in 0..LANES {
                    let mut header = Header::EMPTY;
                    for lane in 0..LANES {
                        header = header.with(lane, other);
                    }
                    header = header.with(place, tag);
                    let mut found = header.matches(tag);
                    let mut seen = false;
                    while found != 0 {
                        let lane = Header::lane(found);
                        assert!(header.is_valid(lane), "{header:?} {tag} {lane}");
                        seen |= lane == place;
                        found &= found - 1;
                    }
                    assert!(seen);
                }
            }
        }
    }

    #[test]
    fn a_wrapping_version_revokes_the_other_claims() {
        let mut header = Header::EMPTY.claimed(3).claimed(8);
        for version in 1..=64_u64 {
            let place = header.free().unwrap();
            header = header.claimed(place).committed(place, 5);
            assert_eq!(header.0 / VERSION, version % 64);
            let claim = if version < 64 { Place::Trying } else { Place::Dead };
            assert_eq!((header.place(3), header.place(8)), (claim, claim));
            assert!(header.is_live() && header.is_valid(place));
            header = Header(header.0 & !Header::mask(place));
        }
    }

    #[test]
    fn extras_are_seen_when_they_are_valid() {
        for place in LANES..PLACES {
            let header = Header::EMPTY.claimed(place);
            assert!(!header.has_extras());
            assert!(!header.with(place, DEAD).has_extras());
            assert!(header.committed(place, 9).has_extras());
        }
    }
}
