//! Signatures of simulated replicas and clients.
//!
//! A search runs millions of signature checks, so by default a keyed BLAKE3 hash stands in for
//! Ed25519. Whoever verifies needs the secret, which only the run's [`Keys`] have: an adversary
//! holds nothing but its own signer, so it cannot forge, as with real signatures.

use std::sync::Arc;

use daruma_types::{Ed25519, PublicKey, SecretKey, Signature, Signer, Verifier};

use crate::remembering::{Known, Remembering};

/// Which signatures a run uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// A keyed hash: cheap, and safe inside one process only.
    #[default]
    Fast,
    /// What a node uses.
    Ed25519,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A replica's consensus key.
    Replica,
    /// A client's key.
    Client,
}

/// All keys of a run, made from its seed.
#[derive(Debug, Clone)]
pub struct Keys {
    scheme: Scheme,
    master: [u8; 32],
    known: Arc<Known>,
}

impl Keys {
    /// The keys of the run with this seed.
    #[must_use]
    pub fn new(scheme: Scheme, seed: u64) -> Self {
        let master = blake3::derive_key("daruma simulator keys", &seed.to_le_bytes());
        Self { scheme, master, known: Arc::new(Known::new()) }
    }

    /// The signer of one replica or client.
    #[must_use]
    pub fn signer(&self, role: Role, index: u16) -> Arc<dyn Signer> {
        let [low, high] = index.to_le_bytes();
        let own = *blake3::keyed_hash(&self.master, &[role as u8, low, high]).as_bytes();
        match self.scheme {
            Scheme::Fast => {
                let public = PublicKey(own);
                let (secret, known) = (secret(&self.master, &public), Arc::clone(&self.known));
                Arc::new(FastSigner { public, secret, known })
            }
            Scheme::Ed25519 => Arc::new(SecretKey::from_bytes(&own)),
        }
    }

    /// What checks the signatures of all of them, each once if it is met again soon.
    #[must_use]
    pub fn verifier(&self) -> Arc<dyn Verifier> {
        let verifier: Arc<dyn Verifier> = match self.scheme {
            Scheme::Fast => Arc::new(FastVerifier { master: self.master }),
            Scheme::Ed25519 => Arc::new(Ed25519),
        };
        Arc::new(Remembering::new(verifier, Arc::clone(&self.known)))
    }
}

/// Signs with one key only: its secret stays inside.
struct FastSigner {
    public: PublicKey,
    secret: [u8; 32],
    /// Told of what is signed: to verify it would be the same hash once more.
    known: Arc<Known>,
}

struct FastVerifier {
    master: [u8; 32],
}

/// The secret of the key `public`. Nobody learns it from signatures, nor the master from it.
fn secret(master: &[u8; 32], public: &PublicKey) -> [u8; 32] {
    *blake3::keyed_hash(master, &public.0).as_bytes()
}

/// The keyed hash of `content`, twice: 32 bytes are as hard to guess as 64, and cost half.
fn mac(secret: &[u8; 32], content: &[u8]) -> Signature {
    let half = *blake3::keyed_hash(secret, content).as_bytes();
    let mut signature = [0; 64];
    for (to, from) in signature.iter_mut().zip(half.iter().chain(&half)) {
        *to = *from;
    }
    Signature(signature)
}

impl Signer for FastSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, content: &[u8]) -> Signature {
        let signature = mac(&self.secret, content);
        self.known.note(&self.public, content, &signature);
        signature
    }
}

impl Verifier for FastVerifier {
    fn verify(&self, key: &PublicKey, content: &[u8], signature: &Signature) -> bool {
        mac(&secret(&self.master, key), content) == *signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_content_and_run_only_in_both_schemes() {
        for scheme in [Scheme::Fast, Scheme::Ed25519] {
            let keys = Keys::new(scheme, 1);
            let (alice, bob) = (keys.signer(Role::Replica, 0), keys.signer(Role::Client, 0));
            let signature = alice.sign(b"content");
            assert_eq!(signature, alice.sign(b"content"));
            let stranger = Keys::new(scheme, 2).signer(Role::Replica, 0);
            assert_ne!(stranger.public_key(), alice.public_key());
            // One that knows what was signed, and one that has to find out.
            for verifier in [keys.verifier(), Keys::new(scheme, 1).verifier()] {
                assert!(verifier.verify(&alice.public_key(), b"content", &signature));
                assert!(!verifier.verify(&alice.public_key(), b"other", &signature));
                assert!(!verifier.verify(&bob.public_key(), b"content", &signature));
                for byte in [0, 31, 32, 63] {
                    let mut bent = signature;
                    bent.0[byte] ^= 1;
                    assert!(!verifier.verify(&alice.public_key(), b"content", &bent));
                }
            }
        }
    }
}
