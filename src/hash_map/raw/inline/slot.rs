//! Slots of two words, a key and its value: how a reader gets a pair that belongs together, and the steps by which entries come
//! and go. No word says anything by itself: all of it is said by the header.
//!
//! ```text
//!   update of a key in place 0:  claim place 1   | write key, value there | one exchange: 1 valid, 0 free, next version
//!   header                       [a . .] -> [a trying .]                  -> [. a .]
//! ```
//!
//! **Invariants**, beside those of [`bucket`](super::super::bucket)
//!
//! 1. The words of a place are written by the operation that claimed it, between claim and commit, and by nobody else; in
//!    a bucket of a new table, by its mover (see [`migration`](super::super::migration)). A place that is valid is not written.
//! 2. Each commit has a version of its own: a version is never used twice in a line. The last one is not used either; a line
//!    that came to it is frozen and becomes a block.
//! 3. So a place and the version of a header in which it is valid name one pair of words. A reader that loads the header, the
//!    words (each with Acquire) and the header again, and finds the same version and the place's same tag, has that pair:
//!    - Not older words: the first load of the header reads the pair's commit or a later exchange of its release sequence, so
//!      the words' stores happen before.
//!    - Not newer ones: their store is a Release after the claim of a later time of the place, so that a reader which
//!      reads them has the claim happen before its second look at the header; there the place would be claimed, free,
//!      or valid again, which takes a commit, and that another version.
//!
//!    Hence words become a key and a value after that second look only, in `glance` as in `check`.
//! 4. What is found takes effect at the first load of the header: there the pair was valid. So does a miss: at that load none of
//!    the valid places had the key, for each that has the tag was read and validated. A look is repeated only if something was
//!    committed or removed in the bucket meanwhile, which is another operation's progress.
//! 5. All changes of lines are exchanges of the header that expect exactly the header that was looked at, so that a removal or
//!    an update that lost its entry to another, to a freeze or to a block fails. A frozen header fixes all that the lines hold.
//! 6. A place that is freed by an update or a removal was valid, and a place that is given back was the giver's. Nobody frees for
//!    another, so a stopped thread keeps the place that it claimed for as long as the line is in use, and no other.

use alloc::vec::Vec;

use super::super::block::{Listed, append_chosen};
use super::super::bucket::{Bucket, Slot};
use super::super::header::{Header as Word, Layout, Three};
use crate::sync::{AtomicU64, Ordering, recheck};

/// A key and its value.
pub(in crate::hash_map) struct Pair {
    key: AtomicU64,
    value: AtomicU64,
}

/// A key's bits and its value's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hash_map) struct Words {
    pub(super) key: u64,
    pub(super) value: u64,
}

pub(super) type Header = Word<Three>;
const LANES: usize = Three::LANES;

/// Something was committed or removed between two looks at the header.
pub(super) struct Changed;

/// What a first look at a bucket shows.
#[derive(Clone, Copy)]
pub(super) struct Glance {
    /// Some words; of an entry that was in the map, if it is `tagged`.
    pub(super) words: Words,
    /// There is an entry with the hash's tag.
    pub(super) tagged: bool,
    /// If that is not the one that is looked for, or there is none, another one may be.
    pub(super) more: bool,
}

impl Glance {
    /// There is nothing.
    pub(super) const NOTHING: Self = Self { words: Words { key: 0, value: 0 }, tagged: false, more: false };
    /// It does not tell.
    pub(super) const UNSURE: Self = Self { more: true, ..Self::NOTHING };
}

impl Pair {
    /// The words; they mean something only if the header says so afterwards.
    #[inline(always)]
    fn load(&self) -> Words {
        // Acquire, both: pair with the Release of `store`, and keep the second look at the header behind them (invariant 3).
        Words { key: self.key.load(Ordering::Acquire), value: self.value.load(Ordering::Acquire) }
    }

    #[inline(always)]
    fn store(&self, words: Words) {
        // Release, both: who reads them sees the claim before (invariant 3).
        self.key.store(words.key, Ordering::Release);
        self.value.store(words.value, Ordering::Release);
    }
}

impl Bucket<Pair> {
    /// The place and the words of the first entry with a tag's hash for which `is` has an answer, and the answer.
    #[inline(always)]
    pub(super) fn find<T>(
        &self,
        header: Header,
        hash: u64,
        is: &mut impl FnMut(Words) -> Option<T>,
    ) -> Result<Option<(usize, T)>, Changed> {
        let mut matches = header.matches(Header::tag(hash));
        while matches != 0 {
            let place = Header::lane(matches);
            matches &= matches - 1;
            // SAFETY: a lane's number.
            let slot = unsafe { self.slots.as_ref().get_unchecked(place) };
            if let Some(found) = is(self.check(header, place, slot)?) {
                return Ok(Some((place, found)));
            }
        }
        let extras = header.extras_of(Header::tag(hash));
        if extras != 0 { self.find_extra(header, extras, is) } else { Ok(None) }
    }

    /// The first entry that has a hash's tag, without a branch on whether there is one, or how many there are at all: a processor
    /// cannot guess either, and pays for a wrong guess with as much as the line took to come. Where no lane has the tag, the
    /// last one's words are read in vain, and are nobody's. At a thousand entries, half of the look-ups hits, a look-up took 14 ns
    /// with a branch on either, 13.2 with one where a bucket is empty, and 10.5 with none. Linearizes as `find` (invariant 4).
    #[inline(always)]
    pub(super) fn glance(&self, header: Header, hash: u64) -> Glance {
        let tag = Header::tag(hash);
        let matches = header.matches(tag);
        // SAFETY: a lane's number.
        let words = unsafe { self.slots.as_ref().get_unchecked(Header::lane_or_last(matches)) }.load();
        // Relaxed: as in `check`, of which this is the stricter form: nothing at all has happened in the bucket.
        if !recheck(self.header.load(Ordering::Relaxed) == header.0) {
            return Glance::UNSURE;
        }
        let more = (matches & matches.wrapping_sub(1)) | header.extras_of(tag);
        Glance { words, tagged: matches != 0, more: more != 0 }
    }

    #[cold]
    fn find_extra<T>(
        &self,
        header: Header,
        mut extras: u64,
        is: &mut impl FnMut(Words) -> Option<T>,
    ) -> Result<Option<(usize, T)>, Changed> {
        while extras != 0 {
            let place = Header::extra(extras);
            extras &= extras - 1;
            if let Some(found) = is(self.check(header, place, self.slot(place))?) {
                return Ok(Some((place, found)));
            }
        }
        Ok(None)
    }

    /// The words of a place that is valid in `header`, as they were then.
    #[inline(always)]
    fn check(&self, header: Header, place: usize, slot: &Pair) -> Result<Words, Changed> {
        let words = slot.load();
        // Relaxed: the words' Acquire comes before it, and only this word's order counts.
        let now = Header::new(self.header.load(Ordering::Relaxed));
        if recheck(header.is_same(now, place)) { Ok(words) } else { Err(Changed) }
    }

    /// Asks for the second line if a look-up of a hash will need it.
    #[inline(always)]
    pub(super) fn prefetch_behind(&self, hash: u64) {
        let (header, tag) = (self.header(), Header::tag(hash));
        if header.matches(tag) == 0 && header.extras_of(tag) != 0 {
            self.prefetch_extra();
        }
    }

    /// Writes a claimed place, which is the caller's.
    #[inline(always)]
    pub(super) fn write(&self, place: usize, words: Words) {
        self.slot(place).store(words);
    }

    /// Commits a claimed place under the header in which the key was found in another place, which is freed, or absent.
    ///
    /// False if the header is another by now; none if the line has no version left.
    #[inline(always)]
    pub(super) fn commit(&self, header: Header, place: usize, hash: u64, old: Option<usize>) -> Option<bool> {
        let new = header.committed_once(place, Header::tag(hash), old)?;
        // SeqCst: publishes the words. Losing means that the header changed: a commit, perhaps of the same key, a removal, a claim,
        // a freeze. The linearization point of insertions and updates.
        Some(self.header.compare_exchange(header.0, new.0, Ordering::SeqCst, Ordering::Relaxed).is_ok())
    }

    /// Removes what was found in a place.
    pub(super) fn remove(&self, header: Header, place: usize) -> bool {
        let new = header.freed(place);
        // SeqCst: who finds the key gone comes after us. Losing: as in `commit`. The linearization point of removals.
        self.header.compare_exchange(header.0, new.0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Puts the words of all places that are valid in `header` into `out`.
    #[inline(always)]
    fn snapshot(
        &self,
        header: Header,
        hash: Option<&impl Fn(Words) -> u64>,
        out: &mut Vec<Listed<Words>>,
    ) -> Result<(), Changed> {
        if header.has_extras() {
            return self.snapshot_all(header, hash, out);
        }
        let words: [Words; LANES] = core::array::from_fn(|place| self.slots[place].load());
        // Relaxed: as in `glance`.
        if !recheck(self.header.load(Ordering::Relaxed) == header.0) {
            return Err(Changed);
        }
        let (begin, valid) = (out.len(), header.valid_lanes());
        append_chosen(
            out,
            core::array::from_fn::<_, LANES, _>(|place| (Header::has(valid, place), words[place])),
        );
        if let Some(hash) = hash {
            out[begin..].iter_mut().for_each(|(listed, words)| *listed = hash(*words));
        }
        Ok(())
    }

    #[cold]
    fn snapshot_all(
        &self,
        header: Header,
        hash: Option<&impl Fn(Words) -> u64>,
        out: &mut Vec<Listed<Words>>,
    ) -> Result<(), Changed> {
        for place in header.valid() {
            let words = self.check(header, place, self.slot(place))?;
            out.push((hash.map_or(0, |hash| hash(words)), words));
        }
        Ok(())
    }
}

impl Slot for Pair {
    type Item = Words;
    type Layout = Three;
    type Lanes = [Self; LANES];
    /// Bytes an entry, from 2^18 to 2^19 entries of two words: 54 with 2, 43 with 3 (papaya 45, boxed). With 3, when the table is
    /// about to grow, every third bucket has its second line, and one in some three thousand is used up by chance.
    const LOAD: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 2 } else { 3 };
    /// One place stays free: without it there could be no update.
    const MOST: usize = Header::PLACES - 1;

    fn never() -> Self {
        Self { key: AtomicU64::new(0), value: AtomicU64::new(0) }
    }

    fn lanes() -> Self::Lanes {
        core::array::from_fn(|_| Self::never())
    }

    fn write(&self, words: Words) {
        self.store(words);
    }

    fn prefetch_all(_: &Bucket<Self>) {}

    fn freeze_lines(_: &Bucket<Self>, _: Header) {}

    /// All as they were at one moment.
    #[inline(always)]
    fn read(
        bucket: &Bucket<Self>,
        mut header: Header,
        hash: Option<impl Fn(Words) -> u64>,
        out: &mut Vec<Listed<Words>>,
    ) {
        if header.is_frozen() {
            // Nothing of it changes any more (invariant 5).
            out.reserve(Header::PLACES);
            for place in header.valid() {
                let words = bucket.slot(place).load();
                out.push((hash.as_ref().map_or(0, |hash| hash(words)), words));
            }
            return;
        }
        let begin = out.len();
        while bucket.snapshot(header, hash.as_ref(), out).is_err() {
            out.truncate(begin);
            header = bucket.header();
        }
    }
}
