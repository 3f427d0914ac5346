//! Arbitrary values of what stands alone: numbers with a meaning, blocks, transactions, votes.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Attestation, Ballot, Block, Demand, Hash, Header, Height, MonitorReport, PublicKey, ReplicaId,
    SignerSet, SlotLine, Statement, Summary, Transaction, VStatus, View, Vote, VoteKind, limits,
};

use super::{Garbage, Values};

impl Garbage<'_> {
    /// Whether to use a real value as it is.
    pub(crate) fn real(&mut self) -> bool {
        self.values() == Values::Replayed || self.chance(45)
    }

    pub(crate) fn height(&mut self) -> Height {
        let known = self.pick(&self.dictionary.certified).map(|c| c.certificate.height.0);
        let near = [known.unwrap_or(0), self.dictionary.certified.len() as u64];
        Height(self.number(&near))
    }

    pub(crate) fn view(&mut self) -> View {
        let known = self.pick(&self.dictionary.proofs).map_or(0, |proof| proof.shows().0.0);
        View(self.number(&[known, 0, self.replicas as u64]))
    }

    pub(crate) fn ballot(&mut self) -> Ballot {
        let dictionary = self.dictionary;
        if dictionary.places.is_empty() {
            return Ballot::of_view(self.view());
        }
        // Under the paper's views a ballot is no view: what the history voted in is in its reports.
        let known = self.pick(&dictionary.reports).map_or(0, |report| report.ballot.0);
        Ballot(self.number(&[known, 0, self.replicas as u64]))
    }

    pub(crate) fn kind(&mut self) -> VoteKind {
        if self.flag() { VoteKind::Commit } else { VoteKind::Prepare }
    }

    /// A set of replicas, most often of a size near one of the vote counts.
    pub(crate) fn signers(&mut self) -> SignerSet {
        match self.values() {
            Values::Largest => return SignerSet(u64::MAX),
            Values::Zero => return SignerSet::EMPTY,
            Values::Mixed if self.chance(5) => return SignerSet(self.next()),
            Values::Mixed | Values::Replayed | Values::Below(_) => {}
        }
        let faulty = self.replicas.saturating_sub(1) / 3;
        let size = self.replicas.saturating_sub(self.below(2 * faulty as u64 + 2) as usize);
        let first = self.below(self.replicas as u64) as usize;
        let ids = (first..first.saturating_add(size)).map(|id| id.checked_rem(self.replicas));
        ids.flatten().map(|id| ReplicaId(id as u16)).collect()
    }

    pub(crate) fn client(&mut self) -> PublicKey {
        let dictionary = self.dictionary;
        match self.pick(&dictionary.transactions) {
            Some(transaction) if self.real() || self.chance(60) => transaction.client,
            Some(_) | None => PublicKey([self.below(4) as u8; 32]),
        }
    }

    pub(crate) fn nonce(&mut self) -> u64 {
        let known = self.pick(&self.dictionary.transactions).map_or(0, |t| t.nonce);
        self.number(&[known])
    }

    pub(crate) fn transaction(&mut self) -> Transaction {
        let dictionary = self.dictionary;
        let mut transaction = match self.pick(&dictionary.transactions) {
            Some(known) if self.real() => return known.clone(),
            Some(known) if self.chance(60) => known.clone(),
            Some(_) | None => Transaction {
                client: self.client(),
                nonce: self.nonce(),
                operation: vec![7; self.below(9) as usize],
                signature: self.signature(),
            },
        };
        match self.below(4) {
            0 => transaction.client = self.client(),
            1 => transaction.nonce = self.nonce(),
            2 => transaction.operation.push(1),
            _ => transaction.signature = self.signature(),
        }
        transaction
    }

    pub(crate) fn header(&mut self) -> Header {
        let dictionary = self.dictionary;
        let mut header = match self.pick(&dictionary.blocks) {
            Some(known) if self.real() => return known.header.clone(),
            Some(known) => known.header.clone(),
            None => Header {
                chain: daruma_types::ChainId(self.hash()),
                height: self.height(),
                parent: self.hash(),
                transactions_root: self.hash(),
                proposer: self.replica(),
                timestamp_ms: self.time_ms(),
                count: self.small_number(&[1]),
                bytes: self.small_number(&[100]),
            },
        };
        match self.below(7) {
            0 => header.chain = daruma_types::ChainId(self.hash()),
            1 => header.height = self.height(),
            2 => header.parent = self.hash(),
            3 => header.transactions_root = self.hash(),
            4 => header.proposer = self.replica(),
            5 => header.timestamp_ms = self.time_ms(),
            _ => header.bytes = self.small_number(&[100]),
        }
        header
    }

    pub(crate) fn time_ms(&mut self) -> u64 {
        let known = self.pick(&self.dictionary.blocks).map_or(0, |block| block.header.timestamp_ms);
        self.number(&[known, known.saturating_add(1 << 40)])
    }

    pub(crate) fn block(&mut self) -> Arc<Block> {
        let dictionary = self.dictionary;
        match self.pick(&dictionary.blocks) {
            Some(known) if self.real() || self.chance(40) => Arc::clone(known),
            // Not above a cut-off chain only: also made up, on a real parent.
            Some(known) if self.chance(60) => {
                let mut block = Block::clone(known);
                match self.below(3) {
                    0 => block.header = self.header(),
                    1 => block.transactions.push(self.transaction()),
                    _ => block.transactions.clear(),
                }
                Arc::new(block)
            }
            Some(_) | None => {
                let transactions: Vec<_> = (0..self.below(3)).map(|_| self.transaction()).collect();
                let (height, parent) = (self.height(), self.hash());
                let chain = dictionary.blocks.first().map_or_else(
                    || daruma_types::ChainId(Hash::default()),
                    |block| block.header.chain,
                );
                let (proposer, time_ms) = (self.replica(), self.time_ms());
                Arc::new(Block::build(chain, height, parent, proposer, time_ms, transactions))
            }
        }
    }

    /// A block that a correct replica could accept above one of the chain's blocks.
    pub(crate) fn fitting_block(&mut self) -> Arc<Block> {
        let dictionary = self.dictionary;
        let Some(parent) = self.pick(&dictionary.certified) else { return self.block() };
        let transactions: Vec<_> = (0..=self.below(2)).map(|_| self.transaction()).collect();
        let header = &parent.block.header;
        let time_ms = if self.chance(70) { header.timestamp_ms } else { self.time_ms() };
        let (height, hash) = (header.height.next(), parent.certificate.hash);
        let proposer = self.replica();
        Arc::new(Block::build(header.chain, height, hash, proposer, time_ms, transactions))
    }

    pub(crate) fn statement(&mut self) -> Statement {
        let dictionary = self.dictionary;
        let mut statement = match self.pick(&dictionary.statements) {
            Some(known) if self.real() => return *known,
            Some(known) => *known,
            None => Statement {
                height: self.height(),
                block: self.hash(),
                state_root: self.hash(),
                receipts_root: self.hash(),
            },
        };
        match self.below(4) {
            0 => statement.height = self.height(),
            1 => statement.block = self.hash(),
            2 => statement.state_root = self.hash(),
            _ => statement.receipts_root = self.hash(),
        }
        statement
    }

    pub(crate) fn attestation(&mut self, of: ReplicaId) -> Attestation {
        let dictionary = self.dictionary;
        let mut attestation = match self.pick(&dictionary.attestations) {
            Some(known) if self.real() => return *known,
            Some(known) => *known,
            None => Attestation {
                statement: self.statement(),
                replica: of,
                signature: self.signature(),
            },
        };
        match self.below(3) {
            0 => attestation.statement = self.statement(),
            1 => attestation.replica = of,
            _ => attestation.signature = self.signature(),
        }
        attestation
    }

    pub(crate) fn demand(&mut self, of: ReplicaId) -> Demand {
        let dictionary = self.dictionary;
        let known = dictionary.demands.iter().filter(|(from, _)| *from == of).count() as u64;
        let at = self.below(known.max(1)) as usize;
        match dictionary.demands.iter().filter(|(from, _)| *from == of).nth(at) {
            Some((_, known)) if self.real() => known.clone(),
            Some(_) | None => Demand { view: self.view(), signature: self.signature() },
        }
    }

    /// A vote, if possible truly `of`'s.
    pub(crate) fn vote(&mut self, of: ReplicaId) -> Vote {
        let dictionary = self.dictionary;
        let own = || dictionary.votes.iter().filter(|(voter, _)| *voter == of);
        let at = self.below((own().count() as u64).max(1)) as usize;
        let mut vote = match own().nth(at) {
            Some((_, known)) if self.real() => return known.clone(),
            Some((_, known)) => known.clone(),
            None => Vote {
                kind: self.kind(),
                ballot: self.ballot(),
                height: self.height(),
                hash: self.hash(),
                signature: self.signature(),
            },
        };
        match self.below(5) {
            0 => vote.kind = self.kind(),
            1 => vote.ballot = self.ballot(),
            2 => vote.height = self.height(),
            3 => vote.hash = self.hash(),
            _ => vote.signature = self.signature(),
        }
        vote
    }

    pub(crate) fn status(&mut self) -> VStatus {
        match self.number(&[0, 1, 2]) {
            0 => VStatus::Ok,
            1 => VStatus::NoService,
            _ => VStatus::VChange,
        }
    }

    pub(crate) fn summary(&mut self) -> Summary {
        let dictionary = self.dictionary;
        if let Some(known) = self.pick(&dictionary.summaries)
            && self.real()
        {
            return known.clone();
        }
        let lines = self.size(limits::WINDOW_MAX);
        Summary {
            view: self.view(),
            phase: self.small_number(&[0, 1]) as u8,
            reports: self.signers(),
            ballot: self.ballot(),
            active: self.flag(),
            head: self.height(),
            head_hash: self.hash(),
            executed: self.height(),
            state_root: self.hash(),
            attested: self.height(),
            prepared: self.maybe(|g| Some((g.ballot(), g.height()))),
            slots: (0..lines)
                .map(|_| SlotLine {
                    height: self.height(),
                    short: self.small_number(&[0]),
                    accepted: self.flag(),
                    prepares: self.signers(),
                    commits: self.signers(),
                })
                .collect(),
            monitor: MonitorReport {
                status: self.status(),
                suspects: self.flag(),
                demands: self.signers(),
            },
        }
    }
}
