//! Tagged pointers: what a slot or a block's link holds, with two bits of its own.

use core::ptr::{self, NonNull};

/// Frozen for a migration.
const FROZEN: usize = 1;
/// A slot that held an entry once. It is not null: null is what migrations write over.
const EMPTY: usize = 2;

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
    NonNull::new(tagged.map_addr(|addr| addr & !(FROZEN | EMPTY)))
}

/// Nothing, and nothing may be put here any more.
pub(super) fn sealed<T>() -> Tagged<T> {
    frozen(ptr::null_mut())
}

pub(super) fn empty<T>() -> Tagged<T> {
    ptr::without_provenance_mut(EMPTY)
}
