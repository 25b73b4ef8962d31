//! Models of the epochs, over pointers that are swapped and retired by hand.

mod common;

use std::ptr::NonNull;
use std::sync::Arc;

use latchfree_loom::model::Barriers;
use latchfree_loom::reclaim::epoch::Domain;
use latchfree_loom::reclaim::{Epoch, Garbage, Guard, OwnedGuard, Participant, Reclaim, Retired};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicPtr, Ordering};
use loom::thread::{JoinHandle, spawn};

latchfree_loom::domain! {
    /// The models' own.
    struct Here;
}

/// Says whether it was reclaimed, to whom that happens before, and to others as a race that loom reports.
struct Node(UnsafeCell<bool>);

impl Node {
    fn allocate() -> *mut Self {
        Box::into_raw(Box::new(Self(UnsafeCell::new(false))))
    }
}

struct World {
    pointer: AtomicPtr<Node>,
    garbage: Garbage<Here>,
    nodes: Vec<*mut Node>,
}

// SAFETY: the nodes are reached through loom's cells, which check each access, and freed by the owner of the world.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    /// A pointer to a node, and another node for each that is to be swapped in.
    fn new(swaps: usize) -> Arc<Self> {
        let nodes: Vec<_> = (0..=swaps).map(|_| Node::allocate()).collect();
        // Here, so that no thread of the model is the first.
        let _ = Here::state();
        Arc::new(Self { pointer: AtomicPtr::new(nodes[0]), garbage: Epoch::<Here>::garbage(0), nodes })
    }

    /// Reads the node twice under a guard that is held from before the first look until after the last.
    fn read(&self, _guard: &Guard<Here>) {
        let node = self.pointer.load(Ordering::Acquire);
        // SAFETY: nodes are freed with the world; the cell checks the access.
        let freed = unsafe { &(*node).0 };
        assert!(!freed.with(unsafe_read), "reclaimed under a guard");
        loom::thread::yield_now();
        assert!(!freed.with(unsafe_read), "reclaimed under a guard");
    }

    /// Puts another node in and retires what was there.
    fn swap(&self, index: usize, guard: &Guard<Here>) {
        let old = self.pointer.swap(self.nodes[index], Ordering::AcqRel);
        let object = NonNull::new(old.cast()).expect("never null");
        // SAFETY: unlinked by the swap, by us alone, under the guard.
        unsafe { Epoch::<Here>::retire(&self.garbage, Retired { object, reclaim, bytes: 1 }, guard) }
    }

    fn collect(&self) {
        Epoch::<Here>::collect(&self.garbage);
    }

    fn go(self: &Arc<Self>, f: impl FnOnce(&Self) + 'static) -> JoinHandle<()> {
        let world = self.clone();
        spawn(move || f(&world))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // The garbage goes first, and reclaims what it has.
        drop(std::mem::replace(&mut self.garbage, Epoch::<Here>::garbage(0)));
        let last = self.pointer.with_mut(|pointer| *pointer);
        for &node in &self.nodes {
            // SAFETY: allocated in `new`, shared with nobody any more.
            let node = unsafe { Box::from_raw(node) };
            let current = std::ptr::eq(&*node, last);
            assert_eq!(node.0.with(unsafe_read), !current, "all but the last were swapped out");
        }
    }
}

fn unsafe_read(cell: *const bool) -> bool {
    // SAFETY: called in `with`, which reports an access that races with this one.
    unsafe { *cell }
}

/// Poisons the node instead of freeing it.
fn poison(object: NonNull<u8>) {
    // SAFETY: nodes are freed with the world.
    let node = unsafe { object.cast::<Node>().as_ref() };
    node.0.with_mut(|freed| {
        // SAFETY: in `with_mut`, which reports an access that races with this one.
        let freed = unsafe { &mut *freed };
        assert!(!*freed, "reclaimed twice");
        *freed = true;
    });
}

/// # Safety
///
/// `object` is a [`Node`].
unsafe fn reclaim(object: NonNull<u8>) {
    poison(object);
}

fn pin() -> Guard<Here> {
    Guard::pin()
}

models! {
    /// A reader, and a writer that collects as soon as it can.
    reader_and_writer(Some(2), 129) {
        let world = World::new(1);
        let reader = world.go(|world| world.read(&pin()));
        let writer = world.go(|world| {
            world.swap(1, &pin());
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
    }

    /// The reader moves the clock before, so that it may be a step ahead of the writer.
    reader_ahead(Some(2), 288) {
        let world = World::new(1);
        let reader = world.go(|world| {
            pin().flush();
            world.read(&pin());
        });
        let writer = world.go(|world| {
            world.swap(1, &pin());
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
    }

    /// A third thread moves the clock and frees.
    collector(Some(1), 68) {
        let world = World::new(1);
        let reader = world.go(|world| world.read(&pin()));
        let writer = world.go(|world| world.swap(1, &pin()));
        let collector = world.go(|world| {
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
        collector.join().unwrap();
    }

    /// The writer's announcement races with two moves of the clock.
    late_announcement(Some(2), 448) {
        let world = World::new(1);
        let reader = world.go(|world| {
            pin().flush();
            pin().flush();
            world.read(&pin());
        });
        let writer = world.go(|world| {
            world.swap(1, &pin());
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
    }

    /// A thread ends and another takes over its record while a third collects.
    exit(Some(1), 77) {
        let world = World::new(1);
        let first = world.go(|world| world.read(&pin()));
        let second = world.go(|world| world.read(&pin()));
        let writer = world.go(|world| {
            world.swap(1, &pin());
            world.collect();
        });
        first.join().unwrap();
        second.join().unwrap();
        writer.join().unwrap();
    }

    /// Participants, whose records change hands inside of one thread.
    participants(Some(2), 212) {
        let world = World::new(1);
        let reader = world.go(|world| {
            drop(Participant::<Here>::register());
            let participant = Participant::<Here>::register();
            world.read(&participant.pin());
        });
        let writer = world.go(|world| {
            let participant = Participant::<Here>::register();
            world.swap(1, &participant.pin());
            drop(participant);
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
    }

    /// A guard with a participant of its own, which pins again in between.
    owned_guard(Some(2), 182) {
        let world = World::new(1);
        let reader = world.go(|world| {
            let mut guard = OwnedGuard::<Here>::pin();
            world.read(&guard);
            guard.repin();
            world.read(&guard);
        });
        let writer = world.go(|world| {
            world.swap(1, &OwnedGuard::<Here>::pin());
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
    }

    /// Who frees did not move the clock, and did not meet the reader either.
    advanced_by_another(Some(2), 100) {
        let world = World::new(1);
        let reader = world.go(|world| {
            world.read(&pin());
            for _ in 0..3 {
                pin().flush();
            }
        });
        let writer = world.go(|world| {
            world.swap(1, &pin());
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
    }

    /// The clock moves by announcements alone: no scan meets the reader between two of its guards.
    announced_again(Some(3), 100) {
        let world = World::new(1);
        let reader = world.go(|world| {
            world.read(&pin());
            for _ in 0..3 {
                drop(pin());
            }
        });
        let writer = world.go(|world| {
            world.swap(1, &pin());
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
    }

    /// A writer that comes back to its bin, while another thread asks for the bin and takes it.
    bin_taken(Some(2), 100) {
        let world = World::new(2);
        let writer = world.go(|world| {
            world.swap(1, &pin());
            world.swap(2, &pin());
        });
        let collector = world.go(World::collect);
        writer.join().unwrap();
        collector.join().unwrap();
    }

    /// The writer has the record of one that has gone, and the bin with what was left there.
    bin_inherited(Some(2), 100) {
        let world = World::new(2);
        world.go(|world| world.swap(1, &pin())).join().unwrap();
        let writer = world.go(|world| world.swap(2, &pin()));
        let collector = world.go(World::collect);
        writer.join().unwrap();
        collector.join().unwrap();
    }

    /// Two writers to one garbage: bins are claimed, objects freed once.
    two_writers(Some(1), 36) {
        let world = World::new(2);
        let writers = [1, 2].map(|index| {
            world.go(move |world| {
                world.swap(index, &pin());
                world.collect();
            })
        });
        for writer in writers {
            writer.join().unwrap();
        }
    }
}

deep_models! {
    /// As `collector`, with one more preemption: a reader that comes between two moves of the clock.
    collector_between(Some(2), 1000) {
        let world = World::new(1);
        let reader = world.go(|world| world.read(&pin()));
        let writer = world.go(|world| world.swap(1, &pin()));
        let collector = world.go(|world| {
            world.collect();
        });
        reader.join().unwrap();
        writer.join().unwrap();
        collector.join().unwrap();
    }
}
