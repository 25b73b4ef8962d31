//! A table: a power of two of buckets, and the shared account of its migration into the next one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use super::bucket::{Bucket, Slot};
use super::header::Header;
#[cfg(not(any(latchfree_loom, latchfree_stall)))]
use super::lines::Lines;
use crate::reclaim::Retired;
#[cfg(latchfree_loom)]
use crate::sync::UnsafeCell;
use crate::sync::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

/// Units of a migration that a helper takes at once.
pub(super) const CHUNK: usize = if cfg!(any(latchfree_loom, latchfree_stall)) { 1 } else { 16 };
/// The largest table has 2^MOST_BITS buckets.
const MOST_BITS: u32 = if usize::BITS == 64 { 40 } else { 24 };

/// Freed without a look at them: see [`Table::free_extras`].
#[cfg(not(any(latchfree_loom, latchfree_stall)))]
type Buckets<T> = Lines<ManuallyDrop<Bucket<T>>>;
#[cfg(any(latchfree_loom, latchfree_stall))]
type Buckets<T> = Box<[ManuallyDrop<Bucket<T>>]>;

pub(in crate::hash_map) struct Table<T: Slot> {
    /// Of a hash, the bits above these are the bucket's number.
    shift: u32,
    buckets: Buckets<T>,
    /// The table that this one is being moved to.
    pub(super) next: AtomicPtr<Table<T>>,
    /// The first chunk that no helper has taken.
    pub(super) cursor: AtomicUsize,
    /// All chunks before this one are done.
    pub(super) frontier: AtomicUsize,
    /// Which chunks are done; made with `next`, whose size says how many there are.
    pub(super) done: Box<[AtomicU8]>,
    /// Blocks that would fit into lines again, or changes of such.
    pub(super) thin: AtomicUsize,
    /// Insertions and removals that still look after the memory of the table before this one.
    pub(super) tended: AtomicUsize,
    /// As in a [`Block`](super::block::Block).
    #[cfg(latchfree_loom)]
    canary: UnsafeCell<()>,
}

impl<T: Slot> Table<T> {
    /// A table of 2^bits buckets, or `None` if there is no memory for it. `from` is the size of the table it will be filled from,
    /// if it is: then its buckets are not in use yet.
    pub(super) fn new(bits: u32, from: Option<usize>) -> Option<Box<Self>> {
        let len = 1_usize.checked_shl(bits).filter(|_| bits <= MOST_BITS)?;
        let buckets = buckets(len, if from.is_some() { Header::UNINIT } else { Header::EMPTY })?;
        // The account of the migration into this table; it is kept here, for then its size is known.
        let chunks = from.map_or(0, |from| from.min(len).div_ceil(CHUNK));
        let mut done = Vec::new();
        done.try_reserve_exact(chunks).ok()?;
        done.resize_with(chunks, || AtomicU8::new(0));
        // A vector of one, for a box can only be had or the process ended.
        let mut table = Vec::new();
        table.try_reserve_exact(1).ok()?;
        table.push(Self {
            shift: 64 - bits,
            buckets,
            next: AtomicPtr::new(ptr::null_mut()),
            cursor: AtomicUsize::new(0),
            frontier: AtomicUsize::new(0),
            done: done.into_boxed_slice(),
            thin: AtomicUsize::new(0),
            tended: AtomicUsize::new(0),
            #[cfg(latchfree_loom)]
            canary: UnsafeCell::new(()),
        });
        let table: Box<[Self]> = table.into_boxed_slice();
        // SAFETY: a boxed slice of one has the layout of a boxed one.
        Some(unsafe { Box::from_raw(Box::into_raw(table).cast::<Self>()) })
    }

    /// There is memory for a table of 2^bits buckets now.
    pub(super) fn is_affordable(bits: u32) -> bool {
        cfg!(any(latchfree_loom, latchfree_stall)) || Self::new(bits, Some(1)).is_some()
    }

    pub(super) fn bits(&self) -> u32 {
        64 - self.shift()
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    #[inline(always)]
    pub(super) fn index(&self, hash: u64) -> usize {
        // Twice, for a shift by 64 is none.
        (hash >> 1 >> (self.shift() - 1)) as usize
    }

    #[inline(always)]
    fn shift(&self) -> u32 {
        #[cfg(latchfree_loom)]
        self.canary.with(|_| ());
        self.shift
    }

    #[inline(always)]
    pub(super) fn bucket(&self, hash: u64) -> &Bucket<T> {
        // SAFETY: there are 2^bits buckets, and the index has so many bits.
        unsafe { self.buckets.get_unchecked(self.index(hash)) }
    }

    #[inline]
    pub(super) fn at(&self, index: usize) -> &Bucket<T> {
        &self.buckets[index]
    }

    /// Frees the second lines and blocks of a table that nobody shares, but for those that went with chunks that are done.
    pub(super) fn free_extras(&mut self, next: Option<&Self>) {
        let (sources, chunks) = match next {
            Some(next) => (CHUNK * (self.len() / self.len().min(next.len())), &*next.done),
            None => (1, [].as_slice()),
        };
        for (index, bucket) in self.buckets.iter_mut().enumerate() {
            // Relaxed: nobody shares the table.
            if chunks.get(index / sources).is_none_or(|done| done.load(Ordering::Relaxed) == 0) {
                bucket.free_extra();
            }
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.buckets) + self.done.len()
    }

    /// The table as garbage, and nothing else: its second lines and blocks were retired as its chunks were done, its entries
    /// live on. So it is freed without a look at its buckets.
    pub(super) fn retired(table: NonNull<Self>) -> Retired {
        unsafe fn free<T: Slot>(table: NonNull<u8>) {
            // SAFETY: from `Box::into_raw`, and retired once.
            drop(unsafe { Box::from_raw(table.cast::<Table<T>>().as_ptr()) });
        }
        // SAFETY: the caller unlinked it under a guard.
        let bytes = unsafe { table.as_ref() }.bytes();
        Retired { object: table.cast(), reclaim: free::<T>, bytes }
    }
}

/// How many entries a table of 2^bits buckets takes before it grows.
pub(super) fn capacity<T: Slot>(bits: u32) -> usize {
    T::LOAD << bits
}

/// The least table that takes so many entries; the largest, if none does.
pub(super) fn bits_for<T: Slot>(entries: usize) -> u32 {
    (0..MOST_BITS).find(|&bits| capacity::<T>(bits) >= entries).unwrap_or(MOST_BITS)
}

#[cfg(not(any(latchfree_loom, latchfree_stall)))]
fn buckets<T: Slot>(len: usize, header: Header<T::Layout>) -> Option<Buckets<T>> {
    // SAFETY: zeroes are a bucket: its header, slots and link are atomics whose zero is UNINIT and null.
    let buckets: Buckets<T> = unsafe { Lines::zeroed(len) }?;
    if header != Header::UNINIT {
        for bucket in &*buckets {
            // Relaxed: not shared yet.
            bucket.header.store(header.0, Ordering::Relaxed);
        }
    }
    Some(buckets)
}

#[cfg(any(latchfree_loom, latchfree_stall))]
fn buckets<T: Slot>(len: usize, header: Header<T::Layout>) -> Option<Buckets<T>> {
    Some((0..len).map(|_| ManuallyDrop::new(Bucket::new(header))).collect())
}
