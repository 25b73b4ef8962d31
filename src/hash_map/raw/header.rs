//! The header word of a bucket: what each of its places is, in 64 bits that change together.
//!
//! ```text
//!   Six      63     59   58       57      56    55      42 41                              0
//!            | version | moving | frozen | init | 7 x 2   | 6 x 7                           |
//!   Three    63     38   37       36      35    34      21 20            0
//!            | version | moving | frozen | init | 7 x 2   | 3 x 7         |
//!                                                 extra     lanes: 0 free, 1 trying, 2 dead, 4..=127 the tag of a valid entry
//!                                                 places: 0 free, 1 trying, 2 dead, 3 valid; of Three, 2 and 3 valid
//! ```
//! A bucket that is in use has `init`. With neither of the other two its entries are in its lines, and change. `Frozen` says that
//! they are in its block, or will be; `moving`, that they go to another table and are what they were when it was set.
//!
//! A tag is seven bits of the entry's hash, so one look at one word names the places that an entry may be in: in all
//! lanes at once, by arithmetic on the whole word. Where nothing is ever dead, a place has one bit of the tag, which spares
//! every other look-up in vain the second line.

use core::marker::PhantomData;

/// Places of a bucket's second line.
pub(super) const EXTRAS: usize = if MODELS { 1 } else { 7 };
const MODELS: bool = cfg!(any(latchfree_loom, latchfree_stall));

const LANE_BITS: usize = 7;
const EXTRA_BITS: usize = 2;

const FREE: u64 = 0;
const TRYING: u64 = 1;
const DEAD: u64 = 2;
/// An extra place's; where no place is ever dead, the lower bit is the tag's.
const VALID: u64 = 3;
/// The least tag. Two tags that differ in the last bit only are both tags, or neither is one: see [`Header::matches`].
const LEAST_TAG: u64 = 4;

/// The lowest bit of each of some fields.
const fn ones(fields: usize, begin: usize, width: usize) -> u64 {
    let (mut ones, mut field) = (0, 0);
    while field < fields {
        ones |= 1 << (begin + field * width);
        field += 1;
    }
    ones
}

/// How the bits are divided.
pub(in crate::hash_map) trait Layout: Copy + Eq + core::fmt::Debug {
    /// Places of a bucket's line, whose tags are in the header.
    const LANES: usize;
    /// Bits of the version in models: few, so that they are used up.
    const MODEL_VERSION: u32;
    /// Versions begin anew, and then places may be dead.
    const WRAPS: bool;
}

/// Slots of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hash_map) struct Six;

impl Layout for Six {
    const LANES: usize = if MODELS { 2 } else { 6 };
    // Versions begin anew at every second commit.
    const MODEL_VERSION: u32 = 1;
    const WRAPS: bool = true;
}

/// Slots of two words. What lanes leave over belongs to the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hash_map) struct Three;

impl Layout for Three {
    const LANES: usize = 3;
    // Three commits; there is no fourth.
    const MODEL_VERSION: u32 = 2;
    const WRAPS: bool = false;
}

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
pub(in crate::hash_map) struct Header<L>(pub(super) u64, PhantomData<L>);

impl<L: Layout> Header<L> {
    /// Where the extra places begin.
    const EXTRA: usize = L::LANES * LANE_BITS;
    const INIT: u64 = 1 << (Self::EXTRA + 14);
    /// What freezes a bucket that becomes a block.
    pub(super) const FROZEN: u64 = 1 << (Self::EXTRA + 15);
    /// What freezes a bucket that is moved.
    pub(super) const MOVING: u64 = 1 << (Self::EXTRA + 16);
    /// The version's lowest bit; it has all that are above.
    const VERSION: u64 = 1 << if MODELS { 64 - L::MODEL_VERSION as usize } else { Self::EXTRA + 17 };
    const ONES: u64 = ones(L::LANES, 0, LANE_BITS);
    const LANE_MASK: u64 = Self::ONES * ((1 << LANE_BITS) - 1);
    const HIGHS: u64 = Self::ONES << (LANE_BITS - 1);
    const EXTRA_ONES: u64 = ones(EXTRAS, Self::EXTRA, EXTRA_BITS);

    /// All places of a bucket.
    pub(super) const PLACES: usize = L::LANES + EXTRAS;

    /// Of a bucket of a table that is being filled from another: nothing was moved here yet.
    pub(super) const UNINIT: Self = Self::new(0);
    /// The same, and a block is put behind its link, whoever writes its slots.
    pub(super) const BLOCKING: Self = Self::new(Self::FROZEN);
    /// Of an empty bucket that is in use.
    pub(super) const EMPTY: Self = Self::new(Self::INIT);
    /// Of a bucket that is in the form of a block from the start.
    pub(super) const BLOCK: Self = Self::new(Self::INIT | Self::FROZEN);

    pub(super) const fn new(bits: u64) -> Self {
        Self(bits, PhantomData)
    }

    /// The tag of a hash.
    #[inline(always)]
    pub(super) fn tag(hash: u64) -> u64 {
        let tag = hash & 0x7f;
        if tag < LEAST_TAG { tag | 0x40 } else { tag }
    }

    /// In use, and its line is where its entries are.
    #[inline(always)]
    pub(super) fn is_live(self) -> bool {
        self.0 & (Self::INIT | Self::FROZEN | Self::MOVING) == Self::INIT
    }

    #[inline(always)]
    pub(super) fn is_uninit(self) -> bool {
        self.0 & Self::INIT == 0
    }

    #[inline(always)]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & (Self::FROZEN | Self::MOVING) != 0
    }

    /// Of a bucket that is moved: there may be a block, or an operation that is about to link a second line.
    #[inline(always)]
    pub(super) fn is_open_behind(self) -> bool {
        let claimed = (self.0 | self.0 >> 1) & Self::EXTRA_ONES & !self.valid_extras();
        self.0 & Self::FROZEN | claimed != 0
    }

    /// The lanes that have this tag, as a set of bits of which each lane has one.
    ///
    /// The first is right. A later one may be wrong by a borrow, and has the tag with its last bit flipped then: that
    /// is a valid lane, too, so that whoever looks at its slot finds what may be looked at.
    #[inline(always)]
    pub(super) fn matches(self, tag: u64) -> u64 {
        let differ = (self.0 ^ (Self::ONES * tag)) & Self::LANE_MASK;
        differ.wrapping_sub(Self::ONES) & !differ & Self::HIGHS
    }

    /// The lanes that are valid, as a set of bits of which each has one.
    #[inline(always)]
    pub(super) fn valid_lanes(self) -> u64 {
        // A tag has one of the bits above the lowest two.
        let lanes = self.0 & Self::LANE_MASK & !(Self::ONES * (LEAST_TAG - 1));
        (((lanes & !Self::HIGHS) + (Self::HIGHS - Self::ONES * LEAST_TAG)) | lanes) & Self::HIGHS
    }

    /// The lane of a bit that [`matches`](Self::matches) set.
    #[inline(always)]
    pub(super) fn lane(bits: u64) -> usize {
        bits.trailing_zeros() as usize / LANE_BITS
    }

    /// The lane of the first bit of a set that [`matches`](Self::matches) made, or the last lane if that is empty.
    #[inline(always)]
    pub(super) fn lane_or_last(bits: u64) -> usize {
        Self::lane(bits | 1 << (L::LANES * LANE_BITS - 1))
    }

    /// Whether a lane is in a set of them.
    #[inline(always)]
    pub(super) fn has(bits: u64, lane: usize) -> bool {
        bits >> (lane * LANE_BITS + LANE_BITS - 1) & 1 != 0
    }

    /// Some place of the second line is valid.
    #[inline(always)]
    pub(super) fn has_extras(self) -> bool {
        self.valid_extras() != 0
    }

    /// The places of the second line that are valid, as a set of bits of which each has one.
    #[inline(always)]
    fn valid_extras(self) -> u64 {
        self.0 >> 1 & if L::WRAPS { self.0 } else { !0 } & Self::EXTRA_ONES
    }

    /// The places that are valid.
    #[inline(always)]
    pub(super) fn valid(self) -> impl Iterator<Item = usize> {
        let mut left = self.valid_lanes() | self.valid_extras();
        core::iter::from_fn(move || {
            let bits = left;
            left &= left.wrapping_sub(1);
            let is_lane = bits & ((1 << Self::EXTRA) - 1) != 0;
            (bits != 0).then(|| if is_lane { Self::lane(bits) } else { Self::extra(bits) })
        })
    }

    /// The places of the second line that are valid and may have a tag, as a set of bits of which each has one.
    #[inline(always)]
    pub(super) fn extras_of(self, tag: u64) -> u64 {
        let with_its_bit = if L::WRAPS { self.0 } else { !(self.0 ^ (tag & 1).wrapping_neg()) };
        self.0 >> 1 & with_its_bit & Self::EXTRA_ONES
    }

    /// The place of the first bit of a set that [`extras_of`](Self::extras_of) made.
    #[inline(always)]
    pub(super) fn extra(bits: u64) -> usize {
        L::LANES + (bits.trailing_zeros() as usize - Self::EXTRA) / EXTRA_BITS
    }

    #[inline(always)]
    fn shift(place: usize) -> usize {
        if place < L::LANES { place * LANE_BITS } else { Self::EXTRA + (place - L::LANES) * EXTRA_BITS }
    }

    /// All bits of a place.
    #[inline(always)]
    pub(super) fn mask(place: usize) -> u64 {
        let width = if place < L::LANES { LANE_BITS } else { EXTRA_BITS };
        ((1 << width) - 1) << Self::shift(place)
    }

    #[inline(always)]
    pub(super) fn place(self, place: usize) -> Place {
        match (self.0 & Self::mask(place)) >> Self::shift(place) {
            FREE => Place::Free,
            TRYING => Place::Trying,
            DEAD if L::WRAPS || place < L::LANES => Place::Dead,
            _ => Place::Valid,
        }
    }

    #[inline(always)]
    pub(super) fn is_valid(self, place: usize) -> bool {
        self.place(place) == Place::Valid
    }

    /// The first free place, lanes first.
    #[inline(always)]
    pub(super) fn free(self) -> Option<usize> {
        let lanes = self.0 & Self::LANE_MASK;
        let free = !(((lanes & !Self::HIGHS) + (Self::HIGHS - Self::ONES)) | lanes) & Self::HIGHS;
        if free != 0 {
            return Some(Self::lane(free));
        }
        let free = !(self.0 | self.0 >> 1) & Self::EXTRA_ONES;
        (free != 0).then(|| Self::extra(free))
    }

    #[inline(always)]
    fn with(self, place: usize, value: u64) -> Self {
        Self::new(self.0 & !Self::mask(place) | value << Self::shift(place))
    }

    /// With a free place claimed.
    pub(super) fn claimed(self, place: usize) -> Self {
        debug_assert_eq!(self.place(place), Place::Free);
        self.with(place, TRYING)
    }

    /// With an entry in a place, as a child is built.
    #[inline(always)]
    pub(super) fn filled(self, place: usize, tag: u64) -> Self {
        let valid = if L::WRAPS { VALID } else { VALID & !1 | tag & 1 };
        self.with(place, if place < L::LANES { tag } else { valid })
    }

    /// With a claimed place's entry committed: the next version. When versions begin anew, all other claims are
    /// revoked, so that none of them ever meets a header that looks like the one it knew.
    pub(super) fn committed(self, place: usize, tag: u64) -> Self {
        let mut header = self.next_version(place, tag);
        if header.0 / Self::VERSION == 0 {
            for other in 0..Self::PLACES {
                if header.place(other) == Place::Trying {
                    header = header.with(other, DEAD);
                }
            }
        }
        header
    }

    /// With a claimed place's entry committed, and another place freed; none if that was the last version: for those
    /// who must never see one twice.
    #[inline(always)]
    pub(super) fn committed_once(self, place: usize, tag: u64, freed: Option<usize>) -> Option<Self> {
        let header = self.next_version(place, tag);
        let header = freed.map_or(header, |freed| header.freed(freed));
        (header.0 >= Self::VERSION).then_some(header)
    }

    #[inline(always)]
    fn next_version(self, place: usize, tag: u64) -> Self {
        debug_assert_eq!(self.place(place), Place::Trying);
        Self::new(self.filled(place, tag).0.wrapping_add(Self::VERSION))
    }

    /// Nothing was committed between two looks, and a place that was valid was not freed.
    #[inline(always)]
    pub(super) fn is_same(self, later: Self, place: usize) -> bool {
        (self.0 ^ later.0) & (Self::mask(place) | Self::VERSION.wrapping_neg()) == 0
    }

    /// With a place freed.
    #[inline(always)]
    pub(super) fn freed(self, place: usize) -> Self {
        self.with(place, FREE)
    }
}

#[cfg(all(test, not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use super::*;

    fn bits_do_not_overlap<L: Layout>() {
        let all = Header::<L>::INIT | Header::<L>::FROZEN | Header::<L>::MOVING;
        let all = (0..Header::<L>::PLACES).fold(all, |bits, place| {
            assert_eq!(bits & Header::<L>::mask(place), 0, "place {place}");
            bits | Header::<L>::mask(place)
        });
        assert_eq!(all, Header::<L>::VERSION - 1, "no bit is left over");
    }

    fn tags_are_found_and_nothing_but_valid_lanes<L: Layout>() {
        for tag in 0..0x80 {
            let tag = Header::<L>::tag(tag);
            assert!((LEAST_TAG..0x80).contains(&tag));
            for other in 0..0x80 {
                for place in 0..L::LANES {
                    let mut header = Header::<L>::EMPTY;
                    for lane in 0..L::LANES {
                        header = header.with(lane, other);
                    }
                    header = header.with(place, tag);
                    let mut found = header.matches(tag);
                    let mut seen = false;
                    while found != 0 {
                        let lane = Header::<L>::lane(found);
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
    fn fields() {
        bits_do_not_overlap::<Six>();
        bits_do_not_overlap::<Three>();
    }

    #[test]
    fn valid_lanes() {
        for tag in LEAST_TAG..0x80 {
            for valid in 0..8 {
                for other in [FREE, TRYING, DEAD] {
                    let value = |place| if valid >> place & 1 == 1 { tag } else { other };
                    let header =
                        (0..3).fold(Header::<Three>::EMPTY, |header, place| header.with(place, value(place)));
                    let lanes =
                        (0..3).filter(|place| header.valid_lanes() >> (place * LANE_BITS + 6) & 1 == 1);
                    assert_eq!(lanes.fold(0, |set, place| set | 1 << place), valid);
                    assert_eq!(header.valid_lanes().count_ones(), (valid as u64).count_ones());
                }
            }
        }
    }

    #[test]
    fn tags() {
        tags_are_found_and_nothing_but_valid_lanes::<Six>();
        tags_are_found_and_nothing_but_valid_lanes::<Three>();
    }

    #[test]
    fn a_wrapping_version_revokes_the_other_claims() {
        let mut header = Header::<Six>::EMPTY.claimed(3).claimed(8);
        for version in 1..=32_u64 {
            let place = header.free().unwrap();
            header = header.claimed(place).committed(place, 5);
            assert_eq!(header.0 / Header::<Six>::VERSION, version % 32);
            let claim = if version < 32 { Place::Trying } else { Place::Dead };
            assert_eq!((header.place(3), header.place(8)), (claim, claim));
            assert!(header.is_live() && header.is_valid(place));
            header = header.freed(place);
        }
    }

    #[test]
    fn versions_that_come_once_end() {
        let end = u64::MAX - (Header::<Three>::VERSION - 1);
        let header = Header::<Three>::EMPTY.claimed(0);
        let last = Header::<Three>::new(header.0 | (end - Header::<Three>::VERSION));
        let committed = last.committed_once(0, 5, None).unwrap();
        assert!(!last.is_same(committed, 1) && committed.is_valid(0) && committed.is_live());
        assert!(committed.is_same(committed.claimed(2), 0) && !committed.is_same(committed.freed(0), 0));
        let next = committed.claimed(1);
        assert_eq!(next.committed_once(1, 5, Some(0)), None);
        assert_eq!(next.freed(1), committed);
    }

    #[test]
    fn extras_are_seen_when_they_are_valid() {
        for place in Six::LANES..Header::<Six>::PLACES {
            let header = Header::<Six>::EMPTY.claimed(place);
            assert!(!header.has_extras());
            assert!(!header.with(place, DEAD).has_extras());
            let header = header.committed(place, 9);
            assert!(header.has_extras());
            for tag in [4, 9] {
                let extras = header.extras_of(tag);
                assert_eq!((extras.count_ones(), Header::<Six>::extra(extras)), (1, place));
            }
        }
    }

    /// One bit of a tag tells places of the second line apart where no version comes twice, and all of its values are valid.
    #[test]
    fn extras_with_a_bit_of_their_tag() {
        for place in Three::LANES..Header::<Three>::PLACES {
            let claimed = Header::<Three>::EMPTY.claimed(place);
            assert_eq!((claimed.has_extras(), claimed.extras_of(8), claimed.extras_of(9)), (false, 0, 0));
            for tag in [8, 9] {
                let header = claimed.committed_once(place, tag, None).unwrap();
                assert!(header.has_extras() && header.is_valid(place));
                assert_eq!(header.extras_of(tag ^ 1), 0);
                assert_eq!(Header::<Three>::extra(header.extras_of(tag)), place);
                assert_eq!(header.freed(place).extras_of(tag), 0);
            }
        }
    }

    #[test]
    fn the_first_free_place() {
        fn fill<L: Layout>() {
            let mut header = Header::<L>::EMPTY;
            for place in 0..Header::<L>::PLACES {
                assert_eq!(header.free(), Some(place));
                header = if place % 2 == 0 { header.claimed(place) } else { header.filled(place, 0x40) };
            }
            assert_eq!(header.free(), None);
            for place in 0..Header::<L>::PLACES {
                assert_eq!(header.freed(place).free(), Some(place));
            }
        }
        fill::<Six>();
        fill::<Three>();
    }

    #[test]
    fn the_last_lane_stands_in() {
        assert_eq!((Header::<Six>::lane_or_last(0), Header::<Three>::lane_or_last(0)), (5, 2));
        let header = Header::<Three>::EMPTY.filled(1, 9);
        assert_eq!(Header::<Three>::lane_or_last(header.matches(9)), 1);
    }
}
