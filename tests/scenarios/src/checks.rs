//! What must hold in the end.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use daruma_rpc_api::{
    AppApiClient, BlockJson, BlockTransaction, ErrorKind, NodeApiClient, NodeStatus, TxApiClient,
};
use daruma_rpc_client::Connection;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::rpc_params;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::DevNetwork;
use crate::clients::Record;
use crate::limits::{AGREE_MAX, PAGE, POLL};

/// Waits until all replicas are at the same height, and checks that block and state are the same there.
/// Nothing may be submitted meanwhile.
///
/// # Errors
/// If they differ, or are not at one height in time.
pub async fn all_agree(network: &DevNetwork) -> Result<NodeStatus> {
    let deadline = Instant::now() + AGREE_MAX;
    loop {
        let mut all = Vec::new();
        for replica in network.replicas() {
            let connection = Connection::open(&replica.rpc).await?;
            // A replica that has just started may not answer yet.
            all.extend(connection.node_status().await.ok());
        }
        let first = all.first().cloned();
        if let Some(first) = first
            && all.len() == network.replicas().len()
            && all.iter().all(|status| status.height == first.height && status.pending == 0)
        {
            for status in &all {
                let same = status.block_hash == first.block_hash
                    && status.state_root == first.state_root
                    && status.chain_id == first.chain_id;
                ensure!(same, "two replicas differ at one height: {first:?} {status:?}");
            }
            return Ok(first);
        }
        ensure!(Instant::now() < deadline, "the replicas are not at one height: {all:#?}");
        sleep(POLL).await;
    }
}

/// The whole list, as one replica has it.
///
/// # Errors
/// If the replica does not answer as append-list does.
pub async fn read_list(url: &str) -> Result<Vec<String>> {
    let connection = Connection::open(url).await?;
    let (mut list, mut from) = (Vec::new(), Some(0));
    while let Some(start) = from {
        let data = json!({ "from": start, "limit": PAGE });
        let answer = AppApiClient::query(&connection, "range".into(), Some(data)).await?.value;
        let items = answer.get("items").and_then(Value::as_array).context("no items")?;
        for item in items {
            list.push(item.as_str().context("an item is no text")?.to_owned());
        }
        from = answer.get("next").and_then(Value::as_u64);
    }
    Ok(list)
}

/// Checks that the list holds what the clients hold as confirmed, each item once, each client's in the
/// order in which it submitted them, and nothing else.
///
/// # Errors
/// Says what is missing, repeated, out of order or not a client's.
pub fn list_is_the_clients(list: &[String], records: &[Record]) -> Result<()> {
    let mut positions = BTreeMap::new();
    for (position, item) in list.iter().enumerate() {
        if let Some(before) = positions.insert(item.as_str(), position) {
            bail!("{item:?} is in the list twice, at {before} and {position}");
        }
    }
    for record in records {
        let mut last = None;
        for confirmed in &record.confirmed {
            let item = &confirmed.item;
            let position = positions.remove(item.as_str());
            ensure!(position.is_some(), "{item:?} was confirmed and is not in the list");
            ensure!(position > last, "{item:?} is before an item that was submitted before it");
            last = position;
        }
    }
    let others = positions.len();
    ensure!(others == 0, "{others} items are in the list that no client holds: {positions:?}");
    Ok(())
}

/// [`all_agree`], and every replica's list is [`list_is_the_clients`].
///
/// # Errors
/// As those.
pub async fn all_hold(network: &DevNetwork, records: &[Record]) -> Result<NodeStatus> {
    let status = all_agree(network).await?;
    for replica in network.replicas() {
        let list = read_list(&replica.rpc).await?;
        list_is_the_clients(&list, records).with_context(|| replica.name.clone())?;
    }
    Ok(status)
}

/// Waits until every block up to `height` can be proven by at least one replica: a client whose
/// transaction is in it, and who was not answered before a crash, is answered by that one.
///
/// # Errors
/// Names the heights that no replica can prove in time.
pub async fn every_block_can_be_proven(network: &DevNetwork, height: u64) -> Result<()> {
    let deadline = Instant::now() + AGREE_MAX;
    let mut missing: Vec<u64> = (1..=height).collect();
    loop {
        for replica in network.replicas() {
            let connection = Connection::open(&replica.rpc).await?;
            let mut still = Vec::new();
            for height in missing {
                if !can_prove(&connection, height).await? {
                    still.push(height);
                }
            }
            missing = still;
        }
        if missing.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "no replica holds f+1 attestations of the blocks at {missing:?}"
        );
        sleep(POLL).await;
    }
}

async fn can_prove(connection: &Connection, height: u64) -> Result<bool> {
    let block: BlockJson = connection.request("chain_getBlock", rpc_params![height]).await?;
    let Some(BlockTransaction::Hash(hash)) = block.transactions.first() else {
        bail!("the block at {height} has no transactions");
    };
    match TxApiClient::get(connection, *hash, Some(true)).await {
        Ok(found) => Ok(found.proof.is_some()),
        Err(ClientError::Call(object)) if object.code() == ErrorKind::ProofUnavailable.code() => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Confirmed;

    fn records() -> Vec<Record> {
        let confirmed = |item: &str| Confirmed { item: item.into(), at: std::time::Instant::now() };
        vec![
            Record { client: 0, confirmed: vec![confirmed("a0"), confirmed("a1")] },
            Record { client: 1, confirmed: vec![confirmed("b0")] },
        ]
    }

    fn check(list: &[&str]) -> bool {
        let list: Vec<String> = list.iter().map(|&item| item.to_owned()).collect();
        list_is_the_clients(&list, &records()).is_ok()
    }

    #[test]
    fn only_a_list_with_each_item_once_and_each_clients_in_order_is_right() {
        assert!(check(&["a0", "b0", "a1"]));
        assert!(check(&["b0", "a0", "a1"]));
        assert!(!check(&["a0", "a1"]));
        assert!(!check(&["a1", "b0", "a0"]));
        assert!(!check(&["a0", "b0", "a1", "a0"]));
        assert!(!check(&["a0", "b0", "a1", "c0"]));
    }
}
