//! `daruma doctor`: what keeps a replica from running well.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use daruma_node::doctor::{Diagnosis, Examination, Weight, examine};
use daruma_rpc_api::{Health, NodeApiClient, NodeStatus};
use daruma_rpc_client::Connection;
use serde_json::json;

use super::{CliError, block_on, chain, node_file, output};

/// How long a node may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Reads only. The exit code is 0 if there is no problem, 1 if there is, and 2 for files that cannot be read.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Arguments {
    /// The node.toml of the replica.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder, instead of the one that node.toml names. Without --config, node.toml is looked for in
    /// it and beside it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The chain.toml that all replicas share.
    #[arg(long, value_name = "FILE", env = "DARUMA_CHAIN", required = true)]
    chain: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        let (spec, _) = chain::with_automaton(&self.chain)?;
        let path = self.config_file()?;
        let mut config = node_file::read(&path)?;
        if let Some(data) = self.data {
            config.data_dir = data;
        }
        let mut examination = examine(&config, &spec);
        if examination.running {
            let url = format!("http://{}", config.rpc_listen);
            let asked = block_on(async { Ok(tokio::time::timeout(ANSWER_MAX, ask(&url)).await) })?;
            let asked = asked.unwrap_or_else(|_| Err("no answer in time".into()));
            examination.diagnoses.extend(of_node(&url, asked));
        }
        if self.json {
            output::json(&as_json(&examination));
        } else {
            print(&examination);
        }
        let problems = examination.diagnoses.iter().any(|d| d.weight == Weight::Problem);
        if problems { Err(CliError::Told) } else { Ok(()) }
    }

    fn config_file(&self) -> Result<PathBuf, CliError> {
        if let Some(config) = &self.config {
            return Ok(config.clone());
        }
        let data = self.data.as_deref().unwrap_or(Path::new("."));
        let places = [data.join("node.toml"), data.join("../node.toml")];
        places.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            let data = data.display();
            CliError::bad_input(format!("no node.toml in {data} or beside it: give --config"))
        })
    }
}

async fn ask(url: &str) -> Result<(NodeStatus, Health), String> {
    let connection = Connection::open(url).await.map_err(|error| error.to_string())?;
    let status = connection.node_status().await.map_err(|error| error.to_string())?;
    let health = connection.node_health().await.map_err(|error| error.to_string())?;
    Ok((status, health))
}

/// What the running node says of itself.
fn of_node(url: &str, asked: Result<(NodeStatus, Health), String>) -> Vec<Diagnosis> {
    let what = "node";
    let diagnosis = |weight, found: String, advice: &str| Diagnosis {
        what,
        weight,
        found,
        advice: advice.to_owned(),
    };
    let (status, health) = match asked {
        Ok(answers) => answers,
        Err(why) => {
            let advice = "is it starting? is rpc_listen in node.toml the one it was started with?";
            return vec![diagnosis(Weight::Problem, format!("{url}: {why}"), advice)];
        }
    };
    let height = status.height.0;
    let mut found = vec![diagnosis(
        Weight::Fine,
        format!("{} answers at {url}: height {height}, view {}", status.node, status.view.0),
        "",
    )];
    found.extend(health.reasons.into_iter().map(|reason| {
        diagnosis(Weight::Problem, reason, "`daruma status` shows the others; its log says more")
    }));
    if let Some(last) = status.last_heal_ms {
        let (heals, last) = (status.heals.0, output::utc(last.0));
        let text = format!("{heals} records of repairs, the last of {last}");
        found.push(diagnosis(Weight::Note, text, "`daruma heal-log` shows them"));
    }
    found
}

fn print(examination: &Examination) {
    for Diagnosis { what, weight, found, advice } in &examination.diagnoses {
        let mark = match weight {
            Weight::Fine => "ok",
            Weight::Note => "note",
            Weight::Problem => "PROBLEM",
        };
        output::line(format!("{mark:8}{what}: {found}"));
        if !advice.is_empty() {
            output::line(format!("        {advice}"));
        }
    }
    for record in &examination.heals {
        let (at, heal) = (output::utc(record.heal.at_ms), &record.heal);
        let (what, cause) = (heal.component.name(), &heal.cause);
        output::line(format!("repair  {at}  {what}: {cause}; {}", heal.done));
    }
}

fn as_json(examination: &Examination) -> serde_json::Value {
    let found = examination.diagnoses.iter().map(|Diagnosis { what, weight, found, advice }| {
        let weight = match weight {
            Weight::Fine => "fine",
            Weight::Note => "note",
            Weight::Problem => "problem",
        };
        json!({ "what": what, "weight": weight, "found": found, "advice": advice })
    });
    let heals = examination.heals.iter().map(|record| {
        let heal = &record.heal;
        json!({
            "sequence": record.sequence, "atMs": heal.at_ms, "component": heal.component.name(),
            "cause": heal.cause, "done": heal.done,
        })
    });
    json!({
        "running": examination.running,
        "findings": found.collect::<Vec<_>>(),
        "heals": heals.collect::<Vec<_>>(),
    })
}
