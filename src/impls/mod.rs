//! Traits of other crates, for the structures that own their elements.

#[cfg(feature = "rayon")]
mod ordered_map_rayon;
#[cfg(feature = "serde")]
mod ordered_map_serde;
#[cfg(feature = "rayon")]
mod rayon;
#[cfg(feature = "serde")]
mod serde;
