//! The engine's properties on a small cluster with a perfect network: every message arrives, in
//! order. Faults of all kinds are the simulator's; here each story fits on a screen.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::VecDeque;
use std::sync::Arc;

use daruma_engine::{
    AdmissionContext, ChainLimits, Context, Destination, Effect, Engine, EngineHead, Input,
    LocalLimits, Observation, admit,
};
use daruma_types::{
    ChainId, Committee, Ed25519, Hash, HashContext, HeadClaim, Height, Message, PublicKey,
    RecoveredJournal, Replica, ReplicaId, SecretKey, Signer, Statement, Transaction,
    TransactionError, Verifier, Vote, VoteKind,
};

const LIMITS: ChainLimits = ChainLimits {
    operation_bytes_max: 1024,
    block_bytes_max: 64 * 1024,
    block_transactions_max: 8,
    window: 8,
};

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
        transaction.verify(self.0.chain(), LIMITS.operation_bytes_max, &Ed25519)
    }
    fn last_nonce(&self, _: &PublicKey) -> Option<u64> {
        None
    }
}

/// A replica's chain of executed blocks: hash of each block, and the transactions in it.
#[derive(Default, Clone, PartialEq, Debug)]
struct Chain(Vec<(Hash, Vec<(PublicKey, u64)>)>);

struct Cluster {
    door: Door,
    engines: Vec<Engine>,
    chains: Vec<Chain>,
    silent: Vec<bool>,
    wire: VecDeque<(ReplicaId, ReplicaId, Message)>,
    observations: Vec<(ReplicaId, Observation)>,
    attested: Vec<Height>,
    /// Messages that are lost on the way.
    lost: fn(&Message) -> bool,
    contexts: Vec<Context>,
    /// What each ledger holds: its head, and what its blocks came to.
    heads: Vec<HeadClaim>,
    statements: Vec<Vec<Statement>>,
    /// Prepares sent in later ballots than 0: ballot and height.
    later_prepares: Vec<(u64, u64)>,
}

impl Cluster {
    fn new(n: u8, f: usize) -> Self {
        let key = |i: u8| SecretKey::from_bytes(&[i + 1; 32]);
        let replicas = (0..n).map(|i| Replica { name: format!("r{i}"), key: key(i).public_key() });
        let chain = ChainId(Hash([9; 32]));
        let committee = Arc::new(Committee::new(chain, f, replicas.collect()).unwrap());
        let mut cluster = Self {
            door: Door(committee.clone()),
            engines: Vec::new(),
            chains: vec![Chain::default(); n.into()],
            silent: vec![false; n.into()],
            wire: VecDeque::new(),
            observations: Vec::new(),
            attested: vec![Height(0); n.into()],
            lost: |_| false,
            contexts: Vec::new(),
            heads: vec![HeadClaim::genesis(chain); n.into()],
            statements: vec![Vec::new(); n.into()],
            later_prepares: Vec::new(),
        };
        for i in 0..n {
            let context = Context {
                committee: committee.clone(),
                own: ReplicaId(i.into()),
                signer: Arc::new(key(i)),
                verifier: Arc::new(Ed25519),
                chain: LIMITS,
                local: LocalLimits::default(),
            };
            let head = EngineHead {
                claim: HeadClaim::genesis(chain),
                timestamp_ms: 0,
                statement: Statement {
                    height: Height(0),
                    block: chain.0,
                    state_root: Hash::default(),
                    receipts_root: Hash::default(),
                },
                recent: Vec::new(),
            };
            cluster.contexts.push(context.clone());
            let (engine, effects) = Engine::new(context, head, RecoveredJournal::default());
            cluster.engines.push(engine);
            cluster.perform(ReplicaId(i.into()), effects);
        }
        cluster
    }

    /// Every engine starts anew from what its ledger holds; memory and messages are gone.
    fn restart_all(&mut self) {
        self.wire.clear();
        for i in 0..self.engines.len() {
            let statement = self.statements[i].last().copied();
            let Some(statement) = statement else { continue };
            let head = EngineHead {
                claim: self.heads[i].clone(),
                timestamp_ms: 0,
                statement,
                recent: self.statements[i].clone(),
            };
            let context = self.contexts[i].clone();
            let (engine, effects) = Engine::new(context, head, RecoveredJournal::default());
            self.engines[i] = engine;
            self.perform(ReplicaId(i as u16), effects);
        }
    }

    fn input(&mut self, at: ReplicaId, input: Input) {
        let effects = self.engines[at.index()].step(input);
        self.perform(at, effects);
    }

    fn perform(&mut self, at: ReplicaId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Promise { then, .. } => {
                    for (to, message) in then {
                        self.send(at, to, message);
                    }
                }
                Effect::Send { to, message } => self.send(at, to, message),
                Effect::Execute(certified) => {
                    let block = &certified.block;
                    let done = block.transactions.iter().map(|t| (t.client, t.nonce)).collect();
                    self.chains[at.index()].0.push((block.hash(), done));
                    let statement = Statement {
                        height: block.header.height,
                        block: block.hash(),
                        state_root: Hash::of(HashContext::StateTree, &[&block.hash().0]),
                        receipts_root: Hash::default(),
                    };
                    self.statements[at.index()].push(statement);
                    self.heads[at.index()] = HeadClaim {
                        height: statement.height,
                        hash: statement.block,
                        certificate: Some(certified.certificate.clone()),
                    };
                    let nonces = block.transactions.iter().map(|t| (t.client, t.nonce)).collect();
                    self.input(at, Input::Executed { statement, nonces });
                }
                Effect::Attested(certificate) => {
                    self.attested[at.index()] = certificate.statement.height;
                }
                Effect::Observed(observation) => self.observations.push((at, observation)),
                Effect::Adopt { .. } => panic!("{at} would leave the only chain"),
                Effect::Mend(_) => panic!("no ledger misses a block"),
                Effect::ServeBlocks { .. } | Effect::Pooled(_) | Effect::LookUpNonces(_) => {}
            }
        }
    }

    fn send(&mut self, from: ReplicaId, to: Destination, message: Message) {
        let all = (0..self.chains.len()).map(|i| ReplicaId(i as u16));
        for peer in all.filter(|peer| *peer != from) {
            if to == Destination::All || to == Destination::One(peer) {
                self.wire.push_back((from, peer, message.clone()));
            }
        }
    }

    fn deliver_all(&mut self) {
        while let Some((from, to, message)) = self.wire.pop_front() {
            if self.silent[from.index()] || self.silent[to.index()] || (self.lost)(&message) {
                continue;
            }
            if let Message::Vote(Vote { kind: VoteKind::Prepare, ballot, height, .. }) = &message
                && ballot.0 > 0
            {
                self.later_prepares.push((ballot.0, height.0));
            }
            let name = message.name();
            let message = admit(from, message, &self.door)
                .unwrap_or_else(|refusal| panic!("{name} of a correct replica: {refusal}"));
            self.input(to, Input::Received { from, message });
        }
    }

    fn ticks(&mut self, count: usize) {
        for now in 0..count {
            for i in 0..self.engines.len() {
                if !self.silent[i] {
                    self.input(ReplicaId(i as u16), Input::Tick { now_ms: now as u64 });
                }
            }
            self.deliver_all();
        }
    }

    fn submit(&mut self, at: u16, client: u8, nonces: std::ops::RangeInclusive<u64>) {
        let key = SecretKey::from_bytes(&[100 + client; 32]);
        let chain = self.door.0.chain();
        let transactions =
            nonces.map(|nonce| Transaction::sign(chain, &key, nonce, vec![client])).collect();
        self.input(ReplicaId(at), Input::Submitted { transactions });
        self.deliver_all();
    }

    /// The chain that all replicas but the silent ones have; they must have the same.
    fn chain(&self) -> &Chain {
        let mut chains =
            self.chains.iter().zip(&self.silent).filter(|(_, silent)| !**silent).map(|(c, _)| c);
        let first = chains.next().unwrap();
        assert!(chains.all(|chain| chain == first), "{:?}", self.chains);
        first
    }

    fn executed(&self) -> usize {
        self.chain().0.iter().map(|(_, transactions)| transactions.len()).sum()
    }

    fn repairs(&self) -> Vec<&(ReplicaId, Observation)> {
        let repaired = |o: &&(ReplicaId, Observation)| matches!(o.1, Observation::Repaired(_));
        self.observations.iter().filter(repaired).collect()
    }
}

#[test]
fn a_transaction_is_executed_and_attested_without_waiting_for_a_tick() {
    for (n, f) in [(1, 0), (4, 1), (6, 1), (7, 2)] {
        let mut cluster = Cluster::new(n, f);
        cluster.deliver_all();
        cluster.submit(0, 1, 1..=1);
        assert_eq!(cluster.executed(), 1, "n={n}");
        assert!(cluster.attested.iter().all(|height| *height == Height(1)), "n={n}");
    }
}

#[test]
fn a_transaction_given_to_any_replica_is_executed_once_in_its_clients_order() {
    let mut cluster = Cluster::new(4, 1);
    cluster.submit(3, 1, 1..=20);
    cluster.submit(2, 2, 5..=6);
    cluster.ticks(10);
    assert_eq!(cluster.executed(), 22);
    assert_eq!(cluster.repairs(), Vec::<&_>::new());
}

#[test]
fn a_quiet_cluster_stays_in_its_view() {
    let mut cluster = Cluster::new(4, 1);
    cluster.ticks(500);
    assert!(cluster.engines.iter().all(|engine| engine.status().view.0 == 0));
    assert_eq!(cluster.repairs(), Vec::<&_>::new());
}

#[test]
fn a_silent_primary_is_replaced_and_what_waits_is_executed() {
    for (n, f) in [(4, 1), (6, 1), (7, 2)] {
        let mut cluster = Cluster::new(n, f);
        cluster.submit(1, 1, 1..=3);
        cluster.silent[0] = true;
        cluster.submit(1, 1, 4..=9);
        cluster.submit(2, 2, 1..=2);
        cluster.ticks(60);
        assert_eq!(cluster.executed(), 11, "n={n}");
        let views: Vec<u64> = cluster.engines[1..].iter().map(|e| e.status().view.0).collect();
        assert_eq!(views, vec![1; usize::from(n) - 1]);
        assert_eq!(cluster.repairs(), Vec::<&_>::new());
    }
}

#[test]
fn two_silent_primaries_in_a_row_are_replaced() {
    let mut cluster = Cluster::new(7, 2);
    cluster.silent[0] = true;
    cluster.silent[1] = true;
    cluster.submit(3, 1, 1..=5);
    cluster.ticks(200);
    assert_eq!(cluster.executed(), 5);
    assert_eq!(cluster.engines[2].status().view.0, 2);
}

#[test]
fn a_replica_that_was_away_is_brought_back_by_summaries_alone_while_blocks_are_in_flight() {
    let mut cluster = Cluster::new(4, 1);
    cluster.silent[3] = true;
    cluster.silent[2] = true;
    cluster.submit(0, 1, 1..=4);
    cluster.ticks(4);
    assert_eq!(cluster.chains[0].0.len(), 0);
    cluster.silent[2] = false;
    cluster.ticks(20);
    assert_eq!(cluster.chains[2].0, cluster.chains[0].0);
    assert!(!cluster.chains[0].0.is_empty());
}

#[test]
fn a_transaction_passed_on_after_its_execution_does_not_wait_for_ever() {
    let mut cluster = Cluster::new(4, 1);
    cluster.submit(0, 1, 1..=3);
    let key = SecretKey::from_bytes(&[101; 32]);
    let late = Transaction::sign(cluster.door.0.chain(), &key, 2, vec![1]);
    cluster.wire.push_back((ReplicaId(1), ReplicaId(0), Message::Transactions(vec![late])));
    cluster.deliver_all();
    assert_eq!(cluster.engines[0].status().pending, 0);
}

/// What makes the highest (ballot, height) safe to take over: see the replication module.
#[test]
fn after_a_view_change_the_tip_is_prepared_and_nothing_below_it() {
    let mut cluster = Cluster::new(4, 1);
    // Blocks are prepared and not committed: three full ones, the window's pipeline.
    cluster.lost =
        |message| matches!(message, Message::Vote(vote) if vote.kind == VoteKind::Commit);
    cluster.submit(0, 1, 1..=24);
    let prepared = cluster.engines[1].status().prepared.map(|(_, height)| height);
    assert_eq!(prepared, Some(Height(3)));
    cluster.silent[0] = true;
    cluster.lost = |message| {
        matches!(message, Message::Vote(vote) if vote.ballot.0 == 0)
            || matches!(message, Message::Certificate(_))
    };
    cluster.ticks(60);
    assert_eq!(cluster.executed(), 24);
    assert!(!cluster.later_prepares.is_empty());
    let below: Vec<_> = cluster.later_prepares.iter().filter(|(_, height)| *height < 3).collect();
    assert!(below.is_empty(), "{below:?}");
}

#[test]
fn replicas_that_all_stopped_before_they_attested_a_block_attest_it_when_they_start() {
    let mut cluster = Cluster::new(4, 1);
    cluster.lost = |message| matches!(message, Message::Attestation(_));
    cluster.submit(0, 1, 1..=1);
    assert_eq!(cluster.attested, [Height(0); 4]);
    cluster.restart_all();
    cluster.lost = |_| false;
    cluster.ticks(12);
    assert_eq!(cluster.attested, [Height(1); 4]);
}

#[test]
fn a_transaction_kept_from_the_primary_is_executed_and_nobody_suspects_it() {
    let mut cluster = Cluster::new(4, 1);
    let key = SecretKey::from_bytes(&[101; 32]);
    let hidden = Transaction::sign(cluster.door.0.chain(), &key, 2, vec![1]);
    // Replica 3 passes it on to replica 2 only.
    cluster.wire.push_back((ReplicaId(3), ReplicaId(2), Message::Transactions(vec![hidden])));
    cluster.ticks(100);
    assert_eq!(cluster.executed(), 1);
    assert!(cluster.engines.iter().all(|engine| engine.status().view.0 == 0));
}

#[test]
fn a_flood_of_tokens_does_not_make_time_pass_faster() {
    let mut cluster = Cluster::new(4, 1);
    for counter in 1..200 {
        for to in [0, 1, 2].map(ReplicaId) {
            cluster.wire.push_back((ReplicaId(3), to, Message::Token { counter }));
        }
    }
    cluster.ticks(10);
    assert!(cluster.engines.iter().all(|engine| engine.status().view.0 == 0));
}
