//! Named ways to make a plan from a seed: what `--scenario` chooses from.

use crate::Plan;

/// Replicas of the plans of `calm`: the least that tolerate one Byzantine replica.
const CALM_REPLICAS: usize = 4;

/// Replicas of the plans of `arbitrary`, in turn: one and two Byzantine ones, as few replicas as can
/// tolerate them and more.
const ARBITRARY_REPLICAS: [usize; 4] = [4, 6, 7, 11];

/// A way to make a plan from a seed. The registry is [`Scenario::ALL`]; a new one is a line there.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    name: &'static str,
    about: &'static str,
    plan: fn(u64) -> Plan,
}

impl Scenario {
    /// All of them, the default first. A name may have parts, as in `partition/minority`.
    pub const ALL: &[Self] = &[
        Self {
            name: "random",
            about: "a random subset of all faults, sizes and adversaries (swarm testing)",
            plan: Plan::seeded,
        },
        Self {
            name: "calm",
            about: "four replicas, good links and nothing that goes wrong",
            plan: |seed| Plan::calm(seed, CALM_REPLICAS),
        },
        Self {
            name: "arbitrary",
            about: "any values in the variables of correct replicas, and then service in few rounds",
            plan: |seed| Plan::arbitrary(seed, ARBITRARY_REPLICAS[(seed % 4) as usize]),
        },
        Self {
            name: "arbitrary/disks",
            about: "the same, and disks of an earlier moment or with damaged rows in every run",
            plan: |seed| Plan::arbitrary_disks(seed, ARBITRARY_REPLICAS[(seed % 4) as usize]),
        },
        Self {
            name: "chaos",
            about: "ten simulated minutes with at least twenty faults of many kinds",
            plan: Plan::chaos,
        },
        Self {
            name: "twins",
            about: "one key runs twice, and the two talk to groups that change every few rounds",
            plan: Plan::twins,
        },
        Self {
            name: "mutations",
            about: "single fields of messages change by a small step",
            plan: Plan::mutations,
        },
    ];

    /// The one that is used when none is named.
    pub const RANDOM: Self = Self::ALL[0];

    /// The scenario called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|scenario| scenario.name == name).copied()
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What it is, in one line.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.about
    }

    /// The plan of a seed. Equal seeds have equal plans.
    #[must_use]
    pub fn plan(self, seed: u64) -> Plan {
        (self.plan)(seed)
    }

    /// All names with a line for each, as `--scenario list` prints them.
    #[must_use]
    pub fn list() -> String {
        let width = Self::ALL.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
        let line = |scenario: &Self| format!("{:width$}  {}\n", scenario.name, scenario.about);
        Self::ALL.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_found_by_its_name_and_plans_the_same_for_the_same_seed() {
        for scenario in Scenario::ALL {
            let found = Scenario::from_name(scenario.name()).expect("it is in the list");
            assert_eq!(found.about(), scenario.about());
            for seed in 0..20 {
                assert_eq!(found.plan(seed), scenario.plan(seed), "{}", scenario.name());
                assert_eq!(found.plan(seed).seed, seed, "{}", scenario.name());
            }
        }
        assert!(Scenario::from_name("no such").is_none());
        assert_eq!(Scenario::RANDOM.name(), "random");
    }

    #[test]
    fn names_are_distinct_and_each_has_its_line() {
        let list = Scenario::list();
        assert_eq!(list.lines().count(), Scenario::ALL.len());
        for scenario in Scenario::ALL {
            let starts = |line: &&str| line.split_whitespace().next() == Some(scenario.name());
            assert_eq!(list.lines().filter(starts).count(), 1, "{list}");
        }
    }
}
