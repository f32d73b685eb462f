//! Hypocenter core.
