//! Changing the tree: one walk from the root, in order of the keys' hashes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use daruma_store::{Snapshot, Store};
use daruma_types::Hash;
use lru::LruCache;

use super::{Hashing, Page, Path, Slot, TreeHashes, damaged};
use crate::{LedgerError, limits};

/// Where pages are read.
pub(crate) trait Pages {
    /// The bytes of a page's row.
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError>;

    /// The page at `path`, if there is one.
    fn page(&self, path: &Path) -> Result<Option<Page>, LedgerError> {
        match self.row(&path.row_key())? {
            None => Ok(None),
            Some(bytes) => match Page::decode(&bytes) {
                Some(page) => Ok(Some(page)),
                None => Err(damaged(path, "does not decode")),
            },
        }
    }
}

impl Pages for &dyn Store {
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.tree_node(key)?)
    }
}

impl Pages for &(dyn Snapshot + '_) {
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.tree_node(key)?)
    }
}

/// What a block changes: hashes of keys, with the hash of the new value, or none for no entry.
pub(crate) type Changes = BTreeMap<Hash, Option<Hash>>;

/// One change, in a list in order of the keys.
type Change = (Hash, Option<Hash>);

/// Pages that an update writes; `None` deletes.
pub(crate) type Written = Vec<(Path, Option<Arc<Page>>)>;

/// The newest version of the tree, with the pages used last in memory.
#[derive(Debug)]
pub(crate) struct StateTree {
    cache: LruCache<Path, Arc<Page>>,
    hashes: Option<Arc<TreeHashes>>,
    /// Pages that were replaced in the cache: room for those that come next. Each is large enough to
    /// be dear to get and give back, and a block replaces a dozen.
    spare: Vec<Arc<Page>>,
}

impl StateTree {
    pub(crate) fn new() -> Self {
        const PAGES: NonZeroUsize = match NonZeroUsize::new(limits::TREE_CACHE_PAGES) {
            Some(pages) => pages,
            None => NonZeroUsize::MIN,
        };
        Self { cache: LruCache::new(PAGES), hashes: None, spare: Vec::new() }
    }

    /// Looks hashes up in `hashes` first.
    pub(crate) fn share(&mut self, hashes: Arc<TreeHashes>) {
        self.hashes = Some(hashes);
    }

    /// Works out what `changes` do to the tree in `pages`: the new root, and the pages to write. The
    /// tree itself changes when they are given to [`Self::written`].
    pub(crate) fn update(
        &mut self,
        pages: &dyn Pages,
        changes: Changes,
    ) -> Result<(Hash, Written), LedgerError> {
        let changes: Vec<Change> = changes.into_iter().collect();
        let old = self.load(pages, &Path::ROOT)?.unwrap_or_default();
        let mut new = Page::clone(&old);
        let mut written = Written::new();
        let shared = self.hashes.clone();
        let mut hashing = Hashing::with(shared.as_deref());
        let hashes = &mut hashing;
        let mut walk = Walk { tree: self, pages, written: &mut written, hashes };
        walk.change_page(Path::ROOT, &mut new, &changes)?;
        let root = new.hash(&mut hashing);
        if new != *old {
            // The root's page is kept for a single entry, too: there is no slot above it.
            let row = (new != Page::default()).then(|| self.boxed(new));
            written.push((Path::ROOT, row));
        }
        Ok((root, written))
    }

    /// The pages are in the store: the next update sees them.
    pub(crate) fn written(&mut self, written: Written) {
        for (path, page) in written {
            let before = match page {
                Some(page) => self.cache.put(path, page),
                None => self.cache.pop(&path),
            };
            if let Some(before) = before.filter(|_| self.spare.len() < limits::TREE_SPARE_PAGES) {
                self.spare.push(before);
            }
        }
    }

    /// Puts a page where a spare one was, if there is one that nobody else holds.
    fn boxed(&mut self, page: Page) -> Arc<Page> {
        if let Some(mut spare) = self.spare.pop()
            && let Some(room) = Arc::get_mut(&mut spare)
        {
            *room = page;
            return spare;
        }
        Arc::new(page)
    }

    fn load(&mut self, pages: &dyn Pages, path: &Path) -> Result<Option<Arc<Page>>, LedgerError> {
        if let Some(page) = self.cache.get(path) {
            return Ok(Some(Arc::clone(page)));
        }
        Ok(pages.page(path)?.map(Arc::new))
    }
}

struct Walk<'a, 'h> {
    tree: &'a mut StateTree,
    pages: &'a dyn Pages,
    written: &'a mut Written,
    hashes: &'a mut Hashing<'h>,
}

impl Walk<'_, '_> {
    /// Makes `changes`, all of which lie below `page`.
    fn change_page(
        &mut self,
        path: Path,
        page: &mut Page,
        changes: &[Change],
    ) -> Result<(), LedgerError> {
        for group in changes.chunk_by(|a, b| path.slot(&a.0) == path.slot(&b.0)) {
            let Some((key, _)) = group.first() else { continue };
            let index = path.slot(key);
            page.set(index, self.change_slot(path.towards(key), page.slot(index), group)?);
        }
        Ok(())
    }

    /// What a slot holds after `changes`, all of which lie below it. `path` is that of its page.
    fn change_slot(
        &mut self,
        path: Path,
        slot: Slot,
        changes: &[Change],
    ) -> Result<Slot, LedgerError> {
        // One entry needs no page.
        if let Some(single) = single(slot, changes) {
            return Ok(single);
        }
        let mut old = None;
        let mut page = match slot {
            Slot::Page(_) => match self.tree.load(self.pages, &path)? {
                Some(page) => Page::clone(old.insert(page)),
                None => return Err(damaged(&path, "is missing")),
            },
            Slot::Empty => Page::default(),
            Slot::Leaf { key, .. } => {
                let mut page = Page::default();
                page.set(path.slot(&key), slot);
                page
            }
        };
        self.change_page(path, &mut page, changes)?;
        if let Some(single) = page.collapsed() {
            if old.is_some() {
                self.written.push((path, None));
            }
            return Ok(single);
        }
        if old.is_some_and(|old| *old == page) {
            return Ok(slot);
        }
        let hash = page.hash(self.hashes);
        let page = self.tree.boxed(page);
        self.written.push((path, Some(page)));
        Ok(Slot::Page(hash))
    }
}

/// The slot after `changes` where that is plain to see: at most one entry is there or comes.
fn single(slot: Slot, changes: &[Change]) -> Option<Slot> {
    let [(key, value)] = changes else { return None };
    let here = match slot {
        Slot::Empty => true,
        Slot::Leaf { key: other, .. } => other == *key,
        Slot::Page(_) => return None,
    };
    match (here, value) {
        (true, Some(value)) => Some(Slot::Leaf { key: *key, value: *value }),
        (true, None) => Some(Slot::Empty),
        (false, None) => Some(slot),
        (false, Some(_)) => None,
    }
}
