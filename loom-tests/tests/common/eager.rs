//! A reclaimer that reclaims at the first moment that the contract of `Reclaim` allows, and hands memory out again at
//! once, last in first out, so that a use after free and an ABA show.
//!
//! *When* is decided by the order of the execution, in bookkeeping that loom does not see: objects become free when no
//! guard at all is active. *What happens before what* is then made by loom's atomics, no more than the contract's edges:
//!
//! * each end of a guard is a Release RMW on its thread's word, and the thread that frees acquires all words, so that
//!   every guard that ended happens before the reclamation;
//! * it then releases [`Shared::clock`], which every later guard acquires when it begins, so that the unlinking happens
//!   before every guard that begins later.
//!
//! Between any two steps of the bookkeeping that belong together there is no access to a loom object, so no switch.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard};

use latchfree_loom::reclaim::{Accepts, Backlog, Reclaim, Retired};
use loom::sync::atomic::{AtomicUsize, Ordering};

/// The reclaimer.
pub struct Eager;

struct Shared {
    words: Vec<AtomicUsize>,
    clock: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    threads: usize,
    stores: usize,
    /// Guards that ever began, and those that are active.
    pins: usize,
    active: usize,
    /// Retired objects of all stores, with their store's number.
    pending: Vec<(usize, Retired)>,
    /// Those that may be reclaimed.
    free: Vec<(usize, Retired)>,
}

// SAFETY: the pointers are to unlinked objects, which nobody but the holder of the book's lock takes out.
unsafe impl Send for Book {}

loom::lazy_static! {
    static ref SHARED: Shared = Shared {
        words: (0..loom::MAX_THREADS).map(|_| AtomicUsize::new(0)).collect(),
        clock: AtomicUsize::new(0),
        book: Mutex::default(),
    };
}

loom::thread_local! {
    static WORD: usize = {
        let mut book = book();
        book.threads += 1;
        book.threads - 1
    };
}

fn book() -> MutexGuard<'static, Book> {
    let shared: &'static Shared = &SHARED;
    shared.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A critical section of the current thread.
pub struct EagerGuard {
    word: usize,
    _not_send: PhantomData<*mut ()>,
}

impl Drop for EagerGuard {
    fn drop(&mut self) {
        // An execution that fails unwinds through guards, when loom's objects must not be touched any more.
        if std::thread::panicking() {
            return;
        }
        SHARED.words[self.word].fetch_add(1, Ordering::Release);
        let pins = {
            let mut book = book();
            book.active -= 1;
            if book.active > 0 || book.pending.is_empty() {
                return;
            }
            book.pins
        };
        for word in &SHARED.words {
            word.fetch_add(0, Ordering::Acquire);
        }
        SHARED.clock.fetch_add(1, Ordering::Release);
        let mut book = book();
        if book.pins == pins {
            // No guard is active, none began since, all that ended were acquired, and those to come acquire us.
            let pending = std::mem::take(&mut book.pending);
            book.free.extend(pending);
        }
    }
}

/// One structure's retired objects; dropping it frees them.
pub struct EagerGarbage(usize);

// SAFETY: clause 1 is argued where objects become free; the reuser and the dropper come after that, by `clock` or because
// they own the structure. 2 and 4: an object is in one list, and taken out before it is handed over. 3: nothing is
// borrowed while `reclaim` runs. 5: there is one kind of guard.
unsafe impl Reclaim for Eager {
    type Guard = EagerGuard;
    type Garbage = EagerGarbage;

    fn pin() -> EagerGuard {
        let word = WORD.with(|&word| word);
        SHARED.clock.fetch_add(0, Ordering::Acquire);
        let mut book = book();
        book.pins += 1;
        book.active += 1;
        EagerGuard { word, _not_send: PhantomData }
    }

    fn repin(guard: &mut EagerGuard) {
        *guard = Self::pin();
    }

    fn garbage(_keep: usize) -> EagerGarbage {
        let mut book = book();
        book.stores += 1;
        EagerGarbage(book.stores)
    }

    fn check(_: &EagerGuard) {}

    unsafe fn retire(garbage: &EagerGarbage, retired: Retired, _guard: &EagerGuard) {
        book().pending.push((garbage.0, retired));
    }

    fn reuse(garbage: &EagerGarbage, _guard: &EagerGuard) -> Option<NonNull<u8>> {
        let mut book = book();
        let at = book.free.iter().rposition(|(store, _)| *store == garbage.0)?;
        Some(book.free.remove(at).1.object)
    }

    fn collect(_: &EagerGarbage) {}

    fn backlog(garbage: &EagerGarbage) -> Backlog {
        let book = book();
        let mine = book.pending.iter().chain(&book.free).filter(|(store, _)| *store == garbage.0);
        mine.fold(Backlog::default(), |sum, (_, retired)| Backlog {
            objects: sum.objects + 1,
            bytes: sum.bytes + retired.bytes,
        })
    }
}

impl<T> Accepts<T> for Eager {}

impl Drop for EagerGarbage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mine: Vec<_> = {
            let mut book = book();
            let (pending, free) = (std::mem::take(&mut book.pending), std::mem::take(&mut book.free));
            let (mine, others) = pending.into_iter().partition(|(store, _)| *store == self.0);
            let (mine_free, others_free): (Vec<_>, Vec<_>) =
                free.into_iter().partition(|(store, _)| *store == self.0);
            (book.pending, book.free) = (others, others_free);
            let mine: Vec<_> = mine;
            mine.into_iter().chain(mine_free).collect()
        };
        for (_, retired) in mine {
            // SAFETY: the structure is gone, so nobody reaches what it retired; taken out of its list above.
            unsafe { (retired.reclaim)(retired.object) }
        }
    }
}
