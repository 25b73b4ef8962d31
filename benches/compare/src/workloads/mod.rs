//! One file per kind of structure: what is done to the contestants, and who they are.

pub mod hash;
pub mod map;
pub mod ordered;
pub mod pin;
pub mod queue;
pub mod stack;
pub mod bounded;
pub mod pin;
pub mod queue;
pub mod stopped;
