//! The state and its tree: each step compares some rows with the root, all within one snapshot.

use std::collections::BTreeMap;

use daruma_store::{Column, Snapshot, StoreError};
use daruma_types::{Hash, Statement};

use super::results::digits;
use super::{Scrubbed, Scrubber, Stage, Suspect};
use crate::opening::{after, found};
use crate::tree::{Hashing, Page, Pages, Path, Slot, value_hash};
use crate::{LedgerError, StateKey, limits};

/// Something in the tree is not what is said of it above, or cannot be read.
struct Wrong;

/// The tree of one snapshot, of which each page is checked once.
struct Tree<'a> {
    snapshot: &'a dyn Snapshot,
    root: Hash,
    checked: BTreeMap<Path, Page>,
}

impl<'a> Tree<'a> {
    fn of(snapshot: &'a dyn Snapshot, statement: Statement) -> Self {
        Self { snapshot, root: statement.state_root, checked: BTreeMap::new() }
    }

    /// The page at `path`, which must have the hash `expected`.
    fn page(&mut self, path: &Path, expected: Hash) -> Result<Result<&Page, Wrong>, LedgerError> {
        if !self.checked.contains_key(path) {
            let mut page = stored_page(self.snapshot, path)?.unwrap_or_default();
            if page.hash(&mut Hashing::with(None)) != expected {
                return Ok(Err(Wrong));
            }
            self.checked.insert(*path, page);
        }
        Ok(self.checked.get(path).ok_or(Wrong))
    }

    /// The hash of the value that the tree has under this key.
    fn leaf(&mut self, key: &Hash) -> Result<Result<Option<Hash>, Wrong>, LedgerError> {
        let (mut path, mut expected) = (Path::ROOT, self.root);
        loop {
            let page = match self.page(&path, expected)? {
                Ok(page) => page,
                Err(wrong) => return Ok(Err(wrong)),
            };
            match page.slot(path.slot(key)) {
                Slot::Empty => return Ok(Ok(None)),
                Slot::Leaf { key: found, value } => {
                    return Ok(Ok((found == *key).then_some(value)));
                }
                Slot::Page(hash) => (path, expected) = (path.towards(key), hash),
            }
        }
    }

    /// Gives `see` the leaves from the hash `from` on, in order, until `pages` were read. Gives the hash at
    /// which to go on, none at the end.
    fn leaves(
        &mut self,
        from: &Hash,
        mut pages: usize,
        see: &mut dyn FnMut(Hash),
    ) -> Result<Result<Option<Hash>, Wrong>, LedgerError> {
        // Each with whether everything in it is above `from`.
        let mut waiting = vec![(Path::ROOT, self.root, false)];
        while let Some((path, expected, above)) = waiting.pop() {
            let Some(left) = pages.checked_sub(1) else {
                let first = if above { path.first() } else { *from };
                return Ok(Ok(Some(first)));
            };
            pages = left;
            let page = match self.page(&path, expected)? {
                Ok(page) => page,
                Err(wrong) => return Ok(Err(wrong)),
            };
            let lowest = if above { 0 } else { path.slot(from) };
            let slots = (0_u8..).zip(page.slots()).skip(lowest);
            let mut below = Vec::new();
            for (index, slot) in slots {
                match slot {
                    Slot::Empty => {}
                    Slot::Leaf { key, .. } if above || key >= from => see(*key),
                    Slot::Leaf { .. } => {}
                    Slot::Page(hash) => {
                        let above = above || usize::from(index) > lowest;
                        below.push((path.below(index), *hash, above));
                    }
                }
            }
            waiting.extend(below.into_iter().rev());
        }
        Ok(Ok(None))
    }
}

fn stored_page(snapshot: &dyn Snapshot, path: &Path) -> Result<Option<Page>, LedgerError> {
    match Pages::page(&snapshot, path) {
        Err(LedgerError::Damaged { .. } | LedgerError::Store(StoreError::Damaged { .. })) => {
            Ok(None)
        }
        page => page,
    }
}

/// Whether the page of this row is named by those above it, from the root on. What they hash to is not asked.
pub(super) fn names(snapshot: &dyn Snapshot, key: &[u8]) -> Result<bool, LedgerError> {
    let Some((depth, towards)) = digits(key) else { return Ok(false) };
    let mut path = Path::ROOT;
    while path.depth() < depth {
        let Some(page) = stored_page(snapshot, &path)? else {
            // One above it is lost or damaged, which is a finding of its own.
            return Ok(true);
        };
        if !matches!(page.slot(path.slot(&towards)), Slot::Page(_)) {
            return Ok(false);
        }
        path = path.towards(&towards);
    }
    Ok(path.row_key() == key)
}

impl Scrubber {
    /// The pages from a hash on: each must have the hash that the one above says, up to the root. Their leaves
    /// are remembered, as many as there is room for: an entry must be met for each. None if something is wrong.
    pub(super) fn leaves(
        &mut self,
        from: Hash,
        scrubbed: &mut Scrubbed,
    ) -> Result<Option<Stage>, LedgerError> {
        let snapshot = self.look.store().snapshot();
        // Without a head there is nothing to compare with; the next pass begins with it.
        let Ok(head) = found(snapshot.head())? else { return Ok(None) };
        let mut tree = Tree::of(snapshot.as_ref(), head.statement);
        let (unseen, last, first) = (&mut self.unseen, &mut self.last_leaf, self.leaves_from);
        let seen = tree.leaves(&from, limits::SCRUB_ROWS_AT_ONCE, &mut |key| {
            if key >= first && unseen.len() < limits::SCRUB_LEAVES_MAX {
                unseen.insert(key);
                *last = key;
            }
        })?;
        scrubbed.rows += tree.checked.len() as u64;
        let Ok(next) = seen else {
            let why = "has a page that is not what the one above says";
            scrubbed.suspects.push(Suspect::Table(Column::Tree, why));
            return Ok(None);
        };
        Ok(Some(match next {
            Some(next) => Stage::Leaves(next),
            None => {
                // With no room for all, the next pass goes on with those after.
                let full = self.unseen.len() >= limits::SCRUB_LEAVES_MAX;
                self.leaves_from = if full { self.last_leaf } else { Hash::default() };
                Stage::Entries(Vec::new())
            }
        }))
    }

    /// The entries from a key on: each must be what the tree says. None at the end of the pass.
    pub(super) fn entries(
        &mut self,
        from: &[u8],
        scrubbed: &mut Scrubbed,
    ) -> Result<Option<Stage>, LedgerError> {
        let snapshot = self.look.store().snapshot();
        let Ok(head) = found(snapshot.head())? else { return Ok(None) };
        let mut tree = Tree::of(snapshot.as_ref(), head.statement);
        let rows = match snapshot.state_scan(b"", from, limits::SCRUB_ROWS_AT_ONCE) {
            Ok(rows) => rows,
            Err(StoreError::Damaged { .. }) => {
                scrubbed.suspects.push(Suspect::Table(Column::State, "cannot be read to its end"));
                return Ok(None);
            }
            Err(failed) => return Err(failed.into()),
        };
        for (key, value) in &rows {
            let hash = StateKey::hash_of(key);
            let why = match tree.leaf(&hash)? {
                Ok(Some(leaf)) if leaf == value_hash(value) => {
                    self.unseen.remove(&hash);
                    continue;
                }
                Ok(_) => (Column::State, "has an entry that the tree does not have"),
                Err(Wrong) => (Column::Tree, "has a page that is not what the one above says"),
            };
            scrubbed.suspects.push(Suspect::Table(why.0, why.1));
            return Ok(None);
        }
        scrubbed.rows += (rows.len() + tree.checked.len()) as u64;
        if let Some((last, _)) = rows.last()
            && rows.len() == limits::SCRUB_ROWS_AT_ONCE
        {
            return Ok(Some(Stage::Entries(after(last))));
        }
        // Those that were removed while this pass went on are leaves no more. A few of the others do.
        let mut left = std::mem::take(&mut self.unseen).into_iter();
        let again = std::mem::take(&mut self.again);
        for key in left.by_ref().take(limits::SCRUB_ROWS_AT_ONCE) {
            scrubbed.rows += 1;
            if let Ok(Some(_)) = tree.leaf(&key)? {
                self.unseen.insert(key);
            }
        }
        if self.unseen.is_empty() {
            return Ok(None);
        }
        // One may have been removed before this pass came to it, and written again after.
        if !again {
            self.again = true;
            return Ok(Some(Stage::Entries(Vec::new())));
        }
        self.unseen.clear();
        scrubbed.suspects.push(Suspect::Table(Column::State, "lacks an entry that the tree has"));
        Ok(None)
    }
}
