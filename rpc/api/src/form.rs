//! The JSON forms of bytes and of large numbers.

use std::fmt;

use daruma_types::{Hash, PublicKey, Signature};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A value written as `0x` and hex digits, two for each byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<T>(pub T);

/// Bytes that can be written in hex.
pub trait HexForm: Sized {
    /// What is accepted, for people.
    const EXPECTED: &'static str;
    /// The bytes to write.
    fn bytes(&self) -> &[u8];
    /// The value of hex digits without their `0x`.
    fn from_digits(digits: &[u8]) -> Option<Self>;
}

impl HexForm for Vec<u8> {
    const EXPECTED: &'static str = "0x and an even number of hex digits";
    fn bytes(&self) -> &[u8] {
        self
    }
    fn from_digits(digits: &[u8]) -> Option<Self> {
        hex::decode(digits).ok()
    }
}

macro_rules! fixed {
    ($type:ident, $length:literal, $expected:literal) => {
        impl HexForm for $type {
            const EXPECTED: &'static str = $expected;
            fn bytes(&self) -> &[u8] {
                &self.0
            }
            fn from_digits(digits: &[u8]) -> Option<Self> {
                let mut bytes = [0; $length];
                hex::decode_to_slice(digits, &mut bytes).ok()?;
                Some(Self(bytes))
            }
        }
    };
}

fixed!(Hash, 32, "a hash: 0x and 64 hex digits");
fixed!(PublicKey, 32, "a public key: 0x and 64 hex digits");
fixed!(Signature, 64, "a signature: 0x and 128 hex digits");

impl<T: HexForm> fmt::Display for Hex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0.bytes()))
    }
}

impl<T: HexForm> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.bytes();
        let mut text = vec![0; 2 + 2 * bytes.len()];
        if let Some((prefix, digits)) = text.split_first_chunk_mut::<2>() {
            *prefix = *b"0x";
            // The room is exactly what the digits need.
            let _ = hex::encode_to_slice(bytes, digits);
        }
        serializer.serialize_str(&String::from_utf8_lossy(&text))
    }
}

impl<'de, T: HexForm> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<T: HexForm> de::Visitor<'_> for Visitor<T> {
            type Value = Hex<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.strip_prefix("0x")
                    .and_then(|digits| T::from_digits(digits.as_bytes()))
                    .map(Hex)
                    .ok_or_else(|| E::custom(format!("not {}", T::EXPECTED)))
            }
        }
        deserializer.deserialize_str(Visitor(std::marker::PhantomData))
    }
}

/// A 64-bit number: a JSON number, or a decimal text from 2^53 on, where readers that keep numbers as
/// floats would change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Number(pub u64);

impl Number {
    /// The least number that is written as a text.
    pub const TEXT_FROM: u64 = 1 << 53;
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 < Self::TEXT_FROM {
            serializer.serialize_u64(self.0)
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0 to 2^64-1, or its decimal digits as a text")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Number(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                parse_decimal(text)
                    .map(Number)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Decimal digits only: no sign, no spaces.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_2_to_53_are_numbers_and_the_others_texts_and_both_are_read() {
        let text = |number| serde_json::to_string(&Number(number)).unwrap();
        assert_eq!(text((1 << 53) - 1), "9007199254740991");
        assert_eq!(text(1 << 53), "\"9007199254740992\"");
        for json in ["18446744073709551615", "\"18446744073709551615\""] {
            assert_eq!(serde_json::from_str::<Number>(json).unwrap(), Number(u64::MAX));
        }
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        for json in ["-1", "1.0", "1e3", "\"+1\"", "\"\"", "\" 1\"", "18446744073709551616", "null"]
        {
            assert!(serde_json::from_str::<Number>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn hex_goes_there_and_back_and_needs_prefix_and_length() {
        let bytes = Hex(vec![0, 0xab]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"0x00ab\"");
        assert_eq!(serde_json::from_str::<Hex<Vec<u8>>>("\"0x00ab\"").unwrap(), bytes);
        assert_eq!(serde_json::from_str::<Hex<Vec<u8>>>("\"0x\"").unwrap(), Hex(vec![]));
        for json in ["\"00ab\"", "\"0x0\"", "\"0xzz\"", "1", "null"] {
            assert!(serde_json::from_str::<Hex<Vec<u8>>>(json).is_err(), "{json}");
        }
        let error = serde_json::from_str::<Hex<Hash>>("\"0x00\"").unwrap_err();
        assert!(error.to_string().contains("64 hex digits"), "{error}");
    }
}
