//! Walks over all entries, which neither force nor await a migration.
//!
//! A walk goes over the prefixes of hashes that were the buckets of the root when it began. All entries whose hashes begin with
//! one are gathered before the next: in the bucket, or wherever they were moved, down to buckets that hold them now. As each
//! such prefix is visited once, a key that is in the map throughout is yielded once; one that is removed and inserted
//! again while its bucket is read may be seen in two places of it.

use alloc::vec::Vec;

use super::block::Listed;
use super::bucket::Slot;
use super::table::Table;
use super::tagged::object;
use super::{Hashed, Kind, Raw};
use crate::reclaim::Reclaim;
use crate::sync::Ordering;

/// Buckets that a walk gathers at once, once it is under way: so many that what is done once for all of them does not count, and that
/// boxed entries are on their way to the cache when they are asked for. At 65,536 entries, with 1, 4, 16 and 64.
pub(super) const STRIDE: usize = 16;

/// How far a walk goes ahead: one bucket first, for who wants one entry, then twice as many each time.
pub(super) fn lengthened(stride: usize) -> usize {
    (2 * stride).min(STRIDE)
}

/// Where a walk over a map is that nothing protects between two steps: at a prefix, for which each step looks anew. So it holds
/// no guard, and yields copies.
pub(in crate::hash_map) struct Cursor<I> {
    bits: u32,
    /// The next prefix, and the end.
    prefix: u64,
    end: u64,
    /// Prefixes that are gathered next, at once.
    stride: usize,
    /// What was gathered and not yielded yet.
    gathered: Vec<Listed<I>>,
}

impl<I: Copy> Cursor<I> {
    /// At the beginning of a map.
    pub(in crate::hash_map) fn new<M: Kind<Item = I>, R: Reclaim>(map: &Raw<M, R>) -> Self {
        let bits = map.root(&R::pin()).map(Table::bits);
        Self {
            bits: bits.unwrap_or(0),
            prefix: 0,
            end: bits.map_or(0, |bits| 1 << bits),
            stride: 1,
            gathered: Vec::new(),
        }
    }

    #[inline]
    pub(in crate::hash_map) fn next<M: Hashed<Item = I>, R: Reclaim>(
        &mut self,
        map: &Raw<M, R>,
    ) -> Option<I> {
        loop {
            if let Some((_, entry)) = self.gathered.pop() {
                return Some(entry);
            }
            if self.prefix == self.end {
                return None;
            }
            self.refill(map);
        }
    }

    fn refill<M: Hashed<Item = I>, R: Reclaim>(&mut self, map: &Raw<M, R>) {
        let guard = R::pin();
        let end = self.end.min(self.prefix + self.stride as u64);
        if let Some(table) = map.root(&guard) {
            for prefix in self.prefix..end {
                gather(&map.kind, table, prefix, self.bits, &mut self.gathered);
            }
        }
        self.prefix = end;
        self.stride = lengthened(self.stride);
    }

    /// Leaves the second half of what is left to another one, if there is enough of it.
    #[cfg(all(feature = "rayon", not(any(latchfree_loom, latchfree_stall))))]
    pub(in crate::hash_map) fn split(&mut self) -> Option<Self> {
        let middle = self.prefix + (self.end - self.prefix) / 2;
        if self.end - self.prefix < 16 {
            return None;
        }
        let rest = Self { bits: self.bits, prefix: middle, end: self.end, stride: 1, gathered: Vec::new() };
        self.end = middle;
        Some(rest)
    }
}

/// Gathers the entries whose hashes begin with a prefix of so many bits; their hashes are in the list only if `table` has fewer.
#[inline(always)]
pub(super) fn gather<M: Hashed>(
    kind: &M,
    table: &Table<M::Slot>,
    prefix: u64,
    bits: u32,
    out: &mut Vec<Listed<M::Item>>,
) {
    if bits == table.bits() {
        let bucket = table.at(prefix as usize);
        let header = bucket.header();
        if header.is_live() {
            return M::Slot::read(bucket, header, None::<fn(M::Item) -> u64>, out);
        }
    }
    gather_moved(kind, table, prefix, bits, out);
}

/// As `gather`, where the table has not such buckets, or does not hold these entries any more.
#[inline(never)]
fn gather_moved<M: Hashed>(
    kind: &M,
    table: &Table<M::Slot>,
    prefix: u64,
    bits: u32,
    out: &mut Vec<Listed<M::Item>>,
) {
    if bits < table.bits() {
        // A deeper table, whose buckets are moved one by one.
        gather(kind, table, prefix << 1, bits + 1, out);
        gather(kind, table, prefix << 1 | 1, bits + 1, out);
        return;
    }
    let hash = if bits == 0 { 0 } else { prefix << (64 - bits) };
    let bucket = table.bucket(hash);
    let begin = out.len();
    let header = bucket.header();
    if !header.is_live() {
        // Acquire: for the table; whether a bucket of it is open is acquired with its header.
        // SAFETY: the table is valid by the walk's promise, and its next one with it.
        if let Some(next) = unsafe { table.next.load(Ordering::Acquire).as_ref() } {
            if next.bits() > bits {
                gather(kind, table, prefix << 1, bits + 1, out);
                gather(kind, table, prefix << 1 | 1, bits + 1, out);
                return;
            }
            if !next.bucket(hash).header().is_uninit() {
                gather(kind, next, prefix, bits, out);
                return;
            }
        }
    }
    // The bucket may serve other prefixes as well; else the hashes are not asked for.
    let shared = bits > table.bits();
    let block = if header.is_live() { None } else { object(bucket.block()) };
    match block {
        // SAFETY: as for the table.
        Some(block) => out.extend(unsafe { block.as_ref() }.entries()),
        _ if shared => M::Slot::read(bucket, header, Some(|entry| kind.hash(entry)), out),
        _ => M::Slot::read(bucket, header, None::<fn(M::Item) -> u64>, out),
    }
    if shared {
        let mut index = begin;
        while index < out.len() {
            if out[index].0 >> (64 - bits) == prefix {
                index += 1;
            } else {
                out.swap_remove(index);
            }
        }
    }
}
