//! Hypocenter daemon.
