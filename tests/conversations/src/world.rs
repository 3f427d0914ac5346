//! A small network of real engines and ledgers, driven by commands. Nothing happens but what a
//! command asks for: no clock, no delay, no chance.

mod damage;

use std::collections::VecDeque;
use std::sync::Arc;

use daruma_append_list::AppendList;
use daruma_automaton_api::{DynAutomaton, serde_json::Value};
use daruma_engine::{
    AdmissionContext, ChainLimits, Context, Destination, Effect, Engine, EngineHead, Input,
    LocalLimits, admit,
};
use daruma_ledger::{Depth, HeadInfo, Ledger, LedgerReader, LedgerRepair};
use daruma_store::{MemoryStore, Store, Trust};
use daruma_types::{
    ChainId, Committee, Ed25519, Hash, Message, PublicKey, Replica, ReplicaId, SecretKey, Signer,
    Thresholds, Transaction, TransactionError, Verifier,
};

use crate::record::Record;
use crate::words::Names;
use crate::{Command, CommandError, Select, Step};

/// Hops of one `deliver`, past which the script is said to talk for ever.
const HOPS_MAX: usize = 100;

const LIMITS: ChainLimits = ChainLimits {
    operation_bytes_max: 256,
    block_bytes_max: 4096,
    block_transactions_max: 4,
    window: 4,
};

/// Why a step could not be performed.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A line is not understood.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The command cannot be done now.
    #[error("{command}: {why}")]
    Impossible {
        /// The line.
        command: String,
        /// Why not, and what would help.
        why: String,
    },
}

/// Where a ledger stands.
fn engine_head(ledger: &Ledger) -> EngineHead {
    let HeadInfo { claim, timestamp_ms, statement } = ledger.head().clone();
    EngineHead { claim, timestamp_ms, statement, recent: ledger.recent_statements() }
}

struct Node {
    id: ReplicaId,
    context: Context,
    store: Arc<MemoryStore>,
    engine: Engine,
    ledger: Ledger,
    reader: LedgerReader,
    cut: bool,
}

/// A message on its way.
#[derive(Clone)]
struct Letter {
    from: ReplicaId,
    to: ReplicaId,
    message: Message,
}

/// Everything a script acts on.
pub struct World {
    chain: ChainId,
    nodes: Vec<Node>,
    wire: VecDeque<Letter>,
    kept: Vec<Letter>,
    names: Names,
    client: SecretKey,
    nonce: u64,
    now_ms: u64,
    summaries: bool,
    /// Messages of this kind are lost.
    losing: Option<String>,
    record: Record,
}

impl core::fmt::Debug for World {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("World").field("replicas", &self.nodes.len()).finish_non_exhaustive()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world without replicas.
    #[must_use]
    pub fn new() -> Self {
        let chain = ChainId(Hash([0x0c; 32]));
        let mut names = Names::default();
        names.genesis(chain.0);
        Self {
            chain,
            nodes: Vec::new(),
            wire: VecDeque::new(),
            kept: Vec::new(),
            names,
            client: SecretKey::from_bytes(&[0xcc; 32]),
            nonce: 0,
            now_ms: 1_000,
            summaries: false,
            losing: None,
            record: Record::default(),
        }
    }

    /// Performs the commands of a step; what came of them, a line each.
    ///
    /// # Errors
    /// [`WorldError`]: a command that is not understood, or cannot be done.
    pub fn perform(&mut self, step: &Step) -> Result<String, WorldError> {
        for line in &step.commands {
            let command = Command::parse(line)?;
            self.act(command)
                .map_err(|why| WorldError::Impossible { command: line.clone(), why })?;
            self.record.end_hop();
        }
        Ok(core::mem::take(&mut self.record).finish())
    }

    fn act(&mut self, command: Command) -> Result<(), String> {
        if self.nodes.is_empty() && !matches!(command, Command::Replicas(_)) {
            return Err("there are no replicas yet; begin with `replicas N`".into());
        }
        match command {
            Command::Replicas(count) => self.populate(count),
            Command::Submit(to, text) => self.submit(to, &text),
            Command::Tick(who) => self.tick(&who),
            Command::Deliver { once: true } => {
                self.hop();
                Ok(())
            }
            Command::Deliver { once: false } => self.deliver(),
            Command::Run(count) => (0..count).try_for_each(|_| {
                self.tick(&Select::All)?;
                self.deliver()
            }),
            Command::Cut(who) => self.each(&who, |world, index| world.nodes[index].cut = true),
            Command::Join(who) => self.each(&who, |world, index| world.nodes[index].cut = false),
            Command::Drop(kind) => self.put_aside(&kind, false),
            Command::Keep(kind) => self.put_aside(&kind, true),
            Command::Lose(kind) => {
                self.losing = kind;
                Ok(())
            }
            Command::Replay => {
                self.wire.extend(self.kept.iter().cloned());
                Ok(())
            }
            Command::Restart(who) => self.restart(&who),
            Command::Erase(id, height) => self.erase(id, height),
            Command::Forge(id, height) => {
                self.node(id)?.engine.forge_votes(height);
                Ok(())
            }
            Command::Forget(id, height) => self.forget(id, height),
            Command::Show(who) => self.each(&who, Self::show),
            Command::Summaries(on) => {
                self.summaries = on;
                Ok(())
            }
        }
    }

    fn populate(&mut self, count: usize) -> Result<(), String> {
        if !self.nodes.is_empty() {
            return Err("there are replicas already".into());
        }
        let faulty_max = Thresholds::largest_faulty(count);
        let key = |index: usize| SecretKey::from_bytes(&[index as u8 + 1; 32]);
        let replicas = (0..count)
            .map(|index| Replica { name: format!("r{index}"), key: key(index).public_key() });
        let committee = Committee::new(self.chain, faulty_max, replicas.collect())
            .map_err(|error| error.to_string())?;
        let committee = Arc::new(committee);
        for index in 0..count {
            let context = Context {
                committee: Arc::clone(&committee),
                own: ReplicaId(index as u16),
                signer: Arc::new(key(index)),
                verifier: Arc::new(Ed25519),
                chain: LIMITS,
                // Impatient, so that conversations are short.
                local: LocalLimits {
                    beat_rounds: 3,
                    progress_tokens: 3,
                    summary_ticks: 1,
                    full_check_ticks: 4,
                    ..LocalLimits::default()
                },
            };
            self.start(context, Arc::new(MemoryStore::new()))?;
        }
        Ok(())
    }

    /// Starts a replica from what its disk holds, in its place.
    fn start(&mut self, context: Context, store: Arc<MemoryStore>) -> Result<(), String> {
        let text = |error: &dyn core::fmt::Display| error.to_string();
        let automaton = AppendList::from_parameters(&Value::Object(Default::default()))
            .map_err(|error| text(&error))?;
        let automaton: Arc<dyn DynAutomaton> = Arc::new(automaton);
        // What a store keeps in memory beside its rows is lost with the memory.
        let store = Arc::new(store.copy());
        let rows: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let (committee, verifier) = (context.committee.clone(), context.verifier.clone());
        let trust = Trust { committee, verifier };
        let id = context.own;
        let (ledger, repairs) =
            Ledger::open(Arc::clone(&rows), automaton, trust.clone(), Depth::Recent)
                .map_err(|error| text(&error))?;
        for LedgerRepair { height, column, found, remedy, .. } in repairs {
            let row = format!("row of {} at height {height} {found}", column.name());
            self.record.line(id, format!(": finds on its disk: {row}; {remedy:?}"));
        }
        let journal = rows.clean_journal(&trust).map_err(|error| text(&error))?.journal;
        let reader = ledger.reader();
        let head = engine_head(&ledger);
        let (engine, effects) = Engine::new(context.clone(), head, journal);
        let node = Node { id, context, store, engine, ledger, reader, cut: false };
        match self.nodes.get_mut(id.index()) {
            Some(place) => *place = node,
            None => self.nodes.push(node),
        }
        self.do_all(id.index(), effects)
    }

    fn restart(&mut self, who: &Select) -> Result<(), String> {
        for index in 0..self.nodes.len() {
            let Node { id, context, store, .. } = &self.nodes[index];
            if who.holds(*id) {
                let (id, context, store) = (*id, context.clone(), Arc::clone(store));
                self.record.line(id, ": restarts".into());
                self.start(context, store)?;
            }
        }
        Ok(())
    }

    fn node(&mut self, id: ReplicaId) -> Result<&mut Node, String> {
        self.nodes.get_mut(id.index()).ok_or_else(|| "there is no such replica".into())
    }

    fn each(&mut self, who: &Select, act: impl Fn(&mut Self, usize)) -> Result<(), String> {
        (0..self.nodes.len())
            .filter(|index| who.holds(ReplicaId(*index as u16)))
            .for_each(|index| act(self, index));
        Ok(())
    }

    fn show(&mut self, index: usize) {
        let status = self.nodes[index].engine.status();
        let line = format!(
            ": view {} phase {}, ballot {}{}, head {}, executed {}, {} pending",
            status.view,
            status.phase,
            status.ballot,
            if status.active { " active" } else { "" },
            status.head,
            status.executed.height,
            status.pending,
        );
        self.record.line(self.nodes[index].id, line);
    }

    fn submit(&mut self, to: ReplicaId, text: &str) -> Result<(), String> {
        self.nodes.get(to.index()).ok_or("there is no such replica")?;
        self.nonce += 1;
        let operation = text.as_bytes().to_vec();
        let transaction = Transaction::sign(self.chain, &self.client, self.nonce, operation);
        self.input(to.index(), Input::Submitted { transactions: vec![transaction] })
    }

    fn tick(&mut self, who: &Select) -> Result<(), String> {
        self.now_ms += 100;
        let now_ms = self.now_ms;
        for index in 0..self.nodes.len() {
            if who.holds(ReplicaId(index as u16)) {
                self.input(index, Input::Tick { now_ms })?;
            }
        }
        self.record.end_hop();
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), String> {
        for _ in 0..HOPS_MAX {
            if self.wire.is_empty() {
                return Ok(());
            }
            self.hop();
        }
        Err(format!("after {HOPS_MAX} hops there are still messages on the wire"))
    }

    /// Delivers what is on the wire now.
    fn hop(&mut self) {
        for Letter { from, to, message } in core::mem::take(&mut self.wire) {
            let Some(node) = self.nodes.get(to.index()) else { continue };
            let door = Door { context: &node.context, reader: &node.reader };
            let name = message.name();
            let done = match admit(from, message, &door) {
                Ok(message) => self.input(to.index(), Input::Received { from, message }),
                Err(refusal) => Err(format!("refuses a {name} of {from}: {refusal}")),
            };
            if let Err(why) = done {
                self.record.line(to, format!(": {why}"));
            }
        }
        self.record.end_hop();
    }

    fn put_aside(&mut self, kind: &str, keep: bool) -> Result<(), String> {
        let (matching, others): (Vec<_>, Vec<_>) =
            self.wire.drain(..).partition(|letter| letter.message.name() == kind);
        self.wire = others.into();
        if matching.is_empty() {
            return Err(format!("there is no {kind} on the wire"));
        }
        for Letter { from, to, .. } in &matching {
            let verb = if keep { "put aside" } else { "lost" };
            self.record.line(*from, format!(" -> {to}: {kind}, {verb}"));
        }
        if keep {
            self.kept.extend(matching);
        }
        Ok(())
    }

    fn input(&mut self, index: usize, input: Input) -> Result<(), String> {
        let effects = self.nodes[index].engine.step(input);
        self.do_all(index, effects)
    }

    /// Performs effects in order; what the ledger answers is given to the engine afterwards.
    fn do_all(&mut self, index: usize, effects: Vec<Effect>) -> Result<(), String> {
        let id = self.nodes[index].id;
        let mut executed = Vec::new();
        let mut refused = false;
        for effect in effects {
            match effect {
                Effect::Promise { promise, then } => {
                    let words = self.names.promise(&promise);
                    self.record.line(id, format!(": promises {words}"));
                    let store = &self.nodes[index].store;
                    store.journal(&[promise]).map_err(|error| error.to_string())?;
                    then.into_iter().for_each(|(to, message)| self.send(id, to, message));
                }
                Effect::Send { to, message } => self.send(id, to, message),
                Effect::Execute(block) => {
                    let name = self.names.block(block.certificate.height, block.certificate.hash);
                    self.record.line(id, format!(": executes {name}"));
                    match self.nodes[index].ledger.execute(&block) {
                        Ok(done) => executed.push(done),
                        Err(refusal) => {
                            self.record.line(id, format!(": its ledger refuses {name}: {refusal}"));
                            refused = true;
                        }
                    }
                }
                Effect::ServeBlocks { to, from, count } => {
                    let reader = &self.nodes[index].reader;
                    let read = reader.sound_blocks(from, count as usize, 1 << 20);
                    let (blocks, _) = read.map_err(|error| error.to_string())?;
                    self.send(id, Destination::One(to), Message::Blocks(blocks));
                }
                // The ledger's answer would change nothing here: no memory was ever wrong.
                Effect::LookUpNonces(_) => {}
                Effect::Mend(_) => return Err(format!("{id} misses a block")),
                Effect::Adopt { .. } => return Err(format!("{id} would leave its chain")),
                Effect::Pooled(outcomes) => {
                    for refusal in outcomes.into_iter().filter_map(Result::err) {
                        self.record.line(id, format!(": refuses an operation: {refusal}"));
                    }
                }
                Effect::Attested(certificate) => {
                    let (statement, by) = (&certificate.statement, certificate.signers.len());
                    let name = self.names.block(statement.height, statement.block);
                    self.record.line(id, format!(": {by} attest {name}"));
                }
                Effect::Observed(observation) => {
                    self.record.line(id, format!(": {}", Names::observation(&observation)));
                }
            }
        }
        executed.into_iter().try_for_each(|executed| {
            let (statement, nonces) = (executed.statement, executed.nonces);
            self.input(index, Input::Executed { statement, nonces })
        })?;
        if refused {
            // As in a node: a ledger that refuses says where it stands.
            let node = &self.nodes[index];
            let (head, floor) = (engine_head(&node.ledger), node.store.floor());
            self.input(index, Input::Ledger { head, floor })?;
        }
        Ok(())
    }

    fn send(&mut self, from: ReplicaId, to: Destination, message: Message) {
        let hidden = match &message {
            Message::Token { .. } | Message::TokenReturn { .. } | Message::Coordination(_) => true,
            Message::Summary(_) => !self.summaries,
            Message::Demand(_)
            | Message::Leave(_)
            | Message::Report(_)
            | Message::Enter(_)
            | Message::NewView(_)
            | Message::PrePrepare(_)
            | Message::Vote(_)
            | Message::Certificate(_)
            | Message::Want(_)
            | Message::Lacks(_)
            | Message::Body(_)
            | Message::Fetch { .. }
            | Message::Blocks(_)
            | Message::StateCertificates(_)
            | Message::SnapshotOffer(_)
            | Message::SnapshotWant { .. }
            | Message::SnapshotChunk { .. }
            | Message::Attestation(_)
            | Message::Transactions(_) => false,
        };
        if !hidden {
            let words = self.names.message(&message);
            let receiver = match to {
                Destination::All => "all".to_owned(),
                Destination::One(id) => id.to_string(),
            };
            self.record.line(from, format!(" -> {receiver}: {words}"));
        }
        if self.losing.as_deref() == Some(message.name()) {
            return;
        }
        let cut = |id: ReplicaId| self.nodes.get(id.index()).is_some_and(|node| node.cut);
        let count = self.nodes.len().max(from.index() + 1) as u16;
        let all =
            self.nodes.first().map_or(count, |node| node.context.thresholds().replicas() as u16);
        for receiver in (0..all).map(ReplicaId).filter(|receiver| *receiver != from) {
            let meant = match to {
                Destination::All => true,
                Destination::One(one) => one == receiver,
            };
            if meant && !cut(from) && !cut(receiver) {
                self.wire.push_back(Letter { from, to: receiver, message: message.clone() });
            }
        }
    }
}

/// A replica's door, as its node's.
struct Door<'a> {
    context: &'a Context,
    reader: &'a LedgerReader,
}

impl AdmissionContext for Door<'_> {
    fn committee(&self) -> &Committee {
        &self.context.committee
    }

    fn verifier(&self) -> &dyn Verifier {
        self.context.verifier.as_ref()
    }

    fn limits(&self) -> ChainLimits {
        self.context.chain
    }

    fn check(&self, transaction: &Transaction) -> Result<(), TransactionError> {
        let bytes_max = self.context.chain.operation_bytes_max;
        transaction.verify(self.context.committee.chain(), bytes_max, self.verifier())
    }

    fn last_nonce(&self, client: &PublicKey) -> Option<u64> {
        self.reader.last_nonce(client).ok().flatten()
    }
}
