//! The stages of each scenario. Delays are short, for a quick demo.

use super::event::{self, Event, Subject};
use super::stage::{Stage, When, delete};
use super::status::{State, Status};
use crate::scenarios::{EVICT_AT, Scenario};

static CREATING: State = State::waiting("ContainerCreating");
static CRASHED: State = State::terminated(1, "Error");
static OUT_OF_MEMORY: State = State::terminated(137, "OOMKilled");

/// containerd's error for a missing image; a format string with the image three times.
const NOT_FOUND: &str = "failed to pull and unpack image %q: failed to resolve reference %q: %s: not found";

pub(super) fn all() -> Vec<Stage> {
    [plain(), normal(), wrong_image(), crash_loop(), oom_killed(), evicted()].into_iter().flatten().collect()
}

/// Pods without a scenario run at once, those of Jobs complete at once, and deleted pods are removed.
fn plain() -> Vec<Stage> {
    let done = State::terminated(0, "Completed");
    let run = |name| Stage::new(None, name, 0).phase("Pending");
    let running = || Status::running(true).placed().containers(&State::Running, 0, None);
    let init = ".spec.initContainers".to_owned();
    vec![
        run("plain-run").when(When::Absent(init.clone())).step(running().step()),
        run("plain-run-with-init").when(When::Exists(init)).step(running().init_containers(&done).step()),
        Stage::new(None, "plain-complete", 0)
            .phase("Running")
            .when(When::Is(".metadata.ownerReferences.[].kind".to_owned(), "Job"))
            .step(Status::new("Succeeded", true, false).containers(&done, 0, None).step()),
        Stage::of_deleted("deleted", 100).step(delete()),
    ]
}

/// The first status of a pod without init containers, or with init containers that are done.
fn created() -> Status {
    Status::new("Pending", true, false).placed().containers(&CREATING, 0, None)
}

/// The image is being pulled.
fn pull(scenario: Scenario) -> Stage {
    Stage::new(Some(scenario), "pull", 100)
        .phase("Pending")
        .when(When::Absent(".status.containerStatuses".to_owned()))
        .step(event::pulling(Subject::Container).step())
        .step(created().step())
}

/// The image is there, and the container runs.
fn start(scenario: Scenario) -> Stage {
    Stage::new(Some(scenario), "start", 300)
        .phase("Pending")
        .waiting("ContainerCreating")
        .step(event::pulled(Subject::Container).step())
        .steps(event::started(Subject::Container, 1))
        .step(Status::running(true).containers(&State::Running, 0, None).step())
}

/// A successful start.
fn normal() -> Vec<Stage> {
    let scenario = Scenario::Normal;
    let init = || When::Exists(".spec.initContainers".to_owned());
    let waiting = State::waiting("PodInitializing");
    vec![
        Stage::new(Some(scenario), "init", 100)
            .phase("Pending")
            .when(init())
            .when(When::Absent(".status.initContainerStatuses".to_owned()))
            .step(event::pulling(Subject::InitContainer).step())
            .step(event::pulled(Subject::InitContainer).step())
            .steps(event::started(Subject::InitContainer, 1))
            .step(
                Status::new("Pending", false, false)
                    .placed()
                    .containers(&waiting, 0, None)
                    .init_containers(&State::Running)
                    .step(),
            ),
        Stage::new(Some(scenario), "init-done", 200)
            .phase("Pending")
            .when(When::Exists(".status.initContainerStatuses.[0].state.running".to_owned()))
            .step(event::pulling(Subject::Container).step())
            .step(created().init_containers(&State::terminated(0, "Completed")).step()),
        pull(scenario).when(When::Absent(".spec.initContainers".to_owned())),
        start(scenario),
    ]
}

/// The image does not exist: ErrImagePull, then ImagePullBackOff.
fn wrong_image() -> Vec<Stage> {
    let scenario = Scenario::WrongImage;
    let of = Subject::Container;
    let failed =
        format!(r#"printf "Failed to pull image %q: %s" $c.image (printf "{NOT_FOUND}" $c.image $c.image $c.image)"#);
    let message = format!(r#"(printf "{NOT_FOUND}" $item.image $item.image $item.image)"#);
    let waiting = |reason, message| {
        let state = State::Waiting { reason, message: Some(message) };
        Status::new("Pending", true, false).containers(&state, 0, None).step()
    };
    vec![
        pull(scenario),
        Stage::new(Some(scenario), "fail", 300)
            .phase("Pending")
            .waiting("ContainerCreating")
            .step(Event::warning(of, "Failed", &failed).step())
            .step(Event::warning(of, "Failed", r#""Error: ErrImagePull""#).named("error").step())
            .step(waiting("ErrImagePull", message.clone())),
        Stage::new(Some(scenario), "back-off", 400)
            .phase("Pending")
            .waiting("ErrImagePull")
            .step(Event::normal(of, "BackOff", r#"printf "Back-off pulling image %q" $c.image"#).step())
            .step(Event::warning(of, "Failed", r#""Error: ImagePullBackOff""#).named("error-back-off").step())
            .step(waiting(
                "ImagePullBackOff",
                format!(r#"printf "Back-off pulling image %q: ErrImagePull: %s" $item.image {message}"#),
            )),
    ]
}

/// The container exits with code 1 and is restarted three times. Messages have the real back-off times (10, 20, 40 s);
/// the actual delays are shorter.
fn crash_loop() -> Vec<Stage> {
    let scenario = Scenario::CrashLoop;
    let mut stages = vec![pull(scenario), start(scenario)];
    let stage = |name: &str, restarts: u32, delay| {
        Stage::new(Some(scenario), &format!("{name}-{restarts}"), delay).restarts(restarts)
    };
    for (restarts, wait) in [(0, None), (1, Some(("10s", 1_000))), (2, Some(("20s", 1_500))), (3, Some(("40s", 0)))] {
        let before = (restarts > 0).then_some(&CRASHED);
        let crash = Status::running(false).containers(&CRASHED, restarts, before).step();
        stages.push(stage("exit", restarts, 300).state("running").step(crash));
        // The first restart is immediate, the others follow a back-off.
        let mut next = stage("restart", restarts, 100).state("terminated");
        if let Some((wait, played)) = wait {
            stages.push(back_off(stage("back-off", restarts, 200), restarts, wait));
            next = stage("restart", restarts, played).waiting("CrashLoopBackOff");
        }
        if restarts < 3 {
            let again = Status::running(true).containers(&State::Running, restarts + 1, Some(&CRASHED)).step();
            let present = event::present(Subject::Container).count(restarts + 1).step();
            stages.push(next.step(present).steps(event::started(Subject::Container, restarts + 2)).step(again));
        }
    }
    stages
}

/// A crashed container backs off before its next start.
fn back_off(begun: Stage, restarts: u32, wait: &str) -> Stage {
    let pod = "$.metadata.name $.metadata.namespace $.metadata.uid";
    let event_message = format!(r#"printf "Back-off restarting failed container %s in pod %s_%s(%s)" $c.name {pod}"#);
    let message = format!(r#"printf "back-off {wait} restarting failed container=%s pod=%s_%s(%s)" $item.name {pod}"#);
    let state = State::Waiting { reason: "CrashLoopBackOff", message: Some(message) };
    begun
        .state("terminated")
        .step(Event::warning(Subject::Container, "BackOff", &event_message).count(restarts).step())
        .step(Status::running(false).containers(&state, restarts, Some(&CRASHED)).step())
}

/// OOM-killed once, then restarted. Only the status shows it; there is no Event.
fn oom_killed() -> Vec<Stage> {
    let scenario = Scenario::OomKilled;
    vec![
        pull(scenario),
        start(scenario),
        Stage::new(Some(scenario), "kill", 600)
            .state("running")
            .restarts(0)
            .step(Status::running(false).containers(&OUT_OF_MEMORY, 0, None).step()),
        Stage::new(Some(scenario), "restart", 300)
            .state("terminated")
            .restarts(0)
            .step(event::present(Subject::Container).step())
            .steps(event::started(Subject::Container, 2))
            .step(Status::running(true).containers(&State::Running, 1, Some(&OUT_OF_MEMORY)).step()),
    ]
}

/// Evicted from a node low on memory. With the annotation [`EVICT_AT`], evicted at that time and only if the pod was
/// created before it, so that its replacement stays. Without it, every pod is evicted after a second.
fn evicted() -> Vec<Stage> {
    let scenario = Scenario::Evicted;
    let annotation = format!(".metadata.annotations[\"{EVICT_AT}\"]");
    let early = format!("select(.metadata.creationTimestamp < ({annotation} // \"9999\")) | .metadata.name");
    let text = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 62104Ki. Container %s was \
                using 3914Mi, request is 512Mi, has larger consumption of memory. ";
    let message = format!(r#"printf "{text}" (index .spec.containers 0).name"#);
    let ended = Status::new("Failed", true, false).containers(&State::terminated(137, "Error"), 0, None);
    vec![
        pull(scenario),
        start(scenario),
        Stage::new(Some(scenario), "evict", 1_000)
            .phase("Running")
            .when(When::Exists(early))
            .when(When::IsNot(".status.reason".to_owned(), "Evicted"))
            .until(annotation)
            .step(Event::warning(Subject::Pod, "Evicted", &message).step())
            .step(Event::normal(Subject::Container, "Killing", r#"printf "Stopping container %s" $c.name"#).step())
            .step(ended.because("Evicted", &message).step()),
    ]
}
