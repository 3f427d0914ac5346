//! Where a replica stands: for its peers, and for people.

use alloc::vec::Vec;

use daruma_types::{Ballot, Establishment, Height, Message, ReplicaId, Summary, ViewProof};

use super::Engine;
use crate::outbox::Outbox;
use crate::view::Voting;
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
        self.told = (summary.view, summary.phase, summary.ballot, summary.active);
        out.broadcast(Message::Summary(summary));
    }

    fn summary(&self) -> Summary {
        let (view, phase) = self.views.current();
        let head = self.replication.head();
        let executed = self.replication.executed();
        Summary {
            view,
            phase,
            reports: self.views.reporters(),
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

    /// The ballot below which this replica votes in none, where ballots are not views; 0 where they
    /// are, since its view says it there.
    #[must_use]
    pub fn floor(&self) -> Ballot {
        match self.context.establishment() {
            Establishment::Certified => Ballot(0),
            Establishment::Automaton { .. } => self.views.ballot(),
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
            automaton: self.views.automaton().map(|(state, _)| state.clone()),
            detector: self.views.automaton().map(|(_, detector)| detector.clone()),
            peers: self.peers.iter().map(|peer| peer.summary.clone()).collect(),
        }
    }
}
