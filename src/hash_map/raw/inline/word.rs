//! Small values as words.

use bytemuck::NoUninit;

/// A value's bytes, and zeroes.
#[inline(always)]
pub(super) fn to_word<T: NoUninit>(value: T) -> u64 {
    const { assert!(size_of::<T>() <= 8, "keys and values of a CopyMap have at most eight bytes") };
    let mut bytes = [0; 8];
    bytes[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
    u64::from_ne_bytes(bytes)
}

/// The value of a word.
///
/// # Safety
///
/// [`to_word`] made the word, of a `T`.
#[inline(always)]
pub(super) unsafe fn from_word<T: NoUninit>(word: u64) -> T {
    const { assert!(size_of::<T>() <= 8) };
    // SAFETY: `T` is `Copy`, and these are the bytes of one, all of them initialised; it has at most eight.
    unsafe { (&raw const word).cast::<T>().read_unaligned() }
}

#[cfg(all(test, not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use core::num::NonZeroU16;

    use super::*;

    fn round_trip<T: NoUninit + PartialEq + core::fmt::Debug>(value: T) {
        // SAFETY: made by the other.
        assert_eq!(unsafe { from_word::<T>(to_word(value)) }, value);
    }

    #[test]
    fn round_trips() {
        round_trip(u64::MAX);
        round_trip(-1_i32);
        round_trip('\u{10ffff}');
        round_trip(true);
        round_trip(());
        round_trip([1_u8, 2, 3]);
        round_trip(NonZeroU16::MAX);
        round_trip(-0.5_f64);
    }
}
