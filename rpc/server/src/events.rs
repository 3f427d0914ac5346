//! The one task that follows the ledger and answers those who wait.

use std::collections::BTreeSet;
use std::sync::Arc;

use daruma_ledger::LedgerError;
use daruma_types::{Height, StateCertificate};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::context::Context;
use crate::{LedgerEvent, confirm};

/// Runs until the node drops its end.
pub(crate) async fn follow(context: Arc<Context>, mut events: broadcast::Receiver<LedgerEvent>) {
    loop {
        match events.recv().await {
            Ok(LedgerEvent::Executed { header, hash: _, transactions }) => {
                context.accepted.executed(&transactions);
                context.executed_up_to(header.height);
                // The others may have attested a block before this node executed it.
                if context.waiters.any(&transactions) {
                    resolve_at(&context, BTreeSet::from([header.height])).await;
                }
            }
            Ok(LedgerEvent::Truncated { from, to }) => {
                tracing::error!(%from, %to, "the ledger gave up blocks");
                context.truncated_to(to);
            }
            Ok(LedgerEvent::Attested { certificate, transactions }) => {
                if !context.is_enough(&certificate) {
                    continue;
                }
                let certificate = context.keep_certificate(certificate);
                if context.waiters.any(&transactions) {
                    resolve(&context, certificate).await;
                }
            }
            Ok(LedgerEvent::Missed { count: missed }) | Err(RecvError::Lagged(missed)) => {
                tracing::info!(missed, "too slow for the ledger's events; reading it instead");
                catch_up(&context).await;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Answers those who wait for transactions of one attested block.
async fn resolve(context: &Arc<Context>, certificate: Arc<StateCertificate>) {
    let shared = Arc::clone(context);
    on_thread(move || {
        let backend = &shared.backend;
        let wanted = |name: &_| shared.waiters.contains(name);
        let automaton = backend.automaton.as_ref();
        for confirmation in confirm::of_block(&backend.ledger, automaton, &certificate, wanted)? {
            shared.waiters.resolve(&confirmation);
        }
        Ok(())
    })
    .await;
}

/// Answers those who wait for transactions of these executed blocks, as far as they are attested.
async fn resolve_at(context: &Arc<Context>, heights: BTreeSet<Height>) {
    for height in heights {
        match context.certificate(height) {
            Ok(Some(certificate)) => resolve(context, certificate).await,
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "looking for attestations failed"),
        }
    }
}

/// Looks up all that is waited for, after events were missed.
async fn catch_up(context: &Arc<Context>) {
    let shared = Arc::clone(context);
    let heights = on_thread(move || {
        shared.executed_up_to(shared.backend.ledger.head()?.statement.height);
        let mut heights = BTreeSet::new();
        for name in shared.waiters.names() {
            heights.extend(shared.backend.ledger.location(&name)?.map(|found| found.height));
        }
        Ok(heights)
    })
    .await;
    resolve_at(context, heights.unwrap_or_default()).await;
}

/// Runs `work` on a thread that may block. A failure is logged: the next event tries again, and who
/// waits is told "pending" in the end.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::error!(%error, "reading the ledger for those who wait failed");
            None
        }
        Err(error) => {
            tracing::error!(%error, "answering those who wait panicked");
            None
        }
    }
}
