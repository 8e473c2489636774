//! Test context: an engine, a Coder, and access to the results.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    checkpoint::FactKey,
    fact_id::{FactId, ScopeId},
    identity::Uid,
    line::{Level, LogLine},
    object::Meta,
    token::AgentToken,
    workspace::WorkspaceKey,
};
use prometheus_client::registry::Registry;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::fake::{FakeCoder, State};
use crate::{
    deliver::{AckSink, Command, Metrics, Outlet, Report, Settings, channel},
    leader::{Grantor, Leadership, Uptime},
};

pub(crate) const LATENCY: Duration = Duration::from_millis(20);

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The agent of this number.
pub(crate) fn agent(number: u32) -> AgentToken {
    AgentToken::parse(&format!("00000000-0000-4000-8000-0000{number:08x}")).unwrap()
}

pub(crate) fn workspace(name: &str) -> WorkspaceKey {
    let labels = [("com.coder.workspace.id".to_owned(), name.to_owned())].into();
    WorkspaceKey::of("workspaces", &Meta { labels, ..Meta::default() }).unwrap()
}

#[derive(Default)]
pub(crate) struct Acks {
    times: Mutex<HashMap<u64, u32>>,
    /// Bytes in each agent's log, as a checkpoint keeps them.
    pub(crate) spent: Mutex<HashMap<AgentToken, u64>>,
}

impl AckSink for Acks {
    fn ack(&self, fact_id: FactId) {
        *self.times.lock().unwrap().entry(fact_id.revision).or_default() += 1;
    }

    fn spent(&self, agent: &AgentToken, bytes: u64) {
        self.spent.lock().unwrap().insert(*agent, bytes);
    }

    fn spent_before(&self, agent: &AgentToken) -> u64 {
        self.spent.lock().unwrap().get(agent).copied().unwrap_or_default()
    }
}

impl Acks {
    /// Number of acknowledgements of each fact, by its resourceVersion.
    pub(crate) fn all(&self) -> HashMap<u64, u32> {
        self.times.lock().unwrap().clone()
    }
}

pub(crate) struct TestContext {
    pub(crate) coder: FakeCoder,
    pub(crate) outlet: Outlet,
    pub(crate) acks: Arc<Acks>,
    pub(crate) start: Instant,
    registry: Registry,
    shutdown: CancellationToken,
    engine: JoinSet<Report>,
    revision: u64,
}

/// The time of day when a test starts.
pub(crate) fn noon() -> Timestamp {
    "2026-07-20T12:00:00Z".parse().unwrap()
}

impl TestContext {
    pub(crate) fn new() -> Self {
        Self::with(FakeCoder::new(LATENCY), Settings::default())
    }

    pub(crate) fn with(coder: FakeCoder, settings: Settings) -> Self {
        Self::led(coder, settings, None)
    }

    /// Creates an engine that may send only while it leads. Its uptime is the time since [`TestContext::start`].
    pub(crate) fn elected() -> (Self, Grantor) {
        let start = Instant::now();
        let (grantor, leadership) = Leadership::new(Uptime::from_fn(move || start.elapsed()));
        (Self::led(FakeCoder::new(LATENCY), Settings::default(), Some(leadership)), grantor)
    }

    fn led(coder: FakeCoder, settings: Settings, leadership: Option<Leadership>) -> Self {
        let start = Instant::now();
        let acks = Arc::<Acks>::default();
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let clock = move || noon() + SignedDuration::try_from(start.elapsed()).unwrap();
        let (outlet, mut engine) = channel(coder.clone(), settings, clock, acks.clone(), metrics);
        if let Some(leadership) = leadership {
            engine = engine.with_leadership(leadership);
        }
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();

        tasks.spawn(engine.run(shutdown.clone(), secs(10)));
        Self { coder, outlet, acks, start, registry, shutdown, engine: tasks, revision: 0 }
    }

    /// Makes Coder accept this agent's token from now on.
    pub(crate) fn valid(&self, number: u32) {
        self.valid_at(number, Instant::now());
    }

    pub(crate) fn valid_at(&self, number: u32, at: Instant) {
        self.coder.state().agents.entry(agent(number)).or_default().valid_from = Some(at);
    }

    pub(crate) fn invalid(&self, number: u32) {
        self.coder.state().agents.entry(agent(number)).or_default().valid_from = None;
    }

    pub(crate) async fn send(&self, command: Command) {
        self.outlet.send(command).await.unwrap();
    }

    pub(crate) async fn open(&self, number: u32) {
        self.send(Command::Open { agent: agent(number), workspace: None }).await;
    }

    pub(crate) async fn claimed(&self, number: u32) {
        self.send(Command::Claimed { agent: agent(number) }).await;
    }

    pub(crate) async fn open_of(&self, number: u32, name: &str) {
        self.send(Command::Open { agent: agent(number), workspace: Some(workspace(name)) }).await;
    }

    pub(crate) async fn ended(&self, number: u32) {
        self.send(Command::Ended { agent: agent(number) }).await;
    }

    pub(crate) async fn line(&mut self, number: u32, text: impl Into<String>) {
        self.send_line(number, Level::Debug, false, text).await;
    }

    pub(crate) async fn send_line(&mut self, number: u32, level: Level, repeat: bool, text: impl Into<String>) {
        let at = noon() + SignedDuration::try_from(self.start.elapsed()).unwrap();
        self.revision += 1;
        let fact_id = FactId {
            scope: ScopeId(0),
            revision: self.revision,
            subject: Uid::parse("subject").unwrap(),
            fact: FactKey::EVENT,
        };
        let line = LogLine { at, level, text: text.into(), repeat, fact_id: Some(fact_id) };
        self.send(Command::Line { agent: agent(number), line }).await;
    }

    /// Lines in this agent's log, as its reader sees them.
    pub(crate) fn log(&self, number: u32) -> Vec<String> {
        self.log_with_times(number).into_iter().map(|(_, text)| text).collect()
    }

    pub(crate) fn log_with_times(&self, number: u32) -> Vec<(Duration, String)> {
        let state = self.coder.state();
        let log = state.agents.get(&agent(number)).map(|agent| agent.log.as_slice()).unwrap_or_default();
        log.iter().map(|(at, _, text)| (*at - self.start, text.clone())).collect()
    }

    /// Waits until the condition holds, up to `limit`. Returns the time it took.
    pub(crate) async fn until(&self, limit: Duration, what: &str, condition: impl Fn(&State) -> bool) -> Duration {
        let start = Instant::now();
        while !condition(&self.coder.state()) {
            assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
            sleep(millis(1)).await;
        }
        start.elapsed()
    }

    pub(crate) async fn until_lines(&self, number: u32, lines: usize, limit: Duration) -> Duration {
        let what = format!("{lines} lines of agent {number}");
        self.until(limit, &what, |state| state.agents.get(&agent(number)).is_some_and(|agent| agent.log.len() >= lines))
            .await
    }

    /// Lets time pass.
    pub(crate) async fn permit(&self, time: Duration) {
        sleep(time).await;
    }

    pub(crate) fn acked(&self) -> usize {
        self.acks.all().len()
    }

    /// Value of a series in the metrics.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no series {series} in {text}")).parse().unwrap()
    }

    /// Ends the engine at once, as after a loss of leadership.
    pub(crate) async fn abort(&mut self) {
        self.engine.shutdown().await;
    }

    /// Stops the engine as on SIGTERM, with ten seconds of grace.
    pub(crate) async fn stop(&mut self) -> Report {
        self.shutdown.cancel();
        self.engine.join_next().await.unwrap().unwrap()
    }
}

impl Drop for TestContext {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for (revision, times) in self.acks.all() {
                assert_eq!(times, 1, "fact_id {revision} was settled {times} times");
            }
            assert_eq!(self.coder.state().without_source, 0, "lines came before their source");
        }
    }
}
