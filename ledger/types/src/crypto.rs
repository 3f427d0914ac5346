//! Keys and signatures: Ed25519, verified strictly (DESIGN 11).
//!
//! [`Signer`] and [`Verifier`] are traits so that the simulator can run long searches with a cheaper
//! scheme of its own; a node always uses [`Ed25519`].

use alloc::string::String;
use core::fmt;

use crate::codec::{Decode, Encode};
use crate::{ChainId, Report, hash};

/// A compressed Ed25519 public key, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Signature(pub [u8; 64]);

impl PublicKey {
    /// `0x` and 64 hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hash::hex_of(&self.0)
    }

    /// Reads what [`Self::to_hex`] writes. Whether the bytes are a point is not checked here.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hash::bytes_of(text).map(Self)
    }

    /// Whether the bytes are a point that a signature can be verified against strictly.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        ed25519_dalek::VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "key:{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl Signature {
    /// `0x` and 128 hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hash::hex_of(&self.0)
    }

    /// Reads what [`Self::to_hex`] writes.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hash::bytes_of(text).map(Self)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "sig:{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// Makes signatures with one key. Deterministic: equal bytes, equal signature.
pub trait Signer: Send + Sync {
    /// The key that verifies what [`Self::sign`] makes.
    fn public_key(&self) -> PublicKey;
    /// Signs `content`, which starts with a domain tag and the chain id.
    fn sign(&self, content: &[u8]) -> Signature;
}

/// Checks signatures. Pure: equal arguments, equal answer, on every replica.
pub trait Verifier: Send + Sync {
    /// Whether `signature` is `key`'s on `content`.
    fn verify(&self, key: &PublicKey, content: &[u8], signature: &Signature) -> bool;

    /// Whether exactly this report of this chain was found valid before. A node's verifier remembers
    /// nothing. One that does, and so spares the hashes and signatures of what is checked again and again,
    /// lies outside the memory that a transient fault may set.
    fn knows_report(&self, chain: ChainId, report: &Report) -> bool {
        let _ = (chain, report);
        false
    }

    /// Hears that a report was found valid.
    fn note_report(&self, chain: ChainId, report: &Report) {
        let _ = (chain, report);
    }
}

/// Strict Ed25519: refuses small-order keys and malleated signatures.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ed25519;

impl Verifier for Ed25519 {
    fn verify(&self, key: &PublicKey, content: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        ed25519_dalek::VerifyingKey::from_bytes(&key.0)
            .is_ok_and(|key| key.verify_strict(content, &signature).is_ok())
    }
}

/// An Ed25519 secret key. Wiped from memory when dropped, and never printed.
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// The key made from 32 secret bytes (RFC 8032's seed).
    #[must_use]
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32 secret bytes. For a key file only.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, content: &[u8]) -> Signature {
        use ed25519_dalek::Signer as _;
        Signature(self.0.sign(content).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?})", self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_verifies_for_its_key_and_content_only() {
        let alice = SecretKey::from_bytes(&[1; 32]);
        let bob = SecretKey::from_bytes(&[2; 32]);
        let signature = alice.sign(b"content");
        assert!(Ed25519.verify(&alice.public_key(), b"content", &signature));
        assert!(!Ed25519.verify(&alice.public_key(), b"other", &signature));
        assert!(!Ed25519.verify(&bob.public_key(), b"content", &signature));
    }

    #[test]
    fn a_malleated_signature_and_a_small_order_key_are_refused() {
        let alice = SecretKey::from_bytes(&[1; 32]);
        let mut signature = alice.sign(b"content");
        // s + l, the group order: the same equation, another encoding.
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0_u16;
        for (s, l) in signature.0[32..].iter_mut().zip(order) {
            let sum = u16::from(*s) + u16::from(l) + carry;
            *s = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        assert!(!Ed25519.verify(&alice.public_key(), b"content", &signature));
        let small = PublicKey([0; 32]);
        assert!(!small.is_usable());
        assert!(!Ed25519.verify(&small, b"content", &Signature([0; 64])));
    }

    #[test]
    fn a_secret_key_does_not_print_its_secret() {
        let secret = SecretKey::from_bytes(&[7; 32]);
        let printed = alloc::format!("{secret:?}");
        assert!(!printed.contains("0707"), "{printed}");
    }
}
