//! Stages of a start that are reached after reported trouble. Each is reported in one line.

use jiff::{SignedDuration, Timestamp};

use super::{
    Correlator, Effect,
    dedup::Key,
    fact::{container_family, images, readiness, sandbox, scheduling, volumes},
    report::Report,
};
use crate::{
    finding::{ContainerKind, Finding, FindingKind, Stage, WaitingFor},
    identity::Uid,
    line::Level,
    object::{ContainerState, ContainerStatus, Pod},
};

/// Minimum duration of trouble for its end to be worth another line.
const SHORTEST: SignedDuration = SignedDuration::from_secs(5);

/// Maximum number of stages with trouble remembered for each object: a few, and some for each container.
const LIMIT: usize = 64;

/// Minimum time after which a container that crashed is steady. It must also have run twice as long as its last run.
const STEADY_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// Maximum time after which it is steady. The kubelet also forgets the crashes after this time.
const STEADY_AT_LAST: SignedDuration = SignedDuration::from_mins(10);

/// Stages of an object with reported trouble.
#[derive(Debug, Default)]
pub(super) struct Trouble(Vec<Open>);

/// A stage that is not reached yet.
#[derive(Debug)]
struct Open {
    stage: Stage,
    /// Time at which its trouble was first reported.
    since: Timestamp,
    /// Current run of a container that is to become steady.
    run: Option<Run>,
}

/// A run of a container that is ready.
#[derive(Debug)]
struct Run {
    restarts: u32,
    /// Time at which it was first seen ready, by this program's clock.
    from: Timestamp,
    /// Time at which it is steady.
    due: Timestamp,
}

impl Run {
    /// Returns the run that a container's status shows, if the container is ready.
    fn of(status: &ContainerStatus, now: Timestamp) -> Option<Self> {
        status.state.running.as_ref().filter(|_| status.ready)?;
        let last = status.last_state.terminated.as_ref();
        let last = last.and_then(|last| Some(last.finished_at?.duration_since(last.started_at?)));
        let wait = last.unwrap_or_default().saturating_add(last.unwrap_or_default());
        let due = now.saturating_add(wait.clamp(STEADY_AFTER, STEADY_AT_LAST)).ok()?;
        Some(Self { restarts: status.restart_count, from: now, due })
    }
}

impl Trouble {
    /// Records a finding about an object.
    pub(super) fn note(&mut self, finding: &Finding, level: Level) {
        let Some(stage) = stage(&finding.kind).filter(|_| level >= Level::Warn) else { return };
        let since = match &finding.kind {
            FindingKind::SlowPull { elapsed, .. } => finding.at.saturating_sub(*elapsed).unwrap_or(finding.at),
            _ => finding.at,
        };
        if self.0.iter().all(|known| known.stage != stage) && self.0.len() < LIMIT {
            self.0.push(Open { stage, since, run: None });
        }
    }

    /// Takes the stages for which `reached` is true.
    fn take(&mut self, reached: impl Fn(&Stage) -> bool) -> Vec<(Stage, Timestamp)> {
        let (over, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|open| reached(&open.stage));
        self.0 = rest;
        over.into_iter().map(|open| (open.stage, open.since)).collect()
    }

    /// Follows the runs of containers that crashed. Returns true if a due time changed.
    fn follow(&mut self, pod: &Pod, now: Timestamp) -> bool {
        let ends =
            pod.metadata.deletion_timestamp.is_some() || matches!(pod.status.phase.as_str(), "Failed" | "Succeeded");
        let before = self.due();
        for open in &mut self.0 {
            let Stage::Steady(_, container) = &open.stage else { continue };
            let status = &pod.status;
            let mut all = status.init_container_statuses.iter().chain(&status.container_statuses);
            let run =
                all.find(|status| status.name == *container).filter(|_| !ends).and_then(|status| Run::of(status, now));
            let known = open.run.as_ref().zip(run.as_ref()).is_some_and(|(known, run)| known.restarts == run.restarts);
            if !known {
                open.run = run;
            }
        }
        self.due() != before
    }

    /// Returns the time at which the next container is steady.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|open| Some(open.run.as_ref()?.due)).min()
    }

    /// Takes a container that is steady, with the time at which its crashes were first reported and the start of its
    /// run.
    fn take_due(&mut self, now: Timestamp) -> Option<(Stage, Timestamp, Timestamp)> {
        let at = self.0.iter().position(|open| open.run.as_ref().is_some_and(|run| run.due <= now))?;
        let open = self.0.remove(at);
        Some((open.stage, open.since, open.run?.from))
    }

    /// Forgets the runs of an object that is gone: none of its containers becomes steady.
    pub(super) fn forget_runs(&mut self) {
        self.0.iter_mut().for_each(|open| open.run = None);
    }
}

/// Returns the stage that this trouble keeps from being reached.
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
        FindingKind::Waiting { why: WaitingFor::CrashLoop, container, which, .. } => match which {
            ContainerKind::Init => Stage::Done(container.clone()),
            ContainerKind::App | ContainerKind::Sidecar => Stage::Steady(*which, container.clone()),
        },
        FindingKind::Unhealthy { message, .. } if message.starts_with("Readiness") => Stage::Ready,
        _ => return None,
    })
}

/// Stages that a pod's status shows as reached.
struct Reached<'a>(&'a Pod);

impl Reached<'_> {
    fn has(&self, stage: &Stage) -> bool {
        match stage {
            Stage::Created | Stage::Steady(..) => false,
            Stage::Done(container) => self.succeeded(container),
            Stage::Scheduled => self.condition("PodScheduled"),
            Stage::Prepared => {
                self.condition("PodReadyToStartContainers") || self.states().any(|(_, state)| was_started(state))
            }
            Stage::Pulled(image) => {
                let mut containers = self.0.spec.each_container();
                containers.any(|(container, _)| container.image == *image && self.started(&container.name))
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

    fn succeeded(&self, container: &str) -> bool {
        let succeeded = |state: &ContainerState| state.terminated.as_ref().is_some_and(|end| end.exit_code == 0);
        self.states().any(|(name, state)| name == container && succeeded(state))
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

/// Returns the families of causes that are not worth a line once a stage is reached.
fn families(stage: &Stage, pod: Option<&Pod>) -> Vec<Key> {
    match stage {
        Stage::Scheduled => vec![scheduling()],
        Stage::Prepared => vec![volumes(), sandbox()],
        Stage::Pulled(_) => vec![images()],
        Stage::Steady(_, container) | Stage::Done(container) => vec![container_family(container)],
        Stage::Ready => {
            let containers = pod.into_iter().flat_map(|pod| pod.spec.each_container());
            containers.map(|(container, _)| readiness(&container.name)).collect()
        }
        Stage::Created | Stage::Started(..) => Vec::new(),
    }
}

impl Correlator {
    /// Reports the stages that a pod has reached after trouble with them.
    pub(super) fn recover(&mut self, now: Timestamp, uid: Uid, pod: &Pod, effects: &mut Vec<Effect>) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let reached = Reached(pod);
        let mut over = tracked.trouble.take(|stage| reached.has(stage));
        over.sort_by(|(one, _), (other, _)| one.cmp(other));
        let rescheduled = tracked.trouble.follow(pod, now);
        let held = over.iter().flat_map(|(stage, _)| families(stage, Some(pod)));
        self.drop_held(uid, held, effects);
        self.report_over(now, uid, over, effects);
        if rescheduled {
            self.schedule(uid);
        }
    }

    /// Reports an object's containers that stay up after they crashed.
    pub(super) fn report_steady(&mut self, now: Timestamp, uid: Uid, effects: &mut Vec<Effect>) {
        while let Some(tracked) = self.tracked.get_mut(&uid)
            && let Some((stage, since, until)) = tracked.trouble.take_due(now)
        {
            self.drop_held(uid, families(&stage, None), effects);
            let after = until.duration_since(since).max(SignedDuration::ZERO);
            self.report(uid, Report::new(FindingKind::Recovered { stage, after }, now, None), None, effects);
        }
    }

    /// Drops the held facts of these families of causes.
    fn drop_held(&mut self, uid: Uid, families: impl IntoIterator<Item = Key>, effects: &mut Vec<Effect>) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        for family in families {
            tracked.dedup.drop_family(family);
        }
        self.ack_released(uid, effects);
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
