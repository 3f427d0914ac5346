//! The `chain_` methods.

use std::sync::Arc;

use daruma_ledger::LedgerReader;
use daruma_rpc_api::{
    BlockJson, BlockSelector, BlockTransaction, CertificateJson, ChainApiServer, ErrorKind,
    HeadEvent, HeaderJson, Hex, Number, RpcFailure,
};
use daruma_types::{Header, Height};
use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink};

use crate::context::{Context, Work, ledger_failed};
use crate::limits;

/// Answers the `chain_` methods.
pub(crate) struct ChainMethods(pub(crate) Arc<Context>);

#[async_trait]
impl ChainApiServer for ChainMethods {
    async fn get_block(&self, block: BlockSelector, full: Option<bool>) -> RpcResult<BlockJson> {
        let full = full.unwrap_or(false);
        let read = move |_: &Context, ledger: &LedgerReader| {
            let height = height_of(ledger, block)?;
            let found = ledger.certified_block(height).map_err(ledger_failed)?;
            let found = found.ok_or_else(|| missing(ledger, height))?;
            let transactions = found.block.transactions.iter().map(|transaction| {
                if full {
                    BlockTransaction::Full(transaction.clone().into())
                } else {
                    BlockTransaction::Hash(Hex(transaction.hash(ledger.chain())))
                }
            });
            Ok(BlockJson {
                header: HeaderJson::from(&found.block.header),
                transactions: transactions.collect(),
                certificate: CertificateJson::from(&found.certificate),
            })
        };
        Ok(self.0.blocking(Work::Read, read).await?)
    }

    async fn get_header(&self, block: BlockSelector) -> RpcResult<HeaderJson> {
        let read = move |_: &Context, ledger: &LedgerReader| {
            let height = height_of(ledger, block)?;
            let header = ledger.header(height).map_err(ledger_failed)?;
            header.as_ref().map(HeaderJson::from).ok_or_else(|| missing(ledger, height))
        };
        Ok(self.0.blocking(Work::Read, read).await?)
    }

    async fn get_certificate(&self, block: BlockSelector) -> RpcResult<CertificateJson> {
        let read = move |_: &Context, ledger: &LedgerReader| {
            let height = height_of(ledger, block)?;
            let certificate = ledger.certificate(height).map_err(ledger_failed)?;
            let json = certificate.as_ref().map(CertificateJson::from);
            json.ok_or_else(|| missing(ledger, height))
        };
        Ok(self.0.blocking(Work::Read, read).await?)
    }

    async fn subscribe_heads(
        &self,
        pending: PendingSubscriptionSink,
        from_cursor: Option<Number>,
    ) -> SubscriptionResult {
        let latest = *self.0.executed.borrow();
        if let Some(Number(cursor)) = from_cursor
            && cursor > latest
        {
            pending.reject(ErrorObjectOwned::from(in_future(cursor, latest))).await;
            return Ok(());
        }
        let sink = pending.accept().await?;
        let next = from_cursor.map_or(latest, |cursor| cursor.0).saturating_add(1);
        let mut heads =
            Heads { context: Arc::clone(&self.0), sink, next, replaying: from_cursor.is_some() };
        // It ends when the subscriber or the server goes; there is nobody to tell.
        let _ = heads.run().await;
        Ok(())
    }
}

/// One subscriber of heads.
struct Heads {
    context: Arc<Context>,
    sink: SubscriptionSink,
    /// The next height to send.
    next: u64,
    /// Whether it asked for old heights and has not got all of them yet: these are never left out.
    replaying: bool,
}

/// The subscriber is gone.
struct Gone;

impl Heads {
    async fn run(&mut self) -> Result<(), Gone> {
        let mut executed = self.context.executed.subscribe();
        let mut truncated = self.context.truncated.subscribe();
        loop {
            if truncated.has_changed().map_err(|_| Gone)? {
                let (_, to) = *truncated.borrow_and_update();
                self.go_back(to).await?;
            }
            let latest = *executed.borrow_and_update();
            while self.next <= latest {
                self.send_some(latest).await?;
            }
            self.replaying = false;
            tokio::select! {
                changed = executed.changed() => changed.map_err(|_| Gone)?,
                changed = async { truncated.clone().changed().await } => changed.map_err(|_| Gone)?,
                () = self.sink.closed() => return Err(Gone),
            }
        }
    }

    /// Sends the next heads up to `latest`, or says that they are left out.
    async fn send_some(&mut self, latest: u64) -> Result<(), Gone> {
        let behind = latest - self.next + 1;
        if behind > limits::HEADS_BEHIND_MAX && !self.replaying {
            return self.leave_out(latest).await;
        }
        let (first, last) = (self.next, latest.min(self.next + limits::HEADS_PER_READ - 1));
        let read = self.context.blocking(Work::Read, move |_, ledger| {
            let header = |height| ledger.header(Height(height)).map_err(ledger_failed);
            (first..=last).map(header).collect::<Result<Vec<Option<Header>>, _>>()
        });
        let headers = match read.await {
            Ok(headers) => headers,
            // Busy or broken: what cannot be read is left out, and said so.
            Err(_) => return self.leave_out(last).await,
        };
        for header in headers {
            let Some(header) = header else {
                return self.leave_out(last).await;
            };
            let (cursor, header) = (Number(header.height.0), HeaderJson::from(&header));
            self.send(&HeadEvent::Head { cursor, header }).await?;
            self.next += 1;
        }
        Ok(())
    }

    /// Blocks above `to` were given up: says so if some of them were told.
    async fn go_back(&mut self, to: u64) -> Result<(), Gone> {
        let told = self.next - 1;
        if told <= to {
            return Ok(());
        }
        self.next = to + 1;
        let (truncated, cursor) = (Number(told - to), Number(to));
        self.send(&HeadEvent::Truncated { truncated, cursor }).await
    }

    async fn leave_out(&mut self, last: u64) -> Result<(), Gone> {
        let lagged = Number(last - self.next + 1);
        self.send(&HeadEvent::Lagged { lagged, cursor: Number(last) }).await?;
        self.next = last + 1;
        Ok(())
    }

    async fn send(&self, event: &HeadEvent) -> Result<(), Gone> {
        let text = serde_json::value::to_raw_value(event).map_err(|_| Gone)?;
        self.sink.send(SubscriptionMessage::from(text)).await.map_err(|_| Gone)
    }
}

/// The height that `selector` names, at most the head's.
fn height_of(ledger: &LedgerReader, selector: BlockSelector) -> Result<Height, RpcFailure> {
    let head = || Ok(ledger.head().map_err(ledger_failed)?.statement.height);
    let height = match selector {
        BlockSelector::Latest => head()?,
        BlockSelector::Earliest => ledger.earliest().min(head()?),
        BlockSelector::Height(height) => {
            let latest = head()?;
            if height > latest {
                return Err(in_future(height.0, latest.0));
            }
            height
        }
        BlockSelector::Hash(hash) => {
            let header = ledger.header_of(&hash).map_err(ledger_failed)?;
            header.map(|header| header.height).ok_or_else(|| {
                RpcFailure::new(ErrorKind::NotFound, format!("no executed block is named {hash}"))
            })?
        }
    };
    if height == Height(0) {
        let message = "height 0 is the genesis, which has no block; the first block is 1";
        return Err(RpcFailure::new(ErrorKind::NotFound, message));
    }
    Ok(height)
}

fn in_future(height: u64, latest: u64) -> RpcFailure {
    let message = format!("height {height} is not executed yet; the last one is {latest}");
    let mut failure = RpcFailure::new(ErrorKind::HeightInFuture, message);
    failure.data.latest = Some(latest);
    failure
}

/// A height up to the head that the ledger does not have, or no longer.
fn missing(ledger: &LedgerReader, height: Height) -> RpcFailure {
    if let Err(pruned) = ledger.expect_kept(height) {
        return ledger_failed(pruned);
    }
    RpcFailure::new(ErrorKind::NotFound, format!("this node does not have block {height}"))
}
