//! The world of the engine under test: its three peers, its clients, its disk and its clock.

use std::sync::Arc;

use daruma_engine::laboratory::{Dictionary, Garbage, Scope, Values};
use daruma_engine::{Destination, Effect, Input};
use daruma_store::{MemoryStore, Store};
use daruma_types::{
    Adoption, Block, Certificate, CertifiedBlock, Hash, Message, Promise, PublicKey,
    RecoveredJournal, ReplicaId, Report, Statement, VoteKind,
};

use super::oracles::Oracles;
use super::replica::Replica;
use super::step::Scrambled;
use crate::chain::REPLICAS;
use crate::limits::EFFECTS_PER_INPUT_MAX;

/// Time between two ticks.
const TICK_MS: u64 = 25;

/// Ticks from one time that the ledger tells where it stands to the next.
const HEAD_TICKS: u64 = 4;

/// The modules of an engine, as the names of its variables begin.
const MODULES: [&str; 7] =
    ["attest.", "engine.", "links.", "monitor.", "pool.", "replication.", "view."];

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
    /// Clients whose nonces the engine asked for.
    asked: Vec<PublicKey>,
    /// Blocks of another certified chain that the ledger is to compare with its own.
    adopting: Option<(Vec<CertifiedBlock>, bool)>,
    /// All that was said, for memories that hold what does not belong there.
    dictionary: Dictionary,
}

impl World {
    pub(crate) fn new(own: u16) -> Self {
        let own = ReplicaId(own % REPLICAS);
        let (replica, effects) = Self::start(own, &MemoryStore::new(), None, false);
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
            asked: Vec::new(),
            adopting: None,
            dictionary: Dictionary::default(),
        };
        world.begin(effects);
        world
    }

    fn start(
        own: ReplicaId,
        store: &MemoryStore,
        journal: Option<RecoveredJournal>,
        damaged: bool,
    ) -> (Replica, Vec<Effect>) {
        match Replica::start(own, store, journal, damaged) {
            Ok(started) => started,
            Err(error) => panic!("a replica does not start: {error}"),
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
        self.asked.clear();
        self.adopting = None;
        let damaged = self.oracles.damaged;
        let (replica, effects) =
            Self::start(self.replica.id, &self.replica.store, journal, damaged);
        self.replica = replica;
        self.begin(effects);
    }

    pub(super) fn tick(&mut self) {
        self.now_ms = self.now_ms.saturating_add(TICK_MS);
        self.oracles.ticked();
        self.input(Input::Tick { now_ms: self.now_ms });
        // A node's ledger does so now and then.
        if (self.now_ms / TICK_MS).is_multiple_of(HEAD_TICKS) {
            self.tell_head();
        }
    }

    /// The ledger says where it stands, unless it has blocks to execute: then it says so after them.
    pub(super) fn tell_head(&mut self) {
        if !self.replica.decided.is_empty() {
            return;
        }
        self.adopt();
        let effects = self.replica.tell_head();
        self.perform(effects);
    }

    /// The ledger compares another chain with its own, and may give up its blocks for it.
    fn adopt(&mut self) {
        let Some((blocks, tie)) = self.adopting.take() else { return };
        match self.replica.ledger.adopt(&blocks, tie) {
            Ok(Adoption::Adopted { .. }) => {
                self.oracles.forked();
                self.restart(None);
            }
            Ok(adoption) => self.input(Input::Adoption(adoption)),
            Err(error) => panic!("another chain cannot be compared with: {error}"),
        }
    }

    /// The ledger answers what it was asked.
    pub(super) fn tell_nonces(&mut self) {
        let asked = core::mem::take(&mut self.asked);
        if !asked.is_empty() {
            let effects = self.replica.tell_nonces(&asked);
            self.perform(effects);
        }
    }

    /// Variables of the engine are set to anything.
    pub(super) fn scramble(&mut self, seed: u64, scope: Scrambled, values: u8) {
        self.oracles.fault();
        let scope = match scope {
            Scrambled::All => Scope::All,
            Scrambled::Some(of_256) => Scope::Some(u32::from(of_256) * 1000 / 256),
            Scrambled::Module(which) => Scope::Named(MODULES[usize::from(which) % MODULES.len()]),
        };
        let values = [Values::Mixed, Values::Replayed, Values::Largest, Values::Zero]
            [usize::from(values % 4)];
        let replicas = usize::from(REPLICAS);
        let mut garbage = Garbage::new(seed, scope, values, &self.dictionary, replicas);
        self.replica.engine.scramble(&mut garbage);
    }

    /// One input, and everything that it leads to.
    pub(super) fn input(&mut self, input: Input) {
        let effects = self.replica.engine.step(input);
        self.perform(effects);
    }

    /// `from` sends `message`; the door decides.
    pub(super) fn receive(&mut self, from: ReplicaId, message: Message) {
        self.learn(&message);
        self.dictionary.note(from, &message);
        let effects = self.replica.receive(from, message);
        self.perform(effects);
    }

    /// The ledger executes the next decided block. An engine that was damaged may decide one that is
    /// not the next: it is told where the ledger stands.
    pub(super) fn execute(&mut self) {
        match self.replica.execute() {
            Ok(effects) => self.perform(effects),
            Err(_) if self.oracles.damaged => {
                let effects = self.replica.tell_head();
                self.perform(effects);
            }
            Err(error) => panic!("the ledger refuses what the engine decided: {error}"),
        }
    }

    /// Does what a driver does, in order, while there is power.
    fn perform(&mut self, effects: Vec<Effect>) {
        let count = effects.len();
        assert!(
            count <= EFFECTS_PER_INPUT_MAX || !self.oracles.settled(),
            "{count} effects at once"
        );
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
                        self.sends(to, &message);
                    }
                }
                Effect::Send { to, message } => {
                    self.sends(to, &message);
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
                Effect::LookUpNonces(clients) => self.asked = clients,
                // The last one counts: the engine repeats what it still wants.
                Effect::Adopt { blocks, tie } => self.adopting = Some((blocks, tie)),
                Effect::Mend(block) => {
                    // From a damaged memory: this ledger misses nothing.
                    assert!(matches!(self.replica.ledger.mend(&block), Ok(false)));
                }
                Effect::Pooled(_) => {}
            }
        }
        self.oracles.bounded(&self.replica.engine);
    }

    fn sends(&mut self, to: Destination, message: &Message) {
        self.oracles.sent(to, message);
        self.learn(message);
        self.dictionary.note(self.replica.id, message);
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
