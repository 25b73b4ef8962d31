//! Hashers, good and hostile.

use std::hash::{BuildHasher, Hasher};

/// Gives every key the same hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct Zero;

/// As [`Zero`], at the other end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Max;

/// An integer is its own hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

/// A hash of two bits: four chains.
#[derive(Clone, Copy, Debug, Default)]
pub struct Four;

/// SipHash with a fixed key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sip;

pub struct Fixed(u64);

impl Hasher for Fixed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
}

#[derive(Default)]
pub struct Bits {
    bits: u64,
    mask: u64,
}

impl Hasher for Bits {
    fn finish(&self) -> u64 {
        self.bits & self.mask
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.bits = self.bits.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.bits ^= n;
    }
}

impl BuildHasher for Zero {
    type Hasher = Fixed;
    fn build_hasher(&self) -> Fixed {
        Fixed(0)
    }
}

impl BuildHasher for Max {
    type Hasher = Fixed;
    fn build_hasher(&self) -> Fixed {
        Fixed(u64::MAX)
    }
}

impl BuildHasher for Identity {
    type Hasher = Bits;
    fn build_hasher(&self) -> Bits {
        Bits { bits: 0, mask: u64::MAX }
    }
}

impl BuildHasher for Four {
    type Hasher = Bits;
    fn build_hasher(&self) -> Bits {
        Bits { bits: 0, mask: 3 }
    }
}

impl BuildHasher for Sip {
    type Hasher = std::hash::DefaultHasher;
    fn build_hasher(&self) -> Self::Hasher {
        std::hash::DefaultHasher::new()
    }
}
