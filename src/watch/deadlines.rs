//! Deadlines and backoff of requests to the API server, so that the client notices when it no longer answers.
//!
//! A watch is quiet while nothing happens, and so is a connection to a server that is gone. Therefore every watch asks
//! the server to end it after [`WATCH`]; a response without data for longer than that is dead.

use std::time::Duration;

use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyStream, StreamBody};
use kube::{Client, client::Body};
use logstream_runtime::Backoff;
use tokio::time::timeout;
use tower::service_fn;

/// Duration of a watch in seconds. The API server ends it after this time; it is then resumed from where it was.
pub(super) const WATCH: u32 = 40;
/// Maximum time without data before a response counts as dead. The API server would have ended a watch by then.
const IDLE: Duration = Duration::from_secs(45);
/// Time limit for the head of a response. A list of thousands of objects may take seconds; the API server itself gives
/// up after 60.
const HEAD: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The API server sent no data for this time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no data from the API server for {} s", .0.as_secs())]
struct Silent(Duration);

/// Returns the same client with these deadlines on each of its requests.
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

/// Creates the backoff after requests that the API server refused or did not answer: 0.5 s to 30 s, with jitter, so
/// that not all clients retry at once when an API server comes back.
pub(super) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_secs(30))
}
