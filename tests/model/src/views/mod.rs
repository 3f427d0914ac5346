//! View establishment (a), `certified`, as a finite model (DESIGN 4.1 a).
//!
//! # What is modelled, and which rule of the engine it mirrors
//!
//! The state of a correct replica is the proof it holds, and what it has signed: demands and
//! reports, by view. What a proof does to it is not written down here: it is asked of real engines,
//! each started from a journal and given one message through the real door ([`Table`]).
//!
//! - *Network.* A set: each demand, report and certificate sent stays and may be read at any time or
//!   never. `n-f` demands or reports that are read together are a certificate, so that the engine's
//!   arrays of latest demands and reports are copies of the set (`Certified::best_proof`).
//! - *The faulty replica* has demanded and reported everything; it shows any certificate that can be
//!   made, to whom it likes.
//! - *Demands* come at any time, for the present view (`Certified::demand_change`), up to a last view
//!   that is left alone.
//! - *Crashes.* The proof is promised before anything follows from it, so a restarted replica is
//!   where it was.
//!
//! # Fair steps
//!
//! A step is fair if correct replicas alone repeat, at every summary, what it takes: a certificate
//! that one of them holds and the other's summary lacks (`Certified::help`), or `n-f` demands or
//! reports of replicas that are in that view now. Every step raises a replica's rank or signs
//! something new, and neither ever sinks, so that no run is infinite; a state without fair steps is
//! where every fair run ends.

mod engines;
mod proof;

pub use engines::{Convergence, converge_from_every_start};
pub use proof::{Proof, Step, Surprise, Table};

use daruma_types::Thresholds;
use stateright::{Model, Property};

/// Which states an exploration starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Start {
    /// All in view 0, nothing signed.
    Genesis,
    /// Any proof, or garbage, on each disk; and the faulty replica holds every certificate.
    Arbitrary,
}

/// A rule that a run leaves out, to show that the properties depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Weakened {
    /// All rules hold.
    #[default]
    Nothing,
    /// Certificates of one demand or report less than `n-f` count.
    Strong,
    /// Nobody sends a peer the certificate that its summary lacks.
    Help,
}

/// One correct replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// The proof held.
    pub proof: Proof,
    /// Views it signed a demand to leave, as a mask.
    pub demanded: u8,
    /// Views it signed a report of, as a mask.
    pub reported: u8,
}

/// The correct replicas, whose order has no meaning, and the certificates that they showed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The replicas.
    pub nodes: Vec<Node>,
    /// Proofs in the network, as a mask of the model's list of proofs.
    shown: u32,
}

/// The model.
#[derive(Debug, Clone)]
pub struct Views {
    thresholds: Thresholds,
    last: u8,
    start: Start,
    weakened: Weakened,
    proofs: Vec<Proof>,
    table: Table,
}

/// A step of one correct replica, which is named by its place in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Demands to leave its view.
    Demand(usize),
    /// Reports its view to one that asks.
    Report(usize),
    /// Reads a certificate, or what makes one.
    Take(usize, Proof),
}

/// The property that a view in service was left and reported by `n-f`.
pub const ENTERED: &str = "a view entered was reported by n-f, and the one before it left by n-f";
/// The property that reports bind.
pub const BOUND: &str = "no replica is below a view that it reported";
/// The property that fair runs end in one view.
pub const CONVERGED: &str = "every fair run ends in one view, in service";
/// Not empty: the last view comes into service at all.
pub const LAST: &str = "all serve the last view";

impl Views {
    /// The model of `n` replicas and views up to `last`, at most 6.
    ///
    /// # Errors
    /// [`Surprise`] if real engines do not do what the model builds on.
    pub fn new(n: usize, last: u8, start: Start, weakened: Weakened) -> Result<Self, Surprise> {
        let last = last.min(6);
        let table = Table::new(n, last)?;
        let thresholds = Thresholds::new(n, Thresholds::largest_faulty(n))
            .map_err(|error| Surprise::Committee(error.into()))?;
        Ok(Self { thresholds, last, start, weakened, proofs: Proof::valid_up_to(last), table })
    }

    fn bit(&self, proof: Proof) -> u32 {
        self.proofs.iter().position(|p| *p == proof).map_or(0, |at| 1 << at)
    }

    fn signed(&self, state: &State, view: u8, mask: impl Fn(&Node) -> u8) -> usize {
        state.nodes.iter().filter(|node| mask(node) & (1 << view) != 0).count()
    }

    /// Whether `count` correct signers and all faulty ones are `n-f`.
    const fn are_strong(&self, count: usize) -> bool {
        count + self.thresholds.faulty_max() >= self.thresholds.strong()
    }

    /// Whether enough signatures for `proof` exist, those of the faulty replicas counted.
    fn exists(&self, state: &State, proof: Proof) -> bool {
        let spared = usize::from(self.weakened == Weakened::Strong);
        let enough = |count: usize| self.are_strong(count + spared);
        state.shown & self.bit(proof) != 0
            || match proof {
                Proof::Initial => true,
                Proof::Left(view) => enough(self.signed(state, view, |n| n.demanded)),
                Proof::Entered(view) => enough(self.signed(state, view, |n| n.reported)),
                Proof::Committed(_) | Proof::TooFew(_) | Proof::Forged(_) => false,
            }
    }

    /// Whether correct replicas alone bring `proof` to everyone, without end.
    fn is_repeated(&self, state: &State, proof: Proof) -> bool {
        let present = |view: u8, mask: fn(&Node) -> u8| {
            let here = |n: &&Node| n.proof.shows().0 == view && mask(n) & (1 << view) != 0;
            state.nodes.iter().filter(here).count() >= self.thresholds.strong()
        };
        let helped = self.weakened != Weakened::Help;
        helped && state.nodes.iter().any(|node| node.proof == proof)
            || match proof {
                Proof::Left(view) => present(view, |n| n.demanded),
                Proof::Entered(view) => present(view, |n| n.reported),
                Proof::Initial | Proof::Committed(_) | Proof::TooFew(_) | Proof::Forged(_) => false,
            }
    }

    /// Steps that a fair run takes sooner or later.
    fn fair_steps(&self, state: &State) -> Vec<Action> {
        let mut steps = Vec::new();
        for (index, node) in state.nodes.iter().enumerate() {
            let (view, _) = node.proof.shows();
            let asked = state.nodes.iter().enumerate();
            let asked = asked.filter(|(other, _)| *other != index);
            let asked = asked.map(|(_, other)| other.proof.shows()).any(|at| at == (view, 1));
            if asked && node.reported & (1 << view) == 0 {
                steps.push(Action::Report(index));
            }
            for proof in &self.proofs {
                if self.moves(node, *proof) && self.is_repeated(state, *proof) {
                    steps.push(Action::Take(index, *proof));
                }
            }
        }
        steps
    }

    fn moves(&self, node: &Node, proof: Proof) -> bool {
        self.table.steps().get(&(node.proof, proof)).is_some_and(|step| step.holds != node.proof)
    }

    fn is_converged(&self, state: &State) -> bool {
        let first = state.nodes.first().map(|node| node.proof.shows());
        first.is_some_and(|(_, phase)| phase == 0)
            && state.nodes.iter().all(|node| Some(node.proof.shows()) == first)
    }

    fn entered_by_enough(&self, state: &State) -> bool {
        let enough = |count: usize| self.are_strong(count);
        self.start == Start::Arbitrary
            || state.nodes.iter().all(|node| match node.proof {
                Proof::Initial => true,
                Proof::Left(view) => enough(self.signed(state, view, |n| n.demanded)),
                Proof::Entered(view) => {
                    enough(self.signed(state, view, |n| n.reported))
                        && enough(self.signed(state, view - 1, |n| n.demanded))
                }
                Proof::Committed(_) | Proof::TooFew(_) | Proof::Forged(_) => false,
            })
    }

    fn starts(&self) -> Vec<State> {
        let node = |proof| Node { proof, demanded: 0, reported: 0 };
        let count = self.thresholds.strong();
        if self.start == Start::Genesis {
            return vec![State { nodes: vec![node(Proof::Initial); count], shown: 0 }];
        }
        let held: Vec<Node> = self.table.starts().values().map(|proof| node(*proof)).collect();
        let mut all: Vec<Vec<Node>> = vec![Vec::new()];
        for _ in 0..count {
            let longer = all.iter().flat_map(|nodes| {
                held.iter().map(move |next| {
                    let mut nodes = nodes.clone();
                    nodes.push(*next);
                    nodes.sort_unstable();
                    nodes
                })
            });
            all = longer.collect();
            all.sort_unstable();
            all.dedup();
        }
        let shown = (1 << self.proofs.len()) - 1;
        all.into_iter().map(|nodes| State { nodes, shown }).collect()
    }
}

impl Model for Views {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.starts()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, node) in state.nodes.iter().enumerate() {
            if index > 0 && state.nodes[index - 1] == *node {
                continue;
            }
            let (view, _) = node.proof.shows();
            if view < self.last && node.demanded & (1 << view) == 0 {
                actions.push(Action::Demand(index));
            }
            if view > 0 && node.reported & (1 << view) == 0 {
                actions.push(Action::Report(index));
            }
            for proof in &self.proofs {
                if self.moves(node, *proof) && self.exists(state, *proof) {
                    actions.push(Action::Take(index, *proof));
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Demand(index) => {
                let node = &mut state.nodes[index];
                node.demanded |= 1 << node.proof.shows().0;
            }
            Action::Report(index) => {
                let node = &mut state.nodes[index];
                node.reported |= 1 << node.proof.shows().0;
            }
            Action::Take(index, proof) => {
                let node = &mut state.nodes[index];
                let step = self.table.steps().get(&(node.proof, proof))?;
                node.proof = step.holds;
                if step.reports {
                    node.reported |= 1 << node.proof.shows().0;
                }
                state.shown |= self.bit(step.holds);
            }
        }
        state.nodes.sort_unstable();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ENTERED, |model, state| model.entered_by_enough(state)),
            Property::always(BOUND, |_, state: &State| {
                let below = |n: &Node| n.reported >> n.proof.shows().0 > 1;
                !state.nodes.iter().any(below)
            }),
            Property::always(CONVERGED, |model: &Self, state: &State| {
                !model.fair_steps(state).is_empty() || model.is_converged(state)
            }),
            Property::sometimes(LAST, |model: &Self, state: &State| {
                state.nodes.iter().all(|node| node.proof.shows() == (model.last, 0))
            }),
        ]
    }
}
