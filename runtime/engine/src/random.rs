//! The seeded stream that weights, shuffles and dropout are drawn from.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of random numbers that is the same for the same seed and purpose
/// on every machine and in every release.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a seed for one purpose. Purposes have streams of their
    /// own, so that drawing more for one does not shift another.
    pub fn new(seed: i64, purpose: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.cast_unsigned());
        rng.set_stream(purpose);
        Self(rng)
    }

    /// A number in `[0, 1)`, a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in `[0, bound)`, each with the same chance; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Draws past the last whole multiple would favour small numbers.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let draw = self.0.next_u64();
            if draw < limit {
                return draw % bound;
            }
        }
    }

    /// Puts the values in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            values.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_purpose_another() {
        let order = |seed, purpose| {
            let mut values: Vec<u32> = (0..20).collect();
            Stream::new(seed, purpose).shuffle(&mut values);
            values
        };
        assert_eq!(order(7, 0), order(7, 0));
        assert_ne!(order(7, 0), order(7, 1));
        assert_ne!(order(7, 0), order(8, 0));
        let mut sorted = order(7, 0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<u32>>());
    }

    #[test]
    fn the_stream_of_a_seed_never_changes_between_releases() {
        let mut stream = Stream::new(7, 0);
        let drawn: Vec<u64> = (0..4).map(|_| stream.below(1_000)).collect();
        assert_eq!(drawn, [635, 994, 745, 443]);
    }
}
