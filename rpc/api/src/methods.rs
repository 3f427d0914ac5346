//! The methods, one trait for each group. A group is supported whole or not at all.

// The macro writes the client traits, and its code does not follow our rules.
#![allow(missing_docs, clippy::use_self)]

use daruma_types::Hash;
use jsonrpsee::core::RpcResult;
use jsonrpsee::proc_macros::rpc;
use serde_json::Value;

use crate::{
    AppInfo, Backup, BlockJson, BlockSelector, CertificateJson, Confirmation, ConsensusState,
    HeadEvent, HeaderJson, HealLog, Health, Hex, MethodList, NodeStatus, Number, Peer, QueryAnswer,
    Scrub, Submitted, TransactionJson, TxFound, TxStatus,
};

/// Transactions.
#[rpc(server, client)]
pub trait TxApi {
    /// Checks a transaction, takes it up for ordering and returns at once. The calls of one batch
    /// are taken up in their order.
    #[method(name = "tx_submit")]
    async fn submit(&self, tx: TransactionJson) -> RpcResult<Submitted>;

    /// Submits, then waits until `f+1` replicas attested the block, at most `timeoutMs`.
    #[method(name = "tx_submitAndWait")]
    async fn submit_and_wait(
        &self,
        tx: TransactionJson,
        #[argument(rename = "timeoutMs")] timeout_ms: Option<u64>,
    ) -> RpcResult<Confirmation>;

    /// Where a transaction stands.
    #[method(name = "tx_status")]
    async fn status(&self, hash: Hex<Hash>) -> RpcResult<TxStatus>;

    /// An executed transaction with its receipt and, if `prove`, its proof.
    #[method(name = "tx_get")]
    async fn get(&self, hash: Hex<Hash>, prove: Option<bool>) -> RpcResult<TxFound>;
}

/// Blocks.
#[rpc(server, client)]
pub trait ChainApi {
    /// A block with its certificate; its transactions by name or, if `full`, in full.
    #[method(name = "chain_getBlock")]
    async fn get_block(&self, block: BlockSelector, full: Option<bool>) -> RpcResult<BlockJson>;

    /// A header.
    #[method(name = "chain_getHeader")]
    async fn get_header(&self, block: BlockSelector) -> RpcResult<HeaderJson>;

    /// The certificate that commits a block.
    #[method(name = "chain_getCertificate")]
    async fn get_certificate(&self, block: BlockSelector) -> RpcResult<CertificateJson>;

    /// Follows executed blocks, from after `fromCursor` if given, else from now on.
    #[subscription(
        name = "chain_subscribeHeads" => "chain_head",
        unsubscribe = "chain_unsubscribeHeads",
        item = HeadEvent
    )]
    async fn subscribe_heads(
        &self,
        #[argument(rename = "fromCursor")] from_cursor: Option<Number>,
    ) -> jsonrpsee::core::SubscriptionResult;
}

/// The automaton.
#[rpc(server, client)]
pub trait AppApi {
    /// Which automaton the chain runs.
    #[method(name = "app_info")]
    async fn info(&self) -> RpcResult<AppInfo>;

    /// Asks the automaton about the last executed state.
    #[method(name = "app_query")]
    async fn query(&self, path: String, data: Option<Value>) -> RpcResult<QueryAnswer>;
}

/// The node.
#[rpc(server, client)]
pub trait NodeApi {
    /// Where the node stands.
    #[method(name = "node_status")]
    async fn node_status(&self) -> RpcResult<NodeStatus>;

    /// Whether the node is well.
    #[method(name = "node_health")]
    async fn node_health(&self) -> RpcResult<Health>;

    /// The other replicas.
    #[method(name = "net_peers")]
    async fn net_peers(&self) -> RpcResult<Vec<Peer>>;

    /// The consensus engine as it is.
    #[method(name = "consensus_state")]
    async fn consensus_state(&self) -> RpcResult<ConsensusState>;

    /// What the node repaired or reset, the newest first: at most `limit` records older than the number
    /// `before`.
    #[method(name = "consensus_healLog")]
    async fn heal_log(&self, before: Option<Number>, limit: Option<u32>) -> RpcResult<HealLog>;

    /// Makes a backup of the node's store under `backups` in its data folder.
    #[method(name = "node_backup")]
    async fn backup(&self) -> RpcResult<Backup>;

    /// How far the scrubber is, which looks through the ledger for damage; `true` pauses it before, `false`
    /// resumes it.
    #[method(name = "node_scrub")]
    async fn scrub(&self, pause: Option<bool>) -> RpcResult<Scrub>;

    /// Every method of the node.
    #[method(name = "rpc_methods")]
    async fn methods(&self) -> RpcResult<MethodList>;
}
