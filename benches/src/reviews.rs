//! A load of admission reviews over keep-alive connections, as the API server sends them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsConnector;

use crate::objects::token;

/// A review recorded from a real API server.
const REVIEW: &str = include_str!("../../webhook/tests/fixtures/pod.json");

/// Number of different reviews, so that each registers another pod.
const REVIEWS: usize = 1_000;

/// A webhook under load.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: TlsConnector,
    reviews: Arc<Reviews>,
}

/// Reviews of different pods, ready to be sent.
pub(crate) struct Reviews {
    bodies: Vec<Bytes>,
    pub(crate) tokens: Vec<String>,
    next: AtomicUsize,
}

impl Reviews {
    pub(crate) fn new() -> Result<Self> {
        let (mut bodies, mut tokens) = (Vec::new(), Vec::new());
        for n in 0..REVIEWS {
            let mut review: Value = serde_json::from_str(REVIEW)?;
            let token = token();
            review["request"]["uid"] = self::token().into();
            review["request"]["name"] = format!("workspace-{n:04}").into();
            let pod = &mut review["request"]["object"];
            pod["metadata"]["name"] = format!("workspace-{n:04}").into();
            let env = pod["spec"]["containers"][0]["env"].as_array_mut().context("the review has variables")?;
            let own = env.iter_mut().find(|one| one["name"] == "CODER_AGENT_TOKEN").context("one is the token")?;
            own["value"] = token.clone().into();
            tokens.push(token);
            bodies.push(Bytes::from(review.to_string()));
        }
        Ok(Self { bodies, tokens, next: AtomicUsize::new(0) })
    }

    fn next(&self) -> Bytes {
        self.bodies[self.next.fetch_add(1, Ordering::Relaxed) % self.bodies.len()].clone()
    }

    /// Mean size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bodies.iter().map(Bytes::len).sum::<usize>() / self.bodies.len()
    }
}

/// A keep-alive connection.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
}

impl Target {
    pub(crate) fn new(address: SocketAddr, ca_pem: &str, reviews: Arc<Reviews>) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { address, tls: TlsConnector::from(Arc::new(config)), reviews })
    }

    /// The webhook's URL, as in a webhook configuration.
    pub(crate) fn url(&self) -> String {
        format!("https://{}/mutate", self.address)
    }

    async fn connect(&self, tasks: &mut JoinSet<()>) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = self.tls.connect(name, stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tasks.spawn(async move {
            let _ = connection.await;
        });
        Ok(Connection { sender, target: self.clone() })
    }

    /// Sends the next review on each connection as soon as the last is answered. Returns answers per second.
    pub(crate) async fn closed_loop(&self, connections: usize, time: Duration) -> Result<f64> {
        let mut tasks = JoinSet::new();
        let mut clients = JoinSet::new();
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(self.connect(&mut tasks).await?);
        }
        let begun = Instant::now();
        for mut connection in open {
            clients.spawn(async move {
                let mut answers = 0_u64;
                while begun.elapsed() < time {
                    connection.review().await?;
                    answers += 1;
                }
                anyhow::Ok(answers)
            });
        }
        let mut answers = 0;
        while let Some(ended) = clients.join_next().await {
            answers += ended??;
        }
        Ok(answers as f64 / begun.elapsed().as_secs_f64())
    }

    /// Sends `rate` reviews per second over the connections, whether or not earlier ones are answered. Returns the
    /// latency of each.
    pub(crate) async fn open_loop(&self, connections: usize, rate: u32, time: Duration) -> Result<Vec<Duration>> {
        let mut tasks = JoinSet::new();
        let (give_back, mut idle) = mpsc::unbounded_channel();
        for _ in 0..connections {
            give_back.send(self.connect(&mut tasks).await?).ok();
        }
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut reviews = JoinSet::new();
        let begun = Instant::now();
        while begun.elapsed() < time {
            ticks.tick().await;
            // The wait for a free connection is part of the latency.
            let due = Instant::now();
            let mut connection = idle.recv().await.context("connections come back")?;
            let give_back = give_back.clone();
            reviews.spawn(async move {
                connection.review().await?;
                let took = due.elapsed();
                give_back.send(connection).ok();
                anyhow::Ok(took)
            });
        }
        let mut times = Vec::with_capacity(reviews.len());
        while let Some(ended) = reviews.join_next().await {
            times.push(ended??);
        }
        Ok(times)
    }
}

impl Connection {
    async fn review(&mut self) -> Result<()> {
        let request = Request::post("/mutate?timeout=2s")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "kube-apiserver-admission")
            .body(Full::new(self.target.reviews.next()))?;
        let answer = self.sender.send_request(request).await?;
        if !answer.status().is_success() {
            bail!("a review is answered with {}", answer.status());
        }
        answer.into_body().collect().await?;
        Ok(())
    }
}
