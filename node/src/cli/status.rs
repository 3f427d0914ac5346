//! `daruma status`: where the replicas stand.

use std::collections::BTreeMap;

use clap::Args;
use daruma_rpc_api::{NodeApiClient, NodeStatus, Peer};
use daruma_rpc_client::Connection;
use serde_json::json;

use super::query::explained;
use super::{CliError, block_on, output};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A replica to ask; may be repeated. Other replicas that it names are listed too, with what it
    /// knows of them.
    #[arg(long, value_name = "URL", required = true)]
    rpc: Vec<String>,
    /// Print one JSON object for each URL.
    #[arg(long)]
    json: bool,
}

struct Found {
    url: String,
    answer: Result<(NodeStatus, Vec<Peer>), String>,
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        let found =
            block_on(async { Ok(futures::future::join_all(self.rpc.into_iter().map(ask)).await) })?;
        let complete = found.iter().all(|found| found.answer.is_ok());
        if self.json {
            for found in &found {
                output::json(&match &found.answer {
                    Ok((status, peers)) => {
                        json!({ "rpc": found.url, "status": status, "peers": peers })
                    }
                    Err(error) => json!({ "rpc": found.url, "error": error }),
                });
            }
        } else {
            let rows = rows(&found);
            // Without any answer there is only the heading.
            if rows.len() > 1 {
                output::table(&rows);
            }
            for Found { url, answer } in &found {
                if let Err(error) = answer {
                    eprintln!("{url}: {error}");
                }
            }
        }
        if complete { Ok(()) } else { Err(CliError::Told) }
    }
}

async fn ask(url: String) -> Found {
    let answer = async {
        let connection = Connection::open(&url).await.map_err(|error| error.to_string())?;
        let status = connection.node_status().await.map_err(|error| explained(&error))?;
        let peers = connection.net_peers().await.map_err(|error| explained(&error))?;
        Ok((status, peers))
    };
    let answer = answer.await;
    Found { url, answer }
}

/// A row for each replica that answered, then one for each that was only named by others.
fn rows(found: &[Found]) -> Vec<Vec<String>> {
    let heading = [
        "name", "view", "primary", "phase", "height", "block", "state", "peers", "pending", "note",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let answers: Vec<_> = found.iter().filter_map(|found| found.answer.as_ref().ok()).collect();
    let mut answered = BTreeMap::new();
    for (status, _) in &answers {
        answered.insert(status.node_id, row(status));
    }
    rows.extend(answered.values().cloned());
    let mut named: BTreeMap<u16, &Peer> = BTreeMap::new();
    for peer in answers.iter().flat_map(|(_, peers)| peers) {
        if answered.contains_key(&peer.id) {
            continue;
        }
        // Of what several say of a replica, the connected and furthest is the latest.
        let latest = |peer: &Peer| (peer.connected, peer.last_heard.as_ref().map(|l| l.head.0));
        let entry = named.entry(peer.id).or_insert(peer);
        if latest(peer) > latest(entry) {
            *entry = peer;
        }
    }
    rows.extend(named.values().map(|peer| heard_row(peer)));
    rows
}

/// A replica that was not asked: what it told those that were.
fn heard_row(peer: &Peer) -> Vec<String> {
    let note = if peer.connected { "as last heard" } else { "not connected; as last heard" };
    let mut row = vec![peer.name.clone()];
    match &peer.last_heard {
        None => {
            row.extend(vec!["-".to_owned(); 8]);
            row.push(if peer.connected { "not heard yet" } else { "not connected" }.to_owned());
        }
        Some(heard) => {
            let block = if heard.head == heard.height {
                output::short(&heard.head_hash.0)
            } else {
                "-".to_owned()
            };
            row.extend([
                heard.view.0.to_string(),
                heard.primary.clone(),
                if heard.phase == 0 { "serving".to_owned() } else { "changing".to_owned() },
                heard.height.0.to_string(),
                block,
                output::short(&heard.state_root.0),
                "-".to_owned(),
                "-".to_owned(),
                note.to_owned(),
            ]);
        }
    }
    row
}

fn row(status: &NodeStatus) -> Vec<String> {
    let behind = status.behind.0;
    vec![
        status.node.clone(),
        status.view.0.to_string(),
        status.primary.clone(),
        if status.phase == 0 { "serving".to_owned() } else { "changing".to_owned() },
        status.height.0.to_string(),
        output::short(&status.block_hash.0),
        output::short(&status.state_root.0),
        status.peers_connected.to_string(),
        status.pending.to_string(),
        if behind == 0 { String::new() } else { format!("{behind} behind") },
    ]
}
