//! A new primary that continues the chain from where the reports do not say: it drops or changes
//! the headers that it must propose again, and proposes blocks of its own in their place. Before,
//! as a backup, it tells its commit votes to one replica only, so that this one is ahead of the
//! others when the view changes; and it reports that it never saw a block.

use std::collections::BTreeMap;
use std::sync::Arc;

use daruma_types::{Ballot, Block, Hash, Header, Message, NewView, ReplicaId, Report, VoteKind};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::forged::denial;
use crate::fork::{Fork, signed_proposal, signed_vote};
use crate::{Adversary, Surroundings, limits};

/// What it does to a new-view.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoil {
    /// All headers go: the tip is ignored.
    IgnoreTip,
    /// The last header goes.
    ShortenTip,
    /// The headers are of other blocks.
    OtherHeaders,
    /// The reports that know most are left out, as far as the others suffice; headers stay away.
    WithholdReports,
}

pub(crate) struct BadNewView {
    spoil: Spoil,
    /// The only replica that gets its commit votes; none if all do.
    favoured: Option<ReplicaId>,
    /// Whether it denies in its report what it holds.
    denies: bool,
    fork: Fork,
    /// The ballot whose new-view was spoilt, with what was sent for it.
    sent: Option<(Ballot, Arc<Message>)>,
    /// Reports seen for the latest view.
    reports: BTreeMap<ReplicaId, Report>,
    reports_ballot: Ballot,
    /// Bodies seen, to know what a header it drops had in it.
    bodies: BTreeMap<Hash, Arc<Block>>,
    sayings: Vec<(ReplicaId, Arc<Message>)>,
}

impl BadNewView {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        let spoil = match random.random_range(0..4) {
            0 => Spoil::IgnoreTip,
            1 => Spoil::ShortenTip,
            2 => Spoil::OtherHeaders,
            _ => Spoil::WithholdReports,
        };
        Self {
            spoil,
            favoured: random.random_bool(0.5).then(|| ReplicaId(random.random_range(0..4))),
            denies: random.random(),
            fork: Fork::default(),
            sent: None,
            reports: BTreeMap::new(),
            reports_ballot: Ballot(0),
            bodies: BTreeMap::new(),
            sayings: Vec::new(),
        }
    }

    fn remember(&mut self, block: &Arc<Block>) {
        if self.bodies.len() >= limits::FORK_BLOCKS_MAX {
            self.bodies.pop_first();
        }
        self.bodies.insert(block.hash(), Arc::clone(block));
    }

    fn see_report(&mut self, report: &Report) {
        if report.ballot > self.reports_ballot {
            self.reports.clear();
            self.reports_ballot = report.ballot;
        }
        if report.ballot == self.reports_ballot && self.reports.len() < 64 {
            self.reports.insert(report.replica, report.clone());
        }
    }

    /// The `n-f` known reports that know least; those of `honest` if too few are known.
    fn weakest_reports(&self, honest: &NewView, around: &Surroundings<'_>) -> Vec<Report> {
        let mut reports: BTreeMap<ReplicaId, Report> =
            honest.reports.iter().map(|report| (report.replica, report.clone())).collect();
        if self.reports_ballot == honest.ballot {
            reports.extend(self.reports.iter().map(|(id, report)| (*id, report.clone())));
        }
        if self.denies {
            reports.insert(around.own, denial(honest.ballot, around));
        }
        let mut reports: Vec<Report> = reports.into_values().collect();
        reports.sort_by_key(|report| {
            (report.prepared.as_ref().map(|p| p.rank()), report.head.height, report.replica)
        });
        reports.truncate(around.committee.thresholds().strong().max(honest.reports.len()));
        reports.truncate(around.committee.thresholds().strong());
        reports.sort_by_key(|report| report.replica);
        reports
    }

    /// Puts a block of its own in place of the one with `header`, and proposes it to everyone.
    fn propose_instead(&mut self, header: &Header, ballot: Ballot, around: &Surroundings<'_>) {
        let known = self.bodies.get(&header.hash());
        let transactions = known.map_or_else(Vec::new, |b| b.transactions.clone());
        let block = self.fork.replace(header, transactions, 1);
        let proposal = Arc::new(signed_proposal(ballot, block, around));
        for to in around.others() {
            if self.sayings.len() < limits::SAYINGS_MAX {
                self.sayings.push((to, Arc::clone(&proposal)));
            }
        }
    }

    fn spoilt(&mut self, honest: &NewView, around: &Surroundings<'_>) -> Message {
        self.fork.clear();
        let ballot = honest.ballot;
        let mut reports = honest.reports.clone();
        let mut headers = honest.headers.clone();
        match self.spoil {
            Spoil::IgnoreTip => headers.clear(),
            Spoil::ShortenTip => drop(headers.pop()),
            Spoil::OtherHeaders => {
                for header in &mut headers {
                    let known = self.bodies.get(&header.hash());
                    let transactions = known.map_or_else(Vec::new, |b| b.transactions.clone());
                    *header = self.fork.replace(header, transactions, 1).header.clone();
                }
            }
            Spoil::WithholdReports => {
                reports = self.weakest_reports(honest, around);
                headers.clear();
            }
        }
        let kept = headers.len();
        if self.spoil != Spoil::OtherHeaders {
            for header in honest.headers.iter().skip(kept) {
                self.propose_instead(header, ballot, around);
            }
        }
        let chain = around.committee.chain();
        Message::NewView(NewView::sign(chain, ballot, reports, headers, around.signer))
    }
}

impl Adversary for BadNewView {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match &*message {
            Message::NewView(honest) if around.is_primary(honest.ballot.0) => {
                if let Some((ballot, sent)) = &self.sent
                    && *ballot == honest.ballot
                {
                    return vec![Arc::clone(sent)];
                }
                let spoilt = Arc::new(self.spoilt(honest, around));
                self.sent = Some((honest.ballot, Arc::clone(&spoilt)));
                vec![spoilt]
            }
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
                self.remember(&own.block);
                let parent = own.block.header.parent;
                let own_hash = own.block.hash();
                if self.fork.name_of(parent) == parent && self.fork.name_of(own_hash) == own_hash {
                    return vec![message];
                }
                let transactions = own.block.transactions.clone();
                let block = self.fork.replace(&own.block.header, transactions, 1);
                vec![Arc::new(signed_proposal(own.ballot, block, around))]
            }
            Message::Vote(vote)
                if vote.kind == VoteKind::Commit
                    && !around.is_primary(vote.ballot.0)
                    && self.favoured.is_some_and(|favoured| favoured != to) =>
            {
                Vec::new()
            }
            Message::Vote(vote) => match self.fork.vote(vote, around) {
                Some(vote) => vec![Arc::new(vote)],
                None => vec![message],
            },
            Message::Report(own) => {
                let own = if self.denies { denial(own.ballot, around) } else { own.clone() };
                self.see_report(&own);
                vec![Arc::new(Message::Report(own))]
            }
            _ => vec![message],
        }
    }

    fn incoming(
        &mut self,
        from: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        match &*message {
            Message::PrePrepare(theirs) => self.remember(&theirs.block),
            Message::Body(block) => self.remember(block),
            Message::Report(report) if report.replica == from => self.see_report(report),
            // Its engine never gets far on the fork, so it commits there by itself.
            Message::Vote(vote)
                if vote.kind == VoteKind::Prepare && self.fork.body(&vote.hash).is_some() =>
            {
                let (ballot, height) = (vote.ballot, vote.height);
                let commit = signed_vote(VoteKind::Commit, ballot, height, vote.hash, around);
                let commit = Arc::new(commit);
                for to in around.others() {
                    if self.sayings.len() < limits::SAYINGS_MAX {
                        self.sayings.push((to, Arc::clone(&commit)));
                    }
                }
            }
            Message::Want(want) => {
                for (_, hash) in &want.blocks {
                    if let Some(block) = self.fork.body(hash)
                        && self.sayings.len() < limits::SAYINGS_MAX
                    {
                        self.sayings.push((from, Arc::new(Message::Body(block))));
                    }
                }
            }
            _ => {}
        }
        Some(message)
    }

    fn on_tick(&mut self, _: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        std::mem::take(&mut self.sayings)
    }
}
