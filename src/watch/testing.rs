//! A stand-in for the API server, with scripted answers.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// An answer of the stand-in.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A complete body.
    Whole { code: u16, body: String, date: Option<&'static str> },
    /// Lines of a watch. Afterwards the connection stays open or ends.
    Lines { lines: Vec<String>, ends: bool },
    /// The connection fails.
    Unreachable,
}

impl Answer {
    pub(crate) fn json(body: &Value) -> Self {
        Self::Whole { code: 200, body: body.to_string(), date: None }
    }

    pub(crate) fn list(revision: u64, items: &[Value]) -> Self {
        Self::json(&json!({"kind": "List", "apiVersion": "v1",
            "metadata": {"resourceVersion": revision.to_string()}, "items": items}))
    }

    /// A page of a list, with the token of the next page.
    pub(crate) fn page(next: &str, items: &[Value]) -> Self {
        Self::json(&json!({"metadata": {"resourceVersion": "1", "continue": next}, "items": items}))
    }

    pub(crate) fn status(code: u16, message: &str) -> Self {
        let body = json!({"kind": "Status", "status": "Failure", "message": message, "code": code});
        Self::Whole { code, body: body.to_string(), date: None }
    }

    pub(crate) fn dated(mut self, at: &'static str) -> Self {
        if let Self::Whole { date, .. } = &mut self {
            *date = Some(at);
        }
        self
    }

    /// A watch that stays open after these lines.
    pub(crate) fn watch(lines: &[String]) -> Self {
        Self::Lines { lines: lines.to_vec(), ends: false }
    }

    /// A watch with a connection that ends after these lines.
    pub(crate) fn ended_watch(lines: &[String]) -> Self {
        Self::Lines { lines: lines.to_vec(), ends: true }
    }
}

/// A line of a watch, with its fields in the API server's order.
fn line(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

pub(crate) fn added(object: &Value) -> String {
    line("ADDED", object)
}

pub(crate) fn deleted(object: &Value) -> String {
    line("DELETED", object)
}

/// Bookmark that ends a streaming list.
pub(crate) fn listed(revision: u64) -> String {
    let annotations = json!({"k8s.io/initial-events-end": "true"});
    let metadata = json!({"resourceVersion": revision.to_string(), "annotations": annotations});
    line("BOOKMARK", &json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata}))
}

/// Error that ends a watch when its history was compacted.
pub(crate) fn expired() -> String {
    line("ERROR", &json!({"kind": "Status", "status": "Failure", "message": "too old resource version", "code": 410}))
}

/// Answers, each for requests with a given text in their path and query. The first matching answer is used once; then
/// those that always apply. A request that matches none is never answered.
#[derive(Debug, Default)]
pub(crate) struct Script {
    once: VecDeque<(String, Answer)>,
    always: Vec<(String, Answer)>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn on(mut self, text: &str, answer: Answer) -> Self {
        self.once.push_back((text.into(), answer));
        self
    }

    pub(crate) fn always(mut self, text: &str, answer: Answer) -> Self {
        self.always.push((text.into(), answer));
        self
    }

    /// Starts the stand-in. If nothing else matches, the current resourceVersion is a high one.
    pub(crate) fn start(mut self) -> Server {
        self.always.push(("limit=1".into(), Answer::list(1_000_000, &[])));
        Server { state: Arc::new(Mutex::new((self, Vec::new()))) }
    }
}

/// The stand-in.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    state: Arc<Mutex<(Script, Vec<String>)>>,
}

impl Server {
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = server.answer(&request);
            async move {
                match answer {
                    None => std::future::pending().await,
                    Some(answer) => respond(answer),
                }
            }
        });
        Client::new(service, "default")
    }

    /// All requests so far, as `path?query` with the query decoded.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().1.clone()
    }

    fn answer(&self, request: &Request<Body>) -> Option<Answer> {
        let query: Vec<String> = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let text = format!("{}{mark}{}", request.uri().path(), query.join("&"));
        let (script, seen) = &mut *self.state.lock().unwrap();
        seen.push(text.clone());
        if let Some(index) = script.once.iter().position(|(part, _)| text.contains(part)) {
            return script.once.remove(index).map(|(_, answer)| answer);
        }
        script.always.iter().find(|(part, _)| text.contains(part)).map(|(_, answer)| answer.clone())
    }
}

type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

fn respond(answer: Answer) -> Result<Response<ResponseBody>, std::io::Error> {
    let frames = |lines: Vec<String>| stream::iter(lines.into_iter().map(|line| Ok(Frame::data(Bytes::from(line)))));
    let (code, date, body) = match answer {
        Answer::Unreachable => return Err(std::io::Error::other("connection refused")),
        Answer::Whole { code, body, date } => (code, date, StreamBody::new(frames(vec![body])).boxed_unsync()),
        Answer::Lines { lines, ends: true } => (200, None, StreamBody::new(frames(lines)).boxed_unsync()),
        Answer::Lines { lines, ends: false } => {
            (200, None, StreamBody::new(frames(lines).chain(stream::pending())).boxed_unsync())
        }
    };
    let mut response = Response::builder().status(code);
    if let Some(date) = date {
        response = response.header("date", date);
    }
    Ok(response.body(body).unwrap())
}
