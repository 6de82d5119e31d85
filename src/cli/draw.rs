//! Draws that a seed repeats: the demonstration's story, the load generator's load.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};

/// So many of a hundred people give a round sum.
pub(super) const SPIKED: usize = 45;
/// The sums that stand out among what 17,437 payers gave ConstitutionDAO
/// (domain.md §8), in whole units.
pub(super) const ROUND_SUMS: [i64; 6] = [10, 25, 50, 100, 250, 1_000];

/// Draws that a seed repeats.
pub(super) struct Draw(pub(super) StdRng);

impl Draw {
    /// Draws about one thing: another thing's draws do not move when this one's change.
    pub(super) fn new(seed: u64, about: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_be_bytes());
        hash.update(about.as_bytes());
        Self(StdRng::from_seed(hash.finalize().into()))
    }

    /// From 0 to one less than `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}
