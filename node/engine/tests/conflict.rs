//! Two certified chains, made with all the keys: when a replica leaves its own, and when nothing can make
//! it. One engine; its peers' words are written here, and its ledger's answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::sync::Arc;

use daruma_engine::{
    AdmissionContext, ChainLimits, Context, Destination, Effect, Engine, EngineHead, Input,
    LocalLimits, Observation, admit,
};
use daruma_types::{
    Adoption, Ballot, Block, Certificate, CertifiedBlock, ChainId, Committee, Ed25519, Hash,
    HeadClaim, Height, Message, MonitorReport, PublicKey, RecoveredJournal, Replica, ReplicaId,
    SecretKey, Signer, SignerSet, Statement, Summary, Transaction, TransactionError, VStatus,
    Verifier, View, Vote, VoteKind,
};

const CHAIN: ChainId = ChainId(Hash([9; 32]));
const LIMITS: ChainLimits = ChainLimits {
    operation_bytes_max: 1024,
    block_bytes_max: 64 * 1024,
    block_transactions_max: 8,
    window: 8,
};

fn key(i: u16) -> SecretKey {
    SecretKey::from_bytes(&[i as u8 + 1; 32])
}

fn committee() -> Arc<Committee> {
    let replica = |i| Replica { name: format!("r{i}"), key: key(i).public_key() };
    Arc::new(Committee::new(CHAIN, 1, (0..4).map(replica).collect()).unwrap())
}

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

/// `length` certified blocks: those up to `fork` are the same for all `branch`es.
fn chain(length: u64, fork: u64, branch: u64) -> Vec<CertifiedBlock> {
    let mut parent = CHAIN.0;
    (1..=length)
        .map(|at| {
            let (height, salt) = (Height(at), if at > fork { branch } else { 0 });
            let transaction = Transaction::sign(CHAIN, &key(50), 10 * at + salt, vec![1]);
            let block = Block::build(CHAIN, height, parent, ReplicaId(0), at, vec![transaction]);
            parent = block.hash();
            let (kind, ballot, hash) = (VoteKind::Commit, Ballot(0), parent);
            let sign = |i| Vote::sign(kind, CHAIN, ballot, height, hash, &key(i)).signature;
            let signatures = (0..3).map(sign).collect();
            let signers = (0..3).map(ReplicaId).collect();
            let certificate = Certificate { kind, ballot, height, hash, signers, signatures };
            CertifiedBlock { block: Arc::new(block), certificate }
        })
        .collect()
}

fn statement(block: &CertifiedBlock) -> Statement {
    let (height, block) = (block.certificate.height, block.certificate.hash);
    Statement { height, block, state_root: block, receipts_root: Hash::default() }
}

/// A peer that stands at the end of `chain`.
fn summary(chain: &[CertifiedBlock]) -> Summary {
    let head = chain.last().map(statement).unwrap();
    Summary {
        view: View(0),
        phase: 0,
        reports: SignerSet::EMPTY,
        ballot: Ballot(0),
        active: true,
        head: head.height,
        head_hash: head.block,
        executed: head.height,
        state_root: head.state_root,
        attested: head.height,
        prepared: None,
        slots: Vec::new(),
        monitor: MonitorReport { status: VStatus::Ok, suspects: false, demands: SignerSet::EMPTY },
    }
}

/// What an engine asked for while it was watched.
#[derive(Debug, Default)]
struct Asked {
    fetches: Vec<(ReplicaId, Height, u32)>,
    adoptions: Vec<(Vec<CertifiedBlock>, bool)>,
    forked: usize,
}

struct Story {
    door: Door,
    engine: Engine,
    /// The chain of each peer, from 1.
    peers: Vec<Vec<CertifiedBlock>>,
}

impl Story {
    /// Replica 0 on `own`, the others on theirs.
    fn new(own: &[CertifiedBlock], peers: [&[CertifiedBlock]; 3]) -> Self {
        let context = Context {
            committee: committee(),
            own: ReplicaId(0),
            signer: Arc::new(key(0)),
            verifier: Arc::new(Ed25519),
            chain: LIMITS,
            local: LocalLimits::default(),
        };
        let last = own.last().unwrap();
        let (height, hash) = (last.certificate.height, last.certificate.hash);
        let head = EngineHead {
            claim: HeadClaim { height, hash, certificate: Some(last.certificate.clone()) },
            timestamp_ms: height.0,
            statement: statement(last),
            recent: own.iter().map(statement).collect(),
        };
        let (engine, _) = Engine::new(context, head, RecoveredJournal::default());
        Self { door: Door(committee()), engine, peers: peers.map(<[_]>::to_vec).into() }
    }

    fn input(&mut self, input: Input, asked: &mut Asked) {
        for effect in self.engine.step(input) {
            if let Effect::Adopt { blocks, tie } = effect {
                asked.adoptions.push((blocks, tie));
            } else if let Effect::Send { to: Destination::One(to), message } = effect {
                if let Message::Fetch { from, count } = message {
                    asked.fetches.push((to, from, count));
                }
            } else if let Effect::Observed(Observation::Forked { .. }) = effect {
                asked.forked += 1;
            }
        }
    }

    fn receive(&mut self, from: u16, message: Message, asked: &mut Asked) {
        let from = ReplicaId(from);
        let message = admit(from, message, &self.door).unwrap();
        self.input(Input::Received { from, message }, asked);
    }

    /// Summaries of all peers, a tick, and the peers' answers; `honest` peers only serve what they say.
    fn round(&mut self, silent: &[u16]) -> Asked {
        let mut asked = Asked::default();
        for peer in (1..=3).filter(|peer| !silent.contains(peer)) {
            let summary = summary(&self.peers[usize::from(peer) - 1]);
            self.receive(peer, Message::Summary(summary), &mut asked);
        }
        self.input(Input::Tick { now_ms: 1 }, &mut asked);
        for (peer, from, count) in core::mem::take(&mut asked.fetches) {
            let blocks = self.peers[peer.index() - 1].iter();
            let wanted = blocks.skip_while(|block| block.certificate.height < from);
            let answer = wanted.take(count as usize).cloned().collect();
            self.receive(peer.0, Message::Blocks(answer), &mut asked);
            asked.fetches.push((peer, from, count));
        }
        asked
    }

    fn rounds(&mut self, count: usize) -> Asked {
        let mut all = Asked::default();
        for _ in 0..count {
            let asked = self.round(&[]);
            all.fetches.extend(asked.fetches);
            all.adoptions.extend(asked.adoptions);
            all.forked += asked.forked;
        }
        all
    }

    /// The first blocks that the ledger is to compare.
    fn adoption(&mut self) -> (Vec<CertifiedBlock>, bool) {
        (0..60).find_map(|_| self.round(&[]).adoptions.into_iter().next()).unwrap()
    }
}

#[test]
fn a_replica_alone_on_its_branch_gives_the_others_to_its_ledger() {
    let (own, other) = (chain(5, 2, 1), chain(6, 2, 2));
    let mut story = Story::new(&own, [&other, &other, &other]);
    let (blocks, tie) = story.adoption();
    assert!(!tie);
    assert!(blocks.iter().all(|block| other.contains(block)));
    // Further and further down, until the fork is among them.
    let mut first = blocks[0].certificate.height;
    while first > Height(3) {
        story.input(Input::Adoption(Adoption::Below { from: first }), &mut Asked::default());
        let next = story.adoption().0[0].certificate.height;
        assert!(next < first);
        first = next;
    }
    assert!(first <= Height(3), "the block above the fork is compared");
}

#[test]
fn a_replica_with_the_larger_side_stays_whatever_the_smaller_shows() {
    let (own, other) = (chain(5, 2, 1), chain(5, 2, 2));
    let mut story = Story::new(&own, [&own, &own, &other]);
    let asked = story.rounds(60);
    assert_eq!(asked.forked, 1, "the evidence is seen");
    assert!(asked.adoptions.is_empty());
}

#[test]
fn with_two_on_each_side_the_ledger_decides_by_rank_once_until_support_changes() {
    let (own, other) = (chain(5, 2, 1), chain(5, 2, 2));
    let mut story = Story::new(&own, [&own, &other, &other]);
    assert!(story.adoption().1, "a tie");
    story.input(Input::Adoption(Adoption::Kept), &mut Asked::default());
    assert!(story.rounds(100).adoptions.is_empty());
    story.peers[0] = other;
    assert!(!story.adoption().1, "three are more than one");
}

#[test]
fn summaries_that_no_certificate_bears_out_move_nobody() {
    let own = chain(5, 2, 1);
    let mut story = Story::new(&own, [&own, &own, &own]);
    // All three lie about their head; what they serve is the one certified chain.
    let mut lie = summary(&own);
    lie.head_hash = Hash([66; 32]);
    for _ in 0..100 {
        let mut asked = Asked::default();
        for peer in 1..=3 {
            story.receive(peer, Message::Summary(lie.clone()), &mut asked);
        }
        story.input(Input::Tick { now_ms: 1 }, &mut asked);
        for (peer, from, count) in core::mem::take(&mut asked.fetches) {
            assert_eq!((from, count), (Height(5), 1), "the proof of what it says");
            let answer = Message::Blocks(vec![own[4].clone()]);
            story.receive(peer.0, answer, &mut asked);
        }
        assert!(asked.adoptions.is_empty() && asked.forked == 0);
    }
}

#[test]
fn nothing_is_decided_before_n_minus_f_are_counted() {
    let (own, other) = (chain(6, 2, 1), chain(6, 2, 2));
    let mut story = Story::new(&own, [&other, &other, &other]);
    for _ in 0..60 {
        let asked = story.round(&[2, 3]);
        assert!(asked.adoptions.is_empty(), "one on each side, and two unheard");
    }
    assert!(!story.adoption().1);
}

#[test]
fn a_memory_that_is_wrong_about_its_own_chain_is_set_right_by_the_ledger() {
    // The engine believes to be on a branch that its ledger does not have.
    let (believed, true_chain) = (chain(5, 2, 1), chain(5, 2, 2));
    let mut story = Story::new(&believed, [&true_chain, &true_chain, &true_chain]);
    story.adoption();
    let to = Height(5);
    story.input(Input::Adoption(Adoption::Same { to }), &mut Asked::default());
    let last = true_chain.last().unwrap();
    let (height, hash) = (last.certificate.height, last.certificate.hash);
    let claim = HeadClaim { height, hash, certificate: Some(last.certificate.clone()) };
    let recent = true_chain.iter().map(statement).collect();
    let head = EngineHead { claim, timestamp_ms: 5, statement: statement(last), recent };
    story.input(Input::Ledger { head, floor: Ballot(0) }, &mut Asked::default());
    assert!(story.rounds(60).adoptions.is_empty());
}
