//! Reads the table of invariants, `docs/invariants.md`: which tests show what.

use std::collections::{BTreeMap, BTreeSet};

/// For each name in the first column, the tests that the last column names.
pub type Shown = BTreeMap<String, BTreeSet<String>>;

/// Reads all rows of all tables: `| name, name | ... | `test`, `test` |`.
#[must_use]
pub fn shown(text: &str) -> Shown {
    let mut shown = Shown::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let (true, [names, .., tests]) = (line.starts_with('|'), cells.as_slice()) else {
            continue;
        };
        if names.starts_with("--") || *tests == "tests" {
            continue;
        }
        let tests: BTreeSet<String> =
            tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        for name in names.split(',').map(str::trim) {
            shown.entry(name.to_owned()).or_default().extend(tests.iter().cloned());
        }
    }
    shown
}

/// What is wrong with the table: names of `required` without a test, and tests that are in none of the
/// `sources`.
#[must_use]
pub fn gaps(shown: &Shown, required: &[&str], sources: &[String]) -> Vec<String> {
    let missing = required.iter().filter(|name| shown.get(**name).is_none_or(BTreeSet::is_empty));
    let mut gaps: Vec<String> = missing.map(|name| format!("{name} has no test")).collect();
    for (name, tests) in shown {
        for test in tests {
            let definition = format!("fn {test}(");
            if !sources.iter().any(|source| source.contains(&definition)) {
                gaps.push(format!("{name} names the test {test}, which does not exist"));
            }
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
| invariant | says | tests |
|---|---|---|
| Lemma 1, A05 | nothing stale | `is_dropped`, `is_gone` |
| Lemma 9 | halts | |
";

    #[test]
    fn names_share_the_tests_of_their_row() {
        let shown = shown(TABLE);
        assert_eq!(shown["A05"], shown["Lemma 1"]);
        assert_eq!(shown["Lemma 1"].len(), 2);
    }

    #[test]
    fn an_invariant_without_a_test_and_a_test_that_does_not_exist_are_gaps() {
        let sources = ["fn is_dropped() {}".to_owned()];
        let gaps = gaps(&shown(TABLE), &["Lemma 1", "Lemma 9", "Lemma 14"], &sources);
        assert_eq!(gaps.len(), 4, "{gaps:?}");
    }
}
