//! How much memory a call takes.

use crate::limits::{DECODED_BYTES_FREE, DECODED_BYTES_PER_BYTE};

/// Runs `decode`, which was given `input` bytes.
///
/// # Panics
/// If at any moment it held memory far beyond its input.
pub(crate) fn bounded<T>(input: usize, what: &str, decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let taken = allocation_counter::measure(|| decoded = Some(decode()));
    let allowed = DECODED_BYTES_FREE + DECODED_BYTES_PER_BYTE * input;
    assert!(
        taken.bytes_max <= allowed as u64,
        "{what}: {} bytes of memory for {input} bytes of input, {allowed} allowed",
        taken.bytes_max
    );
    match decoded {
        Some(decoded) => decoded,
        None => unreachable!("what is measured is run"),
    }
}
