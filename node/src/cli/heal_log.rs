//! `daruma heal-log`: what a replica repaired.

use clap::Args;
use daruma_rpc_api::{HealRecordJson, NodeApiClient, limits::HEAL_RECORDS_MAX};
use daruma_rpc_client::Connection;
use daruma_store::{Heal, HealComponent, HealRecord, check_heals};
use serde_json::json;

use super::query::explained;
use super::{CliError, block_on, output};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The replica to ask: http://host:port or ws://host:port.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8545")]
    rpc: String,
    /// Print so many records at most, the newest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Print one JSON object: the records, and whether their hashes hold together.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        let (mut records, earliest, next) = block_on(self.fetch())?;
        let broken = broken(&records);
        if self.json {
            output::json(&json!({
                "records": records, "earliest": earliest, "next": next, "broken": broken,
            }));
        } else {
            // The newest at the end, where a terminal leaves it.
            records.reverse();
            if records.is_empty() {
                output::line("nothing was repaired so far");
            } else {
                output::table(&rows(&records));
            }
            for (sequence, why) in &broken {
                eprintln!("record {sequence} {why}");
            }
        }
        if broken.is_empty() { Ok(()) } else { Err(CliError::Told) }
    }

    /// The records, the newest first, and the bounds of the log.
    async fn fetch(&self) -> Result<(Vec<HealRecordJson>, u64, u64), CliError> {
        let connection = Connection::open(&self.rpc).await.map_err(CliError::bad_input)?;
        let mut records: Vec<HealRecordJson> = Vec::new();
        loop {
            let left = self.limit.saturating_sub(records.len() as u32).min(HEAL_RECORDS_MAX);
            let before = records.last().map(|record| record.sequence);
            let page = connection.heal_log(before, Some(left)).await;
            let page =
                page.map_err(|e| CliError::failed(format!("{}: {}", self.rpc, explained(&e))))?;
            let done = page.records.is_empty();
            records.extend(page.records);
            if done || records.len() >= self.limit as usize {
                return Ok((records, page.earliest.0, page.next.0));
            }
        }
    }
}

/// Where the records, the newest first, do not hold together: a node cannot change what it has shown.
fn broken(records: &[HealRecordJson]) -> Vec<(u64, &'static str)> {
    let typed: Option<Vec<HealRecord>> = records.iter().rev().map(typed).collect();
    let Some(typed) = typed else {
        return vec![(0, "or another has a component that this program does not know")];
    };
    let changed = typed.iter().zip(records.iter().rev());
    let changed = changed.filter(|(typed, json)| typed.hash() != json.hash.0);
    let mut broken: Vec<(u64, &'static str)> = changed
        .map(|(typed, _)| (typed.sequence, "does not have the hash that it comes with"))
        .collect();
    broken.extend(check_heals(&typed));
    broken
}

fn typed(json: &HealRecordJson) -> Option<HealRecord> {
    let mut components = HealComponent::ALL.into_iter();
    let component = components.find(|component| component.name() == json.component)?;
    let heal = Heal {
        at_ms: json.at_ms.0,
        component,
        cause: json.cause.clone(),
        done: json.done.clone(),
        before: json.before.map(|hash| hash.0),
        after: json.after.map(|hash| hash.0),
        evidence: json.evidence.clone(),
        took_ms: json.took_ms.0,
        count: json.count.0,
    };
    Some(HealRecord { sequence: json.sequence.0, previous: json.previous.0, heal })
}

fn rows(records: &[HealRecordJson]) -> Vec<Vec<String>> {
    let heading = ["#", "when", "what", "times", "ms", "found", "done", "evidence"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(records.iter().map(|record| {
        vec![
            record.sequence.0.to_string(),
            output::utc(record.at_ms.0),
            record.component.clone(),
            record.count.0.to_string(),
            record.took_ms.0.to_string(),
            record.cause.clone(),
            record.done.clone(),
            record.evidence.clone(),
        ]
    }));
    rows
}
