//! Entries: boxed once and never moved, and the draft of one that an operation may put into the map.

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::reclaim::{Reclaim, Retired};
#[cfg(latchfree_loom)]
use crate::sync::UnsafeCell;
use crate::util::recycle;

/// A key, its value and its hash.
pub(in crate::hash_map) struct Entry<K, V> {
    pub(in crate::hash_map) hash: u64,
    pub(in crate::hash_map) key: ManuallyDrop<K>,
    pub(in crate::hash_map) value: ManuallyDrop<V>,
    /// Written when the entry is made and freed, read by whoever reaches it, so that loom sees an entry that is reached
    /// too early or too late.
    #[cfg(latchfree_loom)]
    canary: UnsafeCell<bool>,
}

impl<K, V> Entry<K, V> {
    fn boxed(hash: u64, key: K, value: V) -> NonNull<Self> {
        let entry = recycle::allocate(Layout::new::<Self>()).cast();
        // SAFETY: allocated for it.
        unsafe {
            entry.write(Self {
                hash,
                key: ManuallyDrop::new(key),
                value: ManuallyDrop::new(value),
                #[cfg(latchfree_loom)]
                canary: UnsafeCell::new(true),
            });
        }
        entry
    }

    /// The entry to be taken apart, with its memory, which is freed with what this returns.
    ///
    /// # Safety
    ///
    /// From `boxed`, nobody else reaches the entry any more, and it is asked for once.
    unsafe fn dying(entry: NonNull<Self>) -> Memory<Self> {
        #[cfg(latchfree_loom)]
        // SAFETY: nobody reaches the entry any more; loom checks that.
        unsafe {
            entry.as_ref().canary.with_mut(|alive| *alive = false);
        }
        Memory(entry)
    }

    /// The entry behind a pointer.
    ///
    /// # Safety
    ///
    /// It was reached from a bucket under a guard that outlives `'g`, or is not shared.
    #[inline(always)]
    pub(super) unsafe fn at<'g>(entry: NonNull<Self>) -> &'g Self {
        // SAFETY: entries are freed through the reclaimer, or when nobody shares them.
        let entry = unsafe { entry.as_ref() };
        #[cfg(latchfree_loom)]
        // SAFETY: as above.
        entry.canary.with(|alive| assert!(unsafe { *alive }, "a freed entry"));
        entry
    }

    /// Drops the key and the value, and frees the entry.
    ///
    /// # Safety
    ///
    /// Nobody reaches the entry any more, and it is whole.
    pub(super) unsafe fn free(entry: NonNull<u8>) {
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Self::dying(entry.cast()) };
        let entry = memory.contents();
        // Both are dropped, and the memory is freed, even if one of the destructors panics.
        // SAFETY: whole, and dropped here only.
        let _key = unsafe { ManuallyDrop::take(&mut entry.key) };
        // SAFETY: as above.
        unsafe { ManuallyDrop::drop(&mut entry.value) };
    }

    /// As [`free`](Self::free), for an entry whose value was moved out.
    ///
    /// # Safety
    ///
    /// Nobody reaches the entry any more, and it has its key.
    unsafe fn free_shell(entry: NonNull<u8>) {
        // SAFETY: the caller's promise; it has its key.
        unsafe { ManuallyDrop::drop(&mut Self::dying(entry.cast()).contents().key) };
    }

    /// The entry as garbage.
    pub(super) fn retired(entry: NonNull<Self>) -> Retired {
        Retired { object: entry.cast(), reclaim: Self::free, bytes: size_of::<Self>() }
    }

    /// Takes a whole entry that nobody else reaches apart.
    ///
    /// # Safety
    ///
    /// As [`free`](Self::free).
    pub(super) unsafe fn into_parts(entry: NonNull<Self>) -> (K, V) {
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Self::dying(entry) };
        let entry = memory.contents();
        // SAFETY: whole, and moved out once: the memory has no destructor for it.
        unsafe { (ManuallyDrop::take(&mut entry.key), ManuallyDrop::take(&mut entry.value)) }
    }
}

/// Memory of an entry that is its owner's alone, without what is in it.
struct Memory<E>(NonNull<E>);

impl<E> Memory<E> {
    fn contents(&mut self) -> &mut E {
        // SAFETY: the owner's alone.
        unsafe { self.0.as_mut() }
    }
}

impl<E> Drop for Memory<E> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and the owner's alone.
        unsafe { recycle::free(self.0.cast(), Layout::new::<E>()) }
    }
}

/// What an operation would put into the map: a key and a value that become an entry when they are needed.
///
/// An entry that was shown in a claimed slot (`shown`) may be reached by others for as long as they are pinned: they compare
/// its key and never look at its value. So its key stays where it is, its value can still be exchanged, and it is freed by the
/// reclaimer.
pub(in crate::hash_map) struct Draft<'a, K, V, R: Reclaim> {
    key: Option<K>,
    pub(in crate::hash_map) value: Option<V>,
    entry: Option<NonNull<Entry<K, V>>>,
    /// The entry has a value.
    whole: bool,
    shown: bool,
    garbage: &'a R::Garbage,
    guard: &'a R::Guard,
}

impl<'a, K, V, R: Reclaim> Draft<'a, K, V, R> {
    #[inline(always)]
    pub(super) fn new(
        key: Option<K>,
        value: Option<V>,
        garbage: &'a R::Garbage,
        guard: &'a R::Guard,
    ) -> Self {
        Self { key, value, entry: None, whole: false, shown: false, garbage, guard }
    }

    /// The entry, of the key and the latest value.
    #[inline(always)]
    pub(super) fn entry(&mut self, hash: u64) -> NonNull<Entry<K, V>> {
        match self.entry {
            None => {
                let (Some(key), Some(value)) = (self.key.take(), self.value.take()) else {
                    unreachable!("a draft without a key or a value")
                };
                let entry = Entry::boxed(hash, key, value);
                self.entry = Some(entry);
                self.whole = true;
                entry
            }
            Some(entry) => {
                if let Some(value) = self.value.take() {
                    let old = self.take_value();
                    // SAFETY: the entry is ours but for its key; its value was just moved out.
                    unsafe { (&raw mut (*entry.as_ptr()).value).write(ManuallyDrop::new(value)) };
                    self.whole = true;
                    drop(old);
                }
                entry
            }
        }
    }

    /// The key.
    #[inline(always)]
    pub(in crate::hash_map) fn key(&self) -> &K {
        match (&self.key, self.entry) {
            (Some(key), _) => key,
            // SAFETY: the entry is ours to free, and its key is not changed.
            (None, Some(entry)) => unsafe { &(*entry.as_ptr()).key },
            (None, None) => unreachable!("a draft without a key"),
        }
    }

    /// Gives the draft a key.
    pub(in crate::hash_map) fn set_key(&mut self, key: K) {
        debug_assert!(self.entry.is_none());
        self.key = Some(key);
    }

    /// The draft has a key, in its entry or to come.
    pub(in crate::hash_map) fn has_key(&self) -> bool {
        self.key.is_some() || self.entry.is_some()
    }

    /// From here on others may reach the entry.
    #[inline(always)]
    pub(super) fn show(&mut self) {
        self.shown = true;
    }

    /// The entry is the map's now.
    #[inline(always)]
    pub(super) fn given(&mut self) {
        self.entry = None;
    }

    /// The latest value, back from a draft that was not used.
    pub(in crate::hash_map) fn take_value(&mut self) -> Option<V> {
        if let Some(value) = self.value.take() {
            return Some(value);
        }
        let entry = self.entry.filter(|_| self.whole)?;
        self.whole = false;
        // SAFETY: the entry has a value, nobody else looks at it, and it counts as moved out now.
        Some(unsafe { ManuallyDrop::into_inner((&raw const (*entry.as_ptr()).value).read()) })
    }

    /// Key and value, back from a draft that has both, was not used, and was not shown.
    pub(in crate::hash_map) fn into_parts(mut self) -> Option<(K, V)> {
        if self.shown {
            return None;
        }
        let value = self.take_value()?;
        if let Some(entry) = self.entry.take() {
            // SAFETY: nobody else ever reached it, and the draft does not free it any more.
            let mut memory = unsafe { Entry::dying(entry) };
            // SAFETY: it has its key, which is moved out once: the memory has no destructor for it.
            self.key = Some(unsafe { ManuallyDrop::take(&mut memory.contents().key) });
        }
        Some((self.key.take()?, value))
    }
}

impl<K, V, R: Reclaim> Drop for Draft<'_, K, V, R> {
    #[inline]
    fn drop(&mut self) {
        let Some(entry) = self.entry else { return };
        let reclaim = if self.whole { Entry::<K, V>::free } else { Entry::<K, V>::free_shell };
        if self.shown {
            let retired = Retired { object: entry.cast(), reclaim, bytes: size_of::<Entry<K, V>>() };
            // SAFETY: the claim that showed it was released, or its bucket is frozen and will not be looked at by who
            // comes later; it is retired once, and is the map's kind of entry.
            unsafe { R::retire(self.garbage, retired, self.guard) };
        } else {
            // SAFETY: nobody else ever reached it.
            unsafe { reclaim(entry.cast()) };
        }
    }
}
