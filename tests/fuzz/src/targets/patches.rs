//! Small changes to true bytes.

use arbitrary::Arbitrary;

/// One change.
#[derive(Debug, Clone, Arbitrary)]
pub(super) enum Patch {
    /// The bits of one byte are flipped.
    Flip { at: u16, by: u8 },
    /// One byte is set.
    Set { at: u16, to: u8 },
    /// The end is lost.
    Cut { to: u16 },
    /// A run is replaced by another run of the same bytes.
    Copy { from: u16, to: u16, count: u8 },
    /// Bytes are put in.
    Insert { at: u16, bytes: [u8; 8], count: u8 },
    /// Bytes are taken out.
    Remove { at: u16, count: u8 },
}

/// Applies the changes in order, at most eight.
pub(super) fn patched(mut bytes: Vec<u8>, patches: &[Patch]) -> Vec<u8> {
    for patch in patches.iter().take(8) {
        let length = bytes.len();
        let place = |at: u16| usize::from(at).checked_rem(length).unwrap_or(0);
        match *patch {
            Patch::Flip { at, by } => {
                if let Some(byte) = bytes.get_mut(place(at)) {
                    *byte ^= by;
                }
            }
            Patch::Set { at, to } => {
                if let Some(byte) = bytes.get_mut(place(at)) {
                    *byte = to;
                }
            }
            Patch::Cut { to } => bytes.truncate(place(to)),
            Patch::Copy { from, to, count } => {
                let (from, to) = (place(from), place(to));
                let count = usize::from(count).min(length - from).min(length - to);
                bytes.copy_within(from..from + count, to);
            }
            Patch::Insert { at, bytes: new, count } => {
                let (at, count) = (place(at), usize::from(count % 9));
                bytes.splice(at..at, new.into_iter().take(count));
            }
            Patch::Remove { at, count } => {
                let at = place(at);
                let end = length.min(at + usize::from(count));
                bytes.drain(at..end);
            }
        }
    }
    bytes
}
