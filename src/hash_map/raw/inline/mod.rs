//! Inline entries: a slot is a key and its value, two words that are copied in and out.
//!
//! **Linearization.** Insertion, replacement and removal: the exchange of the header; in a block, the exchange of the block. A
//! look-up, whether it finds or not: its first load of the header, in the attempt that told; in a block, the load of the block.
//!
//! **Progress.** A change claims a place and commits it. It is repeated when the header changed, by a commit or a removal, which is
//! progress; or by a claim, and an operation claims once in a line and keeps its claim until it is done. A line whose places are
//! claimed by stopped threads, or whose versions are used up, is frozen and becomes a block, which has no places to claim.
//! Where many changes went to blocks that would fit into lines, the table is rebuilt, so that a block does not stay for ever.
//!
//! **Who frees what**: entries are copies, nobody; the rest as in the [engine](super).

mod sample;
mod slot;
mod word;

use core::hash::{BuildHasher, Hash};
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use bytemuck::NoUninit;

use self::sample::Sample;
pub(in crate::hash_map) use self::slot::Words;
use self::slot::{Glance, Header, Pair};
use self::word::{from_word, to_word};
use super::block::Block;
use super::bucket::Bucket;
use super::header::{Layout, Three};
use super::table::Table;
use super::walk::Cursor;
use super::{Form, Hashed, Kind, Raw};
use crate::reclaim::Reclaim;
use crate::sync::{Ordering, const_fn};
use crate::util::backoff;

/// What a map of inline entries is made of.
pub(in crate::hash_map) struct Inline<K, V, S> {
    pub(in crate::hash_map) hasher: S,
    sample: Sample,
    _entries: PhantomData<(K, V)>,
}

impl<K, V, S> Inline<K, V, S> {
    const_fn! {
        pub(in crate::hash_map) const fn new(hasher: S) -> Self {
            Self { hasher, sample: Sample::new(), _entries: PhantomData }
        }
    }
}

impl<K, V, S> Kind for Inline<K, V, S> {
    type Item = Words;
    type Slot = Pair;

    fn free_entries<R: Reclaim>(_: &mut Raw<Self, R>) {}
}

impl<K: NoUninit + Hash, V, S: BuildHasher> Hashed for Inline<K, V, S> {
    fn hash(&self, entry: Words) -> u64 {
        // SAFETY: the engine has it from a bucket of this map.
        super::hash(&self.hasher, &unsafe { from_word::<K>(entry.key) })
    }
}

/// What an operation does about the value it found, or about there being none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hash_map) enum Change<V> {
    Leave,
    /// Sets the key's value.
    Put(V),
    Remove,
}

/// What an operation found and did: one atomic step.
#[derive(Clone, Copy, Debug)]
pub(in crate::hash_map) struct Done<K, V> {
    pub(in crate::hash_map) found: Option<(K, V)>,
    pub(in crate::hash_map) change: Change<V>,
}

/// A place that an operation has claimed; given back when it is dropped.
struct Claim<'g> {
    bucket: &'g Bucket<Pair>,
    place: usize,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.bucket.free(self.place);
    }
}

/// A look-up's answer for an entry: its key and value, if it is the one.
#[inline(always)]
fn entry_if<K: NoUninit, V: NoUninit>(eq: impl Fn(&K) -> bool) -> impl FnMut(Words) -> Option<(K, V)> {
    move |words| {
        // SAFETY: words of an entry, validated, or of a block; `apply` made them of a key and a value.
        let key = unsafe { from_word::<K>(words.key) };
        // SAFETY: as above.
        eq(&key).then(|| (key, unsafe { from_word::<V>(words.value) }))
    }
}

impl<K: NoUninit, V: NoUninit, S, R: Reclaim> Raw<Inline<K, V, S>, R> {
    /// What `of` makes of the entry with a key.
    ///
    /// Keys are compared outside of the critical section, which is all that there is of one in most look-ups.
    #[inline(always)]
    pub(in crate::hash_map) fn get<T>(
        &self,
        hash: u64,
        eq: impl Fn(&K) -> bool + Copy,
        of: impl Fn(K, V) -> T + Copy,
    ) -> Option<T> {
        // SAFETY: given back after some loads.
        let Some(guard) = (unsafe { R::enter() }) else { return self.get_counted(hash, eq, of) };
        let glance = self.glance(hash, &guard);
        // SAFETY: from above.
        unsafe { R::leave(guard) };
        self.judge(glance, hash, eq, of)
    }

    /// As `get`, where the guard is not the thread's only one.
    #[inline(never)]
    fn get_counted<T>(
        &self,
        hash: u64,
        eq: impl Fn(&K) -> bool + Copy,
        of: impl Fn(K, V) -> T + Copy,
    ) -> Option<T> {
        let guard = R::pin();
        let glance = self.glance(hash, &guard);
        drop(guard);
        self.judge(glance, hash, eq, of)
    }

    /// Makes an answer of a glance, if it is one.
    #[inline(always)]
    fn judge<T>(
        &self,
        glance: Glance,
        hash: u64,
        eq: impl Fn(&K) -> bool + Copy,
        of: impl Fn(K, V) -> T + Copy,
    ) -> Option<T> {
        let words = match self.kind.sample.get() {
            Some(sample) if !glance.tagged => sample,
            None if !glance.tagged && glance.more => return self.get_slowly(hash, eq, of),
            None if !glance.tagged => return None,
            _ => glance.words,
        };
        // SAFETY: words of an entry, validated, or an entry's that was inserted; `apply` made them of a key and a value.
        let (key, value) = unsafe { (from_word::<K>(words.key), from_word::<V>(words.value)) };
        let hit = eq(&key) & glance.tagged;
        if !hit & glance.more {
            return self.get_slowly(hash, eq, of);
        }
        hit.then_some(of(key, value))
    }

    #[inline(always)]
    fn glance(&self, hash: u64, guard: &R::Guard) -> Glance {
        let Some(table) = self.root(guard) else { return Glance::NOTHING };
        let bucket = table.bucket(hash);
        let header = bucket.header();
        if header.is_live() { bucket.glance(header, hash) } else { Glance::UNSURE }
    }

    /// As `get`, where one look does not do.
    #[cold]
    #[inline(never)]
    fn get_slowly<T>(
        &self,
        hash: u64,
        eq: impl Fn(&K) -> bool + Copy,
        of: impl Fn(K, V) -> T + Copy,
    ) -> Option<T> {
        let guard = R::pin();
        let table = self.root(&guard)?;
        loop {
            match self.reached(table, hash) {
                (_, _, Some(block)) => {
                    let (_, (key, value)) = block.find(hash, entry_if(eq))?;
                    return Some(of(key, value));
                }
                (bucket, header, None) => {
                    if let Ok(found) = bucket.find(header, hash, &mut entry_if(eq)) {
                        let (_, (key, value)) = found?;
                        return Some(of(key, value));
                    }
                }
            }
        }
    }

    /// Asks for the second line of a key that will be looked up soon, whose first was asked for, if it will need that.
    #[inline(always)]
    pub(in crate::hash_map) fn prefetch_behind(&self, hash: u64) {
        let look = |guard: &_| {
            if let Some(table) = self.root(guard) {
                table.bucket(hash).prefetch_behind(hash);
            }
        };
        // SAFETY: some loads, and that is all.
        unsafe { R::briefly(look) };
    }

    /// Asks for the line of a key that will be looked up soon.
    #[inline(always)]
    pub(in crate::hash_map) fn prefetch(&self, hash: u64) {
        // SAFETY: it loads where the table is, and that is all.
        unsafe { R::briefly(|guard| self.prefetch_bucket(hash, guard)) };
    }
}

impl<K: NoUninit + Hash, V: NoUninit, S: BuildHasher, R: Reclaim> Raw<Inline<K, V, S>, R> {
    /// The next entry of an iteration over this map.
    #[inline]
    pub(in crate::hash_map) fn advance(&self, cursor: &mut Cursor<Words>) -> Option<(K, V)> {
        let words = cursor.next(self)?;
        // SAFETY: the words of an entry of this map; `apply` made them of a key and a value.
        Some(unsafe { (from_word(words.key), from_word(words.value)) })
    }

    /// Looks for a key, asks `decide` what to do about its entry, or about there being none, and does it in one step.
    ///
    /// `decide` is asked again if anything was changed in the bucket meanwhile. It must not say `Remove` where there is no
    /// entry, nor `Put` there if there is no `key`: an entry that is found keeps its key then.
    #[inline]
    pub(in crate::hash_map) fn apply(
        &self,
        hash: u64,
        key: Option<K>,
        eq: impl Fn(&K) -> bool,
        mut decide: impl FnMut(Option<(K, V)>) -> Change<V>,
        guard: &R::Guard,
    ) -> Done<K, V> {
        let words = |found: Option<(K, V)>, value: V| {
            let key = key.or(found.map(|(key, _)| key)).expect("an entry has a key");
            Words { key: to_word(key), value: to_word(value) }
        };
        let mut claim: Option<Claim<'_>> = None;
        let mut raced = false;
        loop {
            let Some(root) = self.root(guard) else {
                match decide(None) {
                    Change::Put(_) => self.make_root(guard),
                    change => return Done { found: None, change },
                };
                continue;
            };
            let (table, bucket, form) = self.locate(root, hash);
            if claim.as_ref().is_some_and(|claim| !ptr::eq(claim.bucket, bucket)) {
                claim = None; // in a bucket that was frozen
            }
            match form {
                Form::Lines(mut header) => {
                    let Ok(entry) = bucket.find(header, hash, &mut entry_if(&eq)) else { continue };
                    let (place, found) = entry.unzip();
                    let change = decide(found);
                    let done = match change {
                        Change::Leave => return Done { found, change },
                        Change::Remove => bucket.remove(header, place.expect("an entry to be removed")),
                        Change::Put(value) => {
                            let free = match &claim {
                                Some(claim) => claim.place,
                                None => {
                                    let Some(free) = header.free() else {
                                        self.full(table, bucket, hash);
                                        continue;
                                    };
                                    if free >= Three::LANES && place.is_none() {
                                        self.crowded(table);
                                    }
                                    let Some(claimed) = bucket.claim(header, free) else { continue };
                                    header = claimed;
                                    claim = Some(Claim { bucket, place: free });
                                    free
                                }
                            };
                            let words = words(found, value);
                            self.kind.sample.offer(words);
                            bucket.write(free, words);
                            match bucket.commit(header, free, hash, place) {
                                None => {
                                    self.full(table, bucket, hash);
                                    false
                                }
                                Some(committed) => committed,
                            }
                        }
                    };
                    if done {
                        if let Change::Put(_) = change {
                            core::mem::forget(claim);
                        }
                        if !raced {
                            backoff::won(self.place());
                        }
                        return self.done(root, found, change, None, guard);
                    }
                    raced = true;
                    backoff::lost(self.place());
                }
                Form::Block(tagged, block) => {
                    let (index, found) = block.find(hash, entry_if(&eq)).unzip();
                    let change = decide(found);
                    let new = match (change, index) {
                        (Change::Leave, _) => return Done { found, change },
                        (Change::Remove, index) => block.without(index.expect("an entry to be removed")),
                        (Change::Put(value), Some(index)) => block.with_replaced(index, words(found, value)),
                        (Change::Put(value), None) => block.with_inserted(hash, words(found, value)),
                    };
                    let len = new.len();
                    if bucket.set_block(tagged, new) {
                        self.changed_block(table, len, found.is_none());
                        if !raced {
                            backoff::won(self.place());
                        }
                        return self.done(root, found, change, Some(block), guard);
                    }
                    raced = true;
                    backoff::lost(self.place());
                }
            }
        }
    }

    /// A block was changed and has `len` entries. The table is rebuilt after as many changes of blocks that would fit into
    /// lines as it has buckets: so a rebuilding costs no more than they did.
    fn changed_block(&self, table: &Table<Pair>, len: usize, inserted: bool) {
        if inserted {
            self.crowded(table);
        }
        // Relaxed: a count.
        if len < Header::PLACES && table.thin.fetch_add(1, Ordering::Relaxed) >= table.len() {
            self.start(table, table.bits());
        }
    }

    #[inline(always)]
    fn done(
        &self,
        root: &Table<Pair>,
        found: Option<(K, V)>,
        change: Change<V>,
        block: Option<&Block<Words>>,
        guard: &R::Guard,
    ) -> Done<K, V> {
        match (found, change) {
            (None, _) => self.count.add(1),
            (_, Change::Remove) => self.count.sub(1),
            _ => {}
        }
        self.retire_all(block.map(|block| Block::retired(NonNull::from(block))).into_iter(), guard);
        // The root: so that operations which find their bucket moved take part as well.
        self.help(root, guard);
        Done { found, change }
    }
}
