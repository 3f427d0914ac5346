//! Checks of single fields.

use std::net::Ipv6Addr;

use daruma_types::PublicKey;

use crate::{SpecError, limits};

/// A name: letters, digits, `-`, `_` and `.`, so that it needs no quotes anywhere.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), SpecError> {
    let fits = (1..=limits::NAME_BYTES_MAX).contains(&name.len());
    if fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Ok(());
    }
    let allowed =
        format!("1 to {} letters, digits, '-', '_' and '.' (ASCII)", limits::NAME_BYTES_MAX);
    Err(SpecError::field(field, format!("{:?}", shortened(name)), allowed))
}

/// A public key in hex.
pub(crate) fn parse_key(field: &str, text: &str) -> Result<PublicKey, SpecError> {
    let allowed = "an Ed25519 public key: 0x and 64 hex digits";
    PublicKey::from_hex(text)
        .ok_or_else(|| SpecError::field(field, format!("{:?}", shortened(text)), allowed))
}

/// A key that signatures can be verified with.
pub(crate) fn check_key(field: &str, key: &PublicKey) -> Result<(), SpecError> {
    if key.is_usable() {
        return Ok(());
    }
    let allowed = "an Ed25519 public key that is a point of large order";
    Err(SpecError::field(field, key.to_hex(), allowed))
}

/// `host:port`, with an IPv6 host in brackets and the port not 0.
pub(crate) fn check_address(field: &str, address: &str) -> Result<(), SpecError> {
    if address.len() <= limits::ADDRESS_BYTES_MAX
        && let Some((host, port)) = address.rsplit_once(':')
        && host_is_valid(host)
        // One form per port: no sign and no leading zeros.
        && port.bytes().all(|b| b.is_ascii_digit())
        && !port.starts_with('0')
        && port.parse::<u16>().is_ok()
    {
        return Ok(());
    }
    let allowed = "host:port, the host a DNS name, an IPv4 address or an IPv6 address in brackets, \
                   the port 1 to 65535";
    Err(SpecError::field(field, format!("{:?}", shortened(address)), allowed))
}

fn host_is_valid(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    host.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// What is quoted of a found text, so that an error stays one line.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_both_kinds_of_ip_are_addresses() {
        for good in ["a:1", "r0.example.org:65535", "127.0.0.1:7000", "[::1]:7000", "my_host:80"] {
            assert_eq!(check_address("address", good), Ok(()), "{good}");
        }
    }

    #[test]
    fn an_address_without_host_or_with_a_bad_port_is_refused() {
        for bad in [
            "",
            ":1",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:01",
            "::1:7000",
            "[a]:1",
            "a b:1",
            "a..b:1",
            "http://a:1",
            "[::1:7",
        ] {
            assert!(check_address("address", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_of_64_bytes_is_allowed_and_one_of_65_is_not() {
        assert_eq!(check_name("name", &"a".repeat(64)), Ok(()));
        assert!(check_name("name", &"a".repeat(65)).is_err());
        assert!(check_name("name", "").is_err());
        assert!(check_name("name", "a b").is_err());
        assert!(check_name("name", "é").is_err());
    }
}
