//! Whether state and state tree are the head's, and each the other's.

use daruma_store::{Batch, Column, StoreError};
use daruma_types::{Hash, Height};

use super::{Concerned, Depth, Opening, ROWS_AT_ONCE, Remedy, after};
use crate::tree::{Changes, Hashing, Page, Pages, Path, Slot, StateTree, value_hash};
use crate::{LedgerError, StateKey, limits};

/// What a look at some rows came to.
pub(super) enum Seen {
    /// All is well, and this many entries are there.
    All(u64),
    /// All that was looked at is well.
    Part,
    /// Something is not.
    Wrong(&'static str),
}

impl Opening {
    /// Checks tree and state against the head's statement. If only the tree is wrong it is made again
    /// from the state. False if the state must be derived again.
    pub(super) fn check_state(&mut self) -> Result<bool, LedgerError> {
        let head = self.ledger.head().statement;
        let why = match (self.see_tree(head.state_root)?, self.see_entries()?) {
            (Seen::Wrong(why), _) => (Column::Tree, why),
            (_, Seen::Wrong(why)) => (Column::State, why),
            (Seen::All(leaves), Seen::All(entries)) if leaves != entries => {
                (Column::State, "has other entries than the tree")
            }
            (Seen::All(_) | Seen::Part, Seen::All(_) | Seen::Part) => return Ok(true),
        };
        self.repaired(head.height, why.0, Concerned::Table, why.1, Remedy::Rebuilt);
        self.grow_tree(head.height, head.state_root)
    }

    fn budget(&self) -> u64 {
        match self.depth {
            Depth::Recent => limits::RECENT_ENTRIES,
            Depth::Whole => u64::MAX,
        }
    }

    fn page(&self, path: &Path) -> Result<Option<Page>, LedgerError> {
        match Pages::page(&self.store(), path) {
            Err(LedgerError::Damaged { .. } | LedgerError::Store(StoreError::Damaged { .. })) => {
                Ok(None)
            }
            page => page,
        }
    }

    /// Walks the tree from its root; every page must hash to what is said of it above.
    fn see_tree(&self, root: Hash) -> Result<Seen, LedgerError> {
        self.walk_tree(root, &mut |_, _| false, &mut |_| {})
    }

    /// The same. `wrong` is told each page that is not what it should be, and says whether to go on with the
    /// others that it is not above; `seen`, how many were looked at.
    pub(super) fn walk_tree(
        &self,
        root: Hash,
        wrong: &mut dyn FnMut(&Path, &'static str) -> bool,
        seen: &mut dyn FnMut(u64),
    ) -> Result<Seen, LedgerError> {
        let (mut budget, mut bad, mut looked) = (self.budget(), None, 0_u64);
        let (mut leaves, mut pages) = (0, 0_usize);
        let mut below = vec![(Path::ROOT, root)];
        while let Some((path, expected)) = below.pop() {
            // A missing page has no entries, which is right for the root of an empty state only.
            let mut page = self.page(&path)?.unwrap_or_default();
            if page.hash(&mut Hashing::with(None)) != expected {
                let why = "is not that of the statement";
                bad = Some(why);
                if !wrong(&path, why) {
                    return Ok(Seen::Wrong(why));
                }
                continue;
            }
            looked += 1;
            seen(looked);
            let is_leaf = |slot: &&Slot| matches!(slot, Slot::Leaf { .. });
            leaves += page.slots().iter().filter(is_leaf).count() as u64;
            pages += usize::from(page != Page::default());
            below.extend(pages_below(&path, &page));
            budget = budget.saturating_sub(1);
            if budget == 0 {
                return Ok(Seen::Part);
            }
        }
        let mut rows = 0_usize;
        self.each_row(Column::Tree, |_, _| {
            rows += 1;
            Ok(())
        })?;
        Ok(match bad {
            Some(why) => Seen::Wrong(why),
            None if rows == pages => Seen::All(leaves),
            None => Seen::Wrong("has pages that none names"),
        })
    }

    /// Looks up each entry of the state in the tree.
    fn see_entries(&self) -> Result<Seen, LedgerError> {
        self.walk_entries(&mut |_, _| false, &mut |_| {})
    }

    /// The same. `wrong` is told the key of each entry that is not what it should be, none for a stretch that
    /// cannot be read, and says whether to go on; `seen`, how many were looked at.
    pub(super) fn walk_entries(
        &self,
        wrong: &mut dyn FnMut(Option<&[u8]>, &'static str) -> bool,
        seen: &mut dyn FnMut(u64),
    ) -> Result<Seen, LedgerError> {
        let (mut budget, mut bad) = (self.budget(), None);
        let (mut from, mut entries) = (Vec::new(), 0);
        loop {
            let rows = match self.store().rows(Column::State, &from, ROWS_AT_ONCE) {
                Ok(rows) => rows,
                Err(StoreError::Damaged { .. }) => {
                    wrong(None, "cannot be read");
                    return Ok(Seen::Wrong("cannot be read"));
                }
                Err(failed) => return Err(failed.into()),
            };
            for (key, value) in &rows {
                if self.leaf(&StateKey::hash_of(key))? != Some(value_hash(value)) {
                    let why = "has an entry that the tree does not have";
                    bad = Some(why);
                    if !wrong(Some(key), why) {
                        return Ok(Seen::Wrong(why));
                    }
                }
                entries += 1;
            }
            seen(entries);
            budget = budget.saturating_sub(rows.len() as u64);
            match rows.last() {
                Some((last, _)) if rows.len() == ROWS_AT_ONCE => from = after(last),
                Some(_) | None => return Ok(bad.map_or(Seen::All(entries), Seen::Wrong)),
            }
            if budget == 0 {
                return Ok(Seen::Part);
            }
        }
    }

    /// The hash of the value that the tree has under this key.
    fn leaf(&self, key: &Hash) -> Result<Option<Hash>, LedgerError> {
        let mut path = Path::ROOT;
        while let Some(page) = self.page(&path)? {
            match page.slot(path.slot(key)) {
                Slot::Empty => return Ok(None),
                Slot::Leaf { key: found, value } => return Ok((found == *key).then_some(value)),
                Slot::Page(_) => path = path.towards(key),
            }
        }
        Ok(None)
    }

    /// Makes the tree again from the state; false if that does not give `root`.
    fn grow_tree(&mut self, head: Height, root: Hash) -> Result<bool, LedgerError> {
        self.clear(Column::Tree)?;
        self.ledger.tree = StateTree::new();
        let mut from = Vec::new();
        let grown = loop {
            let rows = match self.store().rows(Column::State, &from, ROWS_AT_ONCE) {
                Ok(rows) => rows,
                Err(StoreError::Damaged { .. }) => return Ok(false),
                Err(failed) => return Err(failed.into()),
            };
            let changes: Changes = rows
                .iter()
                .map(|(key, value)| (StateKey::hash_of(key), Some(value_hash(value))))
                .collect();
            let store = self.ledger.store.clone();
            let (grown, written) = self.ledger.tree.update(&store.as_ref(), changes)?;
            let mut batch = Batch::default();
            for (path, page) in &written {
                let row = page.as_ref().map(|page| page.encode());
                batch.set(Column::Tree, path.row_key(), row);
            }
            store.mend(batch)?;
            self.ledger.tree.written(written);
            match rows.last() {
                Some((last, _)) if rows.len() == ROWS_AT_ONCE => from = after(last),
                Some(_) | None => break grown,
            }
        };
        if grown == root {
            let what = "was made again from the state";
            self.repaired(head, Column::Tree, Concerned::Table, what, Remedy::Rebuilt);
        }
        Ok(grown == root)
    }
}

/// The pages that a page names, each with the hash it must have.
fn pages_below(path: &Path, page: &Page) -> Vec<(Path, Hash)> {
    let slots = (0_u8..).zip(page.slots());
    slots
        .filter_map(|(index, slot)| match slot {
            Slot::Page(hash) => Some((path.below(index), *hash)),
            Slot::Empty | Slot::Leaf { .. } => None,
        })
        .collect()
}
