//! A Coder in memory that keeps Coder's rules.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use logstream_core::{line::Level, token::AgentToken};
use tokio::time::{Instant, sleep};

use super::limiter::Limiter;
use crate::{
    coder::{Answer, CoderApi, Failure, Rate, SendError, WireLine},
    deliver::rate::priority::Endpoint,
};

/// Script that may answer a request in Coder's place.
pub(crate) type Script = Box<dyn FnMut(&Request) -> Option<Scripted> + Send>;

pub(crate) enum Scripted {
    /// This failure, and nothing was stored.
    Failure(Failure),
    /// The lines were stored, and then the answer was lost in this way.
    StoredThen(Failure),
    /// The ordinary answer, after this time.
    After(Duration),
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) endpoint: Endpoint,
    pub(crate) agent: AgentToken,
    pub(crate) lines: Vec<String>,
}

#[derive(Default)]
pub(crate) struct FakeAgent {
    /// Time from which its token is valid; `None` for never.
    pub(crate) valid_from: Option<Instant>,
    pub(crate) source: bool,
    pub(crate) log: Vec<(Instant, Level, String)>,
    pub(crate) sources_posted: usize,
}

pub(crate) struct State {
    pub(crate) latency: Duration,
    pub(crate) agents: HashMap<AgentToken, FakeAgent>,
    pub(crate) log_source_limit: Option<Limiter>,
    pub(crate) logs_limit: Option<Limiter>,
    pub(crate) script: Script,
    pub(crate) requests: Vec<Request>,
    /// Maximum number of concurrent requests so far.
    pub(crate) most_under_way: usize,
    under_way: usize,
    /// Number of lines that arrived before the source of their agent.
    pub(crate) without_source: usize,
}

#[derive(Clone)]
pub(crate) struct FakeCoder(Arc<Mutex<State>>);

impl FakeCoder {
    pub(crate) fn new(latency: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            latency,
            agents: HashMap::new(),
            log_source_limit: None,
            logs_limit: None,
            script: Box::new(|_| None),
            requests: Vec::new(),
            most_under_way: 0,
            under_way: 0,
            without_source: 0,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn handle(
        &self,
        endpoint: Endpoint,
        agent: AgentToken,
        lines: Vec<(Level, String)>,
    ) -> Result<Answer, SendError> {
        let texts = lines.iter().map(|(_, text)| text.clone()).collect();
        let request = Request { at: Instant::now(), endpoint, agent, lines: texts };
        let (latency, scripted) = {
            let mut state = self.state();
            let scripted = (state.script)(&request);
            state.requests.push(request);
            state.under_way += 1;
            state.most_under_way = state.most_under_way.max(state.under_way);
            match scripted {
                Some(Scripted::After(latency)) => (latency, None),
                scripted => (state.latency, scripted),
            }
        };
        sleep(latency / 2).await;
        let result = self.state().answer(endpoint, agent, lines, scripted);
        sleep(latency / 2).await;
        self.state().under_way -= 1;
        result
    }
}

impl State {
    fn answer(
        &mut self,
        endpoint: Endpoint,
        agent: AgentToken,
        lines: Vec<(Level, String)>,
        scripted: Option<Scripted>,
    ) -> Result<Answer, SendError> {
        let refused = |failure, rate| Err(SendError { failure, rate });
        let lost = match scripted {
            Some(Scripted::Failure(failure)) => return refused(failure, None),
            Some(Scripted::StoredThen(failure)) => Some(failure),
            _ => None,
        };
        let rate = match self.count(endpoint) {
            Ok(rate) => rate,
            Err(rate) => {
                let retry_after = Some(Duration::from_mins(1));
                return refused(Failure::Limited { retry_after }, Some(rate));
            }
        };
        let now = Instant::now();
        let agent = self.agents.entry(agent).or_default();
        if agent.valid_from.is_none_or(|at| at > now) {
            return refused(Failure::Unauthorized, rate);
        }
        match endpoint {
            Endpoint::LogSource => {
                agent.source = true;
                agent.sources_posted += 1;
            }
            Endpoint::Logs => {
                assert!(!lines.is_empty(), "Coder answers 400 to no lines");
                self.without_source += usize::from(!agent.source);
                agent.log.extend(lines.into_iter().map(|(level, text)| (now, level, text)));
            }
        }
        match lost {
            Some(failure) => refused(failure, None),
            None => Ok(Answer { rate }),
        }
    }

    fn count(&mut self, endpoint: Endpoint) -> Result<Option<Rate>, Rate> {
        let limiter = match endpoint {
            Endpoint::LogSource => &mut self.log_source_limit,
            Endpoint::Logs => &mut self.logs_limit,
        };
        limiter.as_mut().map(|limiter| limiter.request(Instant::now())).transpose()
    }
}

impl CoderApi for FakeCoder {
    async fn post_log_source(&self, agent: &AgentToken) -> Result<Answer, SendError> {
        self.handle(Endpoint::LogSource, *agent, Vec::new()).await
    }

    async fn send_logs(&self, agent: &AgentToken, lines: &[WireLine<'_>]) -> Result<Answer, SendError> {
        let lines = lines.iter().map(|line| (line.level, line.output.clone().into_owned())).collect();
        self.handle(Endpoint::Logs, *agent, lines).await
    }
}
