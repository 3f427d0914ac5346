//! The journal's rules: what is recorded is never contradicted, and a restart finds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use daruma_store::{Column, MemoryStore, Store, limits::BODIES_PER_HEIGHT_MAX};
use daruma_types::{Ballot, Hash, Height, Promise, RecoveredJournal, View, limits};

use super::patches::{Patch, patched};

/// Steps of one run.
const STEPS_MAX: usize = 48;

#[derive(Debug, Arbitrary)]
enum Step {
    /// Promises, all or none.
    Journal(Vec<Promise>),
    /// Promises that are recorded whatever they contradict.
    Repair(Vec<Promise>),
    /// A restart.
    Restart,
    /// A row is damaged or lost.
    Damage { row: u8, patches: Option<Vec<Patch>> },
}

/// What the journal should hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    view: Option<View>,
    floor: Option<Ballot>,
    votes: BTreeMap<Height, (Ballot, Hash)>,
    prepared: Option<(Ballot, Height)>,
}

impl Model {
    fn of(journal: &RecoveredJournal) -> Self {
        Self {
            view: journal.view.as_ref().map(|(view, ..)| *view),
            floor: journal.floor,
            votes: journal.votes.iter().map(|(b, height, hash)| (*height, (*b, *hash))).collect(),
            prepared: journal.prepared.as_ref().map(daruma_types::Certificate::rank),
        }
    }

    /// The rules of [`Store::journal`].
    fn promise(&mut self, promise: &Promise) -> Result<(), ()> {
        match promise {
            Promise::View { view, .. } if self.view.is_some_and(|recorded| *view < recorded) => {
                return Err(());
            }
            Promise::Prepare { ballot, height, hash, .. } => {
                let left = self.view.is_some_and(|view| *ballot < Ballot::of_view(view));
                let other = self.votes.get(height).is_some_and(|(voted, block)| {
                    ballot < voted || (ballot == voted && hash != block)
                });
                let below = self.floor.is_some_and(|floor| *ballot < floor);
                if left || below || other {
                    return Err(());
                }
            }
            Promise::Prepared { certificate } if Some(certificate.rank()) <= self.prepared => {
                return Ok(());
            }
            Promise::Floor { ballot }
                if self.floor.is_some_and(|floor| {
                    *ballot < floor && floor.0 - ballot.0 <= limits::BALLOT_LEAP
                }) =>
            {
                return Err(());
            }
            Promise::View { .. }
            | Promise::Floor { .. }
            | Promise::Prepared { .. }
            | Promise::Body { .. } => {}
        }
        self.lower(promise);
        self.record(promise);
        Ok(())
    }

    /// The rules of [`Store::journal_repair`].
    fn repair(&mut self, promise: &Promise) {
        if let Promise::View { view, .. } = promise
            && self.view.is_some_and(|recorded| *view < recorded)
        {
            self.forget_after(Ballot::of_view(*view));
        }
        self.lower(promise);
        self.record(promise);
    }

    /// A floor that is lowered takes what lay above it along.
    fn lower(&mut self, promise: &Promise) {
        if let Promise::Floor { ballot } = promise
            && self.floor.is_some_and(|recorded| *ballot < recorded)
        {
            self.forget_after(*ballot);
        }
    }

    fn forget_after(&mut self, last: Ballot) {
        self.votes.retain(|_, (ballot, _)| *ballot <= last);
        self.prepared = self.prepared.filter(|(ballot, _)| *ballot <= last);
    }

    fn record(&mut self, promise: &Promise) {
        match promise {
            Promise::View { view, .. } => self.view = Some(*view),
            Promise::Floor { ballot } => self.floor = Some(*ballot),
            Promise::Prepare { ballot, height, hash, .. } => {
                self.votes.insert(*height, (*ballot, *hash));
            }
            Promise::Prepared { certificate } => self.prepared = Some(certificate.rank()),
            Promise::Body { .. } => {}
        }
    }
}

/// As an engine makes them: height and hash are the block's.
fn consistent(promise: Promise) -> Promise {
    match promise {
        Promise::Prepare { ballot, block, .. } => {
            Promise::Prepare { ballot, height: block.header.height, hash: block.hash(), block }
        }
        other @ (Promise::View { .. }
        | Promise::Floor { .. }
        | Promise::Body { .. }
        | Promise::Prepared { .. }) => other,
    }
}

/// The store and the model always say the same.
pub(super) fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let mut store = MemoryStore::new();
    let mut model = Model::default();
    let mut damaged = false;
    for _ in 0..STEPS_MAX {
        if u.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut u) else { break };
        match step {
            Step::Journal(promises) => {
                let promises: Vec<Promise> = promises.into_iter().map(consistent).collect();
                let mut next = model.clone();
                let allowed = promises.iter().try_for_each(|promise| next.promise(promise));
                let done = store.journal(&promises);
                assert_eq!(done.is_ok(), allowed.is_ok(), "{done:?} to {promises:?}");
                if done.is_ok() {
                    model = next;
                }
            }
            Step::Repair(promises) => {
                let promises: Vec<Promise> = promises.into_iter().map(consistent).collect();
                promises.iter().for_each(|promise| model.repair(promise));
                let done = store.journal_repair(&promises);
                assert!(done.is_ok(), "{done:?}");
            }
            Step::Restart => store = store.copy(),
            Step::Damage { row, patches } => {
                let keys = store.keys(Column::Journal);
                let Some(index) = usize::from(row).checked_rem(keys.len()) else { continue };
                let key = &keys[index];
                let row = store.row(Column::Journal, key).ok().flatten();
                let value = patches.and_then(|patches| Some(patched(row?, &patches)));
                store.damage(Column::Journal, key, value);
                damaged = true;
                model = Model::of(&recovered(&store, true));
            }
        }
        let journal = recovered(&store, damaged);
        assert_eq!(Model::of(&journal), model, "the journal and the rules differ");
        check_bodies(&journal, damaged);
    }
}

fn recovered(store: &MemoryStore, damaged: bool) -> RecoveredJournal {
    match store.recover_journal() {
        Ok(recovered) => {
            assert!(damaged || recovered.dropped == 0, "{} good rows dropped", recovered.dropped);
            recovered.journal
        }
        Err(error) => panic!("the journal cannot be read: {error}"),
    }
}

/// Of each height few bodies are kept, the voted one always among them.
fn check_bodies(journal: &RecoveredJournal, damaged: bool) {
    let mut bodies: BTreeMap<Height, Vec<Hash>> = BTreeMap::new();
    for block in &journal.blocks {
        bodies.entry(block.header.height).or_default().push(Arc::as_ref(block).hash());
    }
    for (height, hashes) in &bodies {
        let count = hashes.len();
        assert!(damaged || count <= BODIES_PER_HEIGHT_MAX, "{count} bodies at {height}");
    }
    for (_, height, hash) in journal.votes.iter().filter(|_| !damaged) {
        let kept = bodies.get(height).is_some_and(|hashes| hashes.contains(hash));
        assert!(kept, "the body voted for at {height} is gone");
    }
}
