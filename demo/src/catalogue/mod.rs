//! The scenarios of the catalogue of causes: one workspace each, side by side on one control plane.

mod check;
mod list;
mod player;
mod report;
mod rewrite;
mod warp;

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt, stream};
use logstream_scenarios::Scenario;
use logstream_testing::coder::{Line, Valid};
use logstream_testing::{CoderStandIn, Workspace};
use uuid::Uuid;

use crate::html::Section;
use crate::site::Site;

pub(crate) use list::text as list;
pub(crate) use report::{block, summary};

/// The owner of all workspaces; their names are those of the scenarios.
const OWNER: &str = "ada";

/// Scenarios that are played at the same time. More take no less time on two cores, and each more of it.
const AT_ONCE: usize = 48;

/// A pull is called slow after two minutes.
const SLOW: Duration = Duration::from_secs(150);

/// How a scenario is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Texts, order and states as captured from a real kubelet.
    Captured,
    /// The message that the catalogue's entry was taken from.
    Message,
}

impl Source {
    /// The source of a scenario.
    pub(crate) fn of(scenario: Scenario) -> Self {
        if scenario.captured().is_some() { Self::Captured } else { Self::Message }
    }

    /// Name in the output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Message => "message",
        }
    }
}

/// A scenario that was played.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) lines: Vec<Line>,
    /// Why it failed; empty if it did not.
    pub(crate) problems: Vec<String>,
    token: String,
    took: Duration,
}

impl Outcome {
    /// The page's section of it.
    pub(crate) fn section(&self) -> Section {
        Section {
            name: self.scenario.name().to_owned(),
            workspace: format!("{OWNER}/{}", self.scenario.name().replace('_', "-")),
            title: self.scenario.cause.title.to_owned(),
            complete: self.problems.is_empty(),
            lines: self.lines.clone(),
        }
    }
}

/// A workspace of a scenario.
struct Stage<'a> {
    scenario: Scenario,
    workspace: Workspace,
    site: &'a Site,
}

/// Plays the scenarios side by side, and checks what their owners read.
pub(crate) async fn play(
    scenarios: &[Scenario],
    site: &Site,
    coder: &CoderStandIn,
    patience: Duration,
) -> Result<Vec<Outcome>> {
    // Those that take long begin first.
    let mut order = scenarios.to_vec();
    order.sort_by_key(|scenario| scenario.name() != "image_slow");
    let played = order.into_iter().map(|scenario| one(scenario, site, coder, patience));
    let mut outcomes: Vec<Outcome> = stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
    for outcome in &mut outcomes {
        outcome.lines = coder.lines(&outcome.token);
        outcome.problems.extend(check::problems(outcome.scenario, &outcome.lines));
    }
    outcomes.sort_by_key(|outcome| scenarios.iter().position(|scenario| scenario.name() == outcome.scenario.name()));
    Ok(outcomes)
}

/// Plays one, and waits until its owner reads the cause.
async fn one(scenario: Scenario, site: &Site, coder: &CoderStandIn, patience: Duration) -> Outcome {
    let started = Instant::now();
    let token = Uuid::new_v4().to_string();
    coder.add_agent(&token, Valid::Now);
    let namespace = site.namespaces.workspaces.clone();
    let workspace = Workspace::new(&namespace, OWNER, &scenario.name().replace('_', "-"), &token);
    let stage = Stage { scenario, workspace, site };
    let mut problems = Vec::new();
    if let Err(error) = player::play(&stage).await {
        problems.push(format!("it could not be played: {error:#}"));
    }
    let patience = if scenario.name() == "image_slow" { patience.max(SLOW) } else { patience };
    let explained = |lines: &[Line]| lines.iter().any(|line| scenario.explains(&line.plain()));
    let _ = coder.wait_for_lines(&token, patience, explained).await;
    Outcome { scenario, lines: Vec::new(), problems, token, took: started.elapsed() }
}
