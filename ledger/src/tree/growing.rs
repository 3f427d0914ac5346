//! A subtree from nothing but its entries: what a chunk of a snapshot is checked against.

use daruma_types::Hash;

use super::{Hashing, Page, Path, Slot};

/// Pages with where they are.
pub(crate) type Grown = Vec<(Path, Page)>;

/// What the slot that leads to `path` holds if `leaves`, the hashes of keys and values in order of the
/// keys', are all there is below it. The pages that this takes are added to `grown`.
pub(crate) fn grow(
    path: &Path,
    leaves: &[(Hash, Hash)],
    grown: &mut Grown,
    hashing: &mut Hashing<'_>,
) -> Slot {
    match leaves {
        [] => return Slot::Empty,
        [(key, value)] => return Slot::Leaf { key: *key, value: *value },
        _ => {}
    }
    let mut page = Page::default();
    for group in leaves.chunk_by(|(a, _), (b, _)| path.slot(a) == path.slot(b)) {
        let Some((key, _)) = group.first() else { continue };
        page.set(path.slot(key), grow(&path.towards(key), group, grown, hashing));
    }
    let hash = page.hash(hashing);
    grown.push((*path, page));
    Slot::Page(hash)
}
