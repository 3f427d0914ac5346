//! An arbitrary engine.

use alloc::vec::Vec;

use daruma_types::{Ballot, HeadClaim, Height, Statement, View, ViewProof, limits};

use super::{Engine, Peer};
use crate::laboratory::{Garbage, Size, Standing};
use crate::view::Voting;
use crate::{AutomatonState, DetectorState};

impl Engine {
    /// Sets the variables of `garbage`'s scope, of every module, to arbitrary values.
    pub fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self {
            context: _,
            views,
            replication,
            monitor,
            links,
            pool,
            attestations,
            conflict,
            peers,
            now_ms,
            ticks,
            entered,
            handed_over,
            told,
            baseline: _,
        } = self;
        views.scramble(garbage);
        replication.scramble(garbage);
        monitor.scramble(garbage);
        links.scramble(garbage);
        pool.scramble(garbage);
        attestations.scramble(garbage);
        conflict.scramble(garbage);
        garbage.set("engine.peers", peers, |g| {
            g.each(|g, _| Peer {
                summary: g.maybe(|g| Some(g.summary())),
                served: g.small_number(&[super::SERVED_PER_TICK.into()]),
                helped: g.flag(),
                bodies: g.number(&[limits::WANT_MAX as u64]) as usize,
            })
        });
        garbage.set("engine.now_ms", now_ms, Garbage::time_ms);
        garbage.set("engine.ticks", ticks, |g| g.number(&[200]));
        let (view, phase, ballot) = *entered;
        garbage.set("engine.entered", entered, |g| {
            if g.flag() {
                (g.view(), g.small_number(&[0, 1]) as u8, g.ballot())
            } else {
                (view, 1 - phase.min(1), ballot)
            }
        });
        garbage.set("engine.handed_over", handed_over, |g| g.maybe(|g| Some(g.ballot())));
        garbage.set("engine.told", told, |g| {
            (g.view(), g.small_number(&[0, 1]) as u8, g.ballot(), g.flag())
        });
        replication.scramble_newer(garbage);
    }

    /// Makes this replica suspect the primary of its view.
    pub fn suspect(&mut self) {
        self.monitor.distrust(&mut crate::outbox::Outbox::default());
    }

    /// Sets view, phase and proof of view establishment (a); nothing in (b).
    pub fn set_view(&mut self, view: View, phase: u8, proof: ViewProof) {
        self.views.set_view(view, phase, proof);
    }

    /// Sets the failure detector: tokens of others since each replica's last, tokens of the primary
    /// without progress, and whether it is suspected.
    pub fn set_monitor(&mut self, beat: &[u32], count: u32, suspects: bool) {
        self.monitor.set(beat, count, suspects);
    }

    /// Leaves the stale-information rules out: the mode that the thesis compares with.
    pub fn be_baseline(&mut self) {
        self.baseline = true;
    }

    /// Makes this replica lose the new-view of its ballot, and nothing else.
    pub fn lose_new_view(&mut self) {
        self.replication.lose_new_view();
    }

    /// Sets the committed head, and what the ledger is believed to have executed.
    pub fn set_head(&mut self, head: HeadClaim, executed: Statement) {
        self.replication.set_head(head, executed);
    }

    /// Makes the signatures of all votes held at `height` false, this replica's own among them.
    pub fn forge_votes(&mut self, height: Height) {
        self.replication.forge_votes(height);
    }

    /// Makes this replica believe that its ballot's new-view is still awaited.
    pub fn deactivate(&mut self) {
        self.replication.deactivate();
    }

    /// Where this replica stands, in short.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let (view, phase) = self.views.current();
        Standing {
            view,
            phase,
            settled: self.views.serving().is_some(),
            active: self.replication.is_active(),
            serves: self.monitor.serves(),
            head: self.replication.head().height,
            executed: *self.replication.executed(),
        }
    }

    /// Exchanges the memories of two replicas; each keeps its own name and key.
    pub fn swap(&mut self, other: &mut Self) {
        core::mem::swap(self, other);
        core::mem::swap(&mut self.context, &mut other.context);
        self.views.belong_to(self.context.own);
        other.views.belong_to(other.context.own);
    }

    /// The variables of the Coordination Automaton and of its detector; none under another view
    /// establishment.
    #[must_use]
    pub fn automaton(&self) -> Option<(&AutomatonState, &DetectorState)> {
        self.views.automaton()
    }

    /// The same, to be set at will.
    pub fn automaton_mut(&mut self) -> Option<(&mut AutomatonState, &mut DetectorState)> {
        self.views.automaton_mut()
    }

    /// Sets the ballot below which this replica votes in none, without making it durable; nothing
    /// under another view establishment.
    pub fn set_floor(&mut self, floor: Ballot) {
        self.views.set_floor(floor);
    }

    /// Takes the watchdog out: what is left is the paper's automaton, and halts where that does.
    pub fn without_watchdog(&mut self) {
        self.views.without_watchdog();
    }

    /// How much each collection holds, and may hold.
    #[must_use]
    pub fn sizes(&self) -> Vec<Size> {
        let replicas = self.context.thresholds().replicas();
        let mut sizes = Vec::with_capacity(32);
        self.views.sizes(replicas, &mut sizes);
        self.replication.sizes(replicas, &self.context.chain, &mut sizes);
        self.monitor.sizes(replicas, &mut sizes);
        self.links.sizes(replicas, &mut sizes);
        self.pool.sizes(&self.context.local, &mut sizes);
        self.attestations.sizes(replicas, &mut sizes);
        sizes.push(Size::new("engine.peers", self.peers.len(), replicas));
        let slots = |peer: &Peer| peer.summary.as_ref().map_or(0, |summary| summary.slots.len());
        let slots = self.peers.iter().map(slots).max().unwrap_or(0);
        sizes.push(Size::new("engine.peer slots", slots, limits::WINDOW_MAX));
        sizes
    }
}
