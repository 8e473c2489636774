//! Stages of a start that are reached after trouble was reported: one line says so.

use jiff::{SignedDuration, Timestamp};

use super::{
    Correlator, Effect, Registrations,
    dedup::Key,
    fact::{images, sandbox, scheduling, volumes},
    report::Report,
};
use crate::{
    finding::{Finding, FindingKind, Stage, WaitingFor},
    identity::Uid,
    line::Level,
    object::{ContainerState, Pod},
};

/// Trouble that passes sooner is not worth another line.
const SHORTEST: SignedDuration = SignedDuration::from_secs(5);

/// Stages with trouble that are remembered for each object: a few, and two for each container.
const LIMIT: usize = 64;

/// The stages of an object that trouble was reported about, and since when.
#[derive(Debug, Default)]
pub(super) struct Trouble(Vec<(Stage, Timestamp)>);

impl Trouble {
    /// Notes a finding about an object.
    pub(super) fn note(&mut self, finding: &Finding, level: Level) {
        let Some(stage) = stage(&finding.kind).filter(|_| level >= Level::Warn) else { return };
        let since = match &finding.kind {
            FindingKind::SlowPull { elapsed, .. } => finding.at.saturating_sub(*elapsed).unwrap_or(finding.at),
            _ => finding.at,
        };
        if self.0.iter().all(|(known, _)| *known != stage) && self.0.len() < LIMIT {
            self.0.push((stage, since));
        }
    }

    /// Takes the stages for which this holds.
    fn take(&mut self, reached: impl Fn(&Stage) -> bool) -> Vec<(Stage, Timestamp)> {
        let (over, rest) = std::mem::take(&mut self.0).into_iter().partition(|(stage, _)| reached(stage));
        self.0 = rest;
        over
    }
}

/// The stage that trouble keeps from being reached.
fn stage(kind: &FindingKind) -> Option<Stage> {
    Some(match kind {
        FindingKind::Refused { .. } => Stage::Created,
        FindingKind::Unschedulable { .. } => Stage::Scheduled,
        FindingKind::Event { reason, .. } => match reason.as_str() {
            "NotTriggerScaleUp" | "FailedScaleUp" | "FailedBinding" | "ProvisioningFailed" => Stage::Scheduled,
            "FailedMount"
            | "FailedAttachVolume"
            | "FailedMapVolume"
            | "FailedCreatePodSandBox"
            | "FailedPodSandBoxStatus"
            | "FailedPrepareDynamicResources"
            | "NetworkNotReady" => Stage::Prepared,
            _ => return None,
        },
        FindingKind::ImagePull { image, .. }
        | FindingKind::SlowPull { image, .. }
        | FindingKind::Waiting { why: WaitingFor::Image, image, .. } => Stage::Pulled(image.clone()),
        FindingKind::Waiting { why: WaitingFor::Config | WaitingFor::Container, container, which, .. } => {
            Stage::Started(*which, container.clone())
        }
        FindingKind::Unhealthy { message, .. } if message.starts_with("Readiness") => Stage::Ready,
        _ => return None,
    })
}

/// The stages that a pod's status shows as reached.
struct Reached<'a>(&'a Pod);

impl Reached<'_> {
    fn has(&self, stage: &Stage) -> bool {
        match stage {
            Stage::Created => false,
            Stage::Scheduled => self.condition("PodScheduled"),
            Stage::Prepared => {
                self.condition("PodReadyToStartContainers") || self.states().any(|(_, state)| was_started(state))
            }
            Stage::Pulled(image) => {
                let spec = &self.0.spec;
                let mut containers = spec.init_containers.iter().chain(&spec.containers);
                containers.any(|container| container.image == *image && self.started(&container.name))
            }
            Stage::Started(_, container) => self.started(container),
            Stage::Ready => self.condition("Ready"),
        }
    }

    fn condition(&self, kind: &str) -> bool {
        self.0.status.conditions.iter().any(|condition| condition.kind == kind && condition.status == "True")
    }

    fn started(&self, container: &str) -> bool {
        self.states().any(|(name, state)| name == container && was_started(state))
    }

    fn states(&self) -> impl Iterator<Item = (&str, &ContainerState)> {
        let status = &self.0.status;
        let all = status.init_container_statuses.iter().chain(&status.container_statuses);
        all.map(|status| (status.name.as_str(), &status.state))
    }
}

fn was_started(state: &ContainerState) -> bool {
    state.running.is_some() || state.terminated.is_some()
}

/// What is not worth a line any more once a stage is reached.
fn families(stage: &Stage) -> Vec<Key> {
    match stage {
        Stage::Scheduled => vec![scheduling()],
        Stage::Prepared => vec![volumes(), sandbox()],
        Stage::Pulled(_) => vec![images()],
        Stage::Created | Stage::Started(..) | Stage::Ready => Vec::new(),
    }
}

impl<R: Registrations> Correlator<R> {
    /// Reports the stages that a pod has reached after trouble with them.
    pub(super) fn recover(&mut self, now: Timestamp, uid: Uid, pod: &Pod, effects: &mut Vec<Effect>) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let reached = Reached(pod);
        let mut over = tracked.trouble.take(|stage| reached.has(stage));
        over.sort_by(|(one, _), (other, _)| one.cmp(other));
        for family in over.iter().flat_map(|(stage, _)| families(stage)) {
            tracked.dedup.drop_family(family);
        }
        self.ack_released(uid, effects);
        self.report_over(now, uid, over, effects);
    }

    /// Reports that a workload has a pod after its pods were refused.
    pub(super) fn recover_workload(&mut self, now: Timestamp, workload: Uid, effects: &mut Vec<Effect>) {
        let Some(tracked) = self.tracked.get_mut(&workload) else { return };
        let over = tracked.trouble.take(|stage| *stage == Stage::Created);
        self.report_over(now, workload, over, effects);
    }

    fn report_over(&mut self, now: Timestamp, uid: Uid, over: Vec<(Stage, Timestamp)>, effects: &mut Vec<Effect>) {
        for (stage, since) in over {
            let after = now.duration_since(since);
            if after >= SHORTEST {
                let kind = FindingKind::Recovered { stage, after };
                self.report(uid, Report::new(kind, now, None), None, effects);
            }
        }
    }
}
