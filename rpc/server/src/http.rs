//! HTTP around JSON-RPC: who may ask, how long a request may take, and the two pages for probes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daruma_rpc_api::limits::REQUEST_BYTES_MAX;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN, UPGRADE};
use hyper::{Method, Request, StatusCode};
use jsonrpsee::core::BoxError;
use jsonrpsee::server::{HttpBody, HttpResponse};
use tower::Service;

use crate::context::Context;

/// What one connection's requests share.
pub(crate) struct Gate {
    pub(crate) context: Arc<Context>,
    /// Names, beside IP addresses and localhost, under which the node may be called.
    pub(crate) allowed_hosts: Arc<[String]>,
    pub(crate) body_wait_max: Duration,
}

impl Gate {
    /// Answers one request, by `rpc` if it is JSON-RPC.
    pub(crate) async fn answer<S>(&self, request: Request<Incoming>, mut rpc: S) -> HttpResponse
    where
        S: Service<Request<Full<Bytes>>, Response = HttpResponse, Error = BoxError>,
    {
        if !self.may_ask(&request) {
            let why = "this host name or origin is not allowed\n";
            return page(StatusCode::FORBIDDEN, why.into());
        }
        if request.method() == Method::GET && !request.headers().contains_key(UPGRADE) {
            return self.probe(request.uri().path());
        }
        let (parts, body) = request.into_parts();
        // Room for one byte more than allowed, so that JSON-RPC's own answer says what is allowed.
        let body = Limited::new(body, REQUEST_BYTES_MAX as usize + 1).collect();
        let body = match tokio::time::timeout(self.body_wait_max, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                let why = format!("the request has more than {REQUEST_BYTES_MAX} bytes\n");
                return closing(page(StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            Ok(Err(error)) => {
                return closing(page(StatusCode::BAD_REQUEST, format!("no body: {error}\n")));
            }
            Err(_) => {
                let why = "the request's body did not arrive in time\n";
                return closing(page(StatusCode::REQUEST_TIMEOUT, why.into()));
            }
        };
        rpc.call(Request::from_parts(parts, Full::new(body))).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "JSON-RPC over HTTP failed");
            page(StatusCode::INTERNAL_SERVER_ERROR, "the request failed inside the node\n".into())
        })
    }

    fn probe(&self, path: &str) -> HttpResponse {
        match path {
            "/livez" => page(StatusCode::OK, "live\n".into()),
            "/readyz" => {
                let health = self.context.health();
                if health.ready {
                    page(StatusCode::OK, "ready\n".into())
                } else {
                    let reasons = health.reasons.join("\n");
                    page(StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{reasons}\n"))
                }
            }
            _ => page(StatusCode::NOT_FOUND, "there are /livez, /readyz and JSON-RPC\n".into()),
        }
    }

    /// No pages of other sites: a browser names their origin, or, after DNS rebinding, their host.
    fn may_ask(&self, request: &Request<Incoming>) -> bool {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let one_host = request.headers().get_all(HOST).iter().count() == 1;
        !request.headers().contains_key(ORIGIN)
            && one_host
            && host.is_some_and(|host| host_is_allowed(host, &self.allowed_hosts))
    }
}

/// An IP address, localhost, or one of `allowed`; each with or without a port.
fn host_is_allowed(host: &str, allowed: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

fn page(status: StatusCode, text: String) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Part of the body may still be on its way, so the connection cannot be used again.
fn closing(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_allowed_names_pass_and_other_names_do_not() {
        let allowed = ["node.example.org".to_owned()];
        for host in [
            "127.0.0.1",
            "127.0.0.1:8000",
            "[::1]:8000",
            "[::1]",
            "localhost",
            "LocalHost:80",
            "node.example.org:8000",
            "Node.Example.org",
        ] {
            assert!(host_is_allowed(host, &allowed), "{host}");
        }
        for host in ["evil.example", "evil.example:8000", "", "localhost.evil.example", ":80"] {
            assert!(!host_is_allowed(host, &allowed), "{host}");
        }
    }
}
