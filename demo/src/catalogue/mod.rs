//! The scenarios of the catalogue of causes: one workspace each, side by side on one control plane.

mod check;
mod list;
mod player;
mod real;
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

use self::real::Names;
use crate::html::Section;
use crate::site::Site;

pub(crate) use list::text as list;
pub(crate) use report::{block, summary};

/// The owner of all workspaces; their names are those of the scenarios.
const OWNER: &str = "ada";

/// Number of scenarios played concurrently. On two cores, more of them do not take less time in total, and each takes
/// longer.
const AT_ONCE: usize = 48;

/// Slow scenarios: a pull counts as slow after two minutes, and pods of a deleted node are removed after more than one.
const SLOW: [&str; 2] = ["image_slow", "pod_gc"];

/// Deadline of slow scenarios.
const PATIENCE: Duration = Duration::from_mins(3);

/// Source of a scenario's Events and states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Played by the API server, the scheduler and the controllers themselves.
    Real,
    /// Texts, order and states as captured from a real kubelet.
    Captured,
    /// Made from the message that the catalogue's entry is based on.
    Message,
}

impl Source {
    /// The source of a scenario.
    pub(crate) fn of(scenario: Scenario) -> Self {
        if real::is_real(scenario) {
            Self::Real
        } else if scenario.captured().is_some() {
            Self::Captured
        } else {
            Self::Message
        }
    }

    /// Name in the output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Captured => "captured",
            Self::Message => "message",
        }
    }
}

/// A played scenario.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) lines: Vec<Line>,
    /// Reasons of failure; empty on success.
    pub(crate) problems: Vec<String>,
    token: String,
    took: Duration,
}

impl Outcome {
    /// The outcome's section of the page.
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

/// Plays the scenarios concurrently, and checks each owner's log.
pub(crate) async fn play(
    scenarios: &[Scenario],
    site: &Site,
    coder: &CoderStandIn,
    patience: Duration,
) -> Result<Vec<Outcome>> {
    // Slow scenarios start first.
    let mut order = scenarios.to_vec();
    order.sort_by_key(|scenario| !SLOW.contains(&scenario.name()));
    let played = order.into_iter().map(|scenario| one(scenario, site, coder, patience));
    let mut outcomes: Vec<Outcome> = stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
    for outcome in &mut outcomes {
        outcome.lines = coder.lines(&outcome.token);
        outcome.problems.extend(check::problems(outcome.scenario, &outcome.lines));
    }
    outcomes.sort_by_key(|outcome| scenarios.iter().position(|scenario| scenario.name() == outcome.scenario.name()));
    Ok(outcomes)
}

/// Plays one scenario, and waits until its owner's log shows the cause.
async fn one(scenario: Scenario, site: &Site, coder: &CoderStandIn, patience: Duration) -> Outcome {
    let started = Instant::now();
    let token = Uuid::new_v4().to_string();
    coder.add_agent(&token, Valid::Now);
    let name = scenario.name().replace('_', "-");
    let names = Names {
        namespace: format!("coder-{name}"),
        own: format!("only-{name}"),
        workload: format!("coder-{OWNER}-{name}"),
    };
    let script = real::script(scenario, &names);
    let namespace = if script.is_some() { &names.namespace } else { &site.namespaces.workspaces };
    let stage = Stage { scenario, workspace: Workspace::new(namespace, OWNER, &name, &token), site };
    let played = match script {
        Some(script) => real::play(&stage, &names, script).await,
        None => player::play(&stage).await,
    };
    let problems = played.err().map(|error| format!("it could not be played: {error:#}")).into_iter().collect();
    let patience = if SLOW.contains(&scenario.name()) { patience.max(PATIENCE) } else { patience };
    let explained = |lines: &[Line]| lines.iter().any(|line| scenario.explains(&line.plain()));
    let _ = coder.wait_for_lines(&token, patience, explained).await;
    Outcome { scenario, lines: Vec::new(), problems, token, took: started.elapsed() }
}
