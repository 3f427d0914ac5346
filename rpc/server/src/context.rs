//! What all methods share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use daruma_ledger::{LedgerError, LedgerReader};
use daruma_rpc_api::{Confirmation, ErrorKind, RpcFailure};
use daruma_types::{Hash, Height, StateCertificate};
use tokio::sync::{Semaphore, watch};

use crate::confirm::Parts;
use crate::pending::RecentlyAccepted;
use crate::waiters::Waiters;
use crate::{Backend, limits};

/// The backend with the server's own bounded memory.
pub(crate) struct Context {
    pub(crate) backend: Backend,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) accepted: RecentlyAccepted,
    /// The last executed height, as the subscriptions wait for it.
    pub(crate) executed: watch::Sender<u64>,
    /// How often blocks were given up, and the head after the last time.
    pub(crate) truncated: watch::Sender<(u64, u64)>,
    pub(crate) methods: std::sync::OnceLock<Vec<String>>,
    certificates: Mutex<BTreeMap<Height, Arc<StateCertificate>>>,
    reads: Arc<Semaphore>,
    queries: Arc<Semaphore>,
}

/// Which threads a piece of work takes.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A few rows of the ledger.
    Read,
    /// A query of the automaton.
    Query,
}

impl Context {
    pub(crate) fn new(backend: Backend, executed: Height) -> Arc<Self> {
        Arc::new(Self {
            backend,
            waiters: Waiters::new(limits::WAITERS_MAX),
            accepted: RecentlyAccepted::new(),
            executed: watch::Sender::new(executed.0),
            truncated: watch::Sender::new((0, 0)),
            methods: std::sync::OnceLock::new(),
            certificates: Mutex::default(),
            reads: Arc::new(Semaphore::new(limits::READS_MAX)),
            queries: Arc::new(Semaphore::new(limits::QUERIES_MAX)),
        })
    }

    /// Runs `work` on a thread that may block, when its turn comes.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        kind: Work,
        work: impl FnOnce(&Self, &LedgerReader) -> Result<T, RpcFailure> + Send + 'static,
    ) -> Result<T, RpcFailure> {
        let turns = match kind {
            Work::Read => &self.reads,
            Work::Query => &self.queries,
        };
        let turn = Arc::clone(turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(limits::TURN_WAIT_MAX, turn).await else {
            let mut failure = RpcFailure::new(ErrorKind::RateLimited, "too many reads at once");
            failure.data.retry_after_ms = Some(limits::RETRY_AFTER_MS);
            return Err(failure);
        };
        let context = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&context, &context.backend.ledger)
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a read panicked");
            Err(RpcFailure::new(ErrorKind::Internal, "the read failed inside the node"))
        })
    }

    /// The ledger gave up its blocks above `height`: what was kept of them is worth nothing.
    pub(crate) fn truncated_to(&self, height: Height) {
        let mut kept = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|at, _| *at <= height);
        drop(kept);
        self.executed.send_modify(|executed| *executed = height.0.min(*executed));
        self.truncated.send_modify(|(count, to)| (*count, *to) = (*count + 1, height.0));
    }

    /// Tells the subscriptions. Events that were overtaken by a look at the ledger are old news.
    pub(crate) fn executed_up_to(&self, height: Height) {
        self.executed.send_if_modified(|executed| {
            let news = height.0 > *executed;
            *executed = height.0.max(*executed);
            news
        });
    }

    /// Keeps a certificate of at least `f+1` attestations.
    pub(crate) fn keep_certificate(&self, certificate: StateCertificate) -> Arc<StateCertificate> {
        let height = certificate.statement.height;
        let certificate = Arc::new(certificate);
        let mut kept = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(height, Arc::clone(&certificate));
        while kept.len() > limits::CERTIFICATES_KEPT {
            kept.pop_first();
        }
        certificate
    }

    /// The certificate of a height with at least `f+1` attestations, if there is one.
    pub(crate) fn certificate(
        &self,
        height: Height,
    ) -> Result<Option<Arc<StateCertificate>>, LedgerError> {
        let kept = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = kept.get(&height) {
            return Ok(Some(Arc::clone(certificate)));
        }
        drop(kept);
        let stored = self.backend.ledger.state_certificate(height)?;
        Ok(stored.filter(|stored| self.is_enough(stored)).map(Arc::new))
    }

    pub(crate) fn is_enough(&self, certificate: &StateCertificate) -> bool {
        certificate.signers.len() >= self.backend.spec.thresholds().weak()
    }

    /// The confirmation of a transaction that is executed and attested already. Reads the ledger.
    pub(crate) fn confirmation(&self, name: &Hash) -> Result<Option<Confirmation>, LedgerError> {
        let Some(found) = self.backend.ledger.transaction_proof(name)? else {
            return Ok(None);
        };
        let height = found.header.height;
        let Some(certificate) = self.certificate(height)? else {
            return Ok(None);
        };
        let parts = Parts {
            header: &found.header,
            signature: found.transaction.signature,
            inclusion: &found.inclusion,
            receipt_inclusion: &found.receipt_inclusion,
            certificate: &certificate,
        };
        Ok(Some(parts.confirmation(found.receipt, self.backend.automaton.as_ref())))
    }
}

/// A failure of the ledger: the client is told that it was the node's, unless it asked for what was
/// pruned.
pub(crate) fn ledger_failed(error: LedgerError) -> RpcFailure {
    if let LedgerError::Pruned { earliest, .. } = error {
        let mut failure = RpcFailure::new(ErrorKind::Pruned, error.to_string());
        failure.data.earliest = Some(earliest.0);
        return failure;
    }
    tracing::error!(%error, "reading the ledger failed");
    RpcFailure::new(ErrorKind::Internal, format!("the node cannot read its ledger: {error}"))
}
