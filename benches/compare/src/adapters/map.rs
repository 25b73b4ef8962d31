//! Maps from keys to words: what hash maps and ordered maps have in common, and the locks of the
//! baselines.

use std::cell::UnsafeCell;
use std::sync;

use crate::keys::Key;

/// What a thread holds while it works on a map. Most are plain references.
pub trait Handle<K> {
    /// Called every few hundred operations: a handle that is pinned unpins here and pins again.
    fn refresh(&mut self) {}

    fn get(&mut self, key: &K) -> Option<u64>;

    /// Inserts or overwrites.
    fn insert(&mut self, key: K, value: u64);

    /// True if the key was present.
    fn remove(&mut self, key: &K) -> bool;
}

/// A map that threads share.
pub trait Map<K: Key>: Send + Sync + 'static {
    type Handle<'a>: Handle<K>;

    /// With room for so many entries, where a map can be told; 0 is what it starts with by itself.
    fn new(capacity: usize) -> Self;

    fn handle(&self) -> Self::Handle<'_>;
}

/// Handles behind a pointer, for what is not timed or has a clock around each operation anyway: such code
/// is compiled once for all maps.
pub type Handles<'a, K> = dyn Fn() -> Box<dyn Handle<K> + 'a> + Sync + 'a;

pub fn handles<'a, M: Map<K>, K: Key>(map: &'a M) -> impl Fn() -> Box<dyn Handle<K> + 'a> + Sync + 'a {
    move || Box::new(map.handle())
}

/// What the baselines are behind.
pub trait Lock<T>: Send + Sync + 'static {
    fn new(inner: T) -> Self;
    fn read<R>(&self, operation: impl FnOnce(&T) -> R) -> R;
    fn write<R>(&self, operation: impl FnOnce(&mut T) -> R) -> R;
}

impl<T: Send + 'static> Lock<T> for sync::Mutex<T> {
    fn new(inner: T) -> Self {
        Self::new(inner)
    }

    #[inline(always)]
    fn read<R>(&self, operation: impl FnOnce(&T) -> R) -> R {
        operation(&self.lock().expect("never poisoned"))
    }

    #[inline(always)]
    fn write<R>(&self, operation: impl FnOnce(&mut T) -> R) -> R {
        operation(&mut self.lock().expect("never poisoned"))
    }
}

impl<T: Send + Sync + 'static> Lock<T> for sync::RwLock<T> {
    fn new(inner: T) -> Self {
        Self::new(inner)
    }

    #[inline(always)]
    fn read<R>(&self, operation: impl FnOnce(&T) -> R) -> R {
        operation(&self.read().expect("never poisoned"))
    }

    #[inline(always)]
    fn write<R>(&self, operation: impl FnOnce(&mut T) -> R) -> R {
        operation(&mut self.write().expect("never poisoned"))
    }
}

impl<T: Send + 'static> Lock<T> for parking_lot::Mutex<T> {
    fn new(inner: T) -> Self {
        Self::new(inner)
    }

    #[inline(always)]
    fn read<R>(&self, operation: impl FnOnce(&T) -> R) -> R {
        operation(&self.lock())
    }

    #[inline(always)]
    fn write<R>(&self, operation: impl FnOnce(&mut T) -> R) -> R {
        operation(&mut self.lock())
    }
}

impl<T: Send + Sync + 'static> Lock<T> for parking_lot::RwLock<T> {
    fn new(inner: T) -> Self {
        Self::new(inner)
    }

    #[inline(always)]
    fn read<R>(&self, operation: impl FnOnce(&T) -> R) -> R {
        operation(&self.read())
    }

    #[inline(always)]
    fn write<R>(&self, operation: impl FnOnce(&mut T) -> R) -> R {
        operation(&mut self.write())
    }
}

/// A limit: no lock at all, because nobody shares it.
pub struct Unshared<T>(UnsafeCell<T>);

// SAFETY: rows of this type run in cells with one thread only (`supports` in the workload files), and
// the main thread touches it before that thread starts and after it has been joined.
unsafe impl<T: Send> Sync for Unshared<T> {}

impl<T: Send + 'static> Lock<T> for Unshared<T> {
    fn new(inner: T) -> Self {
        Unshared(UnsafeCell::new(inner))
    }

    #[inline(always)]
    fn read<R>(&self, operation: impl FnOnce(&T) -> R) -> R {
        // SAFETY: one thread only, see `Sync`; no operation in this program calls another on the same
        // map, so nothing else refers to the inside meanwhile.
        operation(unsafe { &*self.0.get() })
    }

    #[inline(always)]
    fn write<R>(&self, operation: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: as for `read`.
        operation(unsafe { &mut *self.0.get() })
    }
}

/// What every map has to do, for the tests of the adapters.
#[cfg(test)]
pub fn is_a_map<K: Key, M: Map<K>>() {
    for capacity in [0, 1000] {
        let map = M::new(capacity);
        let mut handle = map.handle();
        for number in 0..1000 {
            handle.insert(K::scattered(number), number);
        }
        handle.refresh();
        for number in 0..1000 {
            handle.insert(K::scattered(number), number + 1);
        }
        for number in 0..2000 {
            assert_eq!(handle.get(&K::scattered(number)), (number < 1000).then_some(number + 1));
        }
        for number in (0..2000).step_by(2) {
            assert_eq!(handle.remove(&K::scattered(number)), number < 1000);
        }
        for number in 0..1000 {
            assert_eq!(handle.get(&K::scattered(number)).is_some(), number % 2 == 1);
        }
    }
}
