//! The HTTP client of Coder's agent API.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use logstream_core::token::AgentToken;
use reqwest::{
    Client, Method, RequestBuilder, Response, Url,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    redirect::Policy,
};
use rustls::ClientConfig;
use serde::Serialize;

use super::{
    CoderApi,
    answer::{Answer, BuildInfo, Rate},
    connections::Connections,
    error::{Failure, SendError, classify},
    redirect::{self, MAX_REDIRECTS, Redirect},
    tls,
    wire::{LOG_SOURCE, LOG_SOURCE_ID, Logs, WireLine},
};
use crate::config::environment_has_proxy;

/// Timeout of a connection attempt: allows for three lost SYNs, and ends before the request's own deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a request. Coder answers within milliseconds, and most proxies give up earlier.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle time of a connection: below the 60 s of common load balancers, so that this side closes first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Maximum number of idle connections over HTTP/1.1.
const IDLE_CONNECTIONS: usize = 32;
/// Interval of HTTP/2 pings, which detect a dead connection.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum size of an answer's body that is read. A fully read body lets its connection be reused.
const BODY_LIMIT: usize = 16 * 1024;

const LOG_SOURCE_ENDPOINT: &str = "api/v2/workspaceagents/me/log-source";
const LOGS_ENDPOINT: &str = "api/v2/workspaceagents/me/logs";
pub(super) const BUILD_INFO: &str = "api/v2/buildinfo";

const TOKEN_HEADER: HeaderName = HeaderName::from_static("coder-session-token");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client cannot be created with these settings. Permanent.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The URL's scheme is neither http nor https.
    #[error("the URL of Coder must start with http:// or https://")]
    Scheme,
    /// The URL contains a user name or password.
    #[error("the URL of Coder must hold no user name or password")]
    Credentials,
    /// No default crypto provider is installed.
    #[error("no default crypto provider is installed for TLS")]
    NoProvider,
    /// The HTTP client cannot be set up, for example without CA certificates.
    #[error("cannot create the HTTP client: {0}")]
    Client(Box<str>),
}

/// Coder's agent API over HTTP. Agents and clones share one connection pool.
///
/// CA certificates are read once, from `SSL_CERT_FILE` and `SSL_CERT_DIR` if set, else from the system, so changed ones
/// need a restart. Proxy variables of the environment are honoured. Redirects are followed only on the host of the URL,
/// and never from https to http, because requests contain tokens.
#[derive(Clone)]
pub struct CoderClient {
    inner: Arc<Inner>,
}

struct Inner {
    connections: Connections,
    /// Coder's URL, updated by permanent redirects.
    base: ArcSwap<Url>,
}

impl CoderClient {
    /// A client for the Coder at `url`, which may have a path (`https://host/coder/`); query and fragment are not
    /// part of it. The process must have installed its default crypto provider before. Connects to nothing yet.
    pub fn new(url: &Url) -> Result<Self, ConfigError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ConfigError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError::Credentials);
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ConfigError::NoProvider);
        }
        let connections = Connections::new(url)?;
        Ok(Self { inner: Arc::new(Inner { connections, base: ArcSwap::from_pointee(url.clone()) }) })
    }

    /// Gets Coder's version. Needs no token, so it shows whether Coder is at this URL.
    pub async fn build_info(&self) -> Result<BuildInfo, SendError> {
        let (response, rate) = self.answer(BUILD_INFO, Client::get).await?;
        let body = read(response).await.map_err(|failure| SendError { failure, rate })?;
        serde_json::from_slice(&body)
            .map_err(|_| SendError { failure: Failure::not_coder("its build information is not JSON"), rate })
    }

    /// Sends a request to an endpoint and judges the response. After an answer that is not Coder's own, the next
    /// request makes a new connection.
    async fn answer(
        &self,
        endpoint: &str,
        build: impl Fn(&Client, Url) -> RequestBuilder,
    ) -> Result<(Response, Option<Rate>), SendError> {
        let http = self.inner.connections.current();
        let answer = match self.request(endpoint, |url| build(&http, url)).await {
            Ok(response) => judge(response).await,
            Err(error) => Err(error),
        };
        answer.inspect_err(|error| self.inner.connections.failed(&http, &error.failure))
    }

    /// Sends a request to an endpoint, and follows redirects.
    async fn request(&self, endpoint: &str, build: impl Fn(Url) -> RequestBuilder) -> Result<Response, SendError> {
        let mut base = self.inner.base.load_full();
        for _ in 0..=MAX_REDIRECTS {
            let response = build(below(&base, endpoint)).send().await.map_err(lost)?;
            let followed = redirect::read(&response, &base, endpoint)
                .map_err(|failure| SendError { failure, rate: Rate::read(response.headers()) })?;
            let Some(Redirect { base: next, is_permanent }) = followed else { return Ok(response) };
            base = Arc::new(next);
            if is_permanent {
                tracing::info!(url = %base, "Coder has moved, following its redirect");
                self.inner.base.store(Arc::clone(&base));
            }
        }
        Err(SendError { failure: Failure::not_coder("it redirects in a circle"), rate: None })
    }

    async fn send(
        &self,
        method: Method,
        endpoint: &str,
        agent: &AgentToken,
        body: Vec<u8>,
    ) -> Result<Answer, SendError> {
        let (token, body) = (token_value(agent)?, Bytes::from(body));
        let build = |http: &Client, url| {
            let request = http.request(method.clone(), url);
            request.header(TOKEN_HEADER, token.clone()).header(CONTENT_TYPE, JSON).body(body.clone())
        };
        let (response, rate) = self.answer(endpoint, build).await?;
        // Read only to reuse the connection: the request is done.
        let _ = read(response).await;
        Ok(Answer { rate })
    }
}

impl CoderApi for CoderClient {
    async fn post_log_source(&self, agent: &AgentToken) -> Result<Answer, SendError> {
        self.send(Method::POST, LOG_SOURCE_ENDPOINT, agent, encode(&LOG_SOURCE)?).await
    }

    async fn send_logs(&self, agent: &AgentToken, lines: &[WireLine<'_>]) -> Result<Answer, SendError> {
        let body = encode(&Logs { log_source_id: LOG_SOURCE_ID, logs: lines })?;
        self.send(Method::PATCH, LOGS_ENDPOINT, agent, body).await
    }
}

/// An HTTP client for the Coder at `url`. With `tls_info` each response holds the server's certificate.
pub(super) fn http(url: &Url, tls_info: bool) -> Result<Client, ConfigError> {
    http_with(tls::config(url)?, tls_info)
}

/// Like `http`, with these TLS settings.
pub(super) fn http_with(tls: ClientConfig, tls_info: bool) -> Result<Client, ConfigError> {
    let mut http = Client::builder()
        .user_agent(concat!("coder-logstream-kube/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_INTERVAL / 2)
        .tls_info(tls_info);
    if !["http", "https"].into_iter().any(environment_has_proxy) {
        http = http.no_proxy();
    }
    http.tls_backend_preconfigured(tls).build().map_err(|error| ConfigError::Client(reason(error)))
}

/// Appends `path` to the URL's own path, whether or not that ends with a slash.
pub(super) fn below(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let joined = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&joined);
    url
}

fn token_value(agent: &AgentToken) -> Result<HeaderValue, SendError> {
    let mut value = HeaderValue::try_from(agent.expose()).map_err(|_| ours("the token cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn encode(body: &impl Serialize) -> Result<Vec<u8>, SendError> {
    serde_json::to_vec(body).map_err(|_| ours("the body cannot be written as JSON"))
}

/// Error of a request that cannot be built: a bug of this program, handled like a 400.
fn ours(message: &str) -> SendError {
    SendError { failure: Failure::BadRequest { message: message.into() }, rate: None }
}

fn lost(error: reqwest::Error) -> SendError {
    SendError { failure: error.into(), rate: None }
}

fn reason(error: reqwest::Error) -> Box<str> {
    match Failure::from(error) {
        Failure::Network { reason, .. } => reason,
        other => other.to_string().into(),
    }
}

/// Returns a successful response, or the failure according to its head and the start of its body.
pub(super) async fn judge(response: Response) -> Result<(Response, Option<Rate>), SendError> {
    let rate = Rate::read(response.headers());
    match classify(response.status(), response.headers()) {
        None => Ok((response, rate)),
        Some(failure) => {
            let body = read(response).await.unwrap_or_default();
            Err(SendError { failure: failure.explained_by(&body), rate })
        }
    }
}

/// Reads a limited part of the body.
pub(super) async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            body.truncate(BODY_LIMIT);
            break;
        }
    }
    Ok(body)
}
