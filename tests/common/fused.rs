//! A key whose methods panic after some calls.

use std::cell::Cell;
use std::hash::{Hash, Hasher};

thread_local! {
    /// How many calls of `Hash` and `Eq` until one panics.
    pub static FUSE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn burn() {
    FUSE.set(FUSE.get() - 1);
    assert!(FUSE.get() > 0, "seeded");
}

/// Panics when the fuse has burnt down. All have one hash.
#[derive(Debug, Clone)]
pub struct Key(pub u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn();
        state.write_u64(0);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}

impl Eq for Key {}
