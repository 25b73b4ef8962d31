//! Traits of other crates, for the structures that own their elements.

#[cfg(feature = "rayon")]
mod rayon;
#[cfg(feature = "serde")]
mod serde;
#[cfg(target_has_atomic = "64")]
mod hash_map;
#[cfg(all(feature = "rayon", target_has_atomic = "64"))]
pub use hash_map::ParIter;

#[cfg(feature = "rayon")]
mod ordered_map_rayon;
#[cfg(feature = "serde")]
mod ordered_map_serde;
#[cfg(feature = "rayon")]
mod rayon;
#[cfg(feature = "serde")]
mod serde;
