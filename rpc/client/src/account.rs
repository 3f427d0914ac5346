//! A key with its nonces.

use std::time::{SystemTime, UNIX_EPOCH};

use daruma_types::{ChainId, PublicKey, SecretKey, Signer, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use crate::ClientError;

/// A client's key and the last nonce it signed. Nonces are microseconds since 1970, raised where
/// needed so that they strictly increase.
///
/// One key belongs to one `Account` at a time: two programs that sign with it supersede each other's
/// transactions.
#[derive(Debug)]
pub struct Account {
    key: SecretKey,
    last_nonce: Mutex<u64>,
}

impl Account {
    /// An account that starts at the current time.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        Self { key, last_nonce: Mutex::new(0) }
    }

    /// The key by which the chain knows the client.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// Takes the right to sign. It is held while transactions are in flight: a later nonce that is
    /// executed first makes an earlier one superseded.
    pub(crate) async fn lane(&self) -> Lane<'_> {
        Lane { key: &self.key, last_nonce: self.last_nonce.lock().await }
    }
}

/// The right to sign with an account.
pub(crate) struct Lane<'a> {
    key: &'a SecretKey,
    last_nonce: MutexGuard<'a, u64>,
}

impl Lane<'_> {
    /// Signs `operation` under a nonce above all before.
    pub(crate) fn sign(
        &mut self,
        chain: ChainId,
        operation: Vec<u8>,
    ) -> Result<Transaction, ClientError> {
        let nonce = self.last_nonce.checked_add(1).ok_or(ClientError::NoncesUsedUp)?;
        let nonce = nonce.max(micros_since_1970());
        *self.last_nonce = nonce;
        Ok(Transaction::sign(chain, self.key, nonce, operation))
    }

    /// Sees to it that later nonces are above `nonce`, which the chain has seen from this key.
    pub(crate) fn raise(&mut self, nonce: u64) {
        *self.last_nonce = nonce.max(*self.last_nonce);
    }
}

/// 0 on a clock before 1970; nonces increase all the same.
fn micros_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nonces_strictly_increase_also_above_the_clock_and_end_at_the_last() {
        let account = Account::new(SecretKey::from_bytes(&[1; 32]));
        let mut lane = account.lane().await;
        let mut nonce = || lane.sign(ChainId::default(), vec![]).map(|t| t.nonce);
        let (first, second) = (nonce().unwrap(), nonce().unwrap());
        assert!(first > 1_600_000_000_000_000 && second > first);
        lane.raise(u64::MAX - 1);
        lane.raise(5);
        assert_eq!(lane.sign(ChainId::default(), vec![]).unwrap().nonce, u64::MAX);
        let end = lane.sign(ChainId::default(), vec![]);
        assert!(matches!(end, Err(ClientError::NoncesUsedUp)));
    }
}
