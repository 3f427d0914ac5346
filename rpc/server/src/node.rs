//! The `node_`, `net_`, `consensus_` and `rpc_` methods.

use std::sync::Arc;

use daruma_ledger::HealRecord;
use daruma_rpc_api::{
    Backup, ConsensusState, DetectorState, ErrorKind, HealLog, HealRecordJson, Health, Hex,
    LinkState, MethodList, MonitorState, NodeApiServer, NodeStatus, Number, Peer, PeerStanding,
    RpcFailure, Scrub, SlotState,
    limits::{HEAL_RECORDS_DEFAULT, HEAL_RECORDS_MAX},
};
use daruma_types::{ReplicaId, SignerSet, SlotLine, VStatus, View};
use jsonrpsee::core::{RpcResult, async_trait};

use crate::context::{Context, Work, ledger_failed};
use crate::{BackupMade, BackupRefused, PeerInfo, ScrubState, StatusSnapshot};

/// Answers the methods about the node.
pub(crate) struct NodeMethods(pub(crate) Arc<Context>);

#[async_trait]
impl NodeApiServer for NodeMethods {
    async fn node_status(&self) -> RpcResult<NodeStatus> {
        let read = self.0.blocking(Work::Read, |_, ledger| {
            let head = ledger.head().map_err(ledger_failed)?;
            Ok((head, ledger.heal_bounds(), ledger.heals(None, 1).map_err(ledger_failed)?))
        });
        let (head, (_, heals), last_heal) = read.await?;
        let backend = &self.0.backend;
        let status = self.0.snapshot();
        let connected = (backend.peers)().iter().filter(|peer| peer.connected).count();
        Ok(NodeStatus {
            chain_id: Hex(backend.spec.chain_id().0),
            chain: backend.spec.name().to_owned(),
            node: backend.node.name.clone(),
            node_id: backend.node.replica.0,
            version: backend.node.version.clone(),
            height: Number(head.statement.height.0),
            block_hash: Hex(head.statement.block),
            state_root: Hex(head.statement.state_root),
            view: Number(status.summary.view.0),
            phase: status.summary.phase,
            primary: self.0.primary(status.summary.view),
            behind: Number(status.behind),
            peers_connected: connected,
            pending: status.pending,
            heals: Number(heals),
            last_heal_ms: last_heal.first().map(|record| Number(record.heal.at_ms)),
            scrub: Some(scrub((backend.scrub)(None))),
        })
    }

    async fn node_health(&self) -> RpcResult<Health> {
        Ok(self.0.health())
    }

    async fn net_peers(&self) -> RpcResult<Vec<Peer>> {
        let spec = &self.0.backend.spec;
        let status = self.0.snapshot();
        let peer = |info: PeerInfo| {
            let heard = status.peers.iter().find(|(id, _)| *id == info.replica);
            spec.replica(info.replica).map(|replica| Peer {
                id: info.replica.0,
                name: replica.name.clone(),
                address: replica.address.clone(),
                transport_key: Hex(replica.transport_key),
                connected: info.connected,
                queued: info.queued,
                dropped: Number(info.dropped),
                sent_bytes: Number(info.sent_bytes),
                received_bytes: Number(info.received_bytes),
                last_heard: heard.map(|(_, summary)| PeerStanding {
                    view: Number(summary.view.0),
                    phase: summary.phase,
                    primary: self.0.primary(summary.view),
                    height: Number(summary.executed.0),
                    state_root: Hex(summary.state_root),
                    head: Number(summary.head.0),
                    head_hash: Hex(summary.head_hash),
                }),
            })
        };
        Ok((self.0.backend.peers)().into_iter().filter_map(peer).collect())
    }

    async fn consensus_state(&self) -> RpcResult<ConsensusState> {
        let status = self.0.snapshot();
        let (summary, detector) = (&status.summary, &status.detector);
        let monitor = &summary.monitor;
        let numbers = |values: &[u64]| values.iter().copied().map(Number).collect();
        let links = status.links.iter().map(|link| LinkState {
            peer: link.peer.0,
            sending: Number(link.sending),
            receiving: Number(link.receiving),
        });
        Ok(ConsensusState {
            view: Number(summary.view.0),
            phase: summary.phase,
            primary: self.0.primary(summary.view),
            reports: ids(summary.reports),
            ballot: Number(summary.ballot.0),
            active: summary.active,
            head: Number(summary.head.0),
            head_hash: Hex(summary.head_hash),
            executed: Number(summary.executed.0),
            attested: Number(summary.attested.0),
            prepared: summary.prepared.map(|(ballot, height)| (Number(ballot.0), Number(height.0))),
            slots: summary.slots.iter().map(slot).collect(),
            monitor: MonitorState {
                status: status_name(monitor.status).to_owned(),
                suspects: monitor.suspects,
                demands: ids(monitor.demands),
            },
            detector: DetectorState {
                beats: numbers(&detector.beats),
                beats_max: Number(detector.beats_max),
                stalled: Number(detector.stalled),
                stalled_max: Number(detector.stalled_max),
                watched: detector.watched,
            },
            links: links.collect(),
            repairs: Number(status.repairs),
            turned_away: status
                .turned_away
                .iter()
                .map(|(kind, count)| ((*kind).to_owned(), Number(*count)))
                .collect(),
        })
    }

    async fn heal_log(&self, before: Option<Number>, limit: Option<u32>) -> RpcResult<HealLog> {
        let limit = limit.unwrap_or(HEAL_RECORDS_DEFAULT).min(HEAL_RECORDS_MAX) as usize;
        let before = before.map(|Number(before)| before);
        let log = self.0.blocking(Work::Read, move |_, ledger| {
            let records = ledger.heals(before, limit).map_err(ledger_failed)?;
            let (earliest, next) = ledger.heal_bounds();
            let records = records.iter().map(heal_record).collect();
            Ok(HealLog { records, earliest: Number(earliest), next: Number(next) })
        });
        Ok(log.await?)
    }

    async fn backup(&self) -> RpcResult<Backup> {
        let made = self.0.blocking(Work::Query, |context, _| {
            (context.backend.backup)().map_err(|refused| match refused {
                BackupRefused::NotNow { reason } => RpcFailure::new(ErrorKind::RateLimited, reason),
                BackupRefused::Failed { reason } => RpcFailure::new(ErrorKind::Internal, reason),
            })
        });
        let BackupMade { path, height, block_hash, state_root, at_ms } = made.await?;
        let (height, at_ms) = (Number(height.0), Number(at_ms));
        Ok(Backup { path, height, block_hash, state_root, at_ms })
    }

    async fn scrub(&self, pause: Option<bool>) -> RpcResult<Scrub> {
        Ok(scrub((self.0.backend.scrub)(pause)))
    }

    async fn methods(&self) -> RpcResult<MethodList> {
        Ok(MethodList { methods: self.0.methods.get().cloned().unwrap_or_default() })
    }
}

impl Context {
    fn snapshot(&self) -> Arc<StatusSnapshot> {
        Arc::clone(&self.backend.status.borrow())
    }

    /// Whether the node is well; cheap enough to be asked every second.
    pub(crate) fn health(&self) -> Health {
        let snapshot = self.snapshot();
        let reasons = snapshot.not_ready.clone();
        let restarts = snapshot.restarts.iter();
        let restarts = restarts.map(|(thread, count)| ((*thread).to_owned(), Number(*count)));
        Health { live: true, ready: reasons.is_empty(), reasons, restarts: restarts.collect() }
    }

    fn primary(&self, view: View) -> String {
        let id = self.backend.spec.thresholds().primary(view.0);
        self.backend.spec.replica(id).map_or_else(|| id.to_string(), |r| r.name.clone())
    }
}

fn scrub(state: ScrubState) -> Scrub {
    Scrub {
        paused: state.paused,
        pass: Number(state.pass),
        table: state.table,
        height: Number(state.height),
        rows: Number(state.rows),
        rows_per_second: Number(state.rows_per_second),
        findings: Number(state.findings),
        last_pass_ms: state.last_pass_ms.map(Number),
        last_pass_took_ms: Number(state.last_pass_took_ms),
    }
}

fn heal_record(record: &HealRecord) -> HealRecordJson {
    let HealRecord { sequence, previous, heal } = record;
    HealRecordJson {
        sequence: Number(*sequence),
        at_ms: Number(heal.at_ms),
        component: heal.component.name().to_owned(),
        cause: heal.cause.clone(),
        done: heal.done.clone(),
        before: heal.before.map(Hex),
        after: heal.after.map(Hex),
        evidence: heal.evidence.clone(),
        took_ms: Number(heal.took_ms),
        count: Number(heal.count),
        previous: Hex(*previous),
        hash: Hex(record.hash()),
    }
}

fn ids(set: SignerSet) -> Vec<u16> {
    set.iter().map(|ReplicaId(id)| id).collect()
}

fn slot(line: &SlotLine) -> SlotState {
    SlotState {
        height: Number(line.height.0),
        block: line.accepted.then(|| format!("{:08x}", line.short)),
        prepares: ids(line.prepares),
        commits: ids(line.commits),
    }
}

const fn status_name(status: VStatus) -> &'static str {
    match status {
        VStatus::Ok => "ok",
        VStatus::NoService => "noService",
        VStatus::VChange => "viewChange",
    }
}
