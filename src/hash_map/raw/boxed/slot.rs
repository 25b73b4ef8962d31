//! Slots that point to entries: the look-up, and the steps by which entries come and go.
//!
//! A slot holds null or an entry; the lowest bit of a slot says that it is frozen.
//!
//! **Invariants**, beside those of [`bucket`](super::super::bucket)
//!
//! 1. A free place's slot holds no entry; a valid place is freed by whoever took its entry out of the slot. So while a place
//!    is claimed, or valid with an empty slot, exactly one operation will free it.
//! 2. An operation claims each place of a line at most once, and shows one entry there. So the time in which a
//!    given entry stands in a given slot is one interval for everybody who is pinned throughout.
//! 3. An entry is in the map from its insertion's commit, a compare-exchange of the header, to the compare-exchange of its
//!    slot that replaces or removes it. Hence the look-up's check: it reads the slot, the header, and the slot again; if
//!    the slot holds the same entry both times and the header says valid, the entry was in the map when the header
//!    was read (2).
//! 4. A commit fails if any other insertion into the bucket committed since the header was read under which the key was
//!    found absent: that header has our own claim in it, and a version. When versions begin anew, other claims are
//!    revoked by the same step, and a revoked claim is given back by its owner only. So the header that the commit
//!    expects cannot come again.
//! 5. Once a header and all valid slots with an entry are frozen, what the bucket holds is fixed: later changes of the
//!    header concern places without an entry.
//!
//! **Non-invariants**: a valid place's slot may be empty (its remover is about to free it); a claimed place's slot may
//! hold anything but an entry that is in the map elsewhere under another key; slots of frozen buckets without an entry are
//! not frozen.

use alloc::vec::Vec;
use core::ptr::{self, NonNull};

use super::super::block::{Listed, append_chosen};
use super::super::bucket::{Bucket, Slot};
use super::super::header::{Header as Word, Layout, Six};
use super::super::tagged::{Tagged, frozen, is_frozen, object};
use super::entry::Entry;
use crate::sync::{AtomicPtr, Ordering};
use crate::util::prefetch::prefetch;

pub(in crate::hash_map) type Pointer<K, V> = AtomicPtr<Entry<K, V>>;
pub(super) type Header = Word<Six>;
const LANES: usize = Six::LANES;

/// What a look-up found: where, what the slot held, and the entry.
pub(super) struct Found<K, V> {
    pub(super) place: usize,
    pub(super) tagged: Tagged<Entry<K, V>>,
    pub(super) entry: NonNull<Entry<K, V>>,
}

impl<K, V> Bucket<Pointer<K, V>> {
    /// The entry with a key, among the places that are valid in `header`.
    ///
    /// If there is none, and the header was live, there was an instant since it was read at which the map had no such
    /// key: a place that was valid then and holds another entry now was emptied since.
    #[inline(always)]
    pub(super) fn find(
        &self,
        header: Header,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<Found<K, V>> {
        let mut matches = header.matches(Header::tag(hash));
        while matches != 0 {
            let place = Header::lane(matches);
            matches &= matches - 1;
            // SAFETY: a lane's number.
            let slot = unsafe { self.slots.as_ref().get_unchecked(place) };
            if let Some(found) = self.check(header, place, slot, hash, eq) {
                return Some(found);
            }
        }
        if header.has_extras() { self.find_extra(header, hash, eq) } else { None }
    }

    /// Asks for the line of the first entry that may have a hash, or for the second line if there it may be.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        let header = self.header();
        let matches = header.matches(Header::tag(hash));
        if matches != 0 {
            // Relaxed: a hint; nothing is read through it.
            prefetch(self.slots.as_ref()[Header::lane(matches)].load(Ordering::Relaxed));
        } else if header.has_extras() {
            self.prefetch_extra();
        }
    }

    #[cold]
    fn find_extra(&self, header: Header, hash: u64, eq: &mut impl FnMut(&K) -> bool) -> Option<Found<K, V>> {
        let mut extras = header.extras_of(Header::tag(hash));
        while extras != 0 {
            let place = Header::extra(extras);
            extras &= extras - 1;
            if let Some(found) = self.check(header, place, self.slot(place), hash, eq) {
                return Some(found);
            }
        }
        None
    }

    /// The entry of a place, if it has the key and is in the map.
    #[inline(always)]
    fn check(
        &self,
        header: Header,
        place: usize,
        slot: &Pointer<K, V>,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<Found<K, V>> {
        // Acquire: pairs with the Release of the store or exchange that put it there, for the entry.
        let mut tagged = slot.load(Ordering::Acquire);
        loop {
            let pointer = object(tagged)?;
            // SAFETY: it was in the slot of a place that was valid, or became claimed, while we were pinned (invariant 2), so it is
            // not freed before our guard ends.
            let entry = unsafe { Entry::at(pointer) };
            if entry.hash != hash || !eq(&entry.key) {
                return None;
            }
            // Acquire: behind the slot's load, before its repetition (invariant 3).
            let now = self.header();
            let valid = now == header || now.is_valid(place);
            // SeqCst: in one order with replacements and removals in other places, as the header with insertions. No model can tell:
            // for loom the fence before the header's load stands for this one, too. The language's own model can
            // (`tools/litmus`, "a slot behind its header").
            let again = slot.load(Ordering::SeqCst);
            if object(again) != Some(pointer) {
                tagged = again; // replaced, or removed: whatever is there now
            } else if valid {
                return Some(Found { place, tagged: again, entry: pointer });
            } else {
                return None; // shown by an insertion and not committed, or an insertion that comes after a removal
            }
        }
    }

    /// Puts an entry with the same key in a found one's place.
    pub(super) fn replace(&self, found: &Found<K, V>, new: NonNull<Entry<K, V>>) -> bool {
        // SeqCst: publishes the entry; what we lend comes after what its inserter did. Losing means that the entry was replaced,
        // removed or frozen. The linearization point of a replacement.
        !is_frozen(found.tagged)
            && self
                .slot(found.place)
                .compare_exchange(found.tagged, new.as_ptr(), Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
    }

    /// Takes a found entry out, and frees its place.
    pub(super) fn remove(&self, found: &Found<K, V>) -> bool {
        // As in `replace`; the linearization point of a removal.
        let removed = !is_frozen(found.tagged)
            && self
                .slot(found.place)
                .compare_exchange(found.tagged, ptr::null_mut(), Ordering::SeqCst, Ordering::Relaxed)
                .is_ok();
        if removed {
            self.free(found.place);
        }
        removed
    }

    /// Claims a free place of a header that was read, and shows an entry in it.
    pub(super) fn claim_showing(&self, header: Header, place: usize, entry: NonNull<Entry<K, V>>) -> bool {
        let claimed = self.claim(header, place).is_some();
        if claimed {
            // Release: who finds the entry here compares its key.
            self.slot(place).store(entry.as_ptr(), Ordering::Release);
        }
        claimed
    }

    /// Commits a claimed place under the header in which the key was found absent.
    pub(super) fn commit(&self, header: Header, place: usize, hash: u64) -> bool {
        let new = header.committed(place, Header::tag(hash)).0;
        // SeqCst: publishes the entry, and comes after all earlier commits. Losing means that the header changed, perhaps by an
        // insertion of the same key. The linearization point of an insertion.
        self.header.compare_exchange(header.0, new, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Gives back a place that was claimed and not committed.
    pub(super) fn release(&self, place: usize) {
        // Relaxed: the header's Release comes after it. On a frozen bucket neither matters.
        self.slot(place).store(ptr::null_mut(), Ordering::Relaxed);
        self.free(place);
    }

    /// Freezes the lines under a frozen header: what they hold is fixed from then on.
    fn freeze_slots(&self, header: Header) {
        for place in header.valid() {
            let slot = self.slot(place);
            // Relaxed, and on losing: only what is to be exchanged; `entries` acquires it.
            let mut tagged = slot.load(Ordering::Relaxed);
            while object(tagged).is_some() && !is_frozen(tagged) {
                // SeqCst: as in `freeze_for_move`, after the entry was put here. Losing means that it was frozen, removed or replaced,
                // which cannot go on for ever without operations that succeed. No model can tell: what loom has for the order of
                // the exchange follows with the opening of the child. The language's own model can (`tools/litmus`, "frozen,
                // and then changed elsewhere"). Nothing is read through what it finds.
                match slot.compare_exchange(tagged, frozen(tagged), Ordering::SeqCst, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => tagged = now,
                }
            }
        }
    }

    /// As `entries`, of the lanes of a live header, with one look at the header for all of them; false if a slot was changed
    /// meanwhile.
    #[inline(always)]
    fn snapshot(&self, header: Header, out: &mut Vec<Listed<NonNull<Entry<K, V>>>>) -> bool {
        // Acquire, all of them: as in `check`, without a key.
        let load = |place: usize| self.slots[place].load(Ordering::Acquire);
        let held: [_; LANES] = core::array::from_fn(load);
        let valid = header.valid_lanes() & self.header().valid_lanes();
        let again: [_; LANES] = core::array::from_fn(load);
        if again != held {
            return false;
        }
        let entries = held.map(object);
        append_chosen(
            out,
            core::array::from_fn::<_, LANES, _>(|place| {
                let entry = entries[place].unwrap_or(NonNull::dangling());
                prefetch(entry.as_ptr());
                (entries[place].is_some() & Header::has(valid, place), entry)
            }),
        );
        true
    }

    /// The entries of the lines that are valid in `header`. Exact if the lines are frozen; else each is an entry that was
    /// in the map at some time since the header was read.
    fn entries(&self, header: Header) -> impl Iterator<Item = NonNull<Entry<K, V>>> {
        header.valid().filter_map(|place| {
            let slot = self.slot(place);
            // All Acquire: as in `check`, without a key.
            let mut tagged = slot.load(Ordering::Acquire);
            loop {
                let entry = object(tagged)?;
                if is_frozen(tagged) {
                    return Some(entry); // frozen since it was valid
                }
                let valid = self.header().is_valid(place);
                let again = slot.load(Ordering::Acquire);
                if object(again) != Some(entry) {
                    tagged = again;
                } else {
                    return valid.then_some(entry);
                }
            }
        })
    }
}

impl<K, V> Slot for Pointer<K, V> {
    type Item = NonNull<Entry<K, V>>;
    type Layout = Six;
    type Lanes = [Self; LANES];
    /// Bytes an entry, from 2^18 to 2^19 entries of two words: 46 with 4, 43 with 5 (papaya 45). With 5, when the table is about to
    /// grow, every fourth bucket has its second line, and one in some fifteen hundred is used up by chance.
    const LOAD: usize = if LANES < 6 { LANES } else { 5 };
    const MOST: usize = Header::PLACES;

    fn never() -> Self {
        AtomicPtr::new(ptr::null_mut())
    }

    fn lanes() -> Self::Lanes {
        core::array::from_fn(|_| Self::never())
    }

    fn write(&self, entry: Self::Item) {
        // Release: as an insertion's; pairs with the Acquire of look-ups.
        self.store(entry.as_ptr(), Ordering::Release);
    }

    #[inline]
    fn prefetch_all(bucket: &Bucket<Self>) {
        // Relaxed: a hint; nothing is read through it.
        bucket.slots.iter().for_each(|slot| prefetch(slot.load(Ordering::Relaxed)));
    }

    fn freeze_lines(bucket: &Bucket<Self>, header: Header) {
        bucket.freeze_slots(header);
    }

    #[inline(always)]
    fn read(
        bucket: &Bucket<Self>,
        header: Header,
        hash: Option<impl Fn(Self::Item) -> u64>,
        out: &mut Vec<Listed<Self::Item>>,
    ) {
        let begin = out.len();
        if !header.is_live() || header.has_extras() || !bucket.snapshot(header, out) {
            out.truncate(begin);
            out.extend(bucket.entries(header).map(|entry| (0, entry)));
        }
        if let Some(hash) = hash {
            out[begin..].iter_mut().for_each(|(listed, entry)| *listed = hash(*entry));
        }
    }
}
