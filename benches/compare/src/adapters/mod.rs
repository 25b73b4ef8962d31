//! One file per kind of structure: what a contestant must do, and every contestant doing it.

pub mod bounded;
pub mod hash;
pub mod hash_ours;
pub mod map;
pub mod ordered;
pub mod ordered_ours;
pub mod pin;
pub mod queue;
pub mod stack;
