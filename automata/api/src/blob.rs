//! Bytes with a JSON form that people can read.

use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a hexadecimal JSON form starts with.
const HEX_PREFIX: &str = "0x";

/// Bytes. Their JSON form is a string: the text itself if they are UTF-8 and do not start with `0x`;
/// otherwise `0x` and lower-case hexadecimal. Read back, a string that starts with `0x` must be
/// hexadecimal (of either case), so no two byte strings share a form.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// The JSON form, without quotes.
    #[must_use]
    pub fn to_text(&self) -> String {
        match core::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with(HEX_PREFIX) => text.into(),
            Ok(_) | Err(_) => format!("{HEX_PREFIX}{}", hex::encode(&self.0)),
        }
    }
}

impl From<&str> for Blob {
    /// The bytes of the text, whatever it starts with.
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix(HEX_PREFIX) {
            None => Ok(Self(text.into_bytes())),
            Some(digits) => hex::decode(digits).map(Self).map_err(|error| {
                de::Error::custom(format!(
                    "a string that starts with 0x must be hexadecimal: {error}"
                ))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};
    use serde_json::{Value, json};

    #[test]
    fn text_stays_text_and_everything_else_becomes_hexadecimal() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"hello \"\n", "hello \"\n"),
            ("åäö".as_bytes(), "åäö"),
            (b"0", "0"),
            (b"0x", "0x3078"),
            (b"0xff", "0x30786666"),
            (b"\xff\x00", "0xff00"),
        ] {
            let blob = Blob(bytes.to_vec());
            assert_eq!(blob.to_text(), text);
            assert_eq!(serde_json::to_value(&blob).unwrap(), Value::String(text.to_string()));
            assert_eq!(Blob::deserialize(&json!(text)).unwrap(), blob);
        }
    }

    #[test]
    fn hexadecimal_is_read_in_either_case_and_nothing_else_may_follow_0x() {
        assert_eq!(Blob::deserialize(&json!("0xFFab")).unwrap(), Blob(vec![0xff, 0xab]));
        assert_eq!(Blob::deserialize(&json!("0x")).unwrap(), Blob(vec![]));
        for refused in [json!("0x1"), json!("0xgg"), json!(1), json!([1]), json!(null)] {
            assert!(Blob::deserialize(&refused).is_err(), "{refused}");
        }
    }
}
