//! Everything that one client may cost, in one place.

use std::time::Duration;

/// What clients may use up. The defaults are documented in `docs/sidecar.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections that are open at once. Past it, the one that has waited longest for its first
    /// request, or else the one that has been idle longest, is closed for the new one.
    pub connections_max: usize,
    /// Of these, how many one address may have, so that it cannot keep all others out. Past it, one
    /// of its own is closed in the same order.
    pub connections_per_address_max: usize,
    /// From the connection to its first byte.
    pub first_byte: Duration,
    /// From the connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its header.
    pub head: Duration,
    /// From the end of the header to the end of the body.
    pub body: Duration,
    /// A body has this long before [`Limits::body_bytes_per_second`] is asked of it.
    pub body_grace: Duration,
    /// Least speed of a body after its grace.
    pub body_bytes_per_second: u64,
    /// From one request to the next on the same connection.
    pub idle: Duration,
    /// How long a client may take in nothing while an answer is waiting.
    pub write_stall: Duration,
    /// Largest header of a request, in bytes.
    pub head_bytes_max: usize,
    /// Longest path and query, in bytes.
    pub uri_bytes_max: usize,
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// All bodies together that are being received, in bytes.
    pub bodies_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            connections_per_address_max: 500,
            first_byte: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            body_grace: Duration::from_secs(5),
            body_bytes_per_second: 1_024,
            idle: Duration::from_secs(300),
            write_stall: Duration::from_secs(30),
            head_bytes_max: 16 << 10,
            uri_bytes_max: 8 << 10,
            body_bytes_max: 4 << 20,
            bodies_bytes_max: 64 << 20,
        }
    }
}
