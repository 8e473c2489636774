//! The whole log of each scenario that was captured from a real kubelet, as its owner reads it.
//!
//! `UPDATE_GOLDEN=1 cargo test -p logstream-core --test golden` writes the logs anew. Each was read as an owner would
//! read it: one cause is one line, then a count; the advice fits, and the right party acts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{cell::RefCell, collections::HashMap, fmt::Write, fs, path::Path, path::PathBuf, rc::Rc, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    checkpoint::Checkpoint,
    correlate::{AgentIndex, Arrival, Confirmation, Correlator, Effect, Limits, Object, Observation},
    fact_id::ScopeId,
    identity::{Subject, Uid},
    render::{LogStyle, render},
    token::AgentToken,
};
use serde_json::{Value, json};

const TOKEN: &str = "11111111-1111-4111-8111-111111111111";
const EVENTS: ScopeId = ScopeId(0);
const PODS: ScopeId = ScopeId(1);

/// How long each scenario goes on after what was captured, in seconds.
const AFTERWARDS: i64 = 3_600;

/// The lines of a log at most.
const MOST: usize = 16;

/// The registry's contract.
#[derive(Default, Clone)]
struct Index(Rc<RefCell<HashMap<Uid, Arc<[AgentToken]>>>>);

impl AgentIndex for Index {
    fn is_registered(&self, _: &Subject) -> bool {
        true
    }

    fn confirm(&self, subject: &Subject, _: Option<Uid>, agents: Arc<[AgentToken]>) -> Confirmation {
        self.0.borrow_mut().insert(subject.uid, agents);
        Confirmation { registered: true, new_agents: Vec::new() }
    }

    fn end(&self, uid: Uid) -> Vec<AgentToken> {
        self.0.borrow_mut().remove(&uid).map(|agents| agents.to_vec()).unwrap_or_default()
    }
}

struct Replay {
    correlator: Correlator<Index>,
    now: Timestamp,
    created: Timestamp,
    log: String,
}

impl Replay {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let Effect::Finding(finding) = effect else { continue };
            let line = render(&finding, LogStyle::Plain, |_| false);
            let after = self.now.duration_since(self.created).as_secs();
            let _ = writeln!(self.log, "{:>5}s {:5} {}", after, line.level.as_str(), line.text);
        }
    }

    fn until(&mut self, at: Timestamp) {
        while self.now + SignedDuration::from_secs(1) < at {
            self.now += SignedDuration::from_secs(1);
            let effects = self.correlator.tick(self.now);
            self.take(effects);
        }
        self.now = self.now.max(at);
    }
}

fn pod(spec: &Value, step: &Value, revision: usize) -> Object {
    let containers = |key: &str| -> Vec<Value> {
        let mut containers = spec[key].as_array().cloned().unwrap_or_default();
        for container in &mut containers {
            container["env"] = json!([{"name": "CODER_AGENT_TOKEN", "value": TOKEN}]);
        }
        containers
    };
    let json = json!({
        "metadata": {"name": spec["name"], "namespace": spec["namespace"], "uid": spec["uid"],
            "creationTimestamp": spec["creationTimestamp"], "deletionTimestamp": step["deletionTimestamp"],
            "resourceVersion": (1_000 + revision).to_string()},
        "spec": {"containers": containers("containers"), "initContainers": containers("initContainers"),
            "restartPolicy": spec["restartPolicy"]},
        "status": step["status"],
    });
    Object::Pod(Box::new(serde_json::from_value(json).unwrap()))
}

fn log(recording: &str) -> String {
    let mut lines = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = lines.next().unwrap();
    let created: Timestamp = head["pod"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    let mut correlator = Correlator::new(Index::default(), Limits::default(), true);
    for scope in [EVENTS, PODS] {
        let from = Checkpoint { created_since: created, status_until: created, ..Checkpoint::default() };
        correlator.observe(created, Observation::Started { scope, from: Box::new(from) });
    }
    let log = format!("{}\n\n", head["description"].as_str().unwrap());
    let mut replay = Replay { correlator, now: created, created, log };
    let mut last = Value::Null;
    for (revision, step) in lines.enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "a time of today")]
        let at = Timestamp::from_millisecond((step["at"].as_f64().unwrap() * 1_000.0) as i64).unwrap();
        replay.until(at);
        let observation = if step["event"].is_object() {
            let event = serde_json::from_value(step["event"].clone()).unwrap();
            Observation::Event { scope: EVENTS, event: Box::new(event) }
        } else if step["gone"] == true {
            Observation::Gone { scope: PODS, object: pod(&head["pod"], &last, revision) }
        } else {
            last = step.clone();
            Observation::Seen { scope: PODS, object: pod(&head["pod"], &step, revision), how: Arrival::Watched }
        };
        let effects = replay.correlator.observe(replay.now, observation);
        replay.take(effects);
    }
    let end = replay.now + SignedDuration::from_secs(AFTERWARDS);
    replay.until(end);
    replay.log
}

fn scenarios() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).collect();
    files.sort();
    files
}

#[test]
#[expect(clippy::disallowed_methods, reason = "chooses between writing and comparing")]
fn each_captured_scenario_reads_as_its_golden_log() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let scenarios = scenarios();
    assert_eq!(scenarios.len(), 128);
    let mut wrong = Vec::new();
    for path in scenarios {
        let log = log(&fs::read_to_string(&path).unwrap());
        let golden = path.with_extension("txt").to_string_lossy().replace("/captured/", "/golden/");
        if update {
            fs::write(&golden, &log).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if log != expected {
            wrong.push(format!("{golden}\n{log}instead of\n{expected}"));
        }
        let lines = log.lines().count() - 2;
        if lines > MOST {
            wrong.push(format!("{golden}: {lines} lines\n{log}"));
        }
    }
    assert!(wrong.is_empty(), "{} of the logs differ:\n{}", wrong.len(), wrong.join("\n"));
}
