//! How calls are run: how many at once, and the calls of a batch side by side.

use std::sync::Arc;

use daruma_rpc_api::limits::RESPONSE_BYTES_MAX;
use daruma_rpc_api::{ErrorKind, RpcFailure};
use futures::future::{BoxFuture, join_all};
use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::{ErrorObjectOwned, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// The calls of one connection.
#[derive(Clone)]
pub(crate) struct Calls<S> {
    inner: S,
    everywhere: Arc<Semaphore>,
    here: Arc<Semaphore>,
}

impl<S> Calls<S> {
    pub(crate) fn new(inner: S, everywhere: Arc<Semaphore>) -> Self {
        let here = Arc::new(Semaphore::new(limits::CALLS_PER_CONNECTION_MAX));
        Self { inner, everywhere, here }
    }

    fn permit(&self) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let here = Arc::clone(&self.here).try_acquire_owned().ok()?;
        let everywhere = Arc::clone(&self.everywhere).try_acquire_owned().ok()?;
        Some((here, everywhere))
    }
}

/// An entry of a batch on its way.
enum Entry<'a> {
    Done(MethodResponse),
    Running(BoxFuture<'a, MethodResponse>),
}

impl<S> RpcServiceT for Calls<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let permit = self.permit();
        let inner = self.inner.clone();
        async move {
            let Some(_permit) = permit else {
                return MethodResponse::error(request.id, too_many());
            };
            inner.call(request).await
        }
    }

    /// Begins the calls in their order, each up to where it first has to wait, and then lets them go
    /// on side by side: transactions are queued in order, and a batch takes as long as its slowest
    /// call.
    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            let mut notified = false;
            let mut entries = Vec::with_capacity(batch.len());
            for entry in batch {
                match entry {
                    Ok(BatchEntry::Call(request)) => {
                        let mut call: BoxFuture<'a, MethodResponse> =
                            Box::pin(service.call(request));
                        entries.push(match futures::poll!(&mut call) {
                            std::task::Poll::Ready(done) => Entry::Done(done),
                            std::task::Poll::Pending => Entry::Running(call),
                        });
                    }
                    Ok(BatchEntry::Notification(notification)) => {
                        notified = true;
                        service.notification(notification).await;
                    }
                    Err(error) => {
                        let (error, id) = error.into_parts();
                        entries.push(Entry::Done(MethodResponse::error(id, error)));
                    }
                }
            }
            if entries.is_empty() && notified {
                return MethodResponse::notification();
            }
            let responses = join_all(entries.into_iter().map(async |entry| match entry {
                Entry::Done(done) => done,
                Entry::Running(call) => call.await,
            }));
            let mut answer = BatchResponseBuilder::new_with_limit(RESPONSE_BYTES_MAX as usize);
            for response in responses.await {
                if let Err(too_long) = answer.append(response) {
                    return too_long;
                }
            }
            MethodResponse::from_batch(answer.finish())
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}

fn too_many() -> ErrorObjectOwned {
    let mut failure = RpcFailure::new(ErrorKind::RateLimited, "too many calls at once");
    failure.data.retry_after_ms = Some(limits::RETRY_AFTER_MS);
    failure.into()
}
