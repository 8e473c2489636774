//! A request to Coder without a token, for diagnosis.

use std::{error::Error, io, time::Duration};

use reqwest::{Client, Response, Url};
use tokio::time::Instant;

use super::{
    answer::{BuildInfo, Rate, date},
    client::{BUILD_INFO, ConfigError, below, judge, read},
    error::SendError,
    redirect::{self, MAX_REDIRECTS},
};

/// Result of `GET buildinfo`.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Coder's build information.
    pub info: BuildInfo,
    /// The URL that answered, after redirects.
    pub url: Url,
    /// The state of the rate limit; `None` without one.
    pub rate: Option<Rate>,
    /// Coder's clock, in seconds since 1970, if the response is dated.
    pub date: Option<i64>,
    /// The certificate of the server, or of a proxy that inspects TLS, as DER; `None` without TLS.
    pub certificate: Option<Vec<u8>>,
    /// Time from the request to its answer, with a new connection.
    pub took: Duration,
}

/// The request to Coder failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct ProbeError {
    /// The failure.
    pub error: SendError,
    /// Reason why the server's certificate was rejected, if it was.
    pub certificate: Option<rustls::CertificateError>,
}

impl From<SendError> for ProbeError {
    fn from(error: SendError) -> Self {
        Self { error, certificate: None }
    }
}

/// Requests the build information of the Coder at `url`. Proxies of the environment apply; redirects are followed as in
/// delivery.
///
/// # Errors
/// [`ConfigError`] if the client cannot be created.
pub async fn probe(url: &Url) -> Result<Result<Probe, ProbeError>, ConfigError> {
    let http = super::client::http(url, true)?;
    Ok(ask(&http, url).await)
}

async fn ask(http: &Client, url: &Url) -> Result<Probe, ProbeError> {
    let mut base = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let started = Instant::now();
        let response = http.get(below(&base, BUILD_INFO)).send().await.map_err(lost)?;
        let took = started.elapsed();
        let rate = Rate::read(response.headers());
        match redirect::read(&response, &base, BUILD_INFO).map_err(|failure| SendError { failure, rate })? {
            Some(redirect) => base = redirect.base,
            None => return answered(response, base, took).await,
        }
    }
    Err(SendError { failure: super::Failure::not_coder("it redirects in a circle"), rate: None }.into())
}

async fn answered(response: Response, url: Url, took: Duration) -> Result<Probe, ProbeError> {
    let date = date(response.headers());
    let tls = response.extensions().get::<reqwest::tls::TlsInfo>();
    let certificate = tls.and_then(reqwest::tls::TlsInfo::peer_certificate).map(<[u8]>::to_vec);
    let (response, rate) = judge(response).await?;
    let body = read(response).await.map_err(|failure| SendError { failure, rate })?;
    let info = serde_json::from_slice(&body)
        .map_err(|_| SendError { failure: super::Failure::not_coder("its build information is not JSON"), rate })?;
    Ok(Probe { info, url, rate, date, certificate, took })
}

fn lost(error: reqwest::Error) -> ProbeError {
    let certificate = rejected(&error);
    ProbeError { error: SendError { failure: error.into(), rate: None }, certificate }
}

/// Finds the reason why TLS rejected the server's certificate, in an error and its sources.
fn rejected(error: &(dyn Error + 'static)) -> Option<rustls::CertificateError> {
    if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
        return Some(reason.clone());
    }
    // The source of an `io::Error` is the source of the error it wraps, and not that error itself.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => rejected(wrapped),
        None => rejected(error.source()?),
    }
}
