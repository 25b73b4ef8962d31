//! One file per kind of structure: what is done to the contestants, and who they are.

pub mod bounded;
pub mod hash;
pub mod map;
pub mod ordered;
pub mod pin;
pub mod queue;
pub mod stack;
pub mod stopped;
