//! Randomness of a run: everything from one seed, a stream for each purpose, so that one purpose
//! drawing more does not change what the others get.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Plan = 1,
    Schedule,
    Links,
    Clients,
    Crashes,
    Adversaries,
    Faulty,
    Memory,
    Disks,
}

/// The stream for `purpose` of the run with this seed.
pub(crate) fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(purpose as u64);
    random
}
