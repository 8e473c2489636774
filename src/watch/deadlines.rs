//! Deadlines and backoff of requests to the API server: a client that notices when it no longer answers.
//!
//! A watch is quiet for as long as nothing happens, and so is a connection whose other end is gone. Every watch asks to
//! be ended by the server after [`WATCH`]; a response that brings nothing for longer than that is dead.

use std::time::Duration;

use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyStream, StreamBody};
use kube::{Client, client::Body};
use logstream_runtime::Backoff;
use tokio::time::timeout;
use tower::service_fn;

/// The API server ends a watch after this many seconds; it is then resumed where it was.
pub(super) const WATCH: u32 = 40;
/// A response without data for so long is dead: a watch would have been ended by then.
const IDLE: Duration = Duration::from_secs(45);
/// A list of thousands of objects may take seconds; the API server itself gives up after 60.
const HEAD: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The API server does not answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no data from the API server for {} s", .0.as_secs())]
struct Silent(Duration);

/// The same client with these deadlines on each of its requests.
pub(super) fn with_deadlines(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            let answered = timeout(HEAD, client.send(request)).await;
            let response: Response<Body> =
                answered.map_err(|_| BoxError::from(Silent(HEAD)))?.map_err(BoxError::from)?;
            let (head, body) = response.into_parts();
            let frames = stream::unfold(Some(Box::pin(BodyStream::new(body))), |body| async move {
                let mut body = body?;
                match timeout(IDLE, body.next()).await {
                    Ok(Some(frame)) => Some((frame.map_err(BoxError::from), Some(body))),
                    Ok(None) => None,
                    Err(_) => Some((Err(Silent(IDLE).into()), None)),
                }
            });
            Ok::<_, BoxError>(Response::from_parts(head, StreamBody::new(frames)))
        }
    });
    Client::new(service, namespace)
}

/// Backoff after requests that the API server refused or did not answer: 0.5 s to 30 s, with jitter, so that an API
/// server that comes back is not met by all clients at once.
pub(super) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_secs(30))
}
