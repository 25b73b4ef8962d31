//! Tagged pointers: what a slot or a block's link holds, with a bit of its own.

use core::ptr::{self, NonNull};

/// Frozen for a migration.
const FROZEN: usize = 1;

/// A slot's or a block link's content, tag bits included.
pub(super) type Tagged<T> = *mut T;

pub(super) fn is_frozen<T>(tagged: Tagged<T>) -> bool {
    tagged.addr() & FROZEN != 0
}

pub(super) fn frozen<T>(tagged: Tagged<T>) -> Tagged<T> {
    tagged.map_addr(|addr| addr | FROZEN)
}

/// The object in a slot or block link, if there is one.
#[inline(always)]
pub(super) fn object<T>(tagged: Tagged<T>) -> Option<NonNull<T>> {
    NonNull::new(tagged.map_addr(|addr| addr & !FROZEN))
}

/// Nothing, and nothing may be put here any more.
pub(super) fn sealed<T>() -> Tagged<T> {
    frozen(ptr::null_mut())
}
