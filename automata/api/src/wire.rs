//! Binary forms that any language can produce: fields one after the other, without padding.
//!
//! | field | bytes |
//! |---|---|
//! | `u8` | 1 |
//! | `u32`, `u64` | 4, 8, little-endian |
//! | bytes | length as `u32`, then as many bytes |
//!
//! By convention an operation with several kinds starts with a `u8` that says which. There is one
//! encoding per value, and nothing may follow the last field.

use crate::Malformed;
use alloc::{format, vec::Vec};

/// Writes fields.
#[derive(Debug, Clone, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Nothing written yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one byte.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// Appends a number of 4 bytes.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Appends a number of 8 bytes.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Appends a length and as many bytes. Of more than `u32::MAX` bytes only the length `u32::MAX` is
    /// written, which every reader refuses.
    #[must_use]
    pub fn bytes(self, value: &[u8]) -> Self {
        match u32::try_from(value.len()) {
            Ok(length) => {
                let mut written = self.u32(length);
                written.0.extend_from_slice(value);
                written
            }
            Err(_) => self.u32(u32::MAX),
        }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads fields, in the order in which they were written.
#[derive(Debug, Clone)]
pub struct Reader<'bytes> {
    rest: &'bytes [u8],
}

impl<'bytes> Reader<'bytes> {
    /// Reads from the first byte on.
    #[must_use]
    pub fn new(bytes: &'bytes [u8]) -> Self {
        Self { rest: bytes }
    }

    /// One byte. `what` names the field in the error.
    ///
    /// # Errors
    /// The bytes end before it does.
    pub fn u8(&mut self, what: &str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// A number of 4 bytes.
    ///
    /// # Errors
    /// The bytes end before it does.
    pub fn u32(&mut self, what: &str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// A number of 8 bytes.
    ///
    /// # Errors
    /// The bytes end before it does.
    pub fn u64(&mut self, what: &str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A length and as many bytes, at most `bytes_max`.
    ///
    /// # Errors
    /// The length is over `bytes_max`, or the bytes end before the field does.
    pub fn bytes(&mut self, what: &str, bytes_max: usize) -> Result<&'bytes [u8], Malformed> {
        let length = self.u32(what)?;
        match usize::try_from(length) {
            Ok(length) if length <= bytes_max => self.take(what, length),
            Ok(_) | Err(_) => {
                Err(Malformed::new(format!("{what} has {length} bytes; at most {bytes_max}")))
            }
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// There are bytes after the last field.
    pub fn finish(self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Malformed::new(format!("{left} bytes after the last field"))),
        }
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Malformed> {
        match self.rest.split_first_chunk::<N>() {
            Some((chunk, rest)) => {
                self.rest = rest;
                Ok(*chunk)
            }
            None => Err(self.ends_before(what, N)),
        }
    }

    fn take(&mut self, what: &str, length: usize) -> Result<&'bytes [u8], Malformed> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.ends_before(what, length)),
        }
    }

    fn ends_before(&self, what: &str, needed: usize) -> Malformed {
        Malformed::new(format!("{what} needs {needed} bytes; {} are left", self.rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn fields_are_little_endian_and_bytes_follow_their_length() {
        let bytes = Writer::new().u8(1).u32(2).u64(3).bytes(b"four").finish();
        assert_eq!(bytes, b"\x01\x02\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0four");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8("a"), Ok(1));
        assert_eq!(reader.u32("b"), Ok(2));
        assert_eq!(reader.u64("c"), Ok(3));
        assert_eq!(reader.bytes("d", 4), Ok(&b"four"[..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn what_is_too_long_too_short_or_left_over_is_refused_by_the_name_of_its_field() {
        let message = |error: Malformed| error.to_string();
        let bytes = Writer::new().bytes(b"four").finish();
        assert_eq!(
            Reader::new(&bytes).bytes("item", 3).map_err(message),
            Err("malformed: item has 4 bytes; at most 3".into())
        );
        assert_eq!(
            Reader::new(&bytes[..6]).bytes("item", 4).map_err(message),
            Err("malformed: item needs 4 bytes; 2 are left".into())
        );
        assert_eq!(
            Reader::new(&bytes[..3]).bytes("item", 4).map_err(message),
            Err("malformed: item needs 4 bytes; 3 are left".into())
        );
        assert_eq!(
            Reader::new(&bytes).finish().map_err(message),
            Err("malformed: 8 bytes after the last field".into())
        );
        let huge = u32::MAX.to_le_bytes();
        assert!(Reader::new(&huge).bytes("item", usize::MAX).is_err());
    }
}
