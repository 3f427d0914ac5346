//! Making a snapshot: the entries of a state put in order of their keys' hashes, in bounded memory.
//!
//! Rows of the state lie in order of their keys, chunks in order of the keys' hashes. What does not fit in
//! memory is dealt out to sixteen files by the first digit of the hash, each file that is still too large
//! to sixteen more by the next, and so on.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use daruma_store::{Row, Snapshot};
use daruma_types::{Hash, Height, codec};

use super::chunk::{ENTRY_OVERHEAD, StateChunk, beginning};
use super::shelf::SnapshotWriter;
use crate::limits::{SNAPSHOT_ROWS_AT_ONCE, SORT_BYTES_MAX};
use crate::tree::{Pages, Path, SLOTS};
use crate::{LedgerError, StateKey};

/// Why a making ended that was told to.
const GIVEN_UP: &str = "its making was stopped";

/// An entry and where it lies in the tree.
struct Entry {
    hash: Hash,
    row: Row,
}

/// Bytes that an entry takes in a chunk.
const fn encoded(row: &Row) -> u64 {
    (row.0.len() + row.1.len() + ENTRY_OVERHEAD) as u64
}

/// All entries below some slot.
struct Part {
    entries: u64,
    /// In a chunk.
    bytes: u64,
    kept: Kept,
}

enum Kept {
    Memory(Vec<Entry>),
    /// A file of rows, each after the lengths of key and value; removed once it is read.
    Scratch(PathBuf),
}

impl Part {
    const fn empty() -> Self {
        Self { entries: 0, bytes: 0, kept: Kept::Memory(Vec::new()) }
    }

    fn push(&mut self, entry: Entry) {
        self.entries += 1;
        self.bytes += encoded(&entry.row);
        if let Kept::Memory(entries) = &mut self.kept {
            entries.push(entry);
        }
    }
}

/// One making under way.
pub(super) struct Making<'a> {
    pub(super) height: Height,
    pub(super) root: Hash,
    pub(super) state: &'a dyn Snapshot,
    pub(super) writer: &'a mut dyn SnapshotWriter,
    pub(super) chunk_bytes: u64,
    /// Is told how many bytes were handled, and may take its time, or say that this is the end.
    pub(super) pace: &'a mut dyn FnMut(usize) -> bool,
    pub(super) scratches: u64,
}

impl Making<'_> {
    /// Writes all chunks of the state.
    pub(super) fn run(&mut self) -> Result<(), LedgerError> {
        let all = self.gather()?;
        if all.bytes <= self.chunk_bytes || all.entries <= 1 {
            let parts = self.split(&Path::ROOT, all)?;
            return self.chunk(&Path::ROOT, 0, parts.into_iter().collect());
        }
        self.chunks(&Path::ROOT, all)
    }

    /// Reads the whole state, into memory while it fits.
    fn gather(&mut self) -> Result<Part, LedgerError> {
        let mut all = Part::empty();
        let mut spill: Option<(PathBuf, BufWriter<File>)> = None;
        let mut from = Vec::new();
        loop {
            let rows = self.state.state_scan(b"", &from, SNAPSHOT_ROWS_AT_ONCE)?;
            let last = rows.len() < SNAPSHOT_ROWS_AT_ONCE;
            if let Some((key, _)) = rows.last() {
                from = [key.as_slice(), &[0]].concat();
            }
            for row in rows {
                self.handled(row.0.len() + row.1.len())?;
                match &mut spill {
                    Some((_, file)) => {
                        all.entries += 1;
                        all.bytes += encoded(&row);
                        write_row(file, &row).map_err(|why| self.failed(&why))?;
                    }
                    None => {
                        let hash = StateKey::hash_of(&row.0);
                        all.push(Entry { hash, row });
                    }
                }
            }
            if spill.is_none()
                && all.bytes > SORT_BYTES_MAX
                && let Some(path) = self.scratch()
            {
                let Kept::Memory(entries) =
                    std::mem::replace(&mut all.kept, Kept::Scratch(path.clone()))
                else {
                    continue;
                };
                let mut file = create(&path).map_err(|why| self.failed(&why))?;
                for entry in &entries {
                    write_row(&mut file, &entry.row).map_err(|why| self.failed(&why))?;
                }
                spill = Some((path, file));
            }
            if last {
                break;
            }
        }
        if let Some((_, mut file)) = spill {
            file.flush().map_err(|why| self.failed(&why))?;
        }
        Ok(all)
    }

    /// A new file's name, where the writer has room for files.
    fn scratch(&mut self) -> Option<PathBuf> {
        self.scratches += 1;
        Some(self.writer.scratch()?.join(format!("scratch-{}", self.scratches)))
    }

    /// Writes the chunks below the page at `path`, whose entries are more than one chunk's.
    fn chunks(&mut self, path: &Path, part: Part) -> Result<(), LedgerError> {
        let mut run = Vec::new();
        let mut bytes = 0;
        for (slot, part) in self.split(path, part)?.into_iter().enumerate() {
            let own = part.bytes;
            if bytes + own > self.chunk_bytes && !run.is_empty() {
                let first = slot - run.len();
                self.chunk(path, first, std::mem::take(&mut run))?;
                bytes = 0;
            }
            if own > self.chunk_bytes && part.entries > 1 {
                self.chunks(&path.below(slot as u8), part)?;
            } else {
                bytes += own;
                run.push(part);
            }
        }
        if run.is_empty() {
            return Ok(());
        }
        self.chunk(path, SLOTS - run.len(), run)
    }

    /// Writes the chunk of some neighbouring slots.
    fn chunk(&mut self, path: &Path, first: usize, parts: Vec<Part>) -> Result<(), LedgerError> {
        let from = beginning(path, first);
        let slots = parts.len() as u8;
        let mut entries = Vec::new();
        for part in parts {
            entries.extend(self.load(part)?);
        }
        entries.sort_unstable_by_key(|entry| entry.hash);
        let mut pages = Vec::with_capacity(path.depth() + 1);
        let mut at = Path::ROOT;
        loop {
            let page = self.state.page(&at)?;
            pages.push(page.unwrap_or_default().encode());
            if at.depth() == path.depth() {
                break;
            }
            at = at.towards(&from);
        }
        let entries = entries.into_iter().map(|entry| entry.row).collect();
        let bytes = codec::encode(&StateChunk { pages, slots, entries });
        self.handled(bytes.len())?;
        // What others could not use must not lie here as a snapshot.
        if let Err(fault) = StateChunk::verify(self.root, from, &bytes) {
            let what = format!("a chunk made of its state does not prove itself: {fault}");
            return Err(LedgerError::Damaged { height: self.height, what });
        }
        self.writer.chunk(from, &bytes)
    }

    fn load(&self, part: Part) -> Result<Vec<Entry>, LedgerError> {
        match part.kept {
            Kept::Memory(entries) => Ok(entries),
            Kept::Scratch(path) => {
                let mut entries = Vec::new();
                let mut take = |row: Row| {
                    entries.push(Entry { hash: StateKey::hash_of(&row.0), row });
                    Ok(())
                };
                read_rows(&path, part.entries, &mut take).map_err(|why| self.failed(&why))?;
                Ok(entries)
            }
        }
    }

    /// Deals the entries below the page at `path` out to its slots.
    fn split(&mut self, path: &Path, part: Part) -> Result<[Part; SLOTS], LedgerError> {
        let mut parts: [Part; SLOTS] = std::array::from_fn(|_| Part::empty());
        let file = match part.kept {
            Kept::Scratch(ref file) if part.bytes > SORT_BYTES_MAX => file.clone(),
            Kept::Scratch(_) | Kept::Memory(_) => {
                for entry in self.load(part)? {
                    if let Some(part) = parts.get_mut(path.slot(&entry.hash)) {
                        part.push(entry);
                    }
                }
                return Ok(parts);
            }
        };
        let mut files = Vec::with_capacity(SLOTS);
        for part in &mut parts {
            let Some(path) = self.scratch() else { continue };
            files.push(create(&path).map_err(|why| self.failed(&why))?);
            part.kept = Kept::Scratch(path);
        }
        let mut deal = |row: Row| {
            let slot = path.slot(&StateKey::hash_of(&row.0));
            if let (Some(part), Some(file)) = (parts.get_mut(slot), files.get_mut(slot)) {
                part.entries += 1;
                part.bytes += encoded(&row);
                write_row(file, &row)?;
            }
            match (self.pace)(row.0.len() + row.1.len()) {
                true => Ok(()),
                false => Err(io::Error::other(GIVEN_UP)),
            }
        };
        let dealt = read_rows(&file, part.entries, &mut deal);
        dealt
            .and_then(|()| files.iter_mut().try_for_each(Write::flush))
            .map_err(|why| self.failed(&why))?;
        Ok(parts)
    }

    fn handled(&mut self, bytes: usize) -> Result<(), LedgerError> {
        match (self.pace)(bytes) {
            true => Ok(()),
            false => Err(self.failed(&io::Error::other(GIVEN_UP))),
        }
    }

    fn failed(&self, why: &io::Error) -> LedgerError {
        LedgerError::Snapshot { height: self.height, why: why.to_string() }
    }
}

fn create(path: &std::path::Path) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path)?))
}

fn write_row(file: &mut impl Write, (key, value): &Row) -> io::Result<()> {
    file.write_all(&(key.len() as u64).to_le_bytes())?;
    file.write_all(&(value.len() as u64).to_le_bytes())?;
    file.write_all(key)?;
    file.write_all(value)
}

/// Gives each row of a scratch file to `take`, and removes the file.
fn read_rows(
    path: &std::path::Path,
    rows: u64,
    take: &mut dyn FnMut(Row) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    for _ in 0..rows {
        let (mut key, mut value) = ([0; 8], [0; 8]);
        file.read_exact(&mut key)?;
        file.read_exact(&mut value)?;
        let row = (
            read_bytes(&mut file, u64::from_le_bytes(key))?,
            read_bytes(&mut file, u64::from_le_bytes(value))?,
        );
        take(row)?;
    }
    std::fs::remove_file(path)
}

/// Reads so many bytes; a length that a disk made of something else takes no more memory than there is
/// file.
fn read_bytes(file: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.take(length).read_to_end(&mut bytes)?;
    if (read as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
