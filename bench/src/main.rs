//! Harness command line.
fn main() {}
