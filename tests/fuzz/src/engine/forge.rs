//! Turns steps into inputs: everything that three of four replicas and their clients can sign.

use std::sync::Arc;

use daruma_engine::Input;
use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Hash, HeadClaim, Header, Height, Lacks, Message,
    NewView, ReplicaId, Report, SignerSet, Statement, Transaction, View, VoteKind, Want,
};

use super::step::{LACKS, Near, Order, Pick, Step};
use super::world::World;
use crate::chain::{Chain, REPLICAS, chain};

/// Repetitions of one step.
const TIMES_MAX: u8 = 8;

/// Transactions of one step: more than a block may hold.
const ORDERS_MAX: usize = 6;

/// The one `back` places before the last, counted round and round.
fn from_last<T>(all: &[T], back: usize) -> Option<&T> {
    let back = back.checked_rem(all.len())?;
    all.iter().rev().nth(back)
}

impl World {
    /// Takes one step.
    pub(crate) fn act(&mut self, step: Step) {
        match step {
            Step::Tick { times } => (0..=times % TIMES_MAX).for_each(|_| self.tick()),
            Step::Tokens { times } => self.tokens(times),
            Step::LyingToken { from, counter, returned } => {
                let message = if returned {
                    Message::TokenReturn { counter }
                } else {
                    Message::Token { counter }
                };
                self.receive(self.peer(from), message);
            }
            Step::Unsigned { from, message } => self.receive(self.peer(from), *message),
            Step::Summary { from, near, mut summary } => {
                if near {
                    let own = self.replica.engine.status().summary;
                    let slots = core::mem::take(&mut summary.slots);
                    summary = daruma_types::Summary { slots, ..own };
                }
                self.receive(self.peer(from), Message::Summary(summary));
            }
            Step::Demand { from, view } => {
                let (from, view) = (self.peer(from), self.view(view));
                let signer = &chain().signers[from.index()];
                let demand = daruma_types::Demand::sign(chain().id(), view, signer.as_ref());
                self.receive(from, Message::Demand(demand));
            }
            Step::Leave { from, view, signers } => {
                let leave = chain().leave(self.view(view), self.signers(signers));
                self.receive(self.peer(from), Message::Leave(leave));
            }
            Step::Report { from, view, head, prepared } => {
                let from = self.peer(from);
                let (head, prepared) = (self.head(head), self.prepared_of(prepared));
                let report = chain().report(from, self.view(view), head, prepared);
                self.receive(from, Message::Report(report));
            }
            Step::Enter { from, view, prepared } => {
                let reports = self.reports(self.view(view), prepared, false);
                let enter = Chain::enter(self.view(view), &reports);
                self.receive(self.peer(from), Message::Enter(enter));
            }
            Step::NewView { from, view, prepared, with_own, headers } => {
                let reports = self.reports(self.view(view), prepared, with_own);
                self.new_view(self.peer(from), self.view(view), prepared, reports, headers);
            }
            Step::ViewChange { by, prepared } => self.change_view(by, prepared),
            Step::Propose { ballot, parent, orders, time } => {
                self.propose(ballot, parent, &orders, time);
            }
            Step::Vote { from, kind, ballot, block } => {
                if let Some(block) = self.block(block) {
                    let (from, ballot) = (self.peer(from), Ballot::of_view(self.view(ballot)));
                    self.vote(from, kind, ballot, &block);
                }
            }
            Step::Votes { kind, ballot, block } => {
                if let Some(block) = self.block(block) {
                    let ballot = Ballot::of_view(self.view(ballot));
                    for from in self.peers() {
                        self.vote(from, kind, ballot, &block);
                    }
                }
            }
            Step::Certificate { from, kind, ballot, block, signers } => {
                if let Some(block) = self.block(block) {
                    let ballot = Ballot::of_view(self.view(ballot));
                    let signers = self.signers(signers);
                    let certificate = self.certify(kind, ballot, &block, signers);
                    self.receive(self.peer(from), Message::Certificate(certificate));
                }
            }
            Step::Want { from, blocks } => {
                let named = blocks.into_iter().filter_map(|pick| self.block(pick));
                let mut blocks: Vec<(Height, Hash)> =
                    named.map(|block| (block.header.height, block.hash())).collect();
                blocks.sort_unstable();
                blocks.dedup();
                let message = match from & LACKS {
                    0 => Message::Want(Want { blocks }),
                    _ => Message::Lacks(Lacks { blocks, voted: None }),
                };
                self.receive(self.peer(from), message);
            }
            Step::Body { from, block } => {
                if let Some(block) = self.block(block) {
                    self.receive(self.peer(from), Message::Body(block));
                }
            }
            Step::Blocks { from, ballot, up_to, count } => self.blocks(from, ballot, up_to, count),
            Step::Attest { from, back, lie } => {
                if let Some(statement) = self.statement(back, lie) {
                    let from = self.peer(from);
                    let attestation = chain().attestation(from, statement);
                    self.receive(from, Message::Attestation(attestation));
                }
            }
            Step::StateCertificates { from, back, signers } => {
                if let Some(statement) = self.statement(back, false) {
                    let certificate = chain().state_certificate(statement, self.signers(signers));
                    let message = Message::StateCertificates(vec![certificate]);
                    self.receive(self.peer(from), message);
                }
            }
            Step::Transactions { from, orders } => {
                let transactions = self.transactions(&orders);
                self.receive(self.peer(from), Message::Transactions(transactions));
            }
            Step::Submit { orders } => self.submit(&orders),
            Step::Execute { times } => (0..=times % TIMES_MAX).for_each(|_| self.execute()),
            Step::PowerLoss { after } => self.power_left = Some(after % 16),
            Step::Restart => self.restart(None),
            Step::TellHead => self.tell_head(),
            Step::TellNonces => self.tell_nonces(),
            Step::Damage { journal } => {
                self.oracles.fault();
                self.restart(Some(*journal));
            }
            Step::Scramble { seed, scope, values } => self.scramble(seed, scope, values),
        }
    }

    fn peers(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        let own = self.replica.id;
        (0..REPLICAS).map(ReplicaId).filter(move |id| *id != own)
    }

    fn peer(&self, which: u8) -> ReplicaId {
        let offset = 1 + u16::from(which) % (REPLICAS - 1);
        ReplicaId((self.replica.id.0 + offset) % REPLICAS)
    }

    /// Those of a set that the fuzzer can sign for; all three for the empty set.
    fn signers(&self, set: SignerSet) -> SignerSet {
        let able: SignerSet = self.peers().filter(|id| set.contains(*id)).collect();
        if able.is_empty() { self.peers().collect() } else { able }
    }

    fn view(&self, near: Near) -> View {
        let own = self.replica.engine.status().view;
        match near {
            Near::Own => own,
            Near::Above(by) => own.plus(u64::from(by % 8)),
            Near::Below(by) => View(own.0.saturating_sub(u64::from(by % 8))),
            Near::At(view) => view,
        }
    }

    /// Naturally the lowest block in flight, else the last one known.
    fn block(&self, pick: Pick) -> Option<Arc<Block>> {
        let back = match pick {
            Pick::Natural => {
                let status = self.replica.engine.status();
                let slot = status.slots.iter().find(|slot| slot.accepted);
                let fits = |block: &&Arc<Block>| {
                    slot.is_some_and(|slot| {
                        (block.header.height, block.hash().short()) == (slot.height, slot.short)
                    })
                };
                if let Some(block) = self.blocks.iter().rev().find(fits) {
                    return Some(Arc::clone(block));
                }
                0
            }
            Pick::Back(back) => usize::from(back),
        };
        from_last(&self.blocks, back).cloned()
    }

    /// Naturally the ledger's own head.
    fn head(&self, pick: Pick) -> HeadClaim {
        let natural = self.replica.ledger.head().claim.clone();
        let Pick::Back(back) = pick else { return natural };
        let Some(block) = from_last(&self.committed, usize::from(back)) else { return natural };
        HeadClaim {
            height: block.certificate.height,
            hash: block.certificate.hash,
            certificate: Some(block.certificate.clone()),
        }
    }

    fn prepared_of(&self, pick: Option<Pick>) -> Option<Certificate> {
        let back = match pick? {
            Pick::Natural => 0,
            Pick::Back(back) => usize::from(back),
        };
        from_last(&self.prepared, back).cloned()
    }

    /// Reports of the three peers, or of two and the engine itself, in ascending order. One holds the
    /// prepared certificate.
    fn reports(&self, view: View, prepared: Option<Pick>, with_own: bool) -> Vec<Report> {
        let own = self
            .own_report
            .clone()
            .filter(|report| with_own && report.ballot == Ballot::of_view(view));
        let mut reports: Vec<Report> = self
            .peers()
            .skip(usize::from(own.is_some()))
            .enumerate()
            .map(|(index, by)| {
                let prepared = if index == 0 { self.prepared_of(prepared) } else { None };
                chain().report(by, view, self.head(Pick::Natural), prepared)
            })
            .chain(own)
            .collect();
        reports.sort_unstable_by_key(|report| report.replica);
        reports
    }

    fn new_view(
        &mut self,
        from: ReplicaId,
        view: View,
        prepared: Option<Pick>,
        reports: Vec<Report>,
        headers: u8,
    ) {
        let primary = chain().committee.thresholds().primary(view.0);
        if primary == self.replica.id {
            return;
        }
        let base = self.replica.ledger.head().claim.height;
        let mut between: Vec<Header> = Vec::new();
        let mut at = self.prepared_of(prepared).map(|certificate| certificate.hash);
        while let Some(block) = at.and_then(|hash| self.block_of(&hash)) {
            if block.header.height <= base || between.len() > 8 {
                break;
            }
            between.push(block.header.clone());
            at = Some(block.header.parent);
        }
        between.reverse();
        // Now and then one too few.
        between.truncate(between.len().saturating_sub(usize::from(headers >> 7)));
        let signer = &chain().signers[primary.index()];
        let ballot = Ballot::of_view(view);
        let message = NewView::sign(chain().id(), ballot, reports, between, signer.as_ref());
        self.receive(from, Message::NewView(message));
    }

    fn change_view(&mut self, by: u8, prepared: Option<Pick>) {
        let view = self.replica.engine.status().view.plus(1 + u64::from(by % 4));
        let from = self.peer(by);
        let leave = chain().leave(view.previous(), self.peers().collect());
        self.receive(from, Message::Leave(leave));
        for report in self.reports(view, prepared, false) {
            self.receive(report.replica, Message::Report(report));
        }
        let reports = self.reports(view, prepared, true);
        self.new_view(from, view, prepared, reports, 0);
    }

    /// A vote, or for the primary's prepare vote a proposal, is signed in `by`'s name.
    fn vote(&mut self, by: ReplicaId, kind: VoteKind, ballot: Ballot, block: &Block) {
        let (height, hash) = (block.header.height, block.hash());
        self.oracles.signed(by, (kind, ballot, height), hash);
        self.receive(by, Message::Vote(chain().vote(by, kind, ballot, height, hash)));
    }

    fn certify(
        &mut self,
        kind: VoteKind,
        ballot: Ballot,
        block: &Arc<Block>,
        signers: SignerSet,
    ) -> Certificate {
        let (height, hash) = (block.header.height, block.hash());
        for by in signers.iter() {
            self.oracles.signed(by, (kind, ballot, height), hash);
        }
        let certificate = chain().certificate(kind, ballot, height, hash, signers);
        if kind == VoteKind::Commit {
            let block = Arc::clone(block);
            self.committed.push(CertifiedBlock { block, certificate: certificate.clone() });
        }
        certificate
    }

    fn propose(&mut self, ballot: Near, parent: Pick, orders: &[Order], time: u8) {
        let ballot = Ballot::of_view(self.view(ballot));
        let primary = chain().committee.thresholds().primary(ballot.0);
        if primary == self.replica.id {
            return;
        }
        let status = self.replica.engine.status();
        let tip = status.slots.iter().rev().find(|slot| slot.accepted);
        let parent = match (parent, tip) {
            (Pick::Natural, Some(slot)) => self.blocks.iter().rev().find(|block| {
                (block.header.height, block.hash().short()) == (slot.height, slot.short)
            }),
            (Pick::Natural, None) => self.block_of(&status.head_hash),
            (Pick::Back(_), _) => None,
        }
        .cloned()
        .or_else(|| if let Pick::Back(_) = parent { self.block(parent) } else { None });
        let (height, hash, before_ms) = match &parent {
            Some(parent) => (parent.header.height, parent.hash(), parent.header.timestamp_ms),
            None => (status.head, status.head_hash, 0),
        };
        // Now and then before its parent's.
        let timestamp_ms = if time < 240 {
            before_ms.saturating_add(u64::from(time))
        } else {
            before_ms.saturating_sub(1)
        };
        let transactions = self.transactions(orders);
        let id = chain().id();
        let block = Block::build(id, height.next(), hash, primary, timestamp_ms, transactions);
        let block = Arc::new(block);
        self.oracles.signed(
            primary,
            (VoteKind::Prepare, ballot, block.header.height),
            block.hash(),
        );
        let proposal = chain().proposal(primary, ballot, block);
        self.receive(primary, Message::PrePrepare(proposal));
    }

    /// Committed blocks from above the ledger's head up to the one picked.
    fn blocks(&mut self, from: u8, ballot: Near, up_to: Pick, count: u8) {
        let ballot = Ballot::of_view(self.view(ballot));
        let base = self.replica.ledger.head().claim.height;
        let mut chain_down = Vec::new();
        let mut at = self.block(up_to);
        while let Some(block) = at.filter(|block| block.header.height > base) {
            let parent = block.header.parent;
            chain_down.push(block);
            at = self.block_of(&parent).cloned().filter(|_| chain_down.len() < 16);
        }
        chain_down.reverse();
        chain_down.truncate(1 + usize::from(count % 8));
        let signers = self.peers().collect();
        let blocks = chain_down
            .into_iter()
            .map(|block| {
                let certificate = self.certify(VoteKind::Commit, ballot, &block, signers);
                CertifiedBlock { block, certificate }
            })
            .collect();
        self.receive(self.peer(from), Message::Blocks(blocks));
    }

    fn statement(&self, back: u8, lie: bool) -> Option<Statement> {
        let mut statement = *from_last(&self.statements, usize::from(back))?;
        if lie {
            statement.state_root.0[0] ^= 1;
        }
        Some(statement)
    }

    /// Most nonces are just above the client's last executed one.
    fn transactions(&self, orders: &[Order]) -> Vec<Transaction> {
        let order = |order: &Order| {
            let client = u16::from(order.client) % crate::chain::CLIENTS;
            let key = chain().clients[usize::from(client)].public_key();
            let last = self.replica.reader.last_nonce(&key).ok().flatten().unwrap_or(0);
            let nonce = match order.nonce {
                near @ 0..192 => last.saturating_add(1 + u64::from(near % 16)),
                255 => u64::MAX,
                old => u64::from(old - 192),
            };
            chain().transaction(client, nonce, order.subtract, u64::from(order.amount))
        };
        orders.iter().take(ORDERS_MAX).map(order).collect()
    }

    /// Submits what a driver would: nothing that the ledger knows to be superseded.
    fn submit(&mut self, orders: &[Order]) {
        let reader = &self.replica.reader;
        let fresh = |transaction: &Transaction| {
            let last = reader.last_nonce(&transaction.client).ok().flatten();
            daruma_types::supersedes(transaction.nonce, last)
        };
        let transactions = self.transactions(orders).into_iter().filter(fresh).collect();
        self.input(Input::Submitted { transactions });
    }

    /// Peers return the engine's tokens and send their own; the primary may be silent.
    fn tokens(&mut self, times: u8) {
        let silent = (times >= 128).then(|| self.replica.engine.status().primary);
        for _ in 0..=times % TIMES_MAX {
            for from in self.peers().filter(|peer| Some(*peer) != silent) {
                let links = self.replica.engine.status().links;
                let Some((sending, received)) = links.get(from.index()).copied() else { return };
                self.receive(from, Message::TokenReturn { counter: sending });
                self.receive(from, Message::Token { counter: received.wrapping_add(1) });
            }
            self.tick();
        }
    }
}
