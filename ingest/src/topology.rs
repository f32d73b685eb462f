//! Where the dependency graph comes from: formats, layers of sources, and the merged view.
//!
//! A format is a pure function from bytes to a [`Layer`]; a source keeps one layer; the merged view
//! of all layers becomes the engine's graph.

mod detect;
pub mod export;
pub mod format;
pub mod layer;
pub mod merge;
pub mod source;
pub mod watch;

pub use detect::detect;
pub use format::{EdgeTopic, Format, FormatError};
pub use layer::{Layer, Places, Skipped};
pub use merge::{Layers, Merged, Refusal};
