//! Chunks of a state: entries that stand side by side in the state tree, with what proves them.

use daruma_store::Row;
use daruma_types::codec::{self, Decode, Encode};
use daruma_types::{Hash, limits::CHUNK_BYTES};

use crate::StateKey;
use crate::tree::{DEPTH_MAX, Grown, Hashing, Page, Path, SLOTS, Slot, grow, value_hash};

/// Bytes that an entry takes in a chunk beside its key and value: the length of each.
pub(crate) const ENTRY_OVERHEAD: usize = 16;

/// All entries of a state below some neighbouring slots of one page of its tree.
///
/// Which page and which slots follows from where the chunk begins: the least hash of a key that may be in
/// it. Its hex digits name the page, one for each page but the root, and the next one the first slot; all
/// others are zero.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StateChunk {
    /// The pages from the root's to the one, as their rows.
    pub(crate) pages: Vec<Vec<u8>>,
    /// How many slots, from 1.
    pub(crate) slots: u8,
    /// Keys and values, in order of the keys' hashes.
    pub(crate) entries: Vec<Row>,
}

/// Why a chunk is none of the state that it is said to be of. Always the doing of whoever gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    /// The bytes are no chunk.
    #[error("it does not decode")]
    Malformed,
    /// It begins elsewhere, or its slots are no slots of a page.
    #[error("it does not begin where it should, or has no slots")]
    Place,
    /// The pages do not lead to the state's root.
    #[error("its pages are not those of the state")]
    Pages,
    /// The entries do not hash to what the pages say, or are not in order.
    #[error("its entries are not those of the state")]
    Entries,
}

/// What a chunk that proved itself brings.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Rows of the state.
    pub(crate) entries: Vec<Row>,
    /// Pages of its tree: those below the chunk's slots, and those above, which are the same in every
    /// chunk below them.
    pub(crate) pages: Vec<(Path, Page)>,
    /// Where the next chunk begins; none after the last.
    pub(crate) next: Option<Hash>,
}

/// Where the slot `slot` of the page at `path` begins.
pub(crate) fn beginning(path: &Path, slot: usize) -> Hash {
    path.below(slot as u8).first()
}

impl StateChunk {
    /// Reads a chunk that begins at `from`, of the state with this root.
    pub(crate) fn verify(root: Hash, from: Hash, bytes: &[u8]) -> Result<Piece, ChunkFault> {
        // The proof is small, and the largest chunk is far from the bound of what is decoded.
        let chunk: Self = match bytes.len() {
            ..=CHUNK_BYTES_MAX => codec::decode(bytes).map_err(|_| ChunkFault::Malformed)?,
            _ => return Err(ChunkFault::Malformed),
        };
        let mut hashing = Hashing::with(None);
        let (path, pages) = chunk.pages(root, from, &mut hashing)?;
        let first = path.slot(&from);
        let end = first + usize::from(chunk.slots);
        if chunk.slots == 0 || end > SLOTS || beginning(&path, first) != from {
            return Err(ChunkFault::Place);
        }
        let Some((_, page)) = pages.last() else { return Err(ChunkFault::Pages) };
        let leaves: Vec<(Hash, Hash)> = chunk
            .entries
            .iter()
            .map(|(key, value)| (StateKey::hash_of(key), value_hash(value)))
            .collect();
        if !leaves.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(ChunkFault::Entries);
        }
        let mut grown = Grown::new();
        let mut rest = leaves.as_slice();
        for slot in first..end {
            let below = path.below(slot as u8);
            let inside = rest.iter().take_while(|(key, _)| below.leads_to(key)).count();
            let (these, others) = rest.split_at(inside);
            if grow(&below, these, &mut grown, &mut hashing) != page.slot(slot) {
                return Err(ChunkFault::Entries);
            }
            rest = others;
        }
        if !rest.is_empty() {
            return Err(ChunkFault::Entries);
        }
        let next = path.below((end - 1) as u8).after();
        // An empty state has no page at all.
        grown.extend(pages.into_iter().filter(|(_, page)| *page != Page::default()));
        Ok(Piece { entries: chunk.entries, pages: grown, next })
    }

    /// The pages, each as the one above names it, and the path of the last.
    fn pages(
        &self,
        root: Hash,
        from: Hash,
        hashing: &mut Hashing<'_>,
    ) -> Result<(Path, Vec<(Path, Page)>), ChunkFault> {
        if self.pages.is_empty() || self.pages.len() > DEPTH_MAX {
            return Err(ChunkFault::Pages);
        }
        let (mut path, mut expected) = (Path::ROOT, root);
        let mut pages: Vec<(Path, Page)> = Vec::with_capacity(self.pages.len());
        for row in &self.pages {
            if let Some((above, page)) = pages.last() {
                let Slot::Page(hash) = page.slot(above.slot(&from)) else {
                    return Err(ChunkFault::Pages);
                };
                (path, expected) = (above.towards(&from), hash);
            }
            let mut page = Page::decode(row).ok_or(ChunkFault::Pages)?;
            if page.hash(hashing) != expected {
                return Err(ChunkFault::Pages);
            }
            pages.push((path, page));
        }
        Ok((path, pages))
    }
}

/// Bytes of the largest chunk: one that is full, or one entry of the largest size, with the pages of the
/// deepest path.
pub const CHUNK_BYTES_MAX: usize = CHUNK_BYTES + DEPTH_MAX * (4 + 64 * SLOTS + 8) + 1024;
