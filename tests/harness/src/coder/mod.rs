//! A stand-in for Coder: the part of its agent API that log streaming uses, with its rules and limits, and with
//! injected faults.
//!
//! The rules follow the observable behaviour of the public source of coder/coder.

mod agent;
mod answer;
mod fault;
mod http_server;
mod journal;
mod line;
mod options;
mod rate_limit;
mod routes;
mod state;
mod wait;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use tokio::runtime;
use tokio::sync::watch;

pub use agent::{Valid, Violation};
pub use fault::{Fault, FaultRule};
pub use journal::JournalEntry;
pub use line::{Ansi, Level, Line};
pub use options::{CoderOptions, RateLimit};
pub use rate_limit::WINDOW as RATE_LIMIT_WINDOW;
pub use routes::Endpoint;
pub use wait::Timeout;

use crate::pki::{self, ServingCertificate};
use crate::ports;
use http_server::{Acceptors, Control, PortState};
use state::State;

/// Coder's predefined log source for Kubernetes.
pub const KUBERNETES_LOG_SOURCE: &str = "cabdacf8-7c90-425c-9815-cae3c75d1169";

/// A stand-in for Coder: an HTTP server on loopback, with its own thread and runtime. Stops when dropped.
#[derive(Debug)]
pub struct CoderStandIn {
    address: SocketAddr,
    ca_pem: Option<String>,
    state: Arc<State>,
    control: watch::Sender<Control>,
    port_state: watch::Receiver<PortState>,
    thread: Option<JoinHandle<()>>,
}

impl CoderStandIn {
    /// Starts it, without agents.
    pub fn start(options: CoderOptions) -> Result<Self> {
        pki::install_crypto_provider();
        let address = ports::free();
        let certificates = match (options.tls, options.own_ca) {
            (_, true) => Some(ServingCertificate::own_ca().map(|own| (own.clone(), own))?),
            (true, false) => Some(ServingCertificate::with_expired()?),
            (false, false) => None,
        };
        let tls = certificates.as_ref().map(Acceptors::new).transpose()?;
        let certificate = certificates.map(|(valid, _)| valid);
        let state = Arc::new(State::new(&options));
        let (control, commands) = watch::channel(Control::default());
        let (report, port_state) = watch::channel(PortState::Closed);
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let served = Arc::clone(&state);
        let thread = thread::spawn(move || {
            runtime.block_on(http_server::serve(address, tls, served, commands, report));
            runtime.shutdown_background();
        });
        let stand_in =
            Self { address, ca_pem: certificate.map(|one| one.ca), state, control, port_state, thread: Some(thread) };
        stand_in.wait_for_port(PortState::Open)?;
        Ok(stand_in)
    }

    /// Its URL, for `CODER_URL`.
    pub fn url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Address that it listens on: the upstream of a [`crate::FaultProxy`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CA that a client must trust; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    // Agents

    /// Adds an agent whose token becomes valid now, after a delay, or when [`CoderStandIn::valid`] is called.
    pub fn add_agent(&self, token: &str, valid: Valid) {
        self.state.change(|inner| inner.add_agent(token, valid));
    }

    /// Makes a token valid, as when the provision job completes.
    pub fn valid(&self, token: &str) {
        self.add_agent(token, Valid::Now);
    }

    /// Invalidates a token, as when another build replaces the workspace's.
    pub fn revoke(&self, token: &str) {
        self.state.change(|inner| inner.revoke(token));
    }

    /// Claims a prebuilt workspace: the token belongs to another agent then, without log source or logs. It is invalid
    /// for the time `gone` in between.
    pub fn claim(&self, token: &str, gone: Duration) {
        self.state.change(|inner| inner.claim(token, gone));
    }

    /// Writes bytes to the agent's own startup log, which shares the budget. Returns false if they are rejected.
    pub fn agent_writes(&self, token: &str, bytes: usize) -> bool {
        self.state.change(|inner| inner.agent_writes(token, bytes))
    }

    // Faults

    /// Adds a fault. The oldest that matches a request applies. See [`FaultRule`].
    pub fn fault(&self, rule: impl Into<FaultRule>) {
        self.state.change(|inner| inner.faults.add(rule.into()));
    }

    /// Removes all faults. Stalled requests remain stalled until their connection ends.
    pub fn clear_faults(&self) {
        self.state.change(|inner| inner.faults.clear());
    }

    /// Sets the latency of each request, half of it before and half after it takes effect.
    pub fn latency(&self, latency: Duration) {
        self.state.change(|inner| inner.latency = latency);
    }

    /// Replaces the rate limit; `None` switches it off. Resets the counts.
    pub fn rate_limit(&self, limit: Option<RateLimit>) {
        self.state.change(|inner| inner.limiter = rate_limit::Limiter::new(limit));
    }

    /// Closes all open connections at once.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.cuts += 1);
    }

    /// Serves an expired certificate to new connections and closes the open ones, or the valid one again. Needs
    /// [`CoderOptions::tls`].
    pub fn expired(&self, expired: bool) {
        self.control.send_modify(|control| {
            control.expired = expired;
            control.cuts += 1;
        });
    }

    /// Refuses new connections and closes the open ones; `false` listens on the same port again. Returns once done.
    pub fn refuse(&self, refuse: bool) -> Result<()> {
        self.control.send_modify(|control| {
            control.refuse = refuse;
            control.cuts += u64::from(refuse);
        });
        self.wait_for_port(if refuse { PortState::Closed } else { PortState::Open })
    }

    // Observations

    /// All lines of a token in order of arrival, including those of its earlier agents.
    pub fn lines(&self, token: &str) -> Vec<Line> {
        self.state.read(|inner| inner.lines(token))
    }

    /// Number of lines received, over all agents.
    pub fn line_count(&self) -> usize {
        self.state.read(|inner| inner.line_count)
    }

    /// Waits until the lines of a token satisfy `predicate`, and returns them.
    pub async fn wait_for_lines(
        &self,
        token: &str,
        deadline: Duration,
        predicate: impl Fn(&[Line]) -> bool,
    ) -> Result<Vec<Line>, Timeout> {
        wait::for_lines(&self.state, token, deadline, predicate).await
    }

    /// Waits until `predicate` holds; checks after each request and change. Returns false after `deadline`.
    pub async fn wait_until(&self, deadline: Duration, predicate: impl Fn(&Self) -> bool) -> bool {
        wait::until(&self.state, deadline, || predicate(self)).await
    }

    /// Client errors that Coder accepts silently.
    pub fn violations(&self) -> Vec<Violation> {
        self.state.read(|inner| inner.violations.clone())
    }

    /// Number of requests by endpoint and response status. Cut and stalled ones count with status 0.
    pub fn requests(&self) -> BTreeMap<(Endpoint, u16), usize> {
        self.state.read(|inner| inner.requests.clone())
    }

    /// Number of requests of an endpoint with this response status.
    pub fn request_count(&self, endpoint: Endpoint, status: u16) -> usize {
        self.state.read(|inner| inner.requests.get(&(endpoint, status)).copied().unwrap_or_default())
    }

    /// Number of requests to an endpoint with this token, with any response.
    pub fn requests_of(&self, token: &str, endpoint: Endpoint) -> usize {
        self.state.read(|inner| inner.requests_of.get(&(token.to_owned(), endpoint)).copied().unwrap_or_default())
    }

    /// Maximum number of requests in flight so far.
    pub fn max_in_flight(&self) -> usize {
        self.state.read(|inner| inner.max_in_flight)
    }

    /// All answered requests in the order of the responses; empty without [`CoderOptions::journal`].
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.state.read(|inner| inner.journal.clone().unwrap_or_default())
    }

    /// The startup log of the token's current agent.
    pub fn startup_log(&self, token: &str, ansi: Ansi) -> String {
        self.state.read(|inner| inner.startup_log(token, ansi))
    }

    /// Returns true once a batch was rejected because it exceeded the budget.
    pub fn overflowed(&self, token: &str) -> bool {
        self.state.read(|inner| inner.agent(token).is_some_and(|agent| agent.overflowed))
    }

    fn wait_for_port(&self, wanted: PortState) -> Result<()> {
        crate::poll::until("the stand-in's port", Duration::from_secs(10), || {
            (*self.port_state.borrow() == wanted).then_some(())
        })
    }
}

impl Drop for CoderStandIn {
    fn drop(&mut self) {
        self.control.send_modify(|control| control.stopped = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
