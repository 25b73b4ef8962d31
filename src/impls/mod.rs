//! Traits of other crates, for the structures that own their elements.

#[cfg(target_has_atomic = "64")]
mod hash_map;
#[cfg(feature = "rayon")]
mod rayon;
#[cfg(feature = "serde")]
mod serde;
#[cfg(all(feature = "rayon", target_has_atomic = "64"))]
pub use hash_map::ParIter;
