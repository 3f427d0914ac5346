//! The `tx_` methods.

use std::sync::Arc;
use std::time::Duration;

use daruma_rpc_api::limits::{WAIT_MS_DEFAULT, WAIT_MS_MAX};
use daruma_rpc_api::{
    Confirmation, ErrorKind, Hex, Number, RpcFailure, Submitted, TransactionJson, TxApiServer,
    TxFound, TxState, TxStatus,
};
use daruma_types::{Hash, Outcome, Transaction};
use jsonrpsee::core::{RpcResult, async_trait};
use tokio::sync::{mpsc::error::TrySendError, oneshot};
use tokio::time::Instant;

use crate::confirm::{Parts, receipt_json};
use crate::context::{Context, Work, ledger_failed};
use crate::{Accepted, Refused, Submission, limits};

/// Answers the `tx_` methods.
pub(crate) struct TxMethods(pub(crate) Arc<Context>);

#[async_trait]
impl TxApiServer for TxMethods {
    async fn submit(&self, tx: TransactionJson) -> RpcResult<Submitted> {
        let transaction = Transaction::from(tx);
        self.0.check_size(&transaction)?;
        let name = transaction.hash(self.0.backend.spec.chain_id());
        let state = self.0.admit(transaction, name).await?;
        Ok(Submitted { hash: Hex(name), state })
    }

    async fn submit_and_wait(
        &self,
        tx: TransactionJson,
        timeout_ms: Option<u64>,
    ) -> RpcResult<Confirmation> {
        let wait_ms = timeout_ms.unwrap_or(WAIT_MS_DEFAULT).min(WAIT_MS_MAX);
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        let transaction = Transaction::from(tx);
        self.0.check_size(&transaction)?;
        let name = transaction.hash(self.0.backend.spec.chain_id());
        // Registered before anything else, so that no attestation can be missed in between.
        let Some(mut waiting) = self.0.waiters.register(name) else {
            let mut failure =
                RpcFailure::new(ErrorKind::RateLimited, "too many calls wait already");
            failure.data.retry_after_ms = Some(limits::RETRY_AFTER_MS);
            failure.data.max = Some(limits::WAITERS_MAX as u64);
            return Err(failure.into());
        };
        if self.0.admit(transaction, name).await? != TxState::Pending {
            let found = self.0.blocking(Work::Read, move |context, _| {
                context.confirmation(&name).map_err(ledger_failed)
            });
            if let Some(confirmation) = found.await? {
                return Ok(confirmation);
            }
        }
        let answer = tokio::time::timeout_at(deadline, waiting.answer()).await;
        Ok(answer.ok().flatten().unwrap_or_else(|| Confirmation::pending(name)))
    }

    async fn status(&self, hash: Hex<Hash>) -> RpcResult<TxStatus> {
        let read = self.0.blocking(Work::Read, move |context, _| context.status(&hash.0));
        Ok(read.await?)
    }

    async fn get(&self, hash: Hex<Hash>, prove: Option<bool>) -> RpcResult<TxFound> {
        let prove = prove.unwrap_or(false);
        Ok(self.0.blocking(Work::Read, move |context, _| context.find(&hash.0, prove)).await?)
    }
}

impl Context {
    fn check_size(&self, transaction: &Transaction) -> Result<(), RpcFailure> {
        let max = self.backend.spec.limits().operation_bytes_max as usize;
        if transaction.operation.len() <= max {
            return Ok(());
        }
        Err(refused(Refused::TooLarge { max }))
    }

    /// Hands a transaction to the node, unless it is executed already. Nothing is awaited before it is
    /// in the node's queue: the calls of a batch are begun in order, so they are queued in order.
    async fn admit(&self, transaction: Transaction, name: Hash) -> Result<TxState, RpcFailure> {
        if let Some(state) = self.executed_state(&name)? {
            return Ok(state);
        }
        let (answer, answered) = oneshot::channel();
        match self.backend.submissions.try_send(Submission { transaction, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(refused(Refused::PoolFull { retry_after_ms: limits::RETRY_AFTER_MS }));
            }
            Err(TrySendError::Closed(_)) => {
                return Err(refused(Refused::NotReady { reason: "the node is stopping".into() }));
            }
        }
        match answered.await {
            Ok(Ok(Accepted::Pending | Accepted::AlreadyKnown)) => {
                self.accepted.insert(name);
                Ok(TxState::Pending)
            }
            // Its own execution, since the look at the ledger above, may have used up the nonce.
            Ok(Err(stale @ Refused::StaleNonce { .. })) => {
                self.executed_state(&name)?.ok_or_else(|| refused(stale))
            }
            Ok(Err(other)) => Err(refused(other)),
            Err(_) => Err(RpcFailure::new(ErrorKind::Internal, "the node gave no answer")),
        }
    }

    /// The state of a transaction that stands in an executed block.
    fn executed_state(&self, name: &Hash) -> Result<Option<TxState>, RpcFailure> {
        // Nearly always nothing: one look at an index.
        match self.backend.ledger.location(name).map_err(ledger_failed)? {
            None => Ok(None),
            Some(_) => self.status(name).map(|status| Some(status.state)),
        }
    }

    fn status(&self, name: &Hash) -> Result<TxStatus, RpcFailure> {
        let ledger = &self.backend.ledger;
        let Some(place) = ledger.location(name).map_err(ledger_failed)? else {
            let pending = self.accepted.contains(name);
            let state = if pending { TxState::Pending } else { TxState::Unknown };
            return Ok(TxStatus { state, height: None, index: None, code: None });
        };
        let receipts = match ledger.receipts(place.height).map_err(ledger_failed)? {
            Some(receipts) => receipts,
            None => ledger.expect_kept(place.height).map(|()| Vec::new()).map_err(ledger_failed)?,
        };
        let Some(receipt) = receipts.get(place.index as usize) else {
            let message = format!("the receipt at {} is missing", place.height);
            return Err(RpcFailure::new(ErrorKind::Internal, message));
        };
        let code = match &receipt.outcome {
            Outcome::Aborted { code, .. } => Some(*code),
            Outcome::Executed { .. } | Outcome::Superseded { .. } => None,
        };
        Ok(TxStatus {
            state: TxState::of(&receipt.outcome),
            height: Some(Number(place.height.0)),
            index: Some(place.index),
            code,
        })
    }

    fn find(&self, name: &Hash, prove: bool) -> Result<TxFound, RpcFailure> {
        let automaton = self.backend.automaton.as_ref();
        let found = self.backend.ledger.transaction_proof(name).map_err(ledger_failed)?;
        let found = found.ok_or_else(|| {
            RpcFailure::new(ErrorKind::NotFound, format!("no executed transaction is named {name}"))
        })?;
        let height = found.header.height;
        let proof = if prove {
            let certificate = self.certificate(height).map_err(ledger_failed)?;
            let certificate = certificate.ok_or_else(|| {
                let message = format!("fewer than f+1 attestations of block {height} are here");
                RpcFailure::new(ErrorKind::ProofUnavailable, message)
            })?;
            let parts = Parts {
                header: &found.header,
                signature: found.transaction.signature,
                inclusion: &found.inclusion,
                receipt_inclusion: &found.receipt_inclusion,
                certificate: &certificate,
            };
            Some(parts.proof())
        } else {
            None
        };
        Ok(TxFound {
            operation_json: automaton.operation_to_json(&found.transaction.operation).ok(),
            tx: found.transaction.into(),
            height: Number(height.0),
            index: found.receipt.index,
            receipt: receipt_json(found.receipt, automaton),
            proof,
        })
    }
}

fn failure(kind: ErrorKind, message: impl Into<String>) -> RpcFailure {
    RpcFailure::new(kind, message)
}

fn refused(why: Refused) -> RpcFailure {
    match why {
        Refused::Malformed { reason } => failure(ErrorKind::TxMalformed, reason),
        Refused::BadSignature => failure(
            ErrorKind::TxBadSignature,
            "the signature does not verify for this client, nonce and operation on this chain; \
             check that the right chain id was signed",
        ),
        Refused::TooLarge { max } => {
            let message = format!("the operation is too long; this chain accepts {max} bytes");
            let mut failure = failure(ErrorKind::TxTooLarge, message);
            failure.data.max = Some(max as u64);
            failure
        }
        Refused::Rejected { code, reason } => {
            let mut failure = failure(ErrorKind::TxRejected, reason.clone());
            failure.data.code = Some(code);
            failure.data.log = Some(reason);
            failure
        }
        Refused::StaleNonce { last } => {
            let message =
                format!("the client's last executed nonce is {last}; a new one is larger");
            let mut failure = failure(ErrorKind::TxExpired, message);
            failure.data.last_nonce = Some(last.to_string());
            failure
        }
        Refused::PoolFull { retry_after_ms } => {
            let mut failure = failure(ErrorKind::PoolFull, "too many transactions are pending");
            failure.data.retry_after_ms = Some(retry_after_ms);
            failure
        }
        Refused::ClientQueueFull { max, retry_after_ms } => {
            let message =
                format!("{max} transactions of this client are pending; no more are kept");
            let mut failure = failure(ErrorKind::PoolFull, message);
            failure.data.max = Some(max as u64);
            failure.data.retry_after_ms = Some(retry_after_ms);
            failure
        }
        Refused::NotReady { reason } => {
            let mut failure = failure(ErrorKind::Stabilizing, reason);
            failure.data.retry_after_ms = Some(limits::RETRY_AFTER_MS);
            failure
        }
    }
}
