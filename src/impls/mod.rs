//! Traits that are the same for every structure: the gauge, serde, rayon.

#[cfg(all(any(feature = "serde", feature = "rayon"), target_has_atomic = "64"))]
mod copy_map;
mod gauge;
#[cfg(all(any(feature = "serde", feature = "rayon"), target_has_atomic = "64"))]
mod hash_map;
#[cfg(feature = "rayon")]
mod ordered_map_rayon;
#[cfg(feature = "serde")]
mod ordered_map_serde;
#[cfg(feature = "rayon")]
mod sequences_rayon;
#[cfg(feature = "serde")]
mod sequences_serde;
#[cfg(feature = "serde")]
mod serde_fill;

#[cfg(all(feature = "rayon", target_has_atomic = "64"))]
pub use copy_map::ParIter as CopyParIter;
#[cfg(all(feature = "rayon", target_has_atomic = "64"))]
pub use hash_map::ParIter;
