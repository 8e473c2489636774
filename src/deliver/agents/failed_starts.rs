//! Failed starts whose lines could not be shown, to be summed up in one line at the workspace's next start.

use std::{collections::HashMap, time::Duration};

use logstream_core::{line::Level, token::AgentToken, workspace::WorkspaceKey};
use tokio::time::Instant;

use crate::deliver::queue::outbox::Remains;

/// Maximum number of workspaces. Beyond it the oldest is dropped.
const MAX: usize = 1_000;
/// Maximum age of a failed start. Older ones are of no interest.
const AGE: Duration = Duration::from_hours(24);

/// The last failed start of each workspace.
#[derive(Debug, Default)]
pub(crate) struct FailedStarts {
    by_workspace: HashMap<WorkspaceKey, FailedStart>,
}

#[derive(Debug)]
struct FailedStart {
    agent: AgentToken,
    count: u32,
    worst: Box<str>,
    since: Instant,
}

impl FailedStarts {
    /// Remembers the lines of a start whose token never became valid. Replaces an earlier start.
    pub(crate) fn remember(&mut self, workspace: WorkspaceKey, agent: AgentToken, remains: &Remains, now: Instant) {
        // The last line of the highest level is nearest to the failure.
        let Some(worst) = remains.lines.iter().max_by_key(|held| held.line.level) else { return };
        // A start without warnings has not failed.
        if worst.line.level < Level::Warn {
            return;
        }
        if self.by_workspace.len() >= MAX && !self.by_workspace.contains_key(&workspace) {
            self.by_workspace.retain(|_, start| now.duration_since(start.since) < AGE);
            let oldest = self.by_workspace.iter().min_by_key(|(_, start)| start.since);
            if let Some(oldest) = oldest.map(|(workspace, _)| workspace.clone())
                && self.by_workspace.len() >= MAX
            {
                self.by_workspace.remove(&oldest);
            }
        }
        let start = FailedStart { agent, count: remains.count, worst: worst.line.text.as_str().into(), since: now };
        self.by_workspace.insert(workspace, start);
    }

    /// Takes the line for the next start of this workspace; `None` for the agent of the failed start itself.
    pub(crate) fn take(&mut self, workspace: &WorkspaceKey, agent: AgentToken, now: Instant) -> Option<String> {
        if self.by_workspace.get(workspace)?.agent == agent {
            return None;
        }
        let start = self.by_workspace.remove(workspace)?;
        if now.duration_since(start.since) >= AGE {
            return None;
        }
        let lines = if start.count == 1 { "line" } else { "lines" };
        Some(format!(
            "An earlier start of this workspace failed before its log could be shown ({} {lines}): {}",
            start.count, start.worst
        ))
    }

    /// Drops the failed start of a workspace that works.
    pub(crate) fn forget(&mut self, workspace: &WorkspaceKey) {
        self.by_workspace.remove(workspace);
    }
}
