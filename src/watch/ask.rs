//! A single request to the API server, with a deadline.
//!
//! kube's typed requests log the whole response if it does not decode, and a response may contain a token. The requests
//! here do not log it.

use std::time::Duration;

use bytes::Bytes;
use jiff::{Timestamp, fmt::rfc2822};
use kube::{Client, client::Body, core::Status};
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::kubernetes;

/// Time limit of a request. The API server answers a GET or a short LIST within milliseconds, or not at all.
const DEADLINE: Duration = Duration::from_secs(15);

/// A response of the API server.
pub(super) struct Answer {
    body: Bytes,
    /// Time of the response by the API server's clock, in whole seconds.
    pub(super) date: Option<Timestamp>,
}

impl Answer {
    /// Decodes the body as JSON. The error contains neither the body nor the decoder's message.
    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        kubernetes::decode(&self.body).ok_or_else(Failure::undecodable)
    }
}

/// Sends a request built by [`kube::core::Request`].
pub(super) async fn ask(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Answer, Failure> {
    let request = request.map_err(kube::Error::BuildRequest).map_err(|error| Failure::of_client(&error))?;
    tokio::time::timeout(DEADLINE, exchange(client, request.map(Body::from)))
        .await
        .unwrap_or_else(|_| Err(Failure::late()))
}

async fn exchange(client: &Client, request: http::Request<Body>) -> Result<Answer, Failure> {
    let response = client.send(request).await.map_err(|error| Failure::of_client(&error))?;
    let (head, body) = response.into_parts();
    let body = body.collect_bytes().await.map_err(|error| Failure::of_client(&error))?;
    if !head.status.is_success() {
        let code = head.status.as_u16();
        return Err(kubernetes::decode::<Status>(&body)
            .map_or_else(|| Failure::of_code(code), |status| Failure::of_status(&status.with_code(code))));
    }
    let date = head.headers.get(http::header::DATE).and_then(|date| parse_date(date.to_str().ok()?));
    Ok(Answer { body, date })
}

/// Parses an HTTP date, which is an RFC 2822 date that is always in GMT.
fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_date_is_read() {
        let read = parse_date("Mon, 23 Nov 2026 05:11:54 GMT").unwrap();
        assert_eq!(read, "2026-11-23T05:11:54Z".parse().unwrap());
        assert_eq!(parse_date("yesterday"), None);
    }
}
