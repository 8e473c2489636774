//! Events and states of one pod as Kubernetes wrote them, step by step.

use std::{fs, path::PathBuf};

use jiff::Timestamp;
use serde_json::Value;

/// The captured recordings, made by `core/tests/captured/extract.py`.
const CAPTURED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../core/tests/captured");

/// Everything that Kubernetes wrote about one object, in order.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Short description.
    pub description: String,
    /// `Pod`, or the kind of the workload whose pod never exists.
    pub kind: &'static str,
    /// Name, namespace, UID, creation time and spec of the object, on one level. Has only fields that the program
    /// reads.
    pub object: Value,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// A step of a recording.
#[derive(Debug, Clone)]
pub struct Step {
    /// Time at which it was seen.
    pub at: Timestamp,
    /// The change that was written.
    pub change: Change,
}

/// A change that Kubernetes wrote.
#[derive(Debug, Clone)]
pub enum Change {
    /// An Event, or a new count of it.
    Event(Value),
    /// The object's status, and the time since which it is being deleted (null if it is not).
    Status(Value, Value),
    /// The object was deleted.
    Gone,
}

impl Recording {
    /// The captured recording of this name.
    ///
    /// # Panics
    /// If there is none, or it is broken.
    pub fn captured(name: &str) -> Self {
        let path = PathBuf::from(CAPTURED).join(format!("{name}.jsonl"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let head = lines.next().unwrap();
        Self {
            description: head["description"].as_str().unwrap().to_owned(),
            kind: "Pod",
            object: head["pod"].clone(),
            steps: lines.map(step).collect(),
        }
    }

    /// Creation time of the object.
    ///
    /// # Panics
    /// If the recording is broken.
    pub fn created(&self) -> Timestamp {
        self.object["creationTimestamp"].as_str().unwrap().parse().unwrap()
    }

    /// The object's name.
    ///
    /// # Panics
    /// If the recording is broken.
    pub fn name(&self) -> &str {
        self.object["name"].as_str().unwrap()
    }
}

fn step(mut json: Value) -> Step {
    #[expect(clippy::cast_possible_truncation, reason = "a time of today")]
    let at = Timestamp::from_millisecond((json["at"].as_f64().unwrap() * 1_000.0) as i64).unwrap();
    let change = if json["event"].is_object() {
        Change::Event(json["event"].take())
    } else if json["gone"] == true {
        Change::Gone
    } else {
        Change::Status(json["status"].take(), json["deletionTimestamp"].take())
    };
    Step { at, change }
}

/// The names of all captured recordings, in order.
///
/// # Panics
/// If they cannot be read.
pub fn captured_names() -> Vec<String> {
    let files = fs::read_dir(CAPTURED).unwrap().map(|entry| entry.unwrap().path());
    let recordings = files.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    let mut names: Vec<_> = recordings.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
