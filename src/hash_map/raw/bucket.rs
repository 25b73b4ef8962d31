//! A bucket: one cache line of a header, slots and a link; the look-up, and the steps by which entries come and go.
//!
//! ```text
//!   bucket  | header | slot 0 | ... | slot 5 | link |      one line
//!   link -> | slot 6 | ... | slot 12 | block |             a second line, once the first was full
//!   block -> [(hash, entry) ...]                           copy-on-write, once both were full
//! ```
//! A slot holds null (never written), [`EMPTY`], or an entry; the lowest bit of a slot says that it is frozen.
//!
//! **Invariants**
//!
//! 1. A free place's slot holds no entry, and a place changes hands only by way of `Free`: claimed by an insertion
//!    (`Trying`), committed by it (`Valid`), freed by whoever took its entry out of the slot, or by the insertion if it did
//!    not commit. So while a place is claimed, or valid with an empty slot, exactly one operation will free it.
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
//! 5. A frozen header admits no claim and no commit. Once all valid slots with an entry are frozen as well, what the
//!    bucket holds is fixed: later changes of the header concern places without an entry.
//!
//! **Non-invariants**: a valid place's slot may be empty (its remover is about to free it); a claimed place's slot may
//! hold anything but an entry that is in the map elsewhere under another key; slots of frozen buckets without an entry are
//! not frozen.

use alloc::boxed::Box;
use core::ptr::{self, NonNull};

use super::block::Block;
use super::entry::Entry;
use super::header::{EXTRAS, Header, LANES, PLACES};
use crate::reclaim::Retired;
#[cfg(not(latchfree_loom))]
use crate::sync::WithMut as _;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use crate::util::prefetch::prefetch;

/// A slot's bit: frozen for a migration.
const FROZEN: usize = 1;
/// A slot that held an entry once. It is not null: null is what migrations write over.
const EMPTY: usize = 2;

/// A slot's or a block link's content, tag bits included.
pub(super) type Tagged<T> = *mut T;

pub(super) fn is_frozen<T>(tagged: Tagged<T>) -> bool {
    tagged.addr() & FROZEN != 0
}

fn frozen<T>(tagged: Tagged<T>) -> Tagged<T> {
    tagged.map_addr(|addr| addr | FROZEN)
}

/// The object in a slot or block link, if there is one.
#[inline(always)]
pub(super) fn object<T>(tagged: Tagged<T>) -> Option<NonNull<T>> {
    NonNull::new(tagged.map_addr(|addr| addr & !(FROZEN | EMPTY)))
}

fn empty<T>() -> Tagged<T> {
    ptr::without_provenance_mut(EMPTY)
}

type Slot<K, V> = AtomicPtr<Entry<K, V>>;

#[repr(align(64))]
pub(super) struct Bucket<K, V> {
    pub(super) header: AtomicU64,
    slots: [Slot<K, V>; LANES],
    link: AtomicPtr<Extra<K, V>>,
}

/// A bucket's second line. It comes when the first is full, and stays as long as the bucket.
#[repr(align(64))]
pub(super) struct Extra<K, V> {
    slots: [Slot<K, V>; EXTRAS],
    /// The block that has replaced both lines, if there is one.
    block: AtomicPtr<Block<K, V>>,
}

impl<K, V> Extra<K, V> {
    fn new(block: *mut Block<K, V>) -> Self {
        Self {
            slots: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            block: AtomicPtr::new(block),
        }
    }
}

/// What a look-up found: where, what the slot held, and the entry.
pub(super) struct Found<K, V> {
    pub(super) place: usize,
    pub(super) tagged: Tagged<Entry<K, V>>,
    pub(super) entry: NonNull<Entry<K, V>>,
}

impl<K, V> Bucket<K, V> {
    #[cfg_attr(
        not(any(latchfree_loom, latchfree_stall)),
        allow(dead_code, reason = "an uninitialised bucket is zeroed memory there")
    )]
    pub(super) fn new(header: Header) -> Self {
        Self {
            header: AtomicU64::new(header.0),
            slots: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            link: AtomicPtr::new(ptr::null_mut()),
        }
    }

    #[inline(always)]
    pub(super) fn header(&self) -> Header {
        // Acquire: pairs with the Release of commits, for the entries, and keeps the slots' loads behind it. It is where a
        // look-up that finds nothing takes effect.
        Header(self.header.load(Ordering::Acquire))
    }

    /// The second line, if there is one.
    #[inline]
    fn extra(&self) -> Option<&Extra<K, V>> {
        // Acquire: pairs with the Release that linked it.
        // SAFETY: linked once, and freed with the bucket.
        unsafe { self.link.load(Ordering::Acquire).as_ref() }
    }

    /// A place's slot. The second line is there if the place was claimed, or is valid.
    #[inline(always)]
    pub(super) fn slot(&self, place: usize) -> &Slot<K, V> {
        match self.slots.get(place) {
            Some(slot) => slot,
            None => &self.extra().expect("a claimed place's line").slots[place - LANES],
        }
    }

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
            let slot = unsafe { self.slots.get_unchecked(place) };
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
            prefetch(self.slots[Header::lane(matches)].load(Ordering::Relaxed));
        }
    }

    #[cold]
    fn find_extra(&self, header: Header, hash: u64, eq: &mut impl FnMut(&K) -> bool) -> Option<Found<K, V>> {
        (LANES..PLACES)
            .filter(|&place| header.is_valid(place))
            .find_map(|place| self.check(header, place, self.slot(place), hash, eq))
    }

    /// The entry of a place, if it has the key and is in the map.
    #[inline(always)]
    fn check(
        &self,
        header: Header,
        place: usize,
        slot: &Slot<K, V>,
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
            let again = slot.load(Ordering::Acquire);
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
        // Release: publishes the entry; Acquire on success: what we lend comes after what its inserter did. Losing means
        // that the entry was replaced, removed or frozen. The linearization point of a replacement.
        !is_frozen(found.tagged)
            && self
                .slot(found.place)
                .compare_exchange(found.tagged, new.as_ptr(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Takes a found entry out, and frees its place.
    pub(super) fn remove(&self, found: &Found<K, V>) -> bool {
        // As in `replace`; the linearization point of a removal.
        let removed = !is_frozen(found.tagged)
            && self
                .slot(found.place)
                .compare_exchange(found.tagged, empty(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if removed {
            // Release: who claims the place comes after the slot was emptied.
            self.header.fetch_and(!Header::mask(found.place), Ordering::Release);
        }
        removed
    }

    /// Claims a free place of a header that was read, and shows an entry in it.
    pub(super) fn claim(&self, header: Header, place: usize, entry: NonNull<Entry<K, V>>) -> bool {
        if place >= LANES && self.extra().is_none() {
            self.link(Box::new(Extra::new(ptr::null_mut())));
        }
        // Acquire: after the place was freed. Release: who sees the second line full sees the line. Losing means that the
        // header changed: another claim, commit or removal.
        let new = header.claimed(place).0;
        let claimed =
            self.header.compare_exchange(header.0, new, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if claimed {
            // Release: who finds the entry here compares its key.
            self.slot(place).store(entry.as_ptr(), Ordering::Release);
        }
        claimed
    }

    /// Commits a claimed place under the header in which the key was found absent.
    pub(super) fn commit(&self, header: Header, place: usize, hash: u64) -> bool {
        let new = header.committed(place, Header::tag(hash)).0;
        // Release: publishes the entry. Acquire: we come after all earlier commits. Losing means that the header
        // changed, perhaps by an insertion of the same key. The linearization point of an insertion.
        self.header.compare_exchange(header.0, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Gives back a place that was claimed and not committed.
    pub(super) fn release(&self, place: usize) {
        // Relaxed: the header's Release comes after it. On a frozen bucket neither matters.
        self.slot(place).store(empty(), Ordering::Relaxed);
        // Release: who claims the place comes after the slot was emptied.
        self.header.fetch_and(!Header::mask(place), Ordering::Release);
    }

    /// Links a second line, unless there is one.
    fn link(&self, extra: Box<Extra<K, V>>) {
        let extra = Box::into_raw(extra);
        // Release: publishes the line; pairs with the Acquire in `extra`. Losing means that there is one.
        if self.link.compare_exchange(ptr::null_mut(), extra, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: ours, from above, and not published.
            drop(unsafe { Box::from_raw(extra) });
        }
    }

    /// Freezes the header: no claim, no commit any more.
    pub(super) fn freeze_header(&self) -> Header {
        let header = self.header();
        if header.is_frozen() {
            return header;
        }
        // AcqRel: after all commits; whoever sees the bit sees what its setter saw.
        Header(self.header.fetch_or(Header::FREEZE, Ordering::AcqRel) | Header::FREEZE)
    }

    /// Freezes the lines: what they hold is fixed from then on.
    pub(super) fn freeze_lines(&self) {
        let header = self.freeze_header();
        for place in (0..PLACES).filter(|&place| header.is_valid(place)) {
            let slot = self.slot(place);
            // Acquire: as in `check`.
            let mut tagged = slot.load(Ordering::Acquire);
            while object(tagged).is_some() && !is_frozen(tagged) {
                // AcqRel: after the entry was put here; who finds it frozen sees the header frozen. Losing means that it
                // was frozen, removed or replaced, which cannot go on for ever without operations that succeed.
                match slot.compare_exchange(tagged, frozen(tagged), Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => break,
                    Err(now) => tagged = now,
                }
            }
        }
    }

    /// The block that has replaced the lines, with its tag.
    pub(super) fn block(&self) -> Tagged<Block<K, V>> {
        // Acquire: pairs with the Release of whoever put it there.
        self.extra().map_or(ptr::null_mut(), |extra| extra.block.load(Ordering::Acquire))
    }

    /// Puts a block in the place of another, or of the lines (null); gives it back if that was not there any more.
    pub(super) fn set_block(
        &self,
        old: Tagged<Block<K, V>>,
        new: Box<Block<K, V>>,
    ) -> Result<(), Box<Block<K, V>>> {
        let Some(extra) = self.extra() else { return Err(new) };
        let new = Box::into_raw(new);
        // Release: publishes the block and its entries; Acquire: after the changes before. Losing means that another
        // change was made, or that the block was frozen. The linearization point of all changes in a block.
        match extra.block.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            // SAFETY: from above, and not published.
            Err(_) => Err(unsafe { Box::from_raw(new) }),
        }
    }

    /// Freezes the block, or that there is none.
    pub(super) fn freeze_block(&self) -> Option<NonNull<Block<K, V>>> {
        let extra = self.extra()?;
        // Acquire: as in `block`.
        let mut tagged = extra.block.load(Ordering::Acquire);
        while !is_frozen(tagged) {
            // AcqRel and losing: as in `freeze_lines`.
            match extra.block.compare_exchange(tagged, frozen(tagged), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => tagged = now,
            }
        }
        object(tagged)
    }

    /// The entries of the lines that are valid in `header`. Exact if the lines are frozen; else each is an entry that was
    /// in the map at some time since the header was read.
    pub(super) fn entries(&self, header: Header) -> impl Iterator<Item = NonNull<Entry<K, V>>> {
        (0..PLACES).filter(move |&place| header.is_valid(place)).filter_map(|place| {
            let slot = self.slot(place);
            // All Acquire: as in `check`, without a key.
            let mut tagged = slot.load(Ordering::Acquire);
            loop {
                let entry = object(tagged)?;
                if is_frozen(tagged) {
                    return Some(entry); // frozen since it was valid
                }
                let valid = Header(self.header.load(Ordering::Acquire)).is_valid(place);
                let again = slot.load(Ordering::Acquire);
                if object(again) != Some(entry) {
                    tagged = again;
                } else {
                    return valid.then_some(entry);
                }
            }
        })
    }

    /// Fills a bucket of a new table with `entries`, which every helper finds the same and in the same order, and opens it.
    ///
    /// Helpers write each slot by a compare-exchange from null, which succeeds once in the bucket's life; whoever comes late
    /// finds all of them written.
    pub(super) fn fill(&self, entries: &[NonNull<Entry<K, V>>]) {
        let mut header = Header::EMPTY;
        if entries.len() > PLACES {
            let block = Box::into_raw(Block::new(entries));
            let extra = Box::into_raw(Box::new(Extra::new(block)));
            // As in `link`.
            let linked =
                self.link.compare_exchange(ptr::null_mut(), extra, Ordering::AcqRel, Ordering::Acquire);
            if linked.is_err() {
                // SAFETY: ours, from above, and not published.
                unsafe { drop((Box::from_raw(extra), Box::from_raw(block))) };
            }
            header = Header::BLOCK;
        } else {
            if entries.len() > LANES && self.extra().is_none() {
                let extra = Extra::new(ptr::null_mut());
                for (slot, entry) in extra.slots.iter().zip(&entries[LANES..]) {
                    // Relaxed: the line is not published yet.
                    slot.store(entry.as_ptr(), Ordering::Relaxed);
                }
                self.link(Box::new(extra));
            }
            for (place, entry) in entries.iter().enumerate() {
                if let Some(slot) = self.slots.get(place) {
                    // Release: publishes the entry. Losing means that another helper wrote the same.
                    let _ = slot.compare_exchange(
                        ptr::null_mut(),
                        entry.as_ptr(),
                        Ordering::Release,
                        Ordering::Relaxed,
                    );
                }
                // SAFETY: protected by the caller's guard, or not shared.
                let hash = unsafe { Entry::at(*entry) }.hash;
                header = header.filled(place, Header::tag(hash));
            }
        }
        // Release: publishes the slots and the entries. Losing means that another helper opened it. From here on the bucket
        // is where its entries are, and the buckets they came from are not.
        let _ = self.header.compare_exchange(Header::UNINIT.0, header.0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

impl<K, V> Bucket<K, V> {
    /// Frees the second line and the block, and no entries.
    pub(super) fn free_extra(&mut self) {
        if let Some(extra) = NonNull::new(self.link.with_mut(|extra| *extra)) {
            // SAFETY: from `Box::into_raw`; the bucket is not shared any more.
            unsafe { Extra::<K, V>::free(extra.cast()) };
        }
    }

    /// The second line and the block of a bucket that was moved, as garbage.
    pub(super) fn retired_extra(&self) -> Option<Retired> {
        let object = NonNull::from(self.extra()?).cast();
        Some(Retired { object, reclaim: Extra::<K, V>::free, bytes: size_of::<Extra<K, V>>() })
    }
}

impl<K, V> Extra<K, V> {
    /// # Safety
    ///
    /// From `Box::into_raw`, and nobody reaches it any more.
    unsafe fn free(extra: NonNull<u8>) {
        // SAFETY: the caller's promise.
        let mut extra = unsafe { Box::from_raw(extra.cast::<Self>().as_ptr()) };
        if let Some(block) = object(extra.block.with_mut(|block| *block)) {
            // SAFETY: as above; a block that was replaced was retired apart.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}
