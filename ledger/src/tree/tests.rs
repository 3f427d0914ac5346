//! The tree against a plain map.

use std::cell::RefCell;
use std::collections::BTreeMap;

use daruma_types::{Hash, HashContext};

use super::update::Written;
use super::{Changes, Pages, StateTree, empty_state_root};
use crate::LedgerError;

/// Rows in a map.
#[derive(Default)]
struct Rows(RefCell<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Pages for Rows {
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.0.borrow().get(key).cloned())
    }
}

impl Rows {
    fn write(&self, written: &Written) {
        for (path, page) in written {
            match page {
                Some(page) => self.0.borrow_mut().insert(path.row_key(), page.encode()),
                None => self.0.borrow_mut().remove(&path.row_key()),
            };
        }
    }
}

fn update(tree: &mut StateTree, rows: &Rows, changes: Changes) -> Hash {
    let (root, written) = tree.update(rows, changes).unwrap();
    rows.write(&written);
    tree.written(written);
    root
}

/// The tree of `entries`, built in one step: its root and its rows.
fn fresh(entries: &BTreeMap<Hash, Hash>) -> (Hash, BTreeMap<Vec<u8>, Vec<u8>>) {
    let rows = Rows::default();
    let changes = entries.iter().map(|(key, value)| (*key, Some(*value))).collect();
    let root = update(&mut StateTree::new(), &rows, changes);
    (root, rows.0.into_inner())
}

/// Hashes of few different beginnings, so that paths are long and pages come and go.
fn key(number: u64) -> Hash {
    let mut key = Hash::of(HashContext::StateKey, &[&number.to_le_bytes()]);
    if number.is_multiple_of(3) {
        key.0[..20].fill((number % 2) as u8);
    }
    key
}

/// A number that looks random.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
fn root_and_rows_depend_on_the_contents_alone() {
    let (mut tree, rows) = (StateTree::new(), Rows::default());
    let mut entries = BTreeMap::new();
    let mut seed = 1;
    for step in 0..300 {
        let mut changes = Changes::new();
        // Growing, then shrinking.
        for _ in 0..draw(&mut seed) % 12 {
            let key = key(draw(&mut seed) % 150);
            let removed = draw(&mut seed) % 300 < step;
            let value = (!removed).then(|| Hash([draw(&mut seed) as u8; 32]));
            changes.insert(key, value);
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        if step.is_multiple_of(50) {
            tree = StateTree::new();
        }
        let root = update(&mut tree, &rows, changes);
        assert_eq!((root, rows.0.borrow().clone()), fresh(&entries), "step {step}");
    }
    let all = entries.keys().map(|key| (*key, None)).collect();
    assert_eq!(update(&mut tree, &rows, all), empty_state_root());
    assert!(rows.0.borrow().is_empty(), "an empty tree leaves no rows");
}

#[test]
fn changes_that_change_nothing_write_nothing() {
    let (mut tree, rows) = (StateTree::new(), Rows::default());
    let value = Some(Hash([7; 32]));
    let all = (0..200).map(|number| (key(number), value)).collect();
    let root = update(&mut tree, &rows, all);
    let same: Changes = (0..50).map(|number| (key(number), value)).collect();
    let absent: Changes = (900..950).map(|number| (key(number), None)).collect();
    for changes in [Changes::new(), same, absent] {
        let (again, written) = tree.update(&rows, changes).unwrap();
        assert_eq!((again, written.len()), (root, 0));
    }
}

#[test]
fn an_update_that_is_not_written_leaves_the_tree_as_it_was() {
    let (mut tree, rows) = (StateTree::new(), Rows::default());
    let root = update(&mut tree, &rows, Changes::from([(key(1), Some(Hash([7; 32])))]));
    let change = Changes::from([(key(2), Some(Hash([8; 32])))]);
    let (other, _) = tree.update(&rows, change.clone()).unwrap();
    assert_ne!(other, root);
    assert_eq!(tree.update(&rows, Changes::new()).unwrap().0, root);
    assert_eq!(tree.update(&rows, change).unwrap().0, other);
}

#[test]
fn a_missing_or_damaged_page_is_an_error_that_names_it() {
    let rows = Rows::default();
    let all = (0..200).map(|number| (key(number), Some(Hash([7; 32])))).collect();
    update(&mut StateTree::new(), &rows, all);
    let deepest = rows.0.borrow().keys().next_back().cloned().unwrap();
    let change: Changes = (0..200).map(|number| (key(number), None)).collect();
    for damage in [None, Some(vec![1, 2, 3])] {
        match damage {
            None => rows.0.borrow_mut().remove(&deepest),
            Some(bytes) => rows.0.borrow_mut().insert(deepest.clone(), bytes),
        };
        let error = StateTree::new().update(&rows, change.clone()).unwrap_err();
        assert!(error.to_string().contains("page /"), "{error}");
    }
}
