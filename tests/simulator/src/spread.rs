//! How a number spreads over many runs.

use std::collections::BTreeMap;

/// How often each value was seen. Values are times in milliseconds or counts of rounds, bounded by
/// the length of a run, so there are at most as many entries as a run has milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    seen: BTreeMap<u64, u64>,
}

impl Spread {
    /// Takes in one more value.
    pub(crate) fn add(&mut self, value: u64) {
        *self.seen.entry(value).or_default() += 1;
    }

    /// Takes in all values of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (value, times) in &other.seen {
            *self.seen.entry(*value).or_default() += times;
        }
    }

    /// The value in the middle, the lower one of two; none if nothing was seen.
    #[must_use]
    pub fn median(&self) -> Option<u64> {
        self.at_most(50)
    }

    /// The least value that so many per cent of all values do not exceed; none if nothing was seen.
    #[must_use]
    pub fn at_most(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.seen.values().sum();
        let mut before = 0;
        self.seen.iter().find_map(|(value, times)| {
            before += times;
            (100 * before >= percent * all).then_some(*value)
        })
    }

    /// The largest value; none if nothing was seen.
    #[must_use]
    pub fn largest(&self) -> Option<u64> {
        self.seen.keys().next_back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Spread {
        let mut spread = Spread::default();
        values.iter().for_each(|value| spread.add(*value));
        spread
    }

    #[test]
    fn the_median_is_the_middle_one_however_often_values_repeat() {
        for (values, median) in [
            (&[][..], None),
            (&[7], Some(7)),
            (&[9, 1], Some(1)),
            (&[1, 2, 9], Some(2)),
            (&[5, 5, 5, 1, 900], Some(5)),
            (&[1, 1, 1, 900, 901], Some(1)),
        ] {
            assert_eq!(of(values).median(), median, "{values:?}");
            assert_eq!(of(values).largest(), values.iter().max().copied());
        }
    }

    #[test]
    fn so_many_per_cent_of_all_values_are_no_larger() {
        let hundred: Vec<u64> = (1..=100).collect();
        for percent in [1, 50, 90, 99, 100] {
            assert_eq!(of(&hundred).at_most(percent), Some(percent));
        }
        assert_eq!(of(&[3, 4]).at_most(99), Some(4));
        assert_eq!(of(&[]).at_most(99), None);
    }

    #[test]
    fn merging_is_the_same_as_seeing_all() {
        let mut merged = of(&[1, 2]);
        merged.merge(&of(&[2, 3, 4]));
        assert_eq!(merged, of(&[1, 2, 2, 3, 4]));
    }
}
