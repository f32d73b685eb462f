//! Seeded random numbers.
//!
//! Written out here because published figures hang on every bit of them: no release of a library
//! may change what a seed stands for.

/// SplitMix64 (Steele, Lea, Flood 2014): every seed starts a good sequence of its own.
#[derive(Clone, Debug)]
pub(super) struct Numbers(u64);

impl Numbers {
    /// The sequence for one purpose under one seed. Different purposes share nothing.
    pub(super) fn new(purpose: &str, seed: u64) -> Self {
        // FNV-1a.
        let start = 0xcbf2_9ce4_8422_2325_u64;
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let mut numbers = Self(purpose.bytes().chain(seed.to_le_bytes()).fold(start, fold));
        // Neighbouring seeds must not start alike.
        numbers.0 = numbers.next();
        numbers
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1, without 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.unit() * bound as f64) as usize
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    /// A number from `low` to `high`, each as likely.
    pub(super) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A number from `low` to `high`, each order of magnitude as likely.
    pub(super) fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        self.uniform(low.ln(), high.ln()).exp()
    }

    /// True this often.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of several, each as likely. There must be one.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// `count` of several, or all if there are fewer, in random order.
    pub(super) fn some<T: Clone>(&mut self, count: usize, from: &[T]) -> Vec<T> {
        let mut all = from.to_vec();
        self.shuffle(&mut all);
        all.truncate(count);
        all
    }

    /// Puts them into random order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_stands_for_the_same_numbers_for_ever() {
        let mut numbers = Numbers::new("test", 7);
        let drawn: Vec<usize> = (0..6).map(|_| numbers.below(1000)).collect();
        assert_eq!(drawn, [532, 332, 177, 613, 701, 262]);
        assert_ne!(Numbers::new("test", 8).next(), Numbers::new("test", 7).next());
        assert_ne!(Numbers::new("tset", 7).next(), Numbers::new("test", 7).next());
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut numbers = Numbers::new("bounds", 1);
        for _ in 0..1000 {
            assert!((2..=4).contains(&numbers.between(2, 4)));
            assert!((0.5..2.0).contains(&numbers.log_uniform(0.5, 2.0)));
            assert!(numbers.below(3) < 3);
        }
        let mut some = numbers.some(9, &[1, 2, 3]);
        some.sort_unstable();
        assert_eq!(some, [1, 2, 3]);
    }
}
