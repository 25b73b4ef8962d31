//! Boxed entries, for keys or values that do not lie in the nodes.
//!
//! An entry is made by one insertion and never moves, so what is lent stays put while leaves are copied. The newest
//! version of its leaf owns it; whoever removes it from there retires it. Where keys are not inline, inner nodes point to
//! entries for their separating keys, and may do so after the entry has left its leaf: such a pointer is counted, and the
//! key lives until the last one is gone. The value does not.
//!
//! ```text
//!   leaf --> [ owners | key | value ]            an entry
//!   leaf --> [ owners | key | home ] --> [ owners | old key | value ]        one that was given another key
//! ```
//! A value whose entry gets another key ([`reschedule`](super::reschedule)) stays where it is, for it may be lent: the new
//! key lies in a box of its own, which a bit of the leaf's pointer tells apart and which takes over the leaf's share of the
//! first box. One step lies between a leaf and a value, however often it gets another key.

use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::{self, NonNull};

use super::form::{self, Layout};
use crate::reclaim::Retired;
use crate::sync::{AtomicUsize, Ordering};
use crate::util::recycle;

/// The key was moved out; beside the count of owners.
const TAKEN: usize = 1 << (usize::BITS - 1);
/// In a pointer to a box: its value is in another one.
const MOVED: usize = 1;

/// What every box begins with.
#[repr(C)]
struct Named<K> {
    /// One for the leaf, or for the box that took over from it, and one for each separator.
    owners: AtomicUsize,
    key: ManuallyDrop<K>,
}

impl<K> Named<K> {
    fn new(key: K) -> Self {
        Self { owners: AtomicUsize::new(1), key: ManuallyDrop::new(key) }
    }
}

#[repr(C)]
struct Entry<K, V> {
    named: Named<K>,
    value: ManuallyDrop<V>,
}

#[repr(C)]
struct Moved<K, V> {
    named: Named<K>,
    /// Where the value is.
    home: NonNull<Entry<K, V>>,
}

/// Memory of its own for a box.
fn allocate<T>(contents: T) -> NonNull<T> {
    // The layout is that of a type with a counter in it, so its size is not zero.
    let new = recycle::allocate(core::alloc::Layout::new::<T>()).cast::<T>();
    // SAFETY: allocated for it just now.
    unsafe { new.write(contents) };
    new
}

/// A pointer to a box, with the bit that says of which kind it is. Whoever holds one may read the box: through a share,
/// or under a guard.
pub(super) struct Boxed<K, V>(NonNull<Named<K>>, PhantomData<(K, V)>);

impl<K, V> Clone for Boxed<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Boxed<K, V> {}

impl<K, V> Boxed<K, V> {
    pub(super) fn new(key: K, value: V) -> Self {
        let entry = allocate(Entry { named: Named::new(key), value: ManuallyDrop::new(value) });
        Self(entry.cast(), PhantomData)
    }

    /// The value of another box under this key. Takes over the leaf's share of that one, and of the value, as soon as a leaf
    /// owns this one.
    pub(super) fn moved(key: K, from: Self) -> Self {
        let moved = allocate(Moved { named: Named::new(key), home: from.home() });
        Self(moved.cast().map_addr(|addr| addr | MOVED), PhantomData)
    }

    #[inline(always)]
    pub(super) fn is_moved(self) -> bool {
        self.0.addr().get() & MOVED != 0
    }

    #[inline(always)]
    fn bare(self) -> *mut Named<K> {
        self.0.as_ptr().map_addr(|addr| addr & !MOVED)
    }

    /// The box that has the value.
    #[inline(always)]
    fn home(self) -> NonNull<Entry<K, V>> {
        if self.is_moved() {
            // SAFETY: a box of this kind, which the holder may read. Home is not written after it was made.
            unsafe { (*self.bare().cast::<Moved<K, V>>()).home }
        } else {
            self.0.cast()
        }
    }

    #[inline(always)]
    pub(super) fn key(self) -> *const K {
        // SAFETY: the holder may read the box.
        unsafe { (&raw const (*self.bare()).key).cast() }
    }

    #[inline(always)]
    pub(super) fn value(self) -> *const V {
        // SAFETY: the holder may read the box, and a home lives as long as what refers to it as such.
        unsafe { (&raw const (*self.home().as_ptr()).value).cast() }
    }

    /// Becomes a separator as well, or is kept for its key by something else.
    pub(super) fn acquire(self) {
        // Relaxed: the caller reached the box through a leaf that still owns it, or did when the caller's guard began, so
        // the count is not zero and does not become so meanwhile.
        // SAFETY: the holder may read the box.
        unsafe { &(*self.bare()).owners }.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives up a share of the key: a separator's, or the leaf's where the value is not concerned.
    ///
    /// # Safety
    ///
    /// The caller owns a share; nobody who saw it through that share can still reach the key.
    pub(super) unsafe fn release(self) {
        let share = self.retired_share();
        // SAFETY: the caller's promise.
        unsafe { (share.reclaim)(share.object) }
    }

    /// A share of the key, as it is retired.
    pub(super) fn retired_share(self) -> Retired {
        let reclaim: unsafe fn(NonNull<u8>) =
            if self.is_moved() { release::<K, Moved<K, V>> } else { release::<K, Entry<K, V>> };
        Retired { object: NonNull::new(self.bare()).expect("a box").cast(), reclaim, bytes: 0 }
    }

    /// The leaf's share and the value, as they are retired.
    #[inline]
    pub(super) fn retired(self) -> Retired {
        let (reclaim, bytes): (unsafe fn(NonNull<u8>), usize) = if self.is_moved() {
            (drop_moved::<K, V>, size_of::<Entry<K, V>>() + size_of::<Moved<K, V>>())
        } else {
            (drop_entry::<K, V>, size_of::<Entry<K, V>>())
        };
        Retired { object: NonNull::new(self.bare()).expect("a box").cast(), reclaim, bytes }
    }

    /// The key back, of a box of a value that stayed where it was.
    ///
    /// # Safety
    ///
    /// No leaf owns the box, and nobody else reaches it.
    unsafe fn into_key(self) -> K {
        debug_assert!(self.is_moved());
        // SAFETY: the caller's promise; read once, and `TAKEN` says that the key is gone.
        unsafe {
            let key = self.key().read();
            // Relaxed: nobody else reaches it.
            (*self.bare()).owners.fetch_add(TAKEN, Ordering::Relaxed);
            self.release();
            key
        }
    }

    /// Key and value back, of an entry that was never published or is owned by a structure that nobody shares.
    ///
    /// # Safety
    ///
    /// The leaf's share is the caller's to give up. Nobody can reach the value or the key any more; separators and garbage
    /// may still own shares.
    pub(super) unsafe fn into_pair(self) -> (K, V) {
        // SAFETY: the leaf's share keeps both boxes alive; each part is read once, and `TAKEN` says that the key is gone.
        unsafe {
            let home = self.home();
            let pair = (self.key().read(), self.value().read());
            // Relaxed: whoever gives up the last share comes after the `AcqRel` in `release`.
            (*self.bare()).owners.fetch_add(TAKEN, Ordering::Relaxed);
            self.release();
            if self.is_moved() {
                release::<K, Entry<K, V>>(home.cast());
            }
            pair
        }
    }
}

/// Gives up a share of a box `B`; the last one drops the key and frees the memory.
///
/// # Safety
///
/// `B` is the kind of the box. The caller owns the share; nobody who saw it through that share can still reach the key.
unsafe fn release<K, B>(this: NonNull<u8>) {
    /// Frees the memory even if the key's destructor panics.
    struct Free(NonNull<u8>, core::alloc::Layout);
    impl Drop for Free {
        fn drop(&mut self) {
            // SAFETY: allocated with this layout in `allocate`, and the last owner frees it.
            unsafe { recycle::free(self.0, self.1) }
        }
    }
    let named = this.cast::<Named<K>>();
    // SAFETY: the caller's share keeps it alive.
    // AcqRel: what other owners did with the box happens before the last one frees it. No model can tell: an owner that gives up its share
    // has dropped the value at most, and that memory is freed is no access that loom sees.
    let before = unsafe { &(*named.as_ptr()).owners }.fetch_sub(1, Ordering::AcqRel);
    if before & !TAKEN == 1 {
        let _free = Free(this, core::alloc::Layout::new::<B>());
        if before & TAKEN == 0 {
            // SAFETY: nobody else reaches the box; the key is dropped nowhere else.
            unsafe { ManuallyDrop::drop(&mut (*named.as_ptr()).key) }
        }
    }
}

/// Goes on with the key if the value's destructor panics.
struct Share<K, B>(NonNull<u8>, PhantomData<(K, B)>);

impl<K, B> Drop for Share<K, B> {
    fn drop(&mut self) {
        // SAFETY: the leaf's share, which whoever made this gave up.
        unsafe { release::<K, B>(self.0) }
    }
}

/// Drops the value of an entry and gives up the leaf's share.
///
/// # Safety
///
/// Called once for an entry that no leaf owns any more, when nobody can reach its value.
unsafe fn drop_entry<K, V>(this: NonNull<u8>) {
    let _share = Share::<K, Entry<K, V>>(this, PhantomData);
    // SAFETY: nobody reaches the value, and it is dropped once. Only the field is borrowed: separators may be looking at
    // the key.
    unsafe { (&raw mut (*this.cast::<Entry<K, V>>().as_ptr()).value).cast::<V>().drop_in_place() }
}

/// The same for a box whose value is in another one, and gives up the share of that one as well.
///
/// # Safety
///
/// As there.
unsafe fn drop_moved<K, V>(this: NonNull<u8>) {
    let _share = Share::<K, Moved<K, V>>(this, PhantomData);
    // SAFETY: the leaf's share keeps the box alive until the end. Its home is dropped by nobody else: this one took over
    // from the leaf.
    unsafe { drop_entry::<K, V>((*this.cast::<Moved<K, V>>().as_ptr()).home.cast()) }
}

/// The entry of a value under another key, on its way into the map. If it does not get there, the key is dropped, and nothing
/// has become of the value.
pub(super) struct Alias<K, V, L: Layout<K, V>> {
    /// The entry, if it is boxed.
    boxed: Option<Boxed<K, V>>,
    /// Else key and value, which are plain.
    pair: MaybeUninit<(K, V)>,
    _layout: PhantomData<L>,
}

impl<K, V, L: Layout<K, V>> Alias<K, V, L> {
    /// # Safety
    ///
    /// The item can be read.
    pub(super) unsafe fn new(key: K, of: &Item<K, V>) -> Self {
        match of.entry {
            Some(entry) => Self {
                boxed: Some(Boxed::moved(key, entry)),
                pair: MaybeUninit::uninit(),
                _layout: PhantomData,
            },
            None => {
                // SAFETY: the caller's promise; what is not boxed is plain, so that a copy is as good as the original.
                let value = unsafe { of.value.read() };
                Self { boxed: None, pair: MaybeUninit::new((key, value)), _layout: PhantomData }
            }
        }
    }

    /// What goes into the leaf; valid as long as this, or as the box.
    pub(super) fn item(&self) -> Item<K, V> {
        match self.boxed {
            Some(entry) => Item { key: entry.key(), value: entry.value(), entry: Some(entry) },
            None => {
                let pair = self.pair.as_ptr();
                // SAFETY: not boxed, so the pair is there; nothing is read.
                unsafe { Item { key: &raw const (*pair).0, value: &raw const (*pair).1, entry: None } }
            }
        }
    }

    /// It is in the map now: nothing is dropped here.
    pub(super) fn give(self) {
        core::mem::forget(self);
    }

    /// The key back, of what was never published.
    pub(super) fn into_key(self) -> K {
        let this = ManuallyDrop::new(self);
        // SAFETY: never published. Not boxed, the pair is there; `this` is not dropped.
        unsafe {
            this.boxed.map_or_else(|| ptr::read(&raw const (*this.pair.as_ptr()).0), |entry| entry.into_key())
        }
    }
}

impl<K, V, L: Layout<K, V>> Drop for Alias<K, V, L> {
    fn drop(&mut self) {
        if let Some(entry) = self.boxed {
            // SAFETY: no leaf owns it: it was given away else.
            drop(unsafe { entry.into_key() });
        }
    }
}

/// An entry on its way into the map, dropped if it does not get there.
pub(super) struct Fresh<K, V, L: Layout<K, V>> {
    /// The entry, if it is boxed already.
    boxed: Option<Boxed<K, V>>,
    /// Else key and value.
    pair: MaybeUninit<(K, V)>,
    _layout: PhantomData<L>,
}

impl<K, V, L: Layout<K, V>> Fresh<K, V, L> {
    pub(super) fn new(key: K, value: V) -> Self {
        Self { boxed: None, pair: MaybeUninit::new((key, value)), _layout: PhantomData }
    }

    #[inline(always)]
    pub(super) fn key(&self) -> &K {
        match &self.boxed {
            // SAFETY: ours until it is published.
            Some(entry) => unsafe { &*entry.key() },
            // SAFETY: not boxed, so the pair is there.
            None => unsafe { &self.pair.assume_init_ref().0 },
        }
    }

    #[inline(always)]
    pub(super) fn value(&self) -> &V {
        match &self.boxed {
            // SAFETY: ours until it is published.
            Some(entry) => unsafe { &*entry.value() },
            // SAFETY: not boxed, so the pair is there.
            None => unsafe { &self.pair.assume_init_ref().1 },
        }
    }

    /// Boxes it unless it will lie in the leaf, or is boxed.
    #[inline(always)]
    pub(super) fn settle(&mut self) {
        if !form::values_inline::<K, V, L>() && self.boxed.is_none() {
            // SAFETY: not boxed, so the pair is there; the next line says that it is no longer.
            let (key, value) = unsafe { self.pair.assume_init_read() };
            self.boxed = Some(Boxed::new(key, value));
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
            Some(entry) => unsafe { entry.into_pair() },
            // SAFETY: not boxed, so the pair is there; `this` is not dropped.
            None => unsafe { this.pair.assume_init_read() },
        }
    }
}

impl<K, V, L: Layout<K, V>> Drop for Fresh<K, V, L> {
    fn drop(&mut self) {
        match self.boxed {
            // SAFETY: never published.
            Some(entry) => drop(unsafe { entry.into_pair() }),
            // SAFETY: not boxed, so the pair is there.
            None => unsafe { self.pair.assume_init_drop() },
        }
    }
}

/// A place in a leaf, read: pointers to key and value, and to the boxed entry if there is one.
pub(in crate::ordered_map) struct Item<K, V> {
    pub(in crate::ordered_map) key: *const K,
    pub(in crate::ordered_map) value: *const V,
    pub(super) entry: Option<Boxed<K, V>>,
}

impl<K, V> Clone for Item<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Item<K, V> {}
