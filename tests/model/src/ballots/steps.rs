//! What a correct replica may do in a state of the ballots' model.

use super::chain::children;
use super::{Action, Ballots, Block, Claim, GENESIS, NONE, Replica, State, Weakened};
use super::{ancestor, blocks, extends, height};

/// What a set of reports gives: the base and its ballot, and the tip above it, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Selection {
    base: (u8, u8, Block),
    tip: (u8, u8, Block),
}

impl Selection {
    /// Before any report is read. Ordered as `select` orders: heads by (height, ballot), prepared
    /// certificates by (ballot, height).
    const EMPTY: Self = Self { base: (0, 0, NONE), tip: (0, 0, NONE) };

    fn with(self, claim: &Claim) -> Self {
        let base = (height(claim.head), claim.head_ballot, claim.head);
        let tip = match claim.prepared {
            NONE => (0, 0, NONE),
            block => (claim.prepared_ballot, height(block), block),
        };
        Self { base: self.base.max(base), tip: self.tip.max(tip) }
    }
}

impl Ballots {
    pub(super) fn steps_of(&self, state: &State, index: usize, actions: &mut Vec<Action>) {
        let replica = &state[index];
        for ballot in replica.ballot + 1..self.bounds.ballots {
            actions.push(Action::Enter { replica: index, ballot });
        }
        self.first_prepares(state, index, actions);
        self.next_prepares(replica, index, actions);
        self.certificates(state, index, actions);
        for ballot in 0..self.bounds.ballots {
            for block in self.committed(state, ballot) {
                if block / 2 == replica.head && height(block) <= self.window_end(replica) {
                    actions.push(Action::Decide { replica: index, block, ballot });
                }
            }
        }
        match self.bounds.weakened {
            Weakened::Journal if replica.is_bound() => {
                actions.push(Action::Forget { replica: index });
            }
            Weakened::Binding => self.votes_below(state, index, actions),
            Weakened::Nothing
            | Weakened::Quorum
            | Weakened::NewView
            | Weakened::Anchor
            | Weakened::Journal => {}
        }
    }

    fn window_end(&self, replica: &Replica) -> u8 {
        height(replica.head) + self.bounds.window
    }

    /// `adopt_new_view` and `accept_taken_over`: the ballot's first vote.
    fn first_prepares(&self, state: &State, index: usize, actions: &mut Vec<Action>) {
        let replica = &state[index];
        if is_active(replica) {
            return;
        }
        if self.bounds.weakened == Weakened::NewView {
            self.prepare_above(replica.head, replica, |block| {
                actions.push(Action::Adopt { replica: index, tip: NONE, block });
            });
            return;
        }
        let mut tips: Vec<Block> = self
            .selections(state, replica.ballot)
            .into_iter()
            .filter_map(|selection| self.tip_of(&selection, replica))
            .collect();
        tips.sort_unstable();
        tips.dedup();
        for tip in tips {
            if tip == NONE {
                self.prepare_above(replica.head, replica, |block| {
                    actions.push(Action::Adopt { replica: index, tip, block });
                });
            } else if height(tip) <= self.window_end(replica) {
                let block = match self.bounds.weakened {
                    Weakened::Anchor => ancestor(tip, height(replica.head) + 1),
                    Weakened::Nothing
                    | Weakened::Quorum
                    | Weakened::NewView
                    | Weakened::Journal
                    | Weakened::Binding => tip,
                };
                actions.push(Action::Adopt { replica: index, tip, block });
            }
        }
    }

    /// What `replica` prepares first in a ballot whose new-view shows `claims`: the tip taken over,
    /// or with nothing to take over ([`NONE`]) a child of its head. No value if it cannot adopt.
    #[must_use]
    pub fn takes_over(&self, replica: &Replica, claims: &[Claim]) -> Option<Block> {
        let selection = claims.iter().fold(Selection::EMPTY, |all, claim| all.with(claim));
        let fits = |tip: &Block| *tip == NONE || height(*tip) <= self.window_end(replica);
        self.tip_of(&selection, replica).filter(fits)
    }

    /// What of a selection is left to take over for `replica`: a block, or [`NONE`]. No value at all
    /// if it cannot adopt it.
    fn tip_of(&self, selection: &Selection, replica: &Replica) -> Option<Block> {
        let Selection { base: (base_height, base_ballot, base), tip } = *selection;
        let (tip_ballot, tip_height, tip) = tip;
        let outranks = (tip_ballot, tip_height) > (base_ballot, base_height);
        let counts = tip != NONE && tip_height > base_height && outranks;
        // `supported`: headers from the base to the tip exist only on one chain.
        if counts && !extends(tip, base) {
            return None;
        }
        // A base above the head waits for catching up, which is another step.
        if base_height > height(replica.head) {
            return None;
        }
        if !counts || tip_height <= height(replica.head) {
            return Some(NONE);
        }
        extends(tip, replica.head).then_some(tip)
    }

    /// All that `n-f` or more reports of `ballot` can give: at most one of each correct replica, and
    /// from the faulty ones any certificates that exist.
    fn selections(&self, state: &State, ballot: u8) -> Vec<Selection> {
        let strong = self.thresholds.strong();
        let faulty = self.thresholds.faulty_max();
        let mut sets = vec![(0_usize, Selection::EMPTY)];
        for replica in state {
            let places = &replica.reports[usize::from(ballot)];
            let claims = places.iter().take_while(|place| place.head != NONE);
            let mut more = sets.clone();
            for claim in claims {
                more.extend(sets.iter().map(|(count, s)| (count + 1, s.with(claim))));
            }
            more.sort_unstable();
            more.dedup();
            sets = more;
        }
        sets.retain(|(count, _)| count + faulty >= strong);
        let mut found: Vec<Selection> = sets
            .iter()
            .filter(|(count, _)| *count >= strong)
            .map(|(_, selection)| *selection)
            .collect();
        if faulty > 0 {
            // Several faulty reports show no more than one that has the best of each.
            let claims = self.claims_that_exist(state, ballot);
            for (_, selection) in &sets {
                found.extend(claims.iter().map(|claim| selection.with(claim)));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Every claim that certificates back, for a report of `ballot`.
    fn claims_that_exist(&self, state: &State, ballot: u8) -> Vec<Claim> {
        let mut heads = vec![(GENESIS, 0)];
        for of in 0..self.bounds.ballots {
            heads.extend(self.committed(state, of).into_iter().map(|block| (block, of)));
        }
        let mut tips = vec![(0, NONE)];
        for of in 0..ballot {
            tips.extend(self.prepared(state, of).into_iter().map(|block| (of, block)));
        }
        let claim = |(head, head_ballot), (prepared_ballot, prepared)| Claim {
            head,
            head_ballot,
            prepared_ballot,
            prepared,
        };
        heads.iter().flat_map(|head| tips.iter().map(move |tip| claim(*head, *tip))).collect()
    }

    /// Any child of `below` that the window allows.
    fn prepare_above(&self, below: Block, replica: &Replica, mut push: impl FnMut(Block)) {
        if height(below) < self.window_end(replica) {
            children(below, &self.bounds.contents).for_each(&mut push);
        }
    }

    /// `accept_next`: above the accepted tip, once the ballot is active.
    fn next_prepares(&self, replica: &Replica, index: usize, actions: &mut Vec<Action>) {
        if !is_active(replica) {
            return;
        }
        let tip = replica.tip();
        let voted = replica.own.iter().skip(usize::from(height(tip)));
        if voted.copied().any(|vote| vote != NONE) {
            return;
        }
        self.prepare_above(tip, replica, |block| {
            let again = replica.target != NONE && height(replica.target) >= height(block);
            if !again || extends(replica.target, block) {
                actions.push(Action::Prepare { replica: index, block });
            }
        });
    }

    /// `Replication::prepare`: certificates for accepted blocks that outrank the one held, or allow a
    /// commit that was not cast yet.
    fn certificates(&self, state: &State, index: usize, actions: &mut Vec<Action>) {
        let replica = &state[index];
        let tip = replica.tip();
        let cast = replica.commits[usize::from(replica.ballot)];
        for block in self.prepared(state, replica.ballot) {
            let accepted = height(block) > height(replica.head) && extends(tip, block);
            let uncast = |block| commits_for(replica, block) & !cast != 0;
            if accepted && (outranks(replica, block) || uncast(block)) {
                actions.push(Action::Certify { replica: index, block });
            }
        }
    }

    /// [`Weakened::Binding`]: as if a ballot left behind were still voted in, within its rules.
    fn votes_below(&self, state: &State, index: usize, actions: &mut Vec<Action>) {
        let replica = &state[index];
        for ballot in 0..replica.ballot {
            let voted = blocks(replica.prepares[usize::from(ballot)]);
            let tip = voted.last().copied().unwrap_or(GENESIS);
            if voted.is_empty() && ballot > 0 {
                continue;
            }
            for block in children(tip, &self.bounds.contents) {
                actions.push(Action::VoteBelow { replica: index, ballot, block, commit: false });
            }
            let committed = replica.commits[usize::from(ballot)];
            for block in self.prepared(state, ballot) {
                if voted.contains(&block) && committed & (1 << block) == 0 {
                    actions.push(Action::VoteBelow { replica: index, ballot, block, commit: true });
                }
            }
        }
    }

    pub(super) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Enter { replica, ballot } => state[replica].enter(ballot),
            Action::Adopt { replica, tip, block } => {
                let replica = &mut state[replica];
                if self.bounds.weakened == Weakened::Anchor {
                    replica.target = tip;
                }
                prepare(replica, block);
            }
            Action::Prepare { replica, block } => prepare(&mut state[replica], block),
            Action::Certify { replica, block } => {
                let replica = &mut state[replica];
                replica.commits[usize::from(replica.ballot)] |= commits_for(replica, block);
                if outranks(replica, block) {
                    replica.prepared = (replica.ballot, block);
                }
            }
            Action::Decide { replica, block, ballot } => {
                decide(&mut state[replica], block, ballot);
            }
            Action::Forget { replica } => {
                let replica = &mut state[replica];
                replica.own = Replica::default().own;
                replica.target = NONE;
            }
            Action::VoteBelow { replica, ballot, block, commit } => {
                let replica = &mut state[replica];
                let votes = if commit { &mut replica.commits } else { &mut replica.prepares };
                votes[usize::from(ballot)] |= 1 << block;
            }
        }
    }
}

/// Ballot 0 needs no new-view. Without the anchor rule, a replica keeps to the tip it took over.
fn is_active(replica: &Replica) -> bool {
    replica.ballot == 0 || replica.is_bound() || replica.target != NONE
}

/// Whether a prepared certificate of the present ballot for `block` outranks the one held (R5).
const fn outranks(replica: &Replica, block: Block) -> bool {
    let (ballot, held) = replica.prepared;
    held == NONE || ballot < replica.ballot || height(held) < height(block)
}

/// `cast_commits`: the blocks above the head up to `block`, as a mask (R3).
fn commits_for(replica: &Replica, block: Block) -> u16 {
    let heights = height(replica.head) + 1..=height(block);
    heights.fold(0, |mask, at| mask | 1 << ancestor(block, at))
}

fn prepare(replica: &mut Replica, block: Block) {
    replica.own[usize::from(height(block)) - 1] = block;
    replica.prepares[usize::from(replica.ballot)] |= 1 << block;
}

fn decide(replica: &mut Replica, block: Block, ballot: u8) {
    replica.head = block;
    replica.head_ballot = ballot;
    // Slots and bodies up to the head are gone, and a certificate that is not above it.
    for vote in replica.own.iter_mut().take(usize::from(height(block))) {
        *vote = NONE;
    }
    if replica.prepared.1 != NONE && height(replica.prepared.1) <= height(block) {
        replica.prepared = (0, NONE);
    }
    if ballot > replica.ballot {
        replica.enter(ballot);
    } else {
        replica.report();
    }
}
