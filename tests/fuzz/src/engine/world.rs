//! The world of the engine under test: its three peers, its clients, its disk and its clock.

use std::sync::Arc;

use daruma_engine::{Effect, Input};
use daruma_store::{MemoryStore, Store};
use daruma_types::{
    Block, Certificate, CertifiedBlock, Hash, Message, Promise, RecoveredJournal, ReplicaId,
    Report, Statement, VoteKind,
};

use super::oracles::Oracles;
use super::replica::Replica;
use crate::chain::REPLICAS;
use crate::limits::EFFECTS_PER_INPUT_MAX;

/// Time between two ticks.
const TICK_MS: u64 = 25;

/// One engine, and all that the fuzzer knows of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) replica: Replica,
    pub(super) oracles: Oracles,
    pub(super) now_ms: u64,
    /// Blocks seen or made.
    pub(super) blocks: Vec<Arc<Block>>,
    /// Prepared certificates seen or made.
    pub(super) prepared: Vec<Certificate>,
    /// Committed blocks seen or made.
    pub(super) committed: Vec<CertifiedBlock>,
    /// What the engine attested.
    pub(super) statements: Vec<Statement>,
    /// The engine's last report.
    pub(super) own_report: Option<Report>,
    /// Power is lost after so many effects.
    pub(super) power_left: Option<u8>,
}

impl World {
    pub(crate) fn new(own: u16) -> Self {
        let own = ReplicaId(own % REPLICAS);
        let (replica, effects) = Self::start(own, &MemoryStore::new(), None);
        let mut world = Self {
            replica,
            oracles: Oracles::new(own),
            now_ms: 1_000_000,
            blocks: Vec::new(),
            prepared: Vec::new(),
            committed: Vec::new(),
            statements: Vec::new(),
            own_report: None,
            power_left: None,
        };
        world.begin(effects);
        world
    }

    fn start(
        own: ReplicaId,
        store: &MemoryStore,
        journal: Option<RecoveredJournal>,
    ) -> (Replica, Vec<Effect>) {
        match Replica::start(own, store, journal) {
            Ok(started) => started,
            Err(error) => panic!("an undamaged ledger does not open: {error}"),
        }
    }

    fn begin(&mut self, effects: Vec<Effect>) {
        let head = &self.replica.ledger.head().claim;
        self.oracles.started(head.height, head.hash);
        self.perform(effects);
    }

    /// A restart from the disk, or from the disk with this journal.
    pub(super) fn restart(&mut self, journal: Option<RecoveredJournal>) {
        self.power_left = None;
        let recovered = self.replica.store.recover_journal();
        assert!(
            recovered.as_ref().is_ok_and(|recovered| recovered.dropped == 0),
            "rows of an undamaged journal are lost: {recovered:?}"
        );
        let (replica, effects) = Self::start(self.replica.id, &self.replica.store, journal);
        self.replica = replica;
        self.begin(effects);
    }

    pub(super) fn tick(&mut self) {
        self.now_ms = self.now_ms.saturating_add(TICK_MS);
        self.input(Input::Tick { now_ms: self.now_ms });
    }

    /// One input, and everything that it leads to.
    pub(super) fn input(&mut self, input: Input) {
        let effects = self.replica.engine.step(input);
        self.perform(effects);
    }

    /// `from` sends `message`; the door decides.
    pub(super) fn receive(&mut self, from: ReplicaId, message: Message) {
        self.learn(&message);
        let effects = self.replica.receive(from, message);
        self.perform(effects);
    }

    /// The ledger executes the next decided block. An engine that was damaged may decide one that is
    /// not the next: the node restarts.
    pub(super) fn execute(&mut self) {
        match self.replica.execute() {
            Ok(effects) => self.perform(effects),
            Err(_) if self.oracles.damaged => self.restart(None),
            Err(error) => panic!("the ledger refuses what the engine decided: {error}"),
        }
    }

    /// Does what a driver does, in order, while there is power.
    fn perform(&mut self, effects: Vec<Effect>) {
        assert!(effects.len() <= EFFECTS_PER_INPUT_MAX, "{} effects at once", effects.len());
        for effect in effects {
            match &mut self.power_left {
                Some(0) => return self.restart(None),
                Some(left) => *left -= 1,
                None => {}
            }
            match effect {
                Effect::Promise { promise, then } => {
                    self.learn_promise(&promise);
                    if let Err(error) = self.replica.store.journal(&[promise]) {
                        // A damaged replica may ask for it; a node then stops, and is started again.
                        assert!(self.oracles.damaged, "a promise is contradicted: {error}");
                        return self.restart(None);
                    }
                    for (to, message) in then {
                        self.oracles.sent(to, &message);
                        self.learn(&message);
                    }
                }
                Effect::Send { to, message } => {
                    self.oracles.sent(to, &message);
                    self.learn(&message);
                }
                Effect::Execute(block) => {
                    self.oracles.executes(&block);
                    self.replica.decided.push_back(block);
                }
                Effect::Attested(certificate) => self.oracles.attested(&certificate),
                Effect::Observed(observation) => self.oracles.observed(&observation),
                Effect::ServeBlocks { to, from, .. } => {
                    assert!(to != self.replica.id, "blocks are served to oneself");
                    let head = self.replica.ledger.head().claim.height;
                    assert!(from <= head || self.oracles.damaged, "{from} is not in the ledger");
                }
                // A ledger may take as long as it likes to answer.
                Effect::Pooled(_) | Effect::LookUpNonces(_) => {}
            }
        }
        self.oracles.bounded(&self.replica.engine.status());
    }

    fn learn_promise(&mut self, promise: &Promise) {
        match promise {
            Promise::Prepare { block, .. } | Promise::Body { block } => self.know(block),
            Promise::Prepared { certificate } => self.prepared.push(certificate.clone()),
            Promise::View { .. } | Promise::Floor { .. } => {}
        }
    }

    /// Remembers what can be used in later steps.
    fn learn(&mut self, message: &Message) {
        if let Message::PrePrepare(proposal) = message {
            self.know(&proposal.block);
        }
        if let Message::Report(report) = message
            && report.replica == self.replica.id
        {
            self.own_report = Some(report.clone());
        }
        if let Message::Certificate(certificate) = message
            && certificate.kind == VoteKind::Prepare
        {
            self.prepared.push(certificate.clone());
        }
        if let Message::Blocks(blocks) = message {
            self.committed.extend(blocks.iter().cloned());
        }
        if let Message::Attestation(attestation) = message
            && attestation.replica == self.replica.id
        {
            self.statements.push(attestation.statement);
        }
    }

    pub(super) fn know(&mut self, block: &Arc<Block>) {
        if !self.blocks.contains(block) {
            self.blocks.push(Arc::clone(block));
        }
    }

    /// The block with this hash, if it was seen.
    pub(super) fn block_of(&self, hash: &Hash) -> Option<&Arc<Block>> {
        self.blocks.iter().rev().find(|block| block.hash() == *hash)
    }

    /// Where the engine stands, for people.
    pub(crate) fn standing(&self) -> String {
        let status = self.replica.engine.status();
        format!(
            "{} view {} phase {} ballot {}{} executed {} head {} tip {} prepared {:?} waiting {}",
            self.replica.id,
            status.view,
            status.phase,
            status.ballot,
            if status.active { "" } else { " inactive" },
            status.executed.height,
            status.head,
            status.tip,
            status.prepared,
            status.pending
        )
    }

    /// The end of a run: the engine still works, and its disk can be read.
    pub(crate) fn finish(&mut self) {
        self.tick();
        self.restart(None);
        self.tick();
    }
}
