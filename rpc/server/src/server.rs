//! Binding, accepting and stopping.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use daruma_ledger::LedgerError;
use daruma_rpc_api::limits::{BATCH_CALLS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use daruma_rpc_api::{AppApiServer, ChainApiServer, NodeApiServer, TxApiServer};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, PingConfig, ServerBuilder, ServerConfig, StopHandle, stop_channel,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::app::AppMethods;
use crate::calls::Calls;
use crate::chain::ChainMethods;
use crate::context::Context;
use crate::http::Gate;
use crate::node::NodeMethods;
use crate::paced::Paced;
use crate::tx::TxMethods;
use crate::{Backend, events, limits};

/// Where to listen, and bounds that an operator may want to change.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Default 127.0.0.1 with port 0, for which the system chooses one.
    pub listen: SocketAddr,
    /// Names under which clients call the node. IP addresses and localhost always pass.
    pub allowed_hosts: Vec<String>,
    /// Connections at once; default [`limits::CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// Calls being answered at once; default [`limits::CALLS_MAX`].
    pub calls_max: usize,
    /// How long a request's head may take, and a connection be idle; default
    /// [`limits::HEAD_WAIT_MAX`].
    pub head_wait_max: Duration,
    /// How long a request's body may take; default [`limits::BODY_WAIT_MAX`].
    pub body_wait_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allowed_hosts: Vec::new(),
            connections_max: limits::CONNECTIONS_MAX,
            calls_max: limits::CALLS_MAX,
            head_wait_max: limits::HEAD_WAIT_MAX,
            body_wait_max: limits::BODY_WAIT_MAX,
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for JSON-RPC: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The ledger's head cannot be read.
    #[error("cannot read the ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// Two methods have one name: a mistake in this program.
    #[error("the methods do not go together: {0}")]
    Methods(#[from] RegisterMethodError),
}

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    handle: jsonrpsee::server::ServerHandle,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds, and serves from then on.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn start(config: Config, backend: Backend) -> Result<Self, ServerError> {
        let listen = |source| ServerError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        // Subscribed before the head is read, so that no block falls between the two.
        let events = backend.events.subscribe();
        let ledger = backend.ledger.clone();
        let head = tokio::task::spawn_blocking(move || ledger.head()).await;
        let head = head.map_err(|error| listen(io::Error::other(error)))??;
        let context = Context::new(backend, head.statement.height);
        let methods = methods(&context)?;
        let (stop, handle) = stop_channel();
        let follow = tokio::spawn(events::follow(Arc::clone(&context), events));
        let accept = tokio::spawn(accept(listener, config, context, methods, stop));
        Ok(Self { address, handle, tasks: vec![follow, accept] })
    }

    /// Where the server listens, with the port that the system chose if it was 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets the calls of HTTP requests finish and closes all connections.
    pub async fn stop(mut self) {
        // It fails only if the server has stopped already.
        let _ = self.handle.stop();
        if let Some(accept) = self.tasks.pop() {
            let _ = accept.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.handle.stop();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// All methods.
fn methods(context: &Arc<Context>) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut module = RpcModule::new(());
    module.merge(TxMethods(Arc::clone(context)).into_rpc())?;
    module.merge(ChainMethods(Arc::clone(context)).into_rpc())?;
    module.merge(AppMethods(Arc::clone(context)).into_rpc())?;
    module.merge(NodeMethods(Arc::clone(context)).into_rpc())?;
    let mut names: Vec<String> = module.method_names().map(str::to_owned).collect();
    names.sort_unstable();
    // Set here once, before anyone can ask.
    let _ = context.methods.set(names);
    Ok(module)
}

fn rpc_config(connections_max: usize) -> ServerConfig {
    let ping = PingConfig::new()
        .ping_interval(limits::PING_INTERVAL)
        .inactive_limit(limits::SILENCE_MAX)
        .max_failures(1);
    ServerConfig::builder()
        .max_request_body_size(REQUEST_BYTES_MAX)
        .max_response_body_size(RESPONSE_BYTES_MAX)
        .max_connections(u32::try_from(connections_max).unwrap_or(u32::MAX))
        .max_subscriptions_per_connection(limits::SUBSCRIPTIONS_PER_CONNECTION_MAX)
        .set_batch_request_config(BatchRequestConfig::Limit(BATCH_CALLS_MAX))
        .set_message_buffer_capacity(limits::MESSAGES_PER_CONNECTION_MAX)
        .enable_ws_ping(ping)
        .build()
}

/// Accepts connections until `stop`, and returns when all of them are closed.
async fn accept(
    listener: TcpListener,
    config: Config,
    context: Arc<Context>,
    methods: RpcModule<()>,
    stop: StopHandle,
) {
    let calls = Arc::new(Semaphore::new(config.calls_max));
    let middleware =
        RpcServiceBuilder::new().layer_fn(move |inner| Calls::new(inner, Arc::clone(&calls)));
    let rpc = ServerBuilder::with_config(rpc_config(config.connections_max))
        .set_rpc_middleware(middleware)
        .to_service_builder();
    let places = Arc::new(Semaphore::new(config.connections_max));
    let gate = Arc::new(Gate {
        context,
        allowed_hosts: config.allowed_hosts.into(),
        body_wait_max: config.body_wait_max,
    });
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let socket = tokio::select! {
            () = stop.clone().shutdown() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!("too many connections; one is turned away");
            continue;
        };
        // Answers are written whole, so waiting for more to send only delays them.
        let _ = socket.set_nodelay(true);
        let rpc = rpc.clone().build(methods.clone(), stop.clone());
        let gate = Arc::clone(&gate);
        let service = service_fn(move |request| {
            let (gate, rpc) = (Arc::clone(&gate), rpc.clone());
            async move { Ok::<_, Infallible>(gate.answer(request, rpc).await) }
        });
        let io: TokioIo<Paced<TcpStream>> = TokioIo::new(Paced::new(socket, place));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(config.head_wait_max)
            .max_headers(limits::HEADERS_MAX)
            .max_buf_size(limits::HEAD_BYTES_MAX)
            .serve_connection(io, service)
            .with_upgrades();
        let stopped = stop.clone().shutdown();
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = stopped => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
    while connections.join_next().await.is_some() {}
}
