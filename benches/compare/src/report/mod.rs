//! Results, and the forms in which they are shown.

pub mod data;
pub mod files;
pub mod html;
pub mod map_targets;
pub mod plot;
pub mod targets;
pub mod terminal;
