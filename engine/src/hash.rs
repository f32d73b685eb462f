//! FNV-1a, 64 bit: the public fingerprint, and the versions of policy and topology.

/// FNV-1a with a 0xFF byte after each item, as in `common/model/signature.go` of Prometheus.
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Self(14_695_981_039_346_656_037)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().chain(&[0xFF]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(1_099_511_628_211);
        }
    }

    pub(crate) const fn finish(&self) -> u64 {
        self.0
    }
}
