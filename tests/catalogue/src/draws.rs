//! What a row leaves to chance, decided by a seed.

/// Draws of one seed: a linear congruential generator, of which the upper bits are good enough to choose
/// faults by.
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// Those of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// A number below `below`, which must not be 0.
    pub const fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % below
    }

    /// A number between the two, both included.
    pub const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// The same things in any order.
    pub fn shuffled<T>(&mut self, mut things: Vec<T>) -> Vec<T> {
        for end in (1..things.len()).rev() {
            things.swap(end, self.below(end as u64 + 1) as usize);
        }
        things
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_draw_equally_and_every_order_comes_about() {
        let orders = |seed| {
            let mut draws = Draws::new(seed);
            (0..200).map(|_| draws.shuffled(vec![0, 1, 2])).collect::<Vec<_>>()
        };
        assert_eq!(orders(7), orders(7));
        assert_ne!(orders(7), orders(8));
        let distinct: std::collections::BTreeSet<_> = orders(7).into_iter().collect();
        assert_eq!(distinct.len(), 6);
    }
}
