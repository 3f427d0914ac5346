//! What the door lets in and what it refuses: for every signed kind of message, a changed byte, another
//! chain and another sender.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should say where; it looks at some kinds of messages only"
)]

use std::sync::Arc;

use daruma_engine::{AdmissionContext, ChainLimits, Refusal, admit};
use daruma_types::{
    Attestation, Ballot, Block, Certificate, CertifiedBlock, ChainId, Checkpoint, Committee,
    Demand, Ed25519, EnterCertificate, Hash, HeadClaim, Height, LeaveCertificate, Message, NewView,
    PrePrepare, PublicKey, Replica, ReplicaId, Report, SecretKey, Signer, SignerSet,
    StateCertificate, Statement, Transaction, TransactionError, Verifier, View, Vote, VoteKind,
    codec,
};

const LIMITS: ChainLimits = ChainLimits {
    operation_bytes_max: 64,
    block_bytes_max: 4096,
    block_transactions_max: 4,
    window: 4,
};

struct Door(Committee);

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

fn key(replica: u16) -> SecretKey {
    SecretKey::from_bytes(&[replica as u8 + 1; 32])
}

fn door(chain: u8) -> Door {
    let replica = |i| Replica { name: format!("r{i}"), key: key(i).public_key() };
    let chain = ChainId(Hash([chain; 32]));
    Door(Committee::new(chain, 1, (0..4).map(replica).collect()).unwrap())
}

/// A quorum's signatures on what `content` gives for each.
fn quorum<T>(make: impl Fn(&SecretKey, ReplicaId) -> T) -> (SignerSet, Vec<T>) {
    let ids = [ReplicaId(0), ReplicaId(1), ReplicaId(3)];
    (ids.into_iter().collect(), ids.into_iter().map(|id| make(&key(id.0), id)).collect())
}

/// One valid message of every signed kind, as replica 1, the primary of view 1, would send it.
fn messages(chain: ChainId) -> Vec<Message> {
    let client = SecretKey::from_bytes(&[99; 32]);
    let transaction = Transaction::sign(chain, &client, 7, vec![1, 2, 3]);
    let block = Arc::new(Block::build(
        chain,
        Height(1),
        chain.0,
        ReplicaId(1),
        5,
        vec![transaction.clone()],
    ));
    let (height, hash) = (Height(1), block.hash());
    let certificate = |kind, ballot| {
        let sign = |key: &SecretKey, _| Vote::sign(kind, chain, ballot, height, hash, key);
        let (signers, votes) = quorum(sign);
        let signatures = votes.iter().map(|vote| vote.signature).collect();
        Certificate { kind, ballot, height, hash, signers, signatures }
    };
    let prepared = certificate(VoteKind::Prepare, Ballot(0));
    let committed = certificate(VoteKind::Commit, Ballot(1));
    let (signers, signatures) = quorum(|key, _| Demand::sign(chain, View(0), key).signature);
    let leave = LeaveCertificate { view: View(0), signers, signatures };
    let (signers, reports) = quorum(|key, id| {
        let head = HeadClaim::genesis(chain);
        Report::sign(chain, id, Ballot(1), head, Some(prepared.clone()), key)
    });
    let entries = reports.iter().map(Report::entry).collect();
    let statement =
        Statement { height, block: hash, state_root: Hash([3; 32]), receipts_root: Hash([4; 32]) };
    let (attesting, attestations) =
        quorum(|key, id| Attestation::sign(statement, id, chain, key).signature);
    let attested = StateCertificate { statement, signers: attesting, signatures: attestations };
    let checkpoint = Checkpoint {
        header: block.header.clone(),
        certificate: committed.clone(),
        state: attested.clone(),
    };
    let headers = vec![block.header.clone()];
    let vote = Vote::sign(VoteKind::Prepare, chain, Ballot(1), height, hash, &key(1));
    vec![
        Message::Demand(Demand::sign(chain, View(1), &key(1))),
        Message::Leave(leave),
        Message::Report(reports[1].clone()),
        Message::Enter(EnterCertificate { view: View(1), signers, entries }),
        Message::NewView(NewView::sign(chain, Ballot(1), reports, headers, &key(1))),
        Message::PrePrepare(PrePrepare {
            ballot: Ballot(1),
            block: block.clone(),
            signature: vote.signature,
        }),
        Message::Vote(vote),
        Message::Certificate(prepared),
        Message::Blocks(vec![CertifiedBlock { block, certificate: committed }]),
        Message::Attestation(Attestation::sign(statement, ReplicaId(1), chain, &key(1))),
        Message::StateCertificates(vec![attested]),
        Message::Transactions(vec![transaction]),
        Message::SnapshotOffer(Box::new(checkpoint)),
    ]
}

#[test]
fn what_a_correct_replica_sends_is_let_in() {
    let door = door(9);
    for message in messages(door.0.chain()) {
        let name = message.name();
        let admitted = admit(ReplicaId(1), message.clone(), &door);
        assert_eq!(admitted.unwrap_or_else(|r| panic!("{name}: {r}")).message(), &message);
    }
}

#[test]
fn a_changed_bit_in_any_byte_of_a_signed_message_is_refused() {
    let door = door(9);
    for message in messages(door.0.chain()) {
        let bytes = codec::encode(&message);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            if let Ok(decoded) = codec::decode::<Message>(&changed) {
                let refused = admit(ReplicaId(1), decoded, &door).is_err();
                assert!(refused, "{} with byte {at} changed", message.name());
            }
        }
    }
}

#[test]
fn a_message_of_another_chain_is_refused() {
    let other = door(8);
    for message in messages(door(9).0.chain()) {
        let name = message.name();
        assert!(admit(ReplicaId(1), message, &other).is_err(), "{name}");
    }
}

#[test]
fn nobody_speaks_in_anothers_name_and_strangers_not_at_all() {
    let door = door(9);
    for message in messages(door.0.chain()) {
        let own_word = matches!(
            message,
            Message::Demand(_) | Message::Report(_) | Message::Vote(_) | Message::Attestation(_)
        );
        let name = message.name();
        let passed_on = admit(ReplicaId(2), message.clone(), &door);
        assert_eq!(passed_on.is_err(), own_word, "{name}");
        let stranger = admit(ReplicaId(4), message, &door);
        assert_eq!(stranger, Err(Refusal::UnknownReplica(ReplicaId(4))), "{name}");
    }
}

#[test]
fn two_signers_of_four_are_no_certificate() {
    let door = door(9);
    for message in messages(door.0.chain()) {
        let name = message.name();
        let fewer = match message {
            Message::Leave(mut c) => {
                c.signers = [ReplicaId(0), ReplicaId(1)].into_iter().collect();
                c.signatures.truncate(2);
                Message::Leave(c)
            }
            Message::Enter(mut c) => {
                c.signers = [ReplicaId(0), ReplicaId(1)].into_iter().collect();
                c.entries.truncate(2);
                Message::Enter(c)
            }
            Message::Certificate(mut c) => {
                c.signers = [ReplicaId(0), ReplicaId(1)].into_iter().collect();
                c.signatures.truncate(2);
                Message::Certificate(c)
            }
            Message::NewView(new_view) => {
                let reports = new_view.reports[..2].to_vec();
                let chain = door.0.chain();
                let headers = new_view.headers;
                Message::NewView(NewView::sign(chain, Ballot(1), reports, headers, &key(1)))
            }
            _ => continue,
        };
        assert!(admit(ReplicaId(1), fewer, &door).is_err(), "{name}");
    }
}

#[test]
fn a_primary_cannot_propose_what_no_client_signed() {
    let door = door(9);
    let chain = door.0.chain();
    let signed = Transaction::sign(chain, &SecretKey::from_bytes(&[99; 32]), 7, vec![1]);
    let mut forged = signed.clone();
    forged.nonce = 8;
    for (transaction, good) in [(signed, true), (forged, false)] {
        let block = Block::build(chain, Height(1), chain.0, ReplicaId(1), 5, vec![transaction]);
        let (ballot, hash) = (Ballot(1), block.hash());
        let vote = Vote::sign(VoteKind::Prepare, chain, ballot, Height(1), hash, &key(1));
        let (block, signature) = (Arc::new(block), vote.signature);
        let proposal = Message::PrePrepare(PrePrepare { ballot, block, signature });
        assert_eq!(admit(ReplicaId(1), proposal, &door).is_ok(), good);
    }
}
