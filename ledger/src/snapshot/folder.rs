//! Snapshots in a folder, each in one of its own, named after its height.
//!
//! | file | contents |
//! |---|---|
//! | `checkpoint` | the encoded [`Checkpoint`] after its BLAKE3 digest |
//! | `chunks` | the chunks' bytes, one after the other |
//! | `index` | 80 bytes for each chunk: where it begins in the state, where in `chunks`, its length, and the BLAKE3 digest of all of these with its bytes |
//!
//! A folder gets its name when everything in it is on the disk. Nothing is held in memory: a chunk is
//! found by halving the index.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use daruma_types::{Checkpoint, Hash, Height, codec, limits::FRAME_BYTES_MAX};

use super::chunk::CHUNK_BYTES_MAX;
use super::shelf::{SnapshotShelf, SnapshotWriter};
use crate::LedgerError;

const CHECKPOINT: &str = "checkpoint";
const CHUNKS: &str = "chunks";
const INDEX: &str = "index";
/// What a folder's name begins with until it is finished.
const UNFINISHED: &str = "unfinished-";
/// Bytes of an entry of the index.
const ENTRY: usize = 80;

/// Snapshots in a folder. It must be this ledger's alone.
#[derive(Debug, Clone)]
pub struct FolderShelf {
    folder: PathBuf,
}

fn failed(height: Height, why: impl ToString) -> LedgerError {
    LedgerError::Snapshot { height, why: why.to_string() }
}

impl FolderShelf {
    /// The snapshots in `folder`, which is made if it is not there. What was left unfinished by a loss of
    /// power is removed.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if the folder cannot be made or read.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, LedgerError> {
        let shelf = Self::existing(folder);
        let clean = || -> io::Result<()> {
            fs::create_dir_all(&shelf.folder)?;
            for entry in fs::read_dir(&shelf.folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            Ok(())
        };
        clean().map_err(|why| shelf.unusable(&why))?;
        Ok(shelf)
    }

    /// The snapshots in `folder`, for reading only: nothing is made or removed.
    #[must_use]
    pub fn existing(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn unusable(&self, why: &io::Error) -> LedgerError {
        failed(Height(0), format!("{}: {why}", self.folder.display()))
    }

    fn of(&self, height: Height) -> PathBuf {
        // Names in order of height.
        self.folder.join(format!("{:020}", height.0))
    }
}

/// Where a chunk is.
struct Entry {
    from: Hash,
    offset: u64,
    length: u64,
    digest: [u8; 32],
}

impl Entry {
    fn of(from: Hash, offset: u64, bytes: &[u8]) -> Self {
        let length = bytes.len() as u64;
        Self { from, offset, length, digest: Self::digest(&from, offset, length, bytes) }
    }

    fn digest(from: &Hash, offset: u64, length: u64, bytes: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&from.0).update(&offset.to_le_bytes()).update(&length.to_le_bytes());
        *hasher.update(bytes).finalize().as_bytes()
    }

    fn encode(&self) -> Vec<u8> {
        let (offset, length) = (self.offset.to_le_bytes(), self.length.to_le_bytes());
        [self.from.0.as_slice(), &offset, &length, &self.digest].concat()
    }

    fn decode(bytes: &[u8; ENTRY]) -> Option<Self> {
        let (from, rest) = bytes.split_first_chunk::<32>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (offset, length) = (u64::from_le_bytes(*offset), u64::from_le_bytes(*length));
        Some(Self { from: Hash(*from), offset, length, digest: rest.try_into().ok()? })
    }
}

fn entry_at(index: &mut File, number: u64) -> io::Result<Entry> {
    let mut bytes = [0; ENTRY];
    index.seek(SeekFrom::Start(number * ENTRY as u64))?;
    index.read_exact(&mut bytes)?;
    Entry::decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Opens a file; none if it is not there.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a folder with all that is in it, if it is there.
fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl FolderShelf {
    fn read_checkpoint(&self, height: Height) -> io::Result<Option<Checkpoint>> {
        let Some(file) = open(&self.of(height).join(CHECKPOINT))? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(FRAME_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        let (digest, encoded) = bytes.split_first_chunk::<32>().unwrap_or((&[0; 32], &[]));
        if blake3::hash(encoded).as_bytes() != digest {
            return Err(io::Error::other("its checkpoint is damaged"));
        }
        match codec::decode_stored::<Checkpoint>(encoded) {
            Ok(checkpoint) if checkpoint.height() == height => Ok(Some(checkpoint)),
            Ok(_) => Err(io::Error::other("its checkpoint is of another height")),
            Err(why) => Err(io::Error::other(format!("its checkpoint: {why}"))),
        }
    }

    fn read_chunk(&self, height: Height, from: &Hash) -> io::Result<Option<Vec<u8>>> {
        let folder = self.of(height);
        let Some(mut index) = open(&folder.join(INDEX))? else { return Ok(None) };
        let (mut low, mut high) = (0, index.metadata()?.len() / ENTRY as u64);
        while low < high {
            let middle = low.midpoint(high);
            let entry = entry_at(&mut index, middle)?;
            match entry.from.cmp(from) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return read_entry(&folder, &entry).map(Some),
            }
        }
        Ok(None)
    }
}

fn read_entry(folder: &Path, entry: &Entry) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::other("a chunk or its place in the index is damaged");
    if entry.length > CHUNK_BYTES_MAX as u64 {
        return Err(damaged());
    }
    let mut chunks = File::open(folder.join(CHUNKS))?;
    chunks.seek(SeekFrom::Start(entry.offset))?;
    let mut bytes = Vec::new();
    chunks.take(entry.length).read_to_end(&mut bytes)?;
    if Entry::digest(&entry.from, entry.offset, entry.length, &bytes) != entry.digest {
        return Err(damaged());
    }
    Ok(bytes)
}

impl SnapshotShelf for FolderShelf {
    fn heights(&self) -> Result<Vec<Height>, LedgerError> {
        let read = || -> io::Result<Vec<Height>> {
            let mut heights = Vec::new();
            let entries = match fs::read_dir(&self.folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(heights),
                entries => entries?,
            };
            for entry in entries {
                let name = entry?.file_name();
                if let Some(Ok(height)) = name.to_str().map(str::parse) {
                    heights.push(Height(height));
                }
            }
            heights.sort_unstable();
            Ok(heights)
        };
        read().map_err(|why| self.unusable(&why))
    }

    fn checkpoint(&self, height: Height) -> Result<Option<Checkpoint>, LedgerError> {
        self.read_checkpoint(height).map_err(|why| failed(height, why))
    }

    fn chunk(&self, height: Height, from: &Hash) -> Result<Option<Vec<u8>>, LedgerError> {
        self.read_chunk(height, from).map_err(|why| failed(height, why))
    }

    fn size(&self, height: Height) -> Result<Option<(u64, u64)>, LedgerError> {
        let read = || -> io::Result<Option<(u64, u64)>> {
            let folder = self.of(height);
            let Some(index) = open(&folder.join(INDEX))? else { return Ok(None) };
            let bytes = fs::metadata(folder.join(CHUNKS))?.len();
            Ok(Some((index.metadata()?.len() / ENTRY as u64, bytes)))
        };
        read().map_err(|why| failed(height, why))
    }

    fn begin(&self, height: Height) -> Result<Box<dyn SnapshotWriter>, LedgerError> {
        let folder = self.folder.join(format!("{UNFINISHED}{:020}", height.0));
        let make = || -> io::Result<FolderWriter> {
            remove_folder(&folder)?;
            fs::create_dir_all(&folder)?;
            let chunks = BufWriter::new(File::create(folder.join(CHUNKS))?);
            let index = BufWriter::new(File::create(folder.join(INDEX))?);
            let to = self.of(height);
            Ok(FolderWriter { height, folder: folder.clone(), to, chunks, index, offset: 0 })
        };
        Ok(Box::new(make().map_err(|why| failed(height, why))?))
    }

    fn remove(&self, height: Height) -> Result<(), LedgerError> {
        remove_folder(&self.of(height)).map_err(|error| failed(height, error))
    }
}

struct FolderWriter {
    height: Height,
    folder: PathBuf,
    to: PathBuf,
    chunks: BufWriter<File>,
    index: BufWriter<File>,
    offset: u64,
}

impl SnapshotWriter for FolderWriter {
    fn chunk(&mut self, from: Hash, bytes: &[u8]) -> Result<(), LedgerError> {
        let entry = Entry::of(from, self.offset, bytes);
        let written =
            self.chunks.write_all(bytes).and_then(|()| self.index.write_all(&entry.encode()));
        self.offset += entry.length;
        written.map_err(|why| failed(self.height, why))
    }

    fn scratch(&self) -> Option<&Path> {
        Some(&self.folder)
    }

    fn finish(mut self: Box<Self>, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        let mut finish = || -> io::Result<()> {
            for file in [&mut self.chunks, &mut self.index] {
                file.flush()?;
                file.get_ref().sync_all()?;
            }
            let encoded = codec::encode(checkpoint);
            let mut file = File::create(self.folder.join(CHECKPOINT))?;
            file.write_all(blake3::hash(&encoded).as_bytes())?;
            file.write_all(&encoded)?;
            file.sync_all()?;
            sync_folder(&self.folder)?;
            remove_folder(&self.to)?;
            fs::rename(&self.folder, &self.to)?;
            self.to.parent().map_or(Ok(()), sync_folder)
        };
        finish().map_err(|why| failed(self.height, why))
    }
}

impl Drop for FolderWriter {
    fn drop(&mut self) {
        // There is no such folder any more once it was finished; otherwise the next opening removes it.
        let _removed = fs::remove_dir_all(&self.folder);
    }
}
