//! One file per kind of structure: what a contestant must do, and every contestant doing it.

pub mod bounded;
pub mod pin;
pub mod queue;
