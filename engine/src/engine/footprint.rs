//! How much the engine holds.

use super::Engine;

/// How many things the engine holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Footprint {
    /// Alerts, firing and lately resolved.
    pub alerts: usize,
    /// Incidents.
    pub incidents: usize,
    /// Deadlines, stale ones included.
    pub timers: usize,
    /// Distinct texts.
    pub texts: usize,
    /// Bytes of text.
    pub text_bytes: usize,
    /// Roots that some incident considers.
    pub roots_considered: usize,
    /// Bytes of precomputed walks.
    pub walk_bytes: usize,
}

impl Engine {
    /// How long the engine's own memory lasts, for tests and metrics.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        Footprint {
            alerts: self.alerts.len() as usize,
            incidents: self.incidents.len() as usize,
            timers: self.timers.len(),
            texts: self.world.symbols.len(),
            text_bytes: self.world.symbols.bytes(),
            roots_considered: self.incidents.roots_considered(),
            walk_bytes: self.world.graph.walks.bytes(),
        }
    }
}
