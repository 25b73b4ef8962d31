//! A block: the entries of a bucket that has outgrown its two lines, copied for every change.
//!
//! Buckets come to this when many keys share a hash, by chance or by malice, or when stopped threads hold their places. A
//! change costs a copy of two or three words an entry, a look-up a binary search, and equal hashes are compared one by one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::NonNull;

use crate::reclaim::Retired;
#[cfg(latchfree_loom)]
use crate::sync::UnsafeCell;

/// A hash and its entry.
pub(in crate::hash_map) type Listed<I> = (u64, I);

/// Appends those of some entries that are chosen, without a branch: which ones are is a matter of chance.
#[inline(always)]
pub(super) fn append_chosen<I: Copy, const N: usize>(out: &mut Vec<Listed<I>>, entries: [(bool, I); N]) {
    out.reserve(N);
    let (mut len, spare) = (0, out.spare_capacity_mut());
    for (chosen, entry) in entries {
        spare[len].write((0, entry));
        len += usize::from(chosen);
    }
    // SAFETY: so many were written, into memory that was reserved.
    unsafe { out.set_len(out.len() + len) };
}

/// Entries by hash, immutable.
pub(in crate::hash_map) struct Block<I> {
    entries: Box<[Listed<I>]>,
    /// Written when the block is made, read by whoever reaches it, so that loom sees a block that is reached too early.
    #[cfg(latchfree_loom)]
    canary: UnsafeCell<()>,
}

impl<I: Copy> Block<I> {
    /// Of entries in any order.
    pub(super) fn new(entries: &[Listed<I>]) -> Box<Self> {
        let mut entries: Box<[_]> = entries.into();
        entries.sort_by_key(|&(hash, _)| hash);
        Self::boxed(entries)
    }

    fn boxed(entries: Box<[Listed<I>]>) -> Box<Self> {
        Box::new(Self {
            entries,
            #[cfg(latchfree_loom)]
            canary: UnsafeCell::new(()),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.entries().len()
    }

    pub(super) fn entries(&self) -> &[Listed<I>] {
        #[cfg(latchfree_loom)]
        self.canary.with(|_| ());
        &self.entries
    }

    /// Where the first entry with a hash that an answer is found for is, and the answer.
    pub(super) fn find<T>(&self, hash: u64, is: impl FnMut(I) -> Option<T>) -> Option<(usize, T)> {
        let mut is = is;
        let first = self.entries().partition_point(|&(other, _)| other < hash);
        let equal = self.entries[first..].iter().take_while(|&&(other, _)| other == hash);
        equal.enumerate().find_map(|(index, &(_, entry))| Some((first + index, is(entry)?)))
    }

    pub(super) fn with_replaced(&self, index: usize, new: I) -> Box<Self> {
        let mut entries: Box<[_]> = self.entries().into();
        entries[index].1 = new;
        Self::boxed(entries)
    }

    pub(super) fn with_inserted(&self, hash: u64, new: I) -> Box<Self> {
        let at = self.entries().partition_point(|&(other, _)| other < hash);
        let mut entries = Vec::with_capacity(self.len() + 1);
        entries.extend_from_slice(&self.entries[..at]);
        entries.push((hash, new));
        entries.extend_from_slice(&self.entries[at..]);
        Self::boxed(entries.into_boxed_slice())
    }

    pub(super) fn without(&self, index: usize) -> Box<Self> {
        let mut entries = Vec::with_capacity(self.len() - 1);
        entries.extend_from_slice(&self.entries[..index]);
        entries.extend_from_slice(&self.entries[index + 1..]);
        Self::boxed(entries.into_boxed_slice())
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.entries)
    }

    /// The block as garbage; its entries are not.
    pub(super) fn retired(block: NonNull<Self>) -> Retired {
        unsafe fn free<I>(block: NonNull<u8>) {
            // SAFETY: from `Box::into_raw`, and retired once.
            drop(unsafe { Box::from_raw(block.cast::<Block<I>>().as_ptr()) });
        }
        // SAFETY: the caller took it out of its bucket under a guard.
        let bytes = unsafe { block.as_ref() }.bytes();
        Retired { object: block.cast(), reclaim: free::<I>, bytes }
    }
}
