//! One node's end of the wire.

use std::fmt;

use daruma_rpc_api::limits::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use jsonrpsee::core::client::{BatchResponse, ClientT, Error};
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::core::traits::ToRpcParams;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};

use crate::{ClientError, limits};

/// A connection to a node: over a WebSocket, or HTTP where that does not work. All the methods of
/// [`daruma_rpc_api`] but subscriptions can be called on it.
pub enum Connection {
    /// One lasting connection for all requests.
    WebSocket(WsClient),
    /// A pool of connections.
    Http(HttpClient),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebSocket(_) => "Connection::WebSocket",
            Self::Http(_) => "Connection::Http",
        })
    }
}

pub(crate) const URL_ALLOWED: &str =
    "allowed are 1 to 64 different URLs of the forms ws://host:port and http://host:port";

/// The `host:port…` of a URL that can be used.
pub(crate) fn authority(url: &str) -> Option<&str> {
    url.strip_prefix("ws://")
        .or_else(|| url.strip_prefix("http://"))
        .filter(|rest| !rest.is_empty())
}

impl Connection {
    /// Connects to `ws://host:port` or `http://host:port`. A node that answers no WebSocket handshake
    /// is spoken to over HTTP.
    ///
    /// # Errors
    /// [`ClientError::Url`] or [`ClientError::NoAnswer`].
    pub async fn open(url: &str) -> Result<Self, ClientError> {
        let unusable = || ClientError::Url { found: url.to_owned(), allowed: URL_ALLOWED };
        let authority = authority(url).ok_or_else(unusable)?;
        if url.starts_with("ws://") {
            let socket = WsClientBuilder::new()
                .connection_timeout(limits::CONNECT)
                .request_timeout(limits::ATTEMPT + limits::TRANSPORT_GRACE)
                .max_concurrent_requests(limits::REQUESTS_MAX)
                .max_request_size(REQUEST_BYTES_MAX)
                .max_response_size(RESPONSE_BYTES_MAX)
                .build(url)
                .await;
            match socket {
                Ok(client) => return Ok(Self::WebSocket(client)),
                Err(error) => tracing::debug!(%error, url, "no WebSocket; trying HTTP"),
            }
        }
        HttpClientBuilder::new()
            .connect_timeout(limits::CONNECT)
            .request_timeout(limits::ATTEMPT + limits::TRANSPORT_GRACE)
            .max_concurrent_requests(limits::REQUESTS_MAX)
            .max_request_size(REQUEST_BYTES_MAX)
            .max_response_size(RESPONSE_BYTES_MAX)
            .build(format!("http://{authority}"))
            .map(Self::Http)
            .map_err(|error| ClientError::NoAnswer(format!("{url}: {error}")))
    }
}

impl ClientT for Connection {
    async fn notification<P: ToRpcParams + Send>(
        &self,
        method: &str,
        params: P,
    ) -> Result<(), Error> {
        match self {
            Self::WebSocket(client) => client.notification(method, params).await,
            Self::Http(client) => client.notification(method, params).await,
        }
    }

    async fn request<R, P>(&self, method: &str, params: P) -> Result<R, Error>
    where
        R: serde::de::DeserializeOwned,
        P: ToRpcParams + Send,
    {
        match self {
            Self::WebSocket(client) => client.request(method, params).await,
            Self::Http(client) => client.request(method, params).await,
        }
    }

    async fn batch_request<'a, R>(
        &self,
        batch: BatchRequestBuilder<'a>,
    ) -> Result<BatchResponse<'a, R>, Error>
    where
        R: serde::de::DeserializeOwned + fmt::Debug + 'a,
    {
        match self {
            Self::WebSocket(client) => client.batch_request(batch).await,
            Self::Http(client) => client.batch_request(batch).await,
        }
    }
}
