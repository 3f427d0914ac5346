//! What a node refuses, with which code; and that it serves on after all of it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use daruma_network::{Network, NetworkConfig, NetworkSettings, PeerConfig};
use daruma_rpc_api::{TransactionJson, TxApiClient};
use daruma_rpc_client::Connection;
use daruma_scenarios::{DevNetwork, Options, checks, clients, one_at_a_time, with_network};
use daruma_types::{ChainId, Hash, ReplicaId, SecretKey, Transaction};
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::ArrayParams;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};
use zeroize::Zeroizing;

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: None };

/// The code of the error that a call must end with.
fn code<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Result<i32> {
    match answer {
        Err(ClientError::Call(object)) => Ok(object.code()),
        other => bail!("no error of the node: {other:?}"),
    }
}

/// The code of the error that any method must end with.
async fn call(connection: &Connection, method: &str, values: &[Value]) -> Result<i32> {
    let mut params = ArrayParams::new();
    for value in values {
        params.insert(value)?;
    }
    code(connection.request::<Value, _>(method, params).await)
}

async fn submit(connection: &Connection, transaction: Transaction) -> Result<i32> {
    code(TxApiClient::submit(connection, TransactionJson::from(transaction)).await)
}

async fn bad_transactions(network: &DevNetwork, connection: &Connection) -> Result<()> {
    let chain = network.spec().chain_id();
    let key = SecretKey::from_bytes(&[9; 32]);
    let sign = |nonce, operation: &[u8]| Transaction::sign(chain, &key, nonce, operation.to_vec());
    let good = sign(100, b"good");
    let confirmed = TxApiClient::submit_and_wait(connection, good.clone().into(), None).await?;
    ensure!(confirmed.proof.is_some(), "{confirmed:?}");

    let other = Transaction { operation: b"other".to_vec(), ..sign(101, b"signed") };
    ensure!(submit(connection, other).await? == 1002, "a wrong signature");
    let foreign = Transaction::sign(ChainId(Hash([1; 32])), &key, 101, b"x".to_vec());
    ensure!(submit(connection, foreign).await? == 1002, "another chain's signature");
    for stale in [sign(99, b"stale"), sign(100, b"another with a used nonce")] {
        ensure!(submit(connection, stale).await? == 1008, "a stale nonce");
    }
    let max = network.spec().limits().operation_bytes_max as usize;
    ensure!(submit(connection, sign(102, &vec![0; max + 1])).await? == 1007, "too large");
    // The same bytes again are no error, and change nothing.
    let again = TxApiClient::submit(connection, good.into()).await?;
    ensure!(again.hash == confirmed.hash, "{again:?}");
    let list = checks::read_list(&network.urls()[0]).await?;
    ensure!(list == ["good"], "{list:?}");
    Ok(())
}

async fn bad_calls(connection: &Connection) -> Result<()> {
    for (method, values, expected) in [
        ("tx_nothing", vec![], -32601),
        ("debug_setState", vec![], -32601),
        ("tx_submit", vec![], -32602),
        ("tx_submit", vec![json!({ "client": "0x00" })], -32602),
        ("chain_getBlock", vec![json!("newest")], -32602),
        ("chain_getBlock", vec![json!(-1)], -32602),
        ("chain_getBlock", vec![json!(format!("0x{}", "11".repeat(32)))], 2001),
        ("chain_getBlock", vec![json!(1_000_000)], 2002),
        ("app_query", vec![json!("nothing")], 5002),
        ("app_query", vec![json!("item"), json!({ "index": 1_000_000 })], 5001),
        ("app_query", vec![json!("range"), json!({ "limit": 0 })], 5001),
    ] {
        let found = call(connection, method, &values).await;
        let found = found.with_context(|| format!("{method} {values:?}"))?;
        ensure!(found == expected, "{method} {values:?}: {found}, not {expected}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_calls_and_transactions_get_their_codes_and_the_node_serves_on() -> Result<()> {
    let _turn = one_at_a_time().await;
    with_network(Path::new(DARUMA), FOUR, async |network| {
        for scheme in ["http://", "ws://"] {
            let url = network.urls()[0].replacen("http://", scheme, 1);
            let connection = Connection::open(&url).await?;
            bad_calls(&connection).await.context(scheme)?;
        }
        let connection = Connection::open(&network.urls()[0]).await?;
        bad_transactions(network, &connection).await?;
        let client = clients::client(network, 0)?;
        let timeout = Duration::from_secs(30);
        client.submit_and_wait(&clients::account(), b"after".to_vec(), timeout).await?;
        checks::all_agree(network).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_key_is_not_in_the_chainspec_is_refused_and_disturbs_nobody() -> Result<()> {
    let _turn = one_at_a_time().await;
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let spec = network.spec().clone();
        let peers = spec.replicas().iter().enumerate().skip(1);
        // It claims to be r0, whose place it is to dial all others.
        let stranger = NetworkConfig {
            chain: spec.chain_id().0.0,
            own: ReplicaId(0),
            key_seed: Zeroizing::new([42; 32]),
            listen: "127.0.0.1:0".parse()?,
            peers: peers
                .map(|(index, replica)| PeerConfig {
                    id: ReplicaId(index as u16),
                    transport_key: replica.transport_key.0,
                    address: replica.address.clone(),
                })
                .collect(),
            settings: NetworkSettings::default(),
        };
        let (stranger, _events) = Network::start(stranger).await?;
        let deadline = Instant::now() + Duration::from_secs(30);
        for replica in network.replicas().iter().skip(1) {
            while !std::fs::read_to_string(&replica.log)?.contains("connection refused") {
                ensure!(Instant::now() < deadline, "{} refused nobody", replica.name);
                sleep(Duration::from_millis(50)).await;
            }
        }
        let client = clients::client(network, 0)?;
        let timeout = Duration::from_secs(30);
        client.submit_and_wait(&clients::account(), b"x".to_vec(), timeout).await?;
        let status = checks::all_agree(network).await?;
        ensure!(status.view.0 == 0 && status.peers_connected == 3, "{status:?}");
        let peers = network.peers(1).await?;
        ensure!(peers.iter().all(|peer| peer.connected), "{peers:?}");
        ensure!(stranger.counters().received_frames == 0, "the stranger was told something");
        stranger.shutdown().await;
        Ok(())
    })
    .await
}
