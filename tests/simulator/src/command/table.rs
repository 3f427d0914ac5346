//! The table at the end of a search: a row for each figure, a column for each number of replicas.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Group, Spread, Stats, Summary};

/// The lines of the table. With several numbers of replicas, the last column has them all.
pub(super) fn lines(summary: &Summary) -> Vec<String> {
    let all = together(summary);
    let mut columns: Vec<(String, &Group)> =
        summary.groups.iter().map(|(n, group)| (format!("n={n}"), group)).collect();
    if columns.len() != 1 {
        columns.push(("all".to_owned(), &all));
    }
    let mut rows = vec![Row::of("", columns.iter().map(|(name, _)| name.clone()).collect())];
    let groups: Vec<&Group> = columns.iter().map(|(_, group)| *group).collect();
    for (name, figure) in FIGURES {
        rows.push(Row::of(name, groups.iter().map(|group| figure(group)).collect()));
    }
    for (name, spread) in SPREADS {
        for (share, at) in SHARES {
            let value = |group: &&Group| at(spread(group)).map_or_else(unknown, whole);
            rows.push(Row::of(&format!("{name}: {share}"), groups.iter().map(value).collect()));
        }
    }
    rows.extend(by_kind("faults injected", &groups, |stats| &stats.faults));
    rows.extend(by_kind("byzantine replicas", &groups, |stats| &stats.byzantine));
    rows.extend(by_kind("message mishaps", &groups, |stats| &stats.mishaps));
    rows.extend(by_kind("repaired", &groups, |stats| &stats.repaired));
    aligned(&rows)
}

/// All runs as one group.
pub(super) fn together(summary: &Summary) -> Group {
    let mut all = Group::default();
    summary.groups.values().for_each(|group| all.merge(group));
    all
}

type Figure = fn(&Group) -> String;
type Share = fn(&Spread) -> Option<u64>;
type Spreading = fn(&Group) -> &Spread;

/// What is told of each group, in order.
const FIGURES: &[(&str, Figure)] = &[
    ("seeds", |group| whole(group.runs)),
    ("failed", |group| whole(group.failed)),
    ("simulated s", |group| tenths(simulated_s(group))),
    ("CPU s", |group| tenths(group.cpu.as_secs_f64())),
    ("simulated s per CPU s", |group| pace(group).map_or_else(unknown, tenths)),
    ("commits", |group| whole(group.stats.heights)),
    ("transactions executed", |group| whole(group.stats.executed)),
    ("transactions confirmed", |group| whole(group.stats.confirmed)),
    ("view changes", |group| whole(group.stats.views)),
    ("messages", |group| whole(group.stats.messages)),
    ("MB sent", |group| tenths(group.stats.bytes as f64 / 1e6)),
    ("messages refused", |group| whole(group.stats.refused)),
    ("most entries kept", |group| whole(group.stats.held_max)),
];

/// What is told of how a number spreads over the runs.
const SHARES: [(&str, Share); 4] = [
    ("median", Spread::median),
    ("90%", |spread| spread.at_most(90)),
    ("99%", |spread| spread.at_most(99)),
    ("worst", Spread::largest),
];

/// Numbers of which each run has one: how long it took until all was well.
const SPREADS: [(&str, Spreading); 3] = [
    ("convergence, ms", |group| &group.quiet_ms),
    ("common view, rounds", |group| &group.view_rounds),
    ("convergence, rounds", |group| &group.rounds),
];

pub(super) fn simulated_s(group: &Group) -> f64 {
    group.stats.virtual_us as f64 / 1e6
}

/// Simulated seconds for each second of computing.
pub(super) fn pace(group: &Group) -> Option<f64> {
    let cpu_s = group.cpu.as_secs_f64();
    (cpu_s > 0.0).then(|| simulated_s(group) / cpu_s)
}

fn unknown() -> String {
    "-".to_owned()
}

struct Row {
    name: String,
    cells: Vec<String>,
}

impl Row {
    fn of(name: &str, cells: Vec<String>) -> Self {
        Self { name: name.to_owned(), cells }
    }
}

/// The sum under a heading, and below it each kind that was seen.
fn by_kind(
    heading: &str,
    groups: &[&Group],
    counts: fn(&Stats) -> &BTreeMap<&'static str, u64>,
) -> Vec<Row> {
    let sum = |group: &&Group| whole(counts(&group.stats).values().sum());
    let mut rows = vec![Row::of(heading, groups.iter().map(sum).collect())];
    let kinds: BTreeSet<&str> =
        groups.iter().flat_map(|group| counts(&group.stats).keys().copied()).collect();
    for kind in kinds {
        let of = |group: &&Group| whole(counts(&group.stats).get(kind).copied().unwrap_or(0));
        rows.push(Row::of(&format!("  {kind}"), groups.iter().map(of).collect()));
    }
    rows
}

fn aligned(rows: &[Row]) -> Vec<String> {
    let name_width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let columns = rows.first().map_or(0, |row| row.cells.len());
    let width = |column: usize| rows.iter().map(|row| row.cells[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Row| {
        let mut text = format!("{:name_width$}", row.name);
        for (cell, width) in row.cells.iter().zip(&widths) {
            text.push_str(&format!("  {cell:>width$}"));
        }
        text
    };
    rows.iter().map(line).collect()
}

/// A number with its thousands apart, so that long ones can be read.
fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn tenths(number: f64) -> String {
    format!("{}.{}", whole(number as u64), (number.fract() * 10.0) as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn group(runs: u64, quiet_ms: &[u64]) -> Group {
        let mut spread = Spread::default();
        quiet_ms.iter().for_each(|ms| spread.add(*ms));
        Group {
            runs,
            failed: runs - quiet_ms.len() as u64,
            cpu: Duration::from_millis(250 * runs),
            stats: Stats {
                virtual_us: runs * 10_500_000,
                heights: runs * 100,
                executed: runs * 1_000,
                confirmed: runs * 999,
                views: runs * 3,
                messages: runs * 1_234_567,
                bytes: runs * 98_765_432,
                refused: runs,
                held_max: 44,
                faults: BTreeMap::from([("crash", runs), ("cut", 2 * runs)]),
                mishaps: BTreeMap::from([("lost", 1_000 * runs)]),
                repaired: BTreeMap::from([("slot", runs)]),
                ..Stats::default()
            },
            quiet_ms: spread,
            rounds: Spread::default(),
            view_rounds: Spread::default(),
        }
    }

    #[test]
    fn each_number_of_replicas_has_a_column_and_the_last_one_has_them_all() {
        let mut seven = group(2, &[4_000, 14_400]);
        seven.rounds.add(17);
        seven.view_rounds.add(5);
        seven.stats.byzantine.insert("twins", 1);
        let groups = BTreeMap::from([(4, group(3, &[900, 1_100])), (7, seven)]);
        let summary = Summary { groups, ..Summary::default() };
        let expected = "
                                   n=4        n=7        all
seeds                                3          2          5
failed                               1          0          1
simulated s                       31.5       21.0       52.5
CPU s                              0.7        0.5        1.2
simulated s per CPU s             42.0       42.0       42.0
commits                            300        200        500
transactions executed            3,000      2,000      5,000
transactions confirmed           2,997      1,998      4,995
view changes                         9          6         15
messages                     3,703,701  2,469,134  6,172,835
MB sent                          296.2      197.5      493.8
messages refused                     3          2          5
most entries kept                   44         44         44
convergence, ms: median            900      4,000      1,100
convergence, ms: 90%             1,100     14,400     14,400
convergence, ms: 99%             1,100     14,400     14,400
convergence, ms: worst           1,100     14,400     14,400
common view, rounds: median          -          5          5
common view, rounds: 90%             -          5          5
common view, rounds: 99%             -          5          5
common view, rounds: worst           -          5          5
convergence, rounds: median          -         17         17
convergence, rounds: 90%             -         17         17
convergence, rounds: 99%             -         17         17
convergence, rounds: worst           -         17         17
faults injected                      9          6         15
  crash                              3          2          5
  cut                                6          4         10
byzantine replicas                   0          1          1
  twins                              0          1          1
message mishaps                  3,000      2,000      5,000
  lost                           3,000      2,000      5,000
repaired                             3          2          5
  slot                               3          2          5";
        assert_eq!(format!("\n{}", lines(&summary).join("\n")), expected);
    }

    #[test]
    fn one_number_of_replicas_needs_no_sum_and_no_run_no_figures() {
        let groups = BTreeMap::from([(4, group(1, &[]))]);
        let table = lines(&Summary { groups, ..Summary::default() });
        assert!(table[0].trim() == "n=4", "{table:?}");
        assert!(table.iter().any(|l| l.starts_with("convergence, ms: worst") && l.ends_with(" -")));
        let empty = lines(&Summary::default());
        assert!(empty[0].trim() == "all" && empty[1].ends_with(" 0"), "{empty:?}");
    }

    #[test]
    fn thousands_are_kept_apart() {
        let numbers = [0, 999, 1_000, 12_345, 1_000_000];
        assert_eq!(numbers.map(whole), ["0", "999", "1,000", "12,345", "1,000,000"]);
    }
}
