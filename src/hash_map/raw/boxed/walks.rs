//! Walks over boxed entries, which lend them or move them out.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use super::super::block::Listed;
use super::super::table::Table;
use super::super::walk::{gather, lengthened};
use super::entry::Entry;
use super::slot::Pointer;
use super::{Boxed, Raw};
use crate::reclaim::Reclaim;
use crate::sync::Ordering;

/// A walk that lends entries.
pub(in crate::hash_map) struct Lent<'g, K, V> {
    walk: Walk<K, V>,
    /// The map's and the guard's borrow.
    _lent: PhantomData<&'g (K, V)>,
}

// SAFETY: it lends entries, as a shared reference to the map does. The guard that protects them stays where it is: it is
// borrowed for `'g`.
unsafe impl<K: Sync, V: Sync> Send for Lent<'_, K, V> {}
// SAFETY: a shared walk lends nothing.
unsafe impl<K: Sync, V: Sync> Sync for Lent<'_, K, V> {}

impl<'g, K, V> Lent<'g, K, V> {
    pub(in crate::hash_map) fn new<R: Reclaim>(raw: &'g Raw<K, V, R>, guard: &'g R::Guard) -> Self {
        Self { walk: Walk::over(raw.root(guard).map_or(ptr::null(), ptr::from_ref)), _lent: PhantomData }
    }

    #[inline]
    pub(in crate::hash_map) fn next(&mut self) -> Option<&'g Entry<K, V>> {
        // SAFETY: the guard that the walk began under is borrowed for 'g, which protects the entry.
        unsafe { self.walk.next().map(|entry| Entry::at(entry)) }
    }

    /// Leaves a part of what is to come to another walk.
    #[cfg(all(feature = "rayon", not(any(latchfree_loom, latchfree_stall))))]
    pub(in crate::hash_map) fn split(&mut self) -> Option<Self> {
        Some(Self { walk: self.walk.split()?, _lent: PhantomData })
    }
}

/// A walk that moves entries out of a map that nobody shares.
pub(in crate::hash_map) struct Owned<K, V, R: Reclaim> {
    raw: Raw<K, V, R>,
    walk: Walk<K, V>,
}

// SAFETY: it owns the keys and values.
unsafe impl<K: Send, V: Send, R: Reclaim> Send for Owned<K, V, R> where R::Garbage: Send {}
// SAFETY: a shared walk lends nothing.
unsafe impl<K: Send, V: Send, R: Reclaim> Sync for Owned<K, V, R> where R::Garbage: Sync {}

impl<K, V, R: Reclaim> Owned<K, V, R> {
    pub(in crate::hash_map) fn new(mut raw: Raw<K, V, R>) -> Self {
        Self { walk: raw.walk_mut(), raw }
    }

    pub(in crate::hash_map) fn next(&mut self) -> Option<(K, V)> {
        // SAFETY: the map is not shared, and the walk, with which alone it is used, yields each entry once.
        unsafe { self.walk.next().map(|entry| Entry::into_parts(entry)) }
    }
}

impl<K, V, R: Reclaim> Drop for Owned<K, V, R> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics; then the map is empty, for its own destructor.
        struct Rest<'a, K, V, R: Reclaim>(&'a mut Owned<K, V, R>);
        impl<K, V, R: Reclaim> Drop for Rest<'_, K, V, R> {
            fn drop(&mut self) {
                while self.0.next().is_some() {}
                self.0.raw.free_tables();
            }
        }
        let rest = Rest(self);
        while rest.0.next().is_some() {}
    }
}

/// Where a walk is, without the borrow that keeps it valid.
pub(super) struct Walk<K, V> {
    table: *const Table<Pointer<K, V>>,
    /// The next bucket, and the end.
    bucket: usize,
    end: usize,
    /// Buckets that are gathered next, at once.
    stride: usize,
    /// What was gathered and not yielded yet.
    gathered: Vec<Listed<NonNull<Entry<K, V>>>>,
}

impl<K, V, R: Reclaim> Raw<K, V, R> {
    /// A walk over all entries, valid until anything else is done with the map.
    pub(super) fn walk_mut(&mut self) -> Walk<K, V> {
        // Relaxed: nobody shares the map.
        Walk::over(self.root.load(Ordering::Relaxed))
    }
}

impl<K, V> Walk<K, V> {
    fn over(table: *const Table<Pointer<K, V>>) -> Self {
        // SAFETY: the caller has it under a guard, or owns the map.
        let end = unsafe { table.as_ref() }.map_or(0, Table::len);
        Self { table, bucket: 0, end, stride: 1, gathered: Vec::new() }
    }

    /// Leaves the second half of what is left to another walk, if there is enough of it.
    #[cfg(all(feature = "rayon", not(any(latchfree_loom, latchfree_stall))))]
    fn split(&mut self) -> Option<Self> {
        let middle = self.bucket + (self.end - self.bucket) / 2;
        if self.end - self.bucket < 16 {
            return None;
        }
        let rest = Self { table: self.table, bucket: middle, end: self.end, stride: 1, gathered: Vec::new() };
        self.end = middle;
        Some(rest)
    }

    /// The next entry.
    ///
    /// # Safety
    ///
    /// The guard that the walk began under still stands, or the map is unshared and was not changed since.
    #[inline]
    pub(super) unsafe fn next(&mut self) -> Option<NonNull<Entry<K, V>>> {
        loop {
            if let Some((_, entry)) = self.gathered.pop() {
                return Some(entry);
            }
            if self.bucket == self.end {
                return None;
            }
            // SAFETY: the caller's promise; the table is not null, for it has buckets.
            let table = unsafe { &*self.table };
            let end = self.end.min(self.bucket + self.stride);
            for bucket in self.bucket..end {
                gather(&Boxed::NEW, table, bucket as u64, table.bits(), &mut self.gathered);
            }
            self.bucket = end;
            self.stride = lengthened(self.stride);
        }
    }
}
