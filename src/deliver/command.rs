//! Commands to delivery, and their channel.

use logstream_core::{line::LogLine, token::AgentToken, workspace::WorkspaceKey};
use tokio::sync::mpsc;

use crate::deliver::metrics::Metrics;

/// Input of delivery.
#[derive(Debug)]
pub enum Command {
    /// Admission expects a pod with this agent. If there is room, the log source is registered ahead, so that the first
    /// line takes one round trip. It may be forged, so it may be dropped, and a failure is ignored.
    Prepare {
        /// The agent.
        agent: AgentToken,
    },
    /// A live object carries this agent's token in its own spec. May be repeated.
    Open {
        /// The agent.
        agent: AgentToken,
        /// Its workspace, if the object's labels name it.
        workspace: Option<WorkspaceKey>,
    },
    /// A line for this agent, after [`Command::Open`]. For an unknown agent it is held as for one that has ended.
    Line {
        /// The agent.
        agent: AgentToken,
        /// The line.
        line: LogLine,
    },
    /// The workspace of this agent has another owner, and with it a new agent of the same token.
    Claimed {
        /// The agent.
        agent: AgentToken,
    },
    /// No object carries this agent's token any more.
    Ended {
        /// The agent.
        agent: AgentToken,
    },
}

/// Delivery has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("delivery has ended")]
pub struct Closed;

/// Maximum number of commands waiting for the engine, which handles them without I/O: enough for one turn of its loop.
const COMMANDS: usize = 1_024;
/// Maximum number of expected agents waiting for the engine.
const EXPECTED: usize = 256;

/// Sends commands to the engine. Commands of one clone keep their order, except [`Command::Prepare`].
#[derive(Debug, Clone)]
pub struct Outlet {
    commands: mpsc::Sender<Command>,
    expected: mpsc::Sender<AgentToken>,
    metrics: Metrics,
}

/// The receiving end.
pub(crate) struct Inlet {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) expected: mpsc::Receiver<AgentToken>,
    metrics: Metrics,
}

impl Drop for Inlet {
    /// Counts the lines that the engine has not received as handed back to the next leader, as the engine does with its
    /// own.
    fn drop(&mut self) {
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if matches!(command, Command::Line { .. }) {
                self.metrics.accepted(1);
                self.metrics.handed_back(1);
            }
        }
    }
}

pub(crate) fn pipe(metrics: Metrics) -> (Outlet, Inlet) {
    let (commands, commands_inlet) = mpsc::channel(COMMANDS);
    let (expected, expected_inlet) = mpsc::channel(EXPECTED);
    let inlet = Inlet { commands: commands_inlet, expected: expected_inlet, metrics: metrics.clone() };
    (Outlet { commands, expected, metrics }, inlet)
}

impl Outlet {
    /// Sends a command; waits while the engine is behind, except with [`Command::Prepare`], which is then dropped and
    /// counted. Cancel safe: a cancelled send has no effect.
    pub async fn send(&self, command: Command) -> Result<(), Closed> {
        match command {
            Command::Prepare { agent } => {
                self.prepare(agent);
                Ok(())
            }
            command => self.commands.send(command).await.map_err(|_| Closed),
        }
    }

    /// Sends [`Command::Prepare`] without waiting, for the admission handler. Returns true if it was sent.
    pub fn prepare(&self, agent: AgentToken) -> bool {
        let handed_over = self.expected.try_send(agent).is_ok();
        if !handed_over {
            self.metrics.registration_ignored();
        }
        handed_over
    }
}
