//! What failed starts left behind, to be said in one line at the same workspace's next start.

use std::{collections::HashMap, time::Duration};

use logstream_core::{line::Level, token::AgentToken, workspace::WorkspaceKey};
use tokio::time::Instant;

use super::outbox::Remains;

/// Workspaces remembered; beyond it the oldest goes.
const MAX: usize = 1_000;
/// Nobody cares for yesterday's failure.
const AGE: Duration = Duration::from_hours(24);

/// The memory, by workspace.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    by_workspace: HashMap<WorkspaceKey, Leftover>,
}

#[derive(Debug)]
struct Leftover {
    agent: AgentToken,
    count: u32,
    worst: Box<str>,
    since: Instant,
}

impl Leftovers {
    /// Remembers what a start that never became valid would have said. A later start's replaces it.
    pub(super) fn remember(&mut self, workspace: WorkspaceKey, agent: AgentToken, remains: &Remains, now: Instant) {
        // The last of the worst: it is nearest to the failure.
        let Some(worst) = remains.lines.iter().max_by_key(|held| held.line.level) else { return };
        // Routine alone is not a failure worth telling.
        if worst.line.level < Level::Warn {
            return;
        }
        if self.by_workspace.len() >= MAX && !self.by_workspace.contains_key(&workspace) {
            self.by_workspace.retain(|_, leftover| now.duration_since(leftover.since) < AGE);
            let oldest = self.by_workspace.iter().min_by_key(|(_, leftover)| leftover.since);
            if let Some(oldest) = oldest.map(|(workspace, _)| workspace.clone())
                && self.by_workspace.len() >= MAX
            {
                self.by_workspace.remove(&oldest);
            }
        }
        let leftover = Leftover { agent, count: remains.count, worst: worst.line.text.as_str().into(), since: now };
        self.by_workspace.insert(workspace, leftover);
    }

    /// The line to be said at a start of this workspace, once; not to the agent it is about.
    pub(super) fn tell(&mut self, workspace: &WorkspaceKey, agent: AgentToken, now: Instant) -> Option<String> {
        if self.by_workspace.get(workspace)?.agent == agent {
            return None;
        }
        let leftover = self.by_workspace.remove(workspace)?;
        if now.duration_since(leftover.since) >= AGE {
            return None;
        }
        let lines = if leftover.count == 1 { "line" } else { "lines" };
        Some(format!(
            "An earlier start of this workspace failed before its log could be shown ({} {lines}): {}",
            leftover.count, leftover.worst
        ))
    }

    /// Forgets it: the workspace works.
    pub(super) fn forget(&mut self, workspace: &WorkspaceKey) {
        self.by_workspace.remove(workspace);
    }
}
