//! States of the ballots' model.

use super::chain::{self, Block, GENESIS, NONE};

/// Ballots that a state has room for.
pub const BALLOTS_MAX: usize = 4;

/// Heights that a state has room for: their blocks' numbers fit a mask of 16 bits.
pub const HEIGHTS_MAX: usize = 3;

/// What a report says: the head with the ballot that committed it, and the prepared certificate of
/// the highest rank (`daruma_types::Report`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Claim {
    /// The committed head; [`NONE`] marks a free place.
    pub head: Block,
    /// The ballot that committed it.
    pub head_ballot: u8,
    /// The prepared certificate's ballot.
    pub prepared_ballot: u8,
    /// The prepared certificate's block, if there is one.
    pub prepared: Block,
}

/// One correct replica: what its journal and ledger hold, and all that it ever sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica {
    /// `Replication::ballot`.
    pub ballot: u8,
    /// `Replication::head`, and the ballot of its certificate.
    pub head: Block,
    /// The ballot of the head's certificate.
    pub head_ballot: u8,
    /// `Replication::prepared`: ballot and block.
    pub prepared: (u8, Block),
    /// The journal's votes of the current ballot above the head, by height.
    pub own: [Block; HEIGHTS_MAX],
    /// Only without the anchor rule: the tip up to which blocks taken over are prepared again.
    pub target: Block,
    /// Prepares sent, by ballot, as a mask of blocks.
    pub prepares: [u16; BALLOTS_MAX],
    /// Commits sent, by ballot, as a mask of blocks.
    pub commits: [u16; BALLOTS_MAX],
    /// Reports sent, by ballot, ascending.
    pub reports: [[Claim; HEIGHTS_MAX + 1]; BALLOTS_MAX],
}

impl Default for Replica {
    fn default() -> Self {
        Self {
            ballot: 0,
            head: GENESIS,
            head_ballot: 0,
            prepared: (0, NONE),
            own: [NONE; HEIGHTS_MAX],
            target: NONE,
            prepares: [0; BALLOTS_MAX],
            commits: [0; BALLOTS_MAX],
            reports: [[Claim::default(); HEIGHTS_MAX + 1]; BALLOTS_MAX],
        }
    }
}

impl Replica {
    /// Whether it holds a vote of its ballot above its head. Then the ballot is active, and it
    /// reports no more in it (`Replication::restore_votes`, `Certified::help`).
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.own.iter().any(|vote| *vote != NONE)
    }

    /// What it would report now.
    #[must_use]
    pub const fn claim(&self) -> Claim {
        let (prepared_ballot, prepared) = self.prepared;
        Claim { head: self.head, head_ballot: self.head_ballot, prepared_ballot, prepared }
    }

    /// Its vote of the current ballot at `height`.
    #[must_use]
    pub const fn vote(&self, height: u8) -> Block {
        self.own[height as usize - 1]
    }

    /// The block accepted at `height`, above the head: the one voted for, or one that lies below the
    /// lowest vote (`Replication::restore_taken_over`).
    #[must_use]
    pub fn accepted(&self, height: u8) -> Block {
        match self.own.iter().copied().find(|vote| *vote != NONE) {
            Some(lowest) if height < chain::height(lowest) => chain::ancestor(lowest, height),
            Some(_) | None => self.vote(height),
        }
    }

    /// The end of the accepted chain: from the head upwards as far as each block's parent is the one
    /// below (`Replication::tip`).
    #[must_use]
    pub fn tip(&self) -> Block {
        let mut tip = self.head;
        while usize::from(chain::height(tip)) < HEIGHTS_MAX {
            let next = self.accepted(chain::height(tip) + 1);
            if next == NONE || next / 2 != tip {
                break;
            }
            tip = next;
        }
        tip
    }

    /// Adds the present claim to the reports of the current ballot. Whether anyone ever reads it is
    /// the network's choice, so that a report made is never a report that must be used.
    pub fn report(&mut self) {
        if self.ballot == 0 || self.is_bound() {
            return;
        }
        let claim = self.claim();
        let places = &mut self.reports[usize::from(self.ballot)];
        if places.contains(&claim) {
            return;
        }
        if let Some(free) = places.iter_mut().find(|place| place.head == NONE) {
            *free = claim;
        }
        places.sort_unstable_by_key(|place| (place.head == NONE, *place));
    }

    /// Goes to `ballot` (`Replication::enter`), and reports.
    pub fn enter(&mut self, ballot: u8) {
        self.ballot = ballot;
        self.own = [NONE; HEIGHTS_MAX];
        self.target = NONE;
        self.report();
    }

    const fn votes(&self, ballot: usize, commits: bool) -> &u16 {
        if commits { &self.commits[ballot] } else { &self.prepares[ballot] }
    }

    const fn votes_mut(&mut self, ballot: usize, commits: bool) -> &mut u16 {
        if commits { &mut self.commits[ballot] } else { &mut self.prepares[ballot] }
    }

    /// The same replica with all blocks renamed.
    #[must_use]
    pub fn renamed(&self, table: &[Block]) -> Self {
        let name = |block: Block| if block == NONE { NONE } else { table[usize::from(block)] };
        let mask = |mut bits: u16| {
            let mut renamed = 0;
            while bits != 0 {
                renamed |= 1 << name(bits.trailing_zeros() as Block);
                bits &= bits - 1;
            }
            renamed
        };
        let claim = |claim: &Claim| Claim {
            head: name(claim.head),
            prepared: name(claim.prepared),
            ..*claim
        };
        let mut reports = self.reports;
        for places in &mut reports {
            for place in places.iter_mut().take_while(|place| place.head != NONE) {
                *place = claim(place);
            }
            places.sort_unstable_by_key(|place| (place.head == NONE, *place));
        }
        Self {
            ballot: self.ballot,
            head: name(self.head),
            head_ballot: self.head_ballot,
            prepared: (self.prepared.0, name(self.prepared.1)),
            own: self.own.map(name),
            target: name(self.target),
            prepares: self.prepares.map(mask),
            commits: self.commits.map(mask),
            reports,
        }
    }
}

/// The correct replicas, in an order that has no meaning: they differ in nothing but their number,
/// since the model lets any of them, and the faulty one, be primary of any ballot.
pub type State = Vec<Replica>;

/// The least of all states that differ from `state` by names of replicas and blocks only, and by
/// what no later step can tell apart.
pub(super) fn representative(state: &State, renamings: &[Vec<Block>], quorum: usize) -> State {
    let mut state = state.clone();
    forget_reports(&mut state);
    let all = renamings.iter().map(|table| {
        let mut renamed: State = state.iter().map(|replica| replica.renamed(table)).collect();
        pool_votes(&mut renamed, quorum);
        renamed
    });
    all.min().unwrap_or_default()
}

/// Reports of a ballot that all have left are never read again.
fn forget_reports(state: &mut State) {
    let lowest = state.iter().map(|replica| replica.ballot).min().unwrap_or_default();
    for replica in state {
        for places in replica.reports.iter_mut().take(usize::from(lowest)) {
            *places = Default::default();
        }
    }
}

/// Votes are read as certificates only. So of a block that has a quorum it does not matter who
/// voted; of one that too few can still vote for, no vote matters; and of replicas that have left
/// the ballot only how many voted.
fn pool_votes(state: &mut State, quorum: usize) {
    let mut left = [[0_usize; 16]; 2 * BALLOTS_MAX];
    for (slot, counts) in left.iter_mut().enumerate() {
        let (ballot, commits) = (slot % BALLOTS_MAX, slot >= BALLOTS_MAX);
        let mut open = state.iter().fold(0, |all, replica| all | *replica.votes(ballot, commits));
        while open != 0 {
            let bit = open & open.wrapping_neg();
            open ^= bit;
            let has = |replica: &&Replica| *replica.votes(ballot, commits) & bit != 0;
            let gone = |replica: &Replica| usize::from(replica.ballot) > ballot;
            let cast = state.iter().filter(has).count();
            let may = state.iter().filter(|r| !has(r) && !gone(r)).count();
            let gone_cast = state.iter().filter(|r| has(r) && gone(r)).count();
            for replica in state.iter_mut() {
                let gone = gone(replica);
                let votes = replica.votes_mut(ballot, commits);
                if cast >= quorum {
                    *votes |= bit;
                } else if cast + may < quorum || gone {
                    *votes &= !bit;
                }
            }
            if cast < quorum && cast + may >= quorum {
                counts[bit.trailing_zeros() as usize] = gone_cast;
            }
        }
    }
    state.sort_unstable();
    for (slot, counts) in left.iter().enumerate() {
        let (ballot, commits) = (slot % BALLOTS_MAX, slot >= BALLOTS_MAX);
        for (block, count) in counts.iter().enumerate() {
            let gone = state.iter_mut().filter(|r| usize::from(r.ballot) > ballot);
            for replica in gone.take(*count) {
                *replica.votes_mut(ballot, commits) |= 1 << block;
            }
        }
    }
}
