//! The scenarios.

mod admission;
mod burst;
mod event;
mod memory;
mod pieces;
mod replicas;
mod size;
mod waiting;

use anyhow::Result;

use crate::args::Args;
use crate::programs::Programs;
use crate::record::Record;

/// Input of every scenario.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    pub(crate) args: Args,
    pub(crate) programs: Programs,
}

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Event,
    Burst,
    Limit,
    Late,
    Waiting,
    Admission,
    Memory,
    Replicas,
    Size,
    Pieces,
}

impl Scenario {
    /// All scenarios, in the order of execution and of the document.
    pub(crate) const ALL: [Self; 10] = [
        Self::Event,
        Self::Burst,
        Self::Limit,
        Self::Late,
        Self::Waiting,
        Self::Admission,
        Self::Memory,
        Self::Replicas,
        Self::Size,
        Self::Pieces,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Burst => "burst",
            Self::Limit => "limit",
            Self::Late => "late",
            Self::Waiting => "waiting",
            Self::Admission => "admission",
            Self::Memory => "memory",
            Self::Replicas => "replicas",
            Self::Size => "size",
            Self::Pieces => "pieces",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Event => "latency of one line: a known pod's event, three in a row, a new pod's first",
            Self::Burst => "many workspaces that start at once, no limit",
            Self::Limit => "the same under Coder's limit",
            Self::Late => "the same with tokens that become valid later",
            Self::Waiting => "agents that wait for their tokens to become valid",
            Self::Admission => "the webhook",
            Self::Memory => "memory, start and idle CPU, by the number of workspaces",
            Self::Replicas => "two replicas: a follower's cost, handovers, and requests at rest",
            Self::Size => "the binary",
            Self::Pieces => "microbenchmarks, by Criterion",
        }
    }

    pub(crate) async fn run(self, bench: &Bench, record: &mut Record) -> Result<()> {
        match self {
            Self::Event => event::run(bench, record).await,
            Self::Burst => burst::open(bench, record).await,
            Self::Limit => burst::limited(bench, record).await,
            Self::Late => burst::late(bench, record).await,
            Self::Waiting => waiting::run(bench, record).await,
            Self::Admission => admission::run(bench, record).await,
            Self::Memory => memory::run(bench, record).await,
            Self::Replicas => replicas::run(bench, record).await,
            Self::Size => size::run(bench, record),
            Self::Pieces => pieces::run(bench, record),
        }
    }
}
