//! Slots that point to entries: the look-up, and the steps by which entries come and go.
//!
//! A slot holds null (never written), [`empty`], or an entry; the lowest bit of a slot says that it is frozen.
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

use super::super::block::Listed;
use super::super::bucket::{Bucket, Extra, Slot};
use super::super::header::{Header as Word, Layout, Six};
use super::super::tagged::{Tagged, empty, frozen, is_frozen, object};
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

    /// Asks for the line of the first entry that may have a hash.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        let matches = self.header().matches(Header::tag(hash));
        if matches != 0 {
            // Relaxed: a hint; nothing is read through it.
            prefetch(self.slots.as_ref()[Header::lane(matches)].load(Ordering::Relaxed));
        }
    }

    #[cold]
    fn find_extra(&self, header: Header, hash: u64, eq: &mut impl FnMut(&K) -> bool) -> Option<Found<K, V>> {
        (LANES..Header::PLACES)
            .filter(|&place| header.is_valid(place))
            .find_map(|place| self.check(header, place, self.slot(place), hash, eq))
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
                .compare_exchange(found.tagged, empty(), Ordering::SeqCst, Ordering::Relaxed)
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
        self.slot(place).store(empty(), Ordering::Relaxed);
        self.free(place);
    }

    /// Freezes the lines: what they hold is fixed from then on.
    fn freeze_slots(&self) {
        let header = self.freeze_header();
        for place in (0..Header::PLACES).filter(|&place| header.is_valid(place)) {
            let slot = self.slot(place);
            // Relaxed, and on losing: only what is to be exchanged; `entries` acquires it.
            let mut tagged = slot.load(Ordering::Relaxed);
            while object(tagged).is_some() && !is_frozen(tagged) {
                // SeqCst: as in `freeze_header`, after the entry was put here. Losing means that it was frozen, removed or replaced,
                // which cannot go on for ever without operations that succeed. No model can tell: what loom has for the
                // order of the exchange follows with the opening of the child. The language's own model can (`tools/litmus`,
                // "frozen, and then changed elsewhere"). Nothing is read through what it finds.
                match slot.compare_exchange(tagged, frozen(tagged), Ordering::SeqCst, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => tagged = now,
                }
            }
        }
    }

    /// The entries of the lines that are valid in `header`. Exact if the lines are frozen; else each is an entry that was
    /// in the map at some time since the header was read.
    fn entries(&self, header: Header) -> impl Iterator<Item = NonNull<Entry<K, V>>> {
        (0..Header::PLACES).filter(move |&place| header.is_valid(place)).filter_map(|place| {
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
    /// A line holds six; with 4 on average every ninth bucket needs its second line, and a bucket is used up by chance once in
    /// some ten thousand.
    const LOAD: usize = if LANES < 6 { LANES } else { 4 };

    fn never() -> Self {
        AtomicPtr::new(ptr::null_mut())
    }

    fn lanes() -> Self::Lanes {
        core::array::from_fn(|_| Self::never())
    }

    fn freeze_lines(bucket: &Bucket<Self>) {
        bucket.freeze_slots();
    }

    fn read(
        bucket: &Bucket<Self>,
        header: Header,
        hash: impl Fn(Self::Item) -> u64,
        out: &mut Vec<Listed<Self::Item>>,
    ) {
        out.extend(bucket.entries(header).map(|entry| (hash(entry), entry)));
    }

    /// Helpers write each slot by a compare-exchange from null, which succeeds once in the bucket's life; whoever comes late
    /// finds all of them written.
    fn fill(bucket: &Bucket<Self>, entries: &[Listed<Self::Item>]) {
        let mut header = Header::EMPTY;
        if entries.len() > Header::PLACES {
            bucket.fill_block(entries);
            header = Header::BLOCK;
        } else {
            if entries.len() > LANES && bucket.extra().is_none() {
                let extra = Extra::<Self>::new();
                for (slot, (_, entry)) in extra.slots.iter().zip(&entries[LANES..]) {
                    // Relaxed: the line is not published yet.
                    slot.store(entry.as_ptr(), Ordering::Relaxed);
                }
                bucket.link(extra);
            }
            for (place, (hash, entry)) in entries.iter().enumerate() {
                if let Some(slot) = bucket.slots.get(place) {
                    // Relaxed: whoever opens the bucket, below, knows all entries, and publishes them. Losing means that another helper
                    // wrote the same.
                    let _ = slot.compare_exchange(
                        ptr::null_mut(),
                        entry.as_ptr(),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                }
                header = header.filled(place, Header::tag(*hash));
            }
        }
        bucket.open(Header::UNINIT, header);
    }
}
