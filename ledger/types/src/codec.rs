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

const fn config<const LIMIT: usize>() -> impl bincode::config::Config {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
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

/// Decodes exactly one value from all of `bytes`, which came from another replica.
///
/// # Errors
/// [`CodecError`] for bytes over the frame limit, a malformed encoding, or bytes left over.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_up_to(bytes, limits::FRAME_BYTES_MAX)
}

/// Decodes exactly one value from all of `bytes`, which came from this replica's own store.
///
/// # Errors
/// [`CodecError`] for bytes over the limit of a row, a malformed encoding, or bytes left over.
pub fn decode_stored<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_up_to(bytes, limits::ROW_BYTES_MAX)
}

fn decode_up_to<T: Decode<()>>(bytes: &[u8], max: usize) -> Result<T, CodecError> {
    if bytes.len() > max {
        return Err(CodecError::TooLong { found: bytes.len(), max });
    }
    // A vector's memory is reserved before its entries are found to be there, up to the limit. So the
    // limit follows the input: a few bytes must not reserve megabytes. No value takes more than four
    // times its encoding in memory (the most is a report without certificates).
    let decoded = match bytes.len() {
        ..=0x400 => bincode::decode_from_slice(bytes, config::<0x1000>()),
        0x401..=0x1000 => bincode::decode_from_slice(bytes, config::<0x4000>()),
        0x1001..=0x4000 => bincode::decode_from_slice(bytes, config::<0x1_0000>()),
        0x4001..=0x1_0000 => bincode::decode_from_slice(bytes, config::<0x4_0000>()),
        0x1_0001..=0x4_0000 => bincode::decode_from_slice(bytes, config::<0x10_0000>()),
        0x4_0001..=limits::FRAME_BYTES_MAX => {
            bincode::decode_from_slice(bytes, config::<{ limits::FRAME_BYTES_MAX }>())
        }
        _ => bincode::decode_from_slice(bytes, config::<{ limits::ROW_BYTES_MAX }>()),
    };
    let (value, used) = decoded.map_err(|_| CodecError::Malformed)?;
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
    fn a_length_far_beyond_the_input_is_refused_before_it_is_allocated() {
        // One entry is there, and as many are announced as a whole frame could hold. The memory that
        // this takes is measured by the fuzzing targets.
        let mut bytes = (limits::FRAME_BYTES_MAX as u64 / 16).to_le_bytes().to_vec();
        bytes.extend_from_slice(&7_u64.to_le_bytes());
        assert_eq!(decode::<Vec<u64>>(&bytes), Err(CodecError::Malformed));
    }

    #[test]
    fn values_of_every_size_up_to_a_frame_decode() {
        for length in
            [0_usize, 1, 0x3f8, 0x400, 0xff8, 0x1000, 0x4000, 0x1_0000, 0x4_0000, 0x3f_fff0]
        {
            let value = vec![7_u8; length];
            assert_eq!(decode::<Vec<u8>>(&encode(&value)), Ok(value), "{length}");
        }
    }

    #[test]
    fn a_flag_has_one_form_only() {
        assert_eq!(decode::<bool>(&[2]), Err(CodecError::Malformed));
    }
}
