//! What delivery is told, and the way in.

use logstream_core::{line::LogLine, token::AgentToken, workspace::WorkspaceKey};
use tokio::sync::mpsc;

use super::metrics::Metrics;

/// Something delivery has to know.
#[derive(Debug)]
pub enum Command {
    /// Admission claims that a pod of this agent is about to be. Our log source is registered ahead if there is room,
    /// so that the first line takes one round trip. May be forged, so it has little weight: it may be dropped, and its
    /// failure is forgotten.
    Prepare {
        /// The agent.
        agent: AgentToken,
    },
    /// A live object carries this agent's token in its own spec. May be repeated.
    Open {
        /// The agent.
        agent: AgentToken,
        /// The workspace it is a start of, where its labels tell.
        workspace: Option<WorkspaceKey>,
    },
    /// A line for this agent. Comes after [`Command::Open`]; for an agent that is not known (any more) it is held and
    /// tried only for a while, as for one that has ended.
    Line {
        /// The agent.
        agent: AgentToken,
        /// The line.
        line: LogLine,
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

/// Commands that wait for the engine, which takes them in without any I/O: enough for one turn of it.
const COMMANDS: usize = 1_024;
/// Claims that wait for the engine.
const CLAIMS: usize = 256;

/// The way into delivery. Clones lead to the same engine; commands of one clone keep their order, claims aside.
#[derive(Debug, Clone)]
pub struct Outlet {
    commands: mpsc::Sender<Command>,
    claims: mpsc::Sender<AgentToken>,
    metrics: Metrics,
}

/// The engine's end of it.
pub(super) struct Inlet {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) claims: mpsc::Receiver<AgentToken>,
}

pub(super) fn pipe(metrics: Metrics) -> (Outlet, Inlet) {
    let (commands, commands_inlet) = mpsc::channel(COMMANDS);
    let (claims, claims_inlet) = mpsc::channel(CLAIMS);
    (Outlet { commands, claims, metrics }, Inlet { commands: commands_inlet, claims: claims_inlet })
}

impl Outlet {
    /// Hands a command over; waits while the engine is behind, except with a claim, which is dropped and counted then.
    /// When dropped before it is done, the command is not handed over.
    pub async fn send(&self, command: Command) -> Result<(), Closed> {
        match command {
            Command::Prepare { agent } => {
                self.prepare(agent);
                Ok(())
            }
            command => self.commands.send(command).await.map_err(|_| Closed),
        }
    }

    /// Hands a claim over if that takes no waiting; for the admission handler. Says whether it did.
    pub fn prepare(&self, agent: AgentToken) -> bool {
        let handed_over = self.claims.try_send(agent).is_ok();
        if !handed_over {
            self.metrics.claim_ignored();
        }
        handed_over
    }
}
