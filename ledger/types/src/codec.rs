//! The one encoding for wire and disk: bincode with fixed-width little-endian integers.
//!
//! Fixed width makes the encoding canonical (one form per value, so `encode(decode(b)) == b`), and
//! the limit is applied before anything is allocated. Nothing else in the project names bincode, so
//! the library can be replaced here.

use alloc::vec::Vec;

use bincode::enc::{EncoderImpl, write::SizeWriter};
pub use bincode::{Decode, Encode};

use crate::limits;

/// Why bytes were not decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than any value may have.
    #[error("{found} bytes; at most {max} are accepted")]
    TooLong {
        /// Length found.
        found: usize,
        /// Length allowed.
        max: usize,
    },
    /// The bytes are not an encoding of the type.
    #[error("not a valid encoding")]
    Malformed,
    /// The value ended before the bytes did.
    #[error("{0} bytes left over after the value")]
    Trailing(usize),
}

const fn config() -> impl bincode::config::Config {
    bincode::config::standard()
        .with_little_endian()
        .with_fixed_int_encoding()
        .with_limit::<{ limits::FRAME_BYTES_MAX }>()
}

const fn unlimited() -> impl bincode::config::Config {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding()
}

/// Encodes `value`. Every type of this crate can be encoded, whatever it holds.
#[must_use]
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    // Encoding into a growing vector fails only for types whose `Encode` returns an error of its
    // own, and none here does; an empty answer is refused by every decoder.
    bincode::encode_to_vec(value, unlimited()).unwrap_or_default()
}

/// Bytes that [`encode`] makes of `value`, without making them.
#[must_use]
pub fn encoded_bytes<T: Encode>(value: &T) -> usize {
    let mut encoder = EncoderImpl::new(SizeWriter::default(), unlimited());
    match value.encode(&mut encoder) {
        Ok(()) => encoder.into_writer().bytes_written,
        Err(_) => 0,
    }
}

/// Decodes exactly one value from all of `bytes`.
///
/// # Errors
/// [`CodecError`] for bytes over the frame limit, a malformed encoding, or bytes left over.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > limits::FRAME_BYTES_MAX {
        return Err(CodecError::TooLong { found: bytes.len(), max: limits::FRAME_BYTES_MAX });
    }
    let (value, used) =
        bincode::decode_from_slice(bytes, config()).map_err(|_| CodecError::Malformed)?;
    match bytes.len().saturating_sub(used) {
        0 => Ok(value),
        left => Err(CodecError::Trailing(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn integers_are_fixed_width_little_endian() {
        assert_eq!(encode(&0x0102_0304_u32), [4, 3, 2, 1]);
        assert_eq!(encode(&vec![7_u8]), [1, 0, 0, 0, 0, 0, 0, 0, 7]);
    }

    #[test]
    fn the_size_is_that_of_the_encoding() {
        let value = (7_u64, vec![Some(1_u16), None], [3_u8; 64]);
        assert_eq!(encoded_bytes(&value), encode(&value).len());
    }

    #[test]
    fn bytes_left_over_are_refused() {
        assert_eq!(decode::<u8>(&[1, 2]), Err(CodecError::Trailing(1)));
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_it_is_allocated() {
        let bytes = u64::MAX.to_le_bytes();
        assert_eq!(decode::<Vec<u64>>(&bytes), Err(CodecError::Malformed));
    }

    #[test]
    fn a_flag_has_one_form_only() {
        assert_eq!(decode::<bool>(&[2]), Err(CodecError::Malformed));
    }
}
