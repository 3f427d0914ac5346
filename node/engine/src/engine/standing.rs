//! Where a replica stands: for its peers, and for people.

use alloc::vec::Vec;

use daruma_types::{Height, Message, ReplicaId, Summary, ViewProof};

use super::Engine;
use crate::outbox::Outbox;
use crate::{Held, Status};

impl Engine {
    pub(super) fn peer_heads(&self) -> Vec<(ReplicaId, Height)> {
        let peers = self.peers.iter().enumerate();
        peers
            .filter_map(|(index, peer)| {
                Some((ReplicaId(index as u16), peer.summary.as_ref()?.head))
            })
            .collect()
    }

    pub(super) fn summarise(&mut self, out: &mut Outbox) {
        let summary = self.summary();
        self.told = (summary.view, summary.phase, summary.active);
        out.broadcast(Message::Summary(summary));
    }

    fn summary(&self) -> Summary {
        let (view, phase) = self.views.current();
        let head = self.replication.head();
        let executed = self.replication.executed();
        Summary {
            view,
            phase,
            reports: self.views.reports().iter().map(|report| report.replica).collect(),
            ballot: self.replication.ballot(),
            active: self.replication.is_active(),
            head: head.height,
            head_hash: head.hash,
            executed: executed.height,
            state_root: executed.state_root,
            attested: self.attestations.attested(),
            prepared: self.replication.prepared().map(daruma_types::Certificate::rank),
            slots: self.replication.slot_lines(),
            monitor: self.monitor.report(self.views.demands()),
        }
    }

    /// The proof of this replica's view and phase.
    #[must_use]
    pub fn view_proof(&self) -> &ViewProof {
        self.views.proof()
    }

    /// How much this engine keeps; never more than [`Held::max`].
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            attested: self.attestations.heights(),
            pending: self.pool.len(),
            ..self.replication.held()
        }
    }

    /// Where this replica stands, for people.
    #[must_use]
    pub fn status(&self) -> Status {
        let (view, phase) = self.views.current();
        let (beats, count, patience) = self.monitor.counters();
        let tip = self.replication.tip();
        let (beat_limit, count_limit) = self.monitor.thresholds(&self.context.local);
        Status {
            summary: self.summary(),
            beat_limit,
            count_limit,
            links: self.links.counters(),
            view,
            phase,
            primary: self.context.thresholds().primary(view.0),
            ballot: self.replication.ballot(),
            active: self.replication.is_active(),
            head: self.replication.head().height,
            head_hash: self.replication.head().hash,
            executed: *self.replication.executed(),
            attested: self.attestations.attested(),
            tip: tip.height,
            prepared: self.replication.prepared().map(daruma_types::Certificate::rank),
            slots: self.replication.slot_lines(),
            pending: self.pool.len(),
            monitor: self.monitor.report(self.views.demands()),
            beats,
            count,
            patience,
            fetching_from: self.replication.fetching_from(),
            peers: self.peers.iter().map(|peer| peer.summary.clone()).collect(),
        }
    }
}
