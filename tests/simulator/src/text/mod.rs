//! Plans as text, to be kept, changed by hand and run again: all that differs from a scenario's plan
//! of a seed, in TOML, with each fault of the schedule in a line of its own.
//!
//! Every field of [`Plan`] is in it because the form is derived: a field whose type has no textual
//! form does not compile. What is foreign has its form in `forms`, field by field.

mod bounds;
pub(crate) mod forms;

use serde::Deserialize;
use toml::{Table, Value};

use crate::{Plan, Scenario, Start};

/// The scenario to which a plan is compared when it is written. What its plans are made of changes
/// least, so that a text means the same for long.
const BASE: &str = "calm";

/// What a text begins with.
const HEADING: &str = "# A plan of the Daruma simulator: what differs from the scenario's plan of this seed.\n\
                       # Run it with: daruma simulate --replay FILE\n";

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanTextError {
    /// It is no TOML, or has keys or values that a plan has not.
    #[error("not a plan: {0}")]
    Malformed(String),
    /// `seed` is missing, or no whole number.
    #[error("a plan needs a line such as seed = 29")]
    NoSeed,
    /// There is no such scenario.
    #[error("there is no scenario {found:?}; there are:\n{}", Scenario::list())]
    NoScenario {
        /// The name found.
        found: String,
    },
    /// A plan that a run cannot have.
    #[error("no run can have this plan: {0}")]
    Impossible(String),
}

/// The scenario, the seed, and what differs from its plan, by key.
struct Parts {
    scenario: Scenario,
    seed: u64,
    differences: Table,
}

impl Plan {
    /// The plan as text; [`Plan::from_text`] gives it back.
    #[must_use]
    pub fn to_text(&self) -> String {
        let scenario = Scenario::from_name(BASE).unwrap_or(Scenario::RANDOM);
        let differences = differences(&table(&scenario.plan(self.seed)), &table(self));
        Parts { scenario, seed: self.seed, differences }.text()
    }

    /// The plan that a text describes.
    ///
    /// # Errors
    /// [`PlanTextError`] says what is wrong, and where.
    pub fn from_text(text: &str) -> Result<Self, PlanTextError> {
        let parts = Parts::read(text)?;
        let plan = overlaid(&parts.scenario.plan(parts.seed), parts.differences)?;
        plan.check().map_err(PlanTextError::Impossible)?;
        Ok(plan)
    }

    /// What differs from a calm plan with as many replicas, each with the path to it; [`KEPT`] left
    /// out.
    pub(crate) fn peculiarities(&self) -> Vec<(Vec<String>, Value)> {
        let mut found = Vec::new();
        leaves(&differences(&table(&self.calm_again()), &table(self)), &mut Vec::new(), &mut found);
        found
    }

    /// This plan with these peculiarities and no others.
    pub(crate) fn with_peculiarities(&self, kept: &[(Vec<String>, Value)]) -> Option<Self> {
        let mut table = Table::new();
        for (path, value) in kept {
            insert(&mut table, path, value.clone());
        }
        overlaid(&self.calm_again(), table).ok()
    }

    /// The calm plan that has nothing of this one but what is no peculiarity.
    fn calm_again(&self) -> Self {
        let calm = Self::calm(self.seed, self.thresholds.replicas());
        let calm = match &self.start {
            Start::Fresh => calm,
            Start::Arbitrary(start) => calm.start(start.clone()),
        };
        let mut kept = table(self);
        kept.retain(|key, _| KEPT.contains(&key));
        overlaid(&calm, kept).unwrap_or(calm)
    }
}

/// Keys of a plan that are no peculiarities: the start, the schedule and its length, and what decides whether a
/// run that does nothing wrong fails for lack of time.
const KEPT: [&str; 6] =
    ["schedule", "thresholds", "start", "fault_phase_ms", "quiet_ms_max", "rounds_max"];

impl Parts {
    fn text(&self) -> String {
        let mut text = HEADING.to_owned();
        let seed = i64::try_from(self.seed)
            .map_or_else(|_| Value::from(self.seed.to_string()), Value::from);
        text.push_str(&format!("scenario = \"{}\"\nseed = {seed}\n", self.scenario.name()));
        let mut found = Vec::new();
        leaves(&self.differences, &mut Vec::new(), &mut found);
        for (path, value) in found {
            let value = match value.as_array() {
                // One entry in a line: so they can be read, and taken out one by one.
                Some(entries) if entries.iter().any(Value::is_table) => {
                    let lines = entries.iter().map(|entry| format!("    {entry},\n"));
                    format!("[\n{}]", lines.collect::<String>())
                }
                Some(_) | None => value.to_string(),
            };
            text.push_str(&format!("{} = {value}\n", path.join(".")));
        }
        text
    }

    fn read(text: &str) -> Result<Self, PlanTextError> {
        let mut differences: Table = toml::from_str(text).map_err(malformed)?;
        let seed = match differences.remove("seed") {
            Some(Value::Integer(seed)) => u64::try_from(seed).ok(),
            Some(Value::String(seed)) => seed.parse().ok(),
            Some(_) | None => None,
        };
        let name = differences.remove("scenario");
        let name = name.as_ref().map_or(Some(BASE), Value::as_str).unwrap_or_default();
        let scenario = Scenario::from_name(name)
            .ok_or_else(|| PlanTextError::NoScenario { found: name.to_owned() })?;
        Ok(Self { scenario, seed: seed.ok_or(PlanTextError::NoSeed)?, differences })
    }
}

fn malformed(error: impl core::fmt::Display) -> PlanTextError {
    PlanTextError::Malformed(error.to_string())
}

/// All of a plan but its seed.
fn table(plan: &Plan) -> Table {
    // Only numbers beyond an i64 have no form, and a plan has none: `Plan::check`.
    Table::try_from(plan).unwrap_or_default()
}

/// `plan` with what a table says in place of its own.
fn overlaid(plan: &Plan, differences: Table) -> Result<Plan, PlanTextError> {
    let mut whole = table(plan);
    overlay(&mut whole, differences);
    let read = Plan::deserialize(Value::Table(whole)).map_err(malformed)?;
    Ok(Plan { seed: plan.seed, ..read })
}

fn overlay(onto: &mut Table, differences: Table) {
    for (key, value) in differences {
        match (onto.get_mut(&key), value) {
            (Some(Value::Table(onto)), Value::Table(value)) => overlay(onto, value),
            (_, value) => {
                onto.insert(key, value);
            }
        }
    }
}

/// What `table` has and `base` has not, or has otherwise.
fn differences(base: &Table, table: &Table) -> Table {
    let mut found = Table::new();
    for (key, value) in table {
        match (base.get(key), value) {
            (Some(other), value) if other == value => {}
            (Some(Value::Table(other)), Value::Table(value)) => {
                found.insert(key.clone(), Value::Table(differences(other, value)));
            }
            (_, value) => {
                found.insert(key.clone(), value.clone());
            }
        }
    }
    found
}

/// The values of a table that are no tables, with their paths.
fn leaves(table: &Table, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    for (key, value) in table {
        path.push(key.clone());
        match value.as_table() {
            Some(inner) => leaves(inner, path, found),
            None => found.push((path.clone(), value.clone())),
        }
        path.pop();
    }
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
