//! One file per kind of structure: what is done to the contestants, and who they are.

pub mod bounded;
pub mod pin;
pub mod queue;
pub mod stopped;
