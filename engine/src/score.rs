//! Fixed-point scores, and the few functions that floating point does not give exactly.
//!
//! Sums of scores are integers, so they do not depend on the order of arrival, and the
//! transcendental functions come from software, so they are equal on every machine.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use borsh::{BorshDeserialize, BorshSerialize};

/// A score in millionths. Evidence, likelihoods (in nats) and strengths are all of this type.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    BorshDeserialize,
    BorshSerialize,
)]
pub struct Score(i64);

impl Score {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(1_000_000);
    /// Worse than any score that a sum of evidence can reach.
    pub const WORST: Self = Self(i64::MIN / 4);

    /// The nearest score; not-a-number becomes zero.
    #[must_use]
    pub fn from_f64(value: f64) -> Self {
        Self(nearest(value * 1e6))
    }

    /// As a floating-point number, exact for every score that occurs.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// In millionths.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// From millionths.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// This score times a factor, rounded to the nearest millionth.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self(nearest(self.0 as f64 * factor))
    }
}

/// The nearest integer, halves away from zero. Not `round`: that is a call into software where the
/// processor is not known to have it.
fn nearest(value: f64) -> i64 {
    (value + 0.5_f64.copysign(value)) as i64
}

impl Add for Score {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Score {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Score {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Score {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl std::iter::Sum for Score {
    fn sum<I: Iterator<Item = Self>>(scores: I) -> Self {
        scores.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// Natural logarithm, bit-equal on every machine.
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// Exponential function, bit-equal on every machine.
pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// `ln(n!)`, bit-equal on every machine.
pub(crate) fn ln_factorial(n: f64) -> f64 {
    libm::lgamma(n + 1.0)
}

/// `base` to the power of `exponent`, bit-equal on every machine.
pub(crate) fn power(base: f64, exponent: f64) -> f64 {
    libm::pow(base, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_millionths() {
        assert_eq!(Score::from_f64(-1.5).to_string(), "-1.500000");
        assert_eq!(Score::from_f64(0.000_001).to_string(), "0.000001");
        assert_eq!(Score::from_f64(f64::NAN), Score::ZERO);
        assert_eq!(Score::ONE.times(0.5), Score::from_f64(0.5));
    }
}
