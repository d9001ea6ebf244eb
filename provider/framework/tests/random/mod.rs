//! Chance that repeats itself: everything random in these tests follows from one
//! number, the seed, and so can be had again.

#![allow(dead_code)] // No test file uses all of it.

pub mod config;
pub mod fill;
pub mod hcl;
pub mod schema;
pub mod sets;

/// SplitMix64 (Steele, Lea and Flood, 2014): any seed is a good one.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero to `bound`, without it.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a bound fits");
        usize::try_from(self.next() % bound).expect("it is below a usize")
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn pick<'t, T>(&mut self, choices: &'t [T]) -> &'t T {
        &choices[self.below(choices.len())]
    }
}

/// A seed of its own for each case of a run.
pub fn seed_of(run: u64, case: u64) -> u64 {
    Random::new(run ^ case.rotate_left(32)).next()
}

/// The number in an environment variable, decimal or `0x...`.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let read = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(read.unwrap_or_else(|_| panic!("{name} takes a number, decimal or 0x...; `{text}` was given")))
}
