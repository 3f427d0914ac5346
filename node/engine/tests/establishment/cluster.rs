//! Engines in lock-step: in each round every replica ticks once, in an order that changes, and then
//! everything that was said is delivered, and what is said in answer as well. A round is one
//! asynchronous round.

use std::collections::VecDeque;
use std::sync::Arc;

use daruma_engine::{
    AdmissionContext, ChainLimits, Context, Destination, Effect, Engine, EngineHead, Illegal,
    Input, LocalLimits, Observation, admit,
};
use daruma_types::{
    ChainId, Committee, Coordination, Ed25519, Establishment, Hash, HeadClaim, Height, Message,
    Place, PublicKey, RecoveredJournal, Replica, ReplicaId, SecretKey, Signer, SignerSet,
    Statement, Thresholds, Transaction, TransactionError, Verifier, ViewPair,
};

pub(crate) const CHAIN: ChainId = ChainId(Hash([9; 32]));
const LIMITS: ChainLimits = ChainLimits {
    operation_bytes_max: 64,
    block_bytes_max: 4096,
    block_transactions_max: 8,
    window: 8,
};
/// From any state to a stable view.
pub(crate) const B_VE: u32 = 32;
/// For this long what was reached must stay.
const CLOSURE: u32 = 100;
struct Door(Arc<Committee>);

impl AdmissionContext for Door {
    fn committee(&self) -> &Committee {
        &self.0
    }
    fn verifier(&self) -> &dyn Verifier {
        &Ed25519
    }
    fn limits(&self) -> ChainLimits {
        LIMITS
    }
    fn check(&self, transaction: &Transaction) -> Result<(), TransactionError> {
        transaction.verify(CHAIN, LIMITS.operation_bytes_max, &Ed25519)
    }
    fn last_nonce(&self, _: &PublicKey) -> Option<u64> {
        None
    }
}

pub(crate) fn key(index: u16) -> SecretKey {
    SecretKey::from_bytes(&[index as u8 + 1; 32])
}

/// What a replica tells others of itself in place of the truth.
pub(crate) type Lie = fn(to: ReplicaId) -> Place;

pub(crate) struct Cluster {
    door: Door,
    pub(crate) engines: Vec<Engine>,
    wire: VecDeque<(ReplicaId, ReplicaId, Message)>,
    pub(crate) silent: SignerSet,
    pub(crate) liar: Option<(ReplicaId, Lie)>,
    /// Whom this one does not hear.
    pub(crate) deaf: Option<(ReplicaId, SignerSet)>,
    pub(crate) rounds: u32,
    pub(crate) executed: Vec<Height>,
    pub(crate) repaired: Vec<(ReplicaId, Illegal)>,
}

impl Cluster {
    pub(crate) fn new(n: u16, establishment: Establishment) -> Self {
        let replica = |i| Replica { name: format!("r{i}"), key: key(i).public_key() };
        let faulty_max = Thresholds::largest_faulty_with(n.into(), establishment);
        let committee = Committee::new(CHAIN, faulty_max, (0..n).map(replica).collect()).unwrap();
        let committee = Arc::new(committee.with_establishment(establishment).unwrap());
        let mut cluster = Self {
            door: Door(committee.clone()),
            engines: Vec::new(),
            wire: VecDeque::new(),
            silent: SignerSet::EMPTY,
            liar: None,
            deaf: None,
            rounds: 0,
            executed: vec![Height(0); n.into()],
            repaired: Vec::new(),
        };
        for id in committee.ids() {
            let context = Context {
                committee: committee.clone(),
                own: id,
                signer: Arc::new(key(id.0)),
                verifier: Arc::new(Ed25519),
                chain: LIMITS,
                local: LocalLimits::default(),
            };
            let statement = Statement {
                height: Height(0),
                block: CHAIN.0,
                state_root: Hash::default(),
                receipts_root: Hash::default(),
            };
            let claim = HeadClaim::genesis(CHAIN);
            let head = EngineHead { claim, timestamp_ms: 0, statement, recent: Vec::new() };
            let (engine, effects) = Engine::new(context, head, RecoveredJournal::default());
            cluster.engines.push(engine);
            cluster.perform(id, effects);
        }
        cluster.wire.clear();
        cluster
    }

    /// Everyone has these beliefs about everyone.
    pub(crate) fn starts(n: u16, establishment: Establishment, places: &[Place]) -> Self {
        let mut cluster = Self::new(n, establishment);
        for index in 0..n {
            cluster.believes(index, places);
        }
        cluster
    }

    /// Replica `index` believes this of everyone, itself among them.
    pub(crate) fn believes(&mut self, index: u16, places: &[Place]) {
        let (state, _) = self.engines[usize::from(index)].automaton_mut().unwrap();
        state.known = places.to_vec();
    }

    /// At replica `index`, everyone's echo of it is this.
    pub(crate) fn echoed(&mut self, index: u16, echo: &[Place]) {
        let (state, _) = self.engines[usize::from(index)].automaton_mut().unwrap();
        state.echo = echo.iter().copied().map(Some).collect();
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.engines.len() as u16).map(ReplicaId)
    }

    pub(crate) fn correct(&self) -> Vec<ReplicaId> {
        let liar = self.liar.map(|(liar, _)| liar);
        self.ids().filter(|id| !self.silent.contains(*id) && Some(*id) != liar).collect()
    }

    /// What `at` believes of `of`.
    pub(crate) fn known(&self, at: ReplicaId, of: ReplicaId) -> Place {
        self.engines[at.index()].automaton().unwrap().0.place(of)
    }

    pub(crate) fn input(&mut self, at: ReplicaId, input: Input) {
        let effects = self.engines[at.index()].step(input);
        self.perform(at, effects);
    }

    fn perform(&mut self, at: ReplicaId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Promise { then, .. } => {
                    then.into_iter().for_each(|(to, message)| self.send(at, to, message));
                }
                Effect::Send { to, message } => self.send(at, to, message),
                Effect::Execute(block) => {
                    let statement = Statement {
                        height: block.certificate.height,
                        block: block.certificate.hash,
                        state_root: block.certificate.hash,
                        receipts_root: block.certificate.hash,
                    };
                    let transactions = &block.block.transactions;
                    let nonces = transactions.iter().map(|t| (t.client, t.nonce)).collect();
                    self.executed[at.index()] = statement.height;
                    self.input(at, Input::Executed { statement, nonces });
                }
                Effect::Observed(Observation::Repaired(illegal)) => {
                    self.repaired.push((at, illegal));
                }
                Effect::ServeBlocks { .. }
                | Effect::LookUpNonces(_)
                | Effect::Adopt { .. }
                | Effect::Mend(_)
                | Effect::Pooled(_)
                | Effect::Attested(_)
                | Effect::Observed(_) => {}
            }
        }
    }

    fn send(&mut self, from: ReplicaId, to: Destination, message: Message) {
        if self.silent.contains(from) {
            return;
        }
        for id in self.ids().filter(|id| *id != from) {
            if to == Destination::All || to == Destination::One(id) {
                let mut message = message.clone();
                if let (Message::Coordination(honest), Some((liar, lie))) = (&message, self.liar)
                    && liar == from
                {
                    let said = Coordination { own: lie(id), ..*honest };
                    message = Message::Coordination(said);
                }
                self.wire.push_back((from, id, message));
            }
        }
    }

    pub(crate) fn round(&mut self) {
        self.rounds += 1;
        let n = self.engines.len();
        for turn in 0..n {
            let at = ReplicaId(((turn + self.rounds as usize) % n) as u16);
            self.input(at, Input::Tick { now_ms: 1_000 + u64::from(self.rounds) });
        }
        while let Some((from, to, message)) = self.wire.pop_front() {
            let unheard =
                self.deaf.is_some_and(|(deaf, to_whom)| deaf == to && to_whom.contains(from));
            if !self.silent.contains(to)
                && !unheard
                && let Ok(message) = admit(from, message, &self.door)
            {
                self.input(to, Input::Received { from, message });
            }
        }
    }

    /// The view that all correct replicas serve, each knowing all of them there.
    pub(crate) fn healthy(&self) -> Option<u16> {
        let correct = self.correct();
        let view = self.known(correct[0], correct[0]).pair.next;
        let there = |place: Place| (place.phase, place.pair) == (0, ViewPair::settled(view));
        let known = correct.iter().all(|at| {
            let place = |of: &ReplicaId| self.known(*at, *of);
            correct.iter().all(|of| there(place(of)) && !place(of).change)
        });
        known.then_some(view)
    }

    /// Runs until all correct replicas serve `view`, and sees that it stays so.
    pub(crate) fn reaches(&mut self, view: u16, bound: u32) {
        let begin = self.rounds;
        while self.healthy() != Some(view) {
            let rounds = self.rounds - begin;
            assert!(rounds < bound, "not in view {view} after {rounds}: {:?}", self.places());
            self.round();
        }
        self.never(CLOSURE, |cluster| cluster.healthy() != Some(view));
        let blocked: Vec<_> = self
            .correct()
            .into_iter()
            .filter(|id| !self.engines[id.index()].status().active)
            .collect();
        assert_eq!(blocked, [], "votes are cast everywhere");
    }

    pub(crate) fn never(&mut self, rounds: u32, bad: impl Fn(&Self) -> bool) {
        for _ in 0..rounds {
            self.round();
            assert!(!bad(self), "round {}: {:?}", self.rounds, self.places());
        }
    }

    pub(crate) fn places(&self) -> Vec<String> {
        let text = |id: ReplicaId| {
            let own = self.known(id, id);
            format!("{id} {}:{}{}", own.phase, own.pair, if own.change { "!" } else { "" })
        };
        self.ids().map(text).collect()
    }

    /// All but one take part in the ballot.
    pub(crate) fn others_vote(&self, out: u16) {
        let others = self.correct().into_iter().filter(|id| id.0 != out);
        others.for_each(|id| assert!(self.engines[id.index()].status().active, "{id}"));
    }

    /// Gives one transaction to all, and counts the rounds until all correct replicas executed it.
    pub(crate) fn executes_one(&mut self, bound: u32) {
        let transaction = Transaction::sign(CHAIN, &key(99), u64::from(self.rounds) + 1, vec![7]);
        for id in self.ids() {
            self.input(id, Input::Submitted { transactions: vec![transaction.clone()] });
        }
        let begin = self.rounds;
        let before = self.executed.clone();
        while self.correct().iter().any(|id| self.executed[id.index()] == before[id.index()]) {
            let rounds = self.rounds - begin;
            assert!(rounds < bound, "nothing executed after {rounds}: {:?}", self.places());
            self.round();
        }
    }
}
