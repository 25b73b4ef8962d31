//! What the structures carry: a word, a small value with a destructor, and a large one.

use std::hint::black_box;

/// An element of a measured structure.
///
/// `Clone` because sdd hands out shared entries: its adapter has to copy the value out.
pub trait Value: Send + Sync + Clone + 'static {
    fn make(seed: u64) -> Self;
    fn read(&self) -> u64;
}

impl Value for u64 {
    fn make(seed: u64) -> Self {
        seed
    }

    fn read(&self) -> u64 {
        *self
    }
}

/// 24 bytes, as a `Vec` or a `String` is, with a destructor that the compiler must run.
#[derive(Clone)]
pub struct Small {
    words: [u64; 3],
}

impl Value for Small {
    fn make(seed: u64) -> Self {
        Small { words: [seed; 3] }
    }

    fn read(&self) -> u64 {
        self.words[2]
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        black_box(self.words[0]);
    }
}

/// 1 KiB: moving it costs more than the queue's own work.
#[derive(Clone)]
pub struct Big {
    words: [u64; 128],
}

impl Value for Big {
    fn make(seed: u64) -> Self {
        Big { words: [seed; 128] }
    }

    fn read(&self) -> u64 {
        self.words[127]
    }
}

/// The names used in cells, in the order in which they are listed.
pub const U64: &str = "u64";
pub const SMALL: &str = "24B+Drop";
pub const BIG: &str = "1KiB";

/// Bytes of a value by its name.
pub fn size_of_value(name: &str) -> usize {
    match name {
        U64 => size_of::<u64>(),
        SMALL => size_of::<Small>(),
        _ => size_of::<Big>(),
    }
}
