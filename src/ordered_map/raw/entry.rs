//! Boxed entries, for keys or values that do not lie in the nodes.
//!
//! An entry is made by one insertion and never moves, so what is lent stays put while leaves are copied. The newest
//! version of its leaf owns it; whoever removes it from there retires it. Where keys are not inline, inner nodes point to
//! entries for their separating keys, and may do so after the entry has left its leaf: such a pointer is counted, and the
//! key lives until the last one is gone. The value does not.

use alloc::alloc::{dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

use super::form;
use crate::sync::{AtomicUsize, Ordering};

/// The key was moved out; beside the count of owners.
const TAKEN: usize = 1 << (usize::BITS - 1);

pub(super) struct Entry<K, V> {
    /// One for the leaf, and one for each separator.
    owners: AtomicUsize,
    pub(super) key: ManuallyDrop<K>,
    pub(super) value: ManuallyDrop<V>,
}

impl<K, V> Entry<K, V> {
    pub(super) fn new(key: K, value: V) -> NonNull<Self> {
        let layout = Layout::new::<Self>();
        // SAFETY: the layout is that of a type with a counter in it, so its size is not zero.
        let entry = unsafe { alloc::alloc::alloc(layout) }.cast::<Self>();
        let Some(entry) = NonNull::new(entry) else { handle_alloc_error(layout) };
        let new = Self {
            owners: AtomicUsize::new(1),
            key: ManuallyDrop::new(key),
            value: ManuallyDrop::new(value),
        };
        // SAFETY: allocated for it just now.
        unsafe { entry.write(new) };
        entry
    }

    /// Becomes a separator as well.
    pub(super) fn acquire(&self) {
        // Relaxed: the caller reached the entry through a leaf that still owns it, or did when the caller's guard began, so
        // the count is not zero and does not become so meanwhile.
        self.owners.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives up a separator, or the leaf's share after the value.
    ///
    /// # Safety
    ///
    /// The caller owns a share; nobody who saw it through that share can still reach the key.
    pub(super) unsafe fn release(this: NonNull<u8>) {
        /// Frees the memory even if the key's destructor panics.
        struct Free(NonNull<u8>, Layout);
        impl Drop for Free {
            fn drop(&mut self) {
                // SAFETY: allocated with this layout in `new`, and the last owner frees it.
                unsafe { dealloc(self.0.as_ptr(), self.1) }
            }
        }
        let entry = this.cast::<Self>();
        // SAFETY: the caller's share keeps it alive.
        // AcqRel: what other owners did with the key happens before the last one drops it.
        let before = unsafe { entry.as_ref() }.owners.fetch_sub(1, Ordering::AcqRel);
        if before & !TAKEN == 1 {
            let _free = Free(this, Layout::new::<Self>());
            if before & TAKEN == 0 {
                // SAFETY: nobody else reaches the entry; the key is dropped nowhere else.
                unsafe { ManuallyDrop::drop(&mut (*entry.as_ptr()).key) }
            }
        }
    }

    /// Drops the value and gives up the leaf's share.
    ///
    /// # Safety
    ///
    /// Called once for an entry that no leaf owns any more, when nobody can reach its value.
    pub(super) unsafe fn drop_entry(this: NonNull<u8>) {
        /// Goes on with the key if the value's destructor panics.
        struct Key<K, V>(NonNull<Entry<K, V>>);
        impl<K, V> Drop for Key<K, V> {
            fn drop(&mut self) {
                // SAFETY: the leaf's share, which the caller gave up.
                unsafe { Entry::<K, V>::release(self.0.cast()) }
            }
        }
        let key = Key(this.cast::<Self>());
        // SAFETY: nobody reaches the value, and it is dropped once. Only the field is borrowed: separators may be looking at
        // the key.
        unsafe { (&raw mut (*key.0.as_ptr()).value).cast::<V>().drop_in_place() }
    }

    /// Key and value back, of an entry that was never published or is owned by a structure that nobody shares.
    ///
    /// # Safety
    ///
    /// The leaf's share is the caller's to give up. Nobody can reach the value or the key any more; separators and garbage
    /// may still own shares.
    pub(super) unsafe fn into_pair(this: NonNull<Self>) -> (K, V) {
        // SAFETY: the leaf's share keeps it alive; each is read once, and `TAKEN` says that the key is gone.
        unsafe {
            let pair = (
                ManuallyDrop::into_inner((&raw const (*this.as_ptr()).key).read()),
                ManuallyDrop::into_inner((&raw const (*this.as_ptr()).value).read()),
            );
            // Relaxed: whoever gives up the last share comes after the `AcqRel` below.
            this.as_ref().owners.fetch_add(TAKEN, Ordering::Relaxed);
            Self::release(this.cast());
            pair
        }
    }
}

/// An entry on its way into the map, dropped if it does not get there.
pub(super) struct Fresh<K, V> {
    /// The entry, if it is boxed already.
    boxed: Option<NonNull<Entry<K, V>>>,
    /// Else key and value.
    pair: MaybeUninit<(K, V)>,
}

impl<K, V> Fresh<K, V> {
    pub(super) fn new(key: K, value: V) -> Self {
        Self { boxed: None, pair: MaybeUninit::new((key, value)) }
    }

    #[inline(always)]
    pub(super) fn key(&self) -> &K {
        match &self.boxed {
            // SAFETY: ours until it is published.
            Some(entry) => unsafe { &entry.as_ref().key },
            // SAFETY: not boxed, so the pair is there.
            None => unsafe { &self.pair.assume_init_ref().0 },
        }
    }

    #[inline(always)]
    pub(super) fn value(&self) -> &V {
        match &self.boxed {
            // SAFETY: ours until it is published.
            Some(entry) => unsafe { &entry.as_ref().value },
            // SAFETY: not boxed, so the pair is there.
            None => unsafe { &self.pair.assume_init_ref().1 },
        }
    }

    /// Boxes it unless it will lie in the leaf, or is boxed.
    #[inline(always)]
    pub(super) fn settle(&mut self) {
        if !form::values_inline::<K, V>() && self.boxed.is_none() {
            // SAFETY: not boxed, so the pair is there; the next line says that it is no longer.
            let (key, value) = unsafe { self.pair.assume_init_read() };
            self.boxed = Some(Entry::new(key, value));
        }
    }

    /// What goes into the leaf. The entry still belongs to this until it is [given](Self::give).
    #[inline(always)]
    pub(super) fn item(&mut self) -> Item<K, V> {
        self.settle();
        Item { key: self.key(), value: self.value(), entry: self.boxed }
    }

    /// It is in the map now: nothing is dropped here.
    pub(super) fn give(self) {
        core::mem::forget(self);
    }

    pub(super) fn into_pair(self) -> (K, V) {
        let this = ManuallyDrop::new(self);
        match this.boxed {
            // SAFETY: never published.
            Some(entry) => unsafe { Entry::into_pair(entry) },
            // SAFETY: not boxed, so the pair is there; `this` is not dropped.
            None => unsafe { this.pair.assume_init_read() },
        }
    }
}

impl<K, V> Drop for Fresh<K, V> {
    fn drop(&mut self) {
        match self.boxed {
            // SAFETY: never published.
            Some(entry) => drop(unsafe { Entry::into_pair(entry) }),
            // SAFETY: not boxed, so the pair is there.
            None => unsafe { self.pair.assume_init_drop() },
        }
    }
}

/// A place in a leaf, read: pointers to key and value, and to the boxed entry if there is one.
pub(in crate::ordered_map) struct Item<K, V> {
    pub(in crate::ordered_map) key: *const K,
    pub(in crate::ordered_map) value: *const V,
    pub(super) entry: Option<NonNull<Entry<K, V>>>,
}

impl<K, V> Clone for Item<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Item<K, V> {}
