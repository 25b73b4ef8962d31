//! A block: the entries of a bucket that has outgrown its two lines, copied for every change.
//!
//! Buckets come to this when many keys share a hash, by chance or by malice, or when stopped threads hold their places. A
//! change costs a copy of a pair of words an entry, a look-up a binary search, and equal hashes are compared one by one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::NonNull;

use super::entry::Entry;
use crate::reclaim::Retired;

/// An entry and its hash.
type Pair<K, V> = (u64, NonNull<Entry<K, V>>);

/// Entries by hash, immutable.
pub(super) struct Block<K, V> {
    entries: Box<[Pair<K, V>]>,
}

impl<K, V> Block<K, V> {
    /// Of entries in any order.
    pub(super) fn new(entries: &[NonNull<Entry<K, V>>]) -> Box<Self> {
        // SAFETY: the caller has them from a bucket, under a guard or unshared.
        let hash = |&entry: &NonNull<Entry<K, V>>| (unsafe { Entry::at(entry) }.hash, entry);
        let mut entries: Box<[_]> = entries.iter().map(hash).collect();
        entries.sort_by_key(|&(hash, _)| hash);
        Box::new(Self { entries })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = NonNull<Entry<K, V>>> {
        self.entries.iter().map(|&(_, entry)| entry)
    }

    /// Where the entry with a key is, and the entry.
    pub(super) fn find(
        &self,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<(usize, NonNull<Entry<K, V>>)> {
        let first = self.entries.partition_point(|&(other, _)| other < hash);
        let equal = self.entries[first..].iter().take_while(|&&(other, _)| other == hash);
        equal.enumerate().find_map(|(index, &(_, entry))| {
            // SAFETY: the block was reached under a guard, and what is in it is not freed before that ends.
            eq(unsafe { &Entry::at(entry).key }).then_some((first + index, entry))
        })
    }

    pub(super) fn with_replaced(&self, index: usize, new: NonNull<Entry<K, V>>) -> Box<Self> {
        let mut entries = self.entries.clone();
        entries[index].1 = new;
        Box::new(Self { entries })
    }

    pub(super) fn with_inserted(&self, hash: u64, new: NonNull<Entry<K, V>>) -> Box<Self> {
        let at = self.entries.partition_point(|&(other, _)| other < hash);
        let mut entries = Vec::with_capacity(self.len() + 1);
        entries.extend_from_slice(&self.entries[..at]);
        entries.push((hash, new));
        entries.extend_from_slice(&self.entries[at..]);
        Box::new(Self { entries: entries.into_boxed_slice() })
    }

    pub(super) fn without(&self, index: usize) -> Box<Self> {
        let mut entries = Vec::with_capacity(self.len() - 1);
        entries.extend_from_slice(&self.entries[..index]);
        entries.extend_from_slice(&self.entries[index + 1..]);
        Box::new(Self { entries: entries.into_boxed_slice() })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.entries)
    }

    /// The block as garbage; its entries are not.
    pub(super) fn retired(block: NonNull<Self>) -> Retired {
        unsafe fn free<K, V>(block: NonNull<u8>) {
            // SAFETY: from `Box::into_raw`, and retired once.
            drop(unsafe { Box::from_raw(block.cast::<Block<K, V>>().as_ptr()) });
        }
        // SAFETY: the caller took it out of its bucket under a guard.
        let bytes = unsafe { block.as_ref() }.bytes();
        Retired { object: block.cast(), reclaim: free::<K, V>, bytes }
    }
}
