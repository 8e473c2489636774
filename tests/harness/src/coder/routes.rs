//! Handlers of the endpoints.

use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{self, Answer};
use super::state::Inner;
use super::{Level, Line, Violation};

/// Maximum number of characters of a line in Coder.
const LINE_LIMIT: usize = 1_024;

/// The endpoints of Coder that log streaming uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// POST `/api/v2/workspaceagents/me/log-source`
    LogSource,
    /// PATCH `/api/v2/workspaceagents/me/logs`
    Logs,
    /// GET `/api/v2/buildinfo`
    BuildInfo,
    /// Anything else, answered with 404 or 405.
    Other,
}

impl Endpoint {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/api/v2/workspaceagents/me/log-source" => Self::LogSource,
            "/api/v2/workspaceagents/me/logs" => Self::Logs,
            "/api/v2/buildinfo" => Self::BuildInfo,
            _ => Self::Other,
        }
    }

    fn method(self) -> Option<Method> {
        match self {
            Self::LogSource => Some(Method::POST),
            Self::Logs => Some(Method::PATCH),
            Self::BuildInfo => Some(Method::GET),
            Self::Other => None,
        }
    }
}

/// A request with its body.
#[derive(Debug)]
pub(super) struct ReceivedRequest {
    pub(super) endpoint: Endpoint,
    pub(super) method: Method,
    pub(super) token: String,
    pub(super) address: IpAddr,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct SourceBody {
    id: Uuid,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    icon: String,
}

#[derive(Debug, Deserialize)]
struct LogsBody {
    #[serde(default)]
    log_source_id: Uuid,
    #[serde(default)]
    logs: Vec<LogBody>,
}

#[derive(Debug, Deserialize)]
struct LogBody {
    created_at: Timestamp,
    #[serde(default)]
    level: String,
    output: String,
}

impl Inner {
    /// Processes a request. The rate limit comes first, as in Coder: requests with an invalid token count too.
    pub(super) fn answer(&mut self, request: &ReceivedRequest) -> Answer {
        let status = self.limiter.check(request.address, request.endpoint, SystemTime::now());
        let mut answer = match &status {
            Some(status) if status.retry_after.is_some() => answer::too_many(status),
            _ => self.route(request),
        };
        if let Some(status) = &status {
            answer::add_limit(&mut answer, status);
        }
        answer
    }

    fn route(&mut self, request: &ReceivedRequest) -> Answer {
        match request.endpoint.method() {
            None => return answer::error(StatusCode::NOT_FOUND, "Route not found.", ""),
            Some(method) if method != request.method => {
                return answer::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.", "");
            }
            Some(_) => {}
        }
        if request.endpoint == Endpoint::BuildInfo {
            let info = json!({ "version": "v2.28.0+test", "external_url": "https://github.com/coder/coder" });
            return answer::json(StatusCode::OK, &info);
        }
        if self.working(&request.token).is_none() {
            return answer::unauthorized();
        }
        if request.endpoint == Endpoint::LogSource { self.log_source(request) } else { self.logs(request) }
    }

    fn log_source(&mut self, request: &ReceivedRequest) -> Answer {
        let body: SourceBody = match serde_json::from_slice(&request.body) {
            Ok(body) => body,
            Err(error) => return malformed(&error),
        };
        let Some(agent) = self.working(&request.token) else { return answer::unauthorized() };
        agent.sources.insert(body.id);
        let created = json!({
            "id": body.id, "display_name": body.display_name, "icon": body.icon,
            "workspace_agent_id": Uuid::nil(), "created_at": Timestamp::now(),
        });
        answer::json(StatusCode::CREATED, &created)
    }

    fn logs(&mut self, request: &ReceivedRequest) -> Answer {
        let body: LogsBody = match serde_json::from_slice(&request.body) {
            Ok(body) => body,
            Err(error) => return malformed(&error),
        };
        if body.logs.is_empty() {
            return answer::error(StatusCode::BAD_REQUEST, "No logs provided.", "");
        }
        let Ok(levels) = body.logs.iter().map(|log| level(&log.level)).collect::<Result<Vec<_>, _>>() else {
            return answer::error(StatusCode::BAD_REQUEST, "Invalid log level provided.", "");
        };
        let bytes = body.logs.iter().map(|log| log.output.len()).sum();
        let (budget, batch) = (self.budget, self.batches);
        let Some(agent) = self.working(&request.token) else { return answer::unauthorized() };
        // Coder's database counts the bytes before it stores the text, and rejects text with a NUL.
        let already = agent.overflowed;
        if !agent.take(bytes, budget) {
            if !already {
                self.violations.push(Violation::Overflow { token: request.token.clone() });
            }
            return answer::error(StatusCode::PAYLOAD_TOO_LARGE, "Logs limit exceeded", "");
        }
        if body.logs.iter().any(|log| log.output.contains('\0')) {
            agent.used -= bytes;
            let detail = "invalid byte sequence for encoding \"UTF8\": 0x00";
            return answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Failed to upload logs", detail);
        }
        let source_known = agent.sources.contains(&body.log_source_id);
        let (generation, count) = (agent.generation, body.logs.len());
        let mut cut = Vec::new();
        for (log, level) in body.logs.into_iter().zip(levels) {
            let characters = log.output.chars().count();
            if characters > LINE_LIMIT {
                cut.push(Violation::LineCut { token: request.token.clone(), characters });
            }
            agent.lines.push(Line {
                at: SystemTime::now(),
                arrived: Instant::now(),
                created_at: log.created_at,
                level,
                output: log.output.chars().take(LINE_LIMIT).collect(),
                source: body.log_source_id,
                source_known,
                batch,
                generation,
            });
        }
        self.batches += 1;
        self.line_count += count;
        self.violations.extend(cut);
        if !source_known {
            let (token, source) = (request.token.clone(), body.log_source_id);
            self.violations.push(Violation::UnknownSource { token, source });
        }
        answer::json(StatusCode::OK, &Value::Null)
    }
}

fn malformed(error: &serde_json::Error) -> Answer {
    answer::error(StatusCode::BAD_REQUEST, "Request body must be valid JSON.", &error.to_string())
}

/// Parses a level; an empty one, as sent by older agents, is info.
fn level(text: &str) -> Result<Level, serde_json::Error> {
    if text.is_empty() { Ok(Level::Info) } else { serde_json::from_value(Value::from(text)) }
}
