//! Hashers, good and hostile, as one type, so that a test body is compiled once for all of them.
#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "every test binary compiles its own copy and uses a part"
)]

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// Which hashes keys get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hashes {
    /// All the same.
    Zero,
    /// All the same, at the other end.
    Max,
    /// Four.
    Four,
    /// An integer is its own.
    Identity,
    /// SipHash's, with a fixed key.
    #[default]
    Sip,
}

pub const ALL: [Hashes; 5] = [Hashes::Zero, Hashes::Max, Hashes::Four, Hashes::Identity, Hashes::Sip];

impl Hashes {
    /// How many keys a test takes: where hashes are equal each change copies a list.
    pub fn keys(self) -> u64 {
        match self {
            Self::Zero | Self::Max => 400,
            Self::Four => 800,
            Self::Identity | Self::Sip => 10_000,
        }
    }
}

pub struct Hash {
    hashes: Hashes,
    bits: u64,
    sip: DefaultHasher,
}

impl Hasher for Hash {
    fn finish(&self) -> u64 {
        match self.hashes {
            Hashes::Zero => 0,
            Hashes::Max => u64::MAX,
            Hashes::Four => self.bits & 3,
            Hashes::Identity => self.bits,
            Hashes::Sip => self.sip.finish(),
        }
    }
    fn write(&mut self, bytes: &[u8]) {
        self.sip.write(bytes);
        for &byte in bytes {
            self.bits = self.bits.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.sip.write_u64(n);
        self.bits ^= n;
    }
}

impl BuildHasher for Hashes {
    type Hasher = Hash;
    fn build_hasher(&self) -> Hash {
        Hash { hashes: *self, bits: 0, sip: DefaultHasher::new() }
    }
}

/// Makes a `#[test]` of each generic body for each reclaimer, with all hashers.
macro_rules! over_all {
    ($($name:ident),* $(,)?) => {
        mod on_epoch {
            $(#[test] fn $name() { $crate::hashers::ALL.into_iter().for_each(super::$name::<latchfree::Epoch>) })*
        }
        #[cfg(feature = "crossbeam")]
        mod on_crossbeam {
            $(#[test] fn $name() { $crate::hashers::ALL.into_iter().for_each(super::$name::<latchfree::reclaim::Crossbeam>) })*
        }
    };
}
pub(crate) use over_all;
