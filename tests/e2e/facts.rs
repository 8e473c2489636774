//! Numbered Events about a pod ("facts"), each with a unique text, so that every line can be accounted for.

use std::{fmt::Write, ops::Range};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, PostParams},
};
use logstream_testing::{Workspace, coder::Line, poll};
use serde_json::json;

use crate::support::{PATIENCE, count, create, texts};

/// A running pod without Events of its own, and the facts about it.
#[derive(Clone)]
pub(crate) struct Facts {
    events: Api<Event>,
    pub(crate) pod: DynamicObject,
    kind: &'static str,
    padding: usize,
    /// Added to each text.
    suffix: String,
}

impl Facts {
    /// Creates a workspace's bare pod.
    pub(crate) async fn of(client: &Client, workspace: &Workspace) -> Result<Self> {
        Self::about(client, create(client, &workspace.pod()).await?)
    }

    /// Facts about an existing pod.
    pub(crate) fn about(client: &Client, pod: DynamicObject) -> Result<Self> {
        let namespace = pod.namespace().context("a pod has a namespace")?;
        Ok(Self {
            events: Api::namespaced(client.clone(), &namespace),
            pod,
            kind: "Normal",
            padding: 0,
            suffix: String::new(),
        })
    }

    /// Writes facts as warnings.
    pub(crate) fn warnings(self) -> Self {
        Self { kind: "Warning", ..self }
    }

    /// Pads the texts by so many bytes; Kubernetes allows 1,024 in total.
    pub(crate) fn padded(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Adds the pod's name to the texts.
    pub(crate) fn named(self) -> Self {
        Self { suffix: format!(" {}", self.pod.name_any()), ..self }
    }

    /// Writes the n-th fact.
    pub(crate) async fn happen(&self, n: usize) -> Result<()> {
        self.events.create(&PostParams::default(), &self.event(n)?).await?;
        Ok(())
    }

    /// Writes these facts in sequence.
    pub(crate) async fn all_happen(&self, range: Range<usize>) -> Result<()> {
        for n in range {
            self.happen(n).await?;
        }
        Ok(())
    }

    /// Writes these facts concurrently, in no order.
    pub(crate) async fn rush(&self, range: Range<usize>) -> Result<()> {
        let writes = futures::stream::iter(range).map(|n| self.happen(n));
        writes.buffer_unordered(16).try_collect().await
    }

    /// Writes the n-th fact, and retries while the API server is unavailable.
    pub(crate) async fn happen_eventually(&self, n: usize) -> Result<()> {
        let event = self.event(n)?;
        poll::eventually("an Event is written", PATIENCE, || async {
            match self.events.create(&PostParams::default(), &event).await {
                Ok(_) => Ok(()),
                // An attempt without a response succeeded after all.
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    fn event(&self, n: usize) -> Result<Event> {
        let name = self.pod.name_any();
        Ok(serde_json::from_value(json!({
            "metadata": { "name": format!("{name}.{}.{n}", self.kind.to_lowercase()) },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": self.pod.namespace(),
                "name": name,
                "uid": self.pod.uid(),
            },
            "type": self.kind,
            "reason": "Fact",
            "message": format!("{}{}{}", fact(n), "~".repeat(self.padding), self.suffix),
            "count": 1,
            "source": { "component": "test" },
        }))?)
    }
}

/// The text of the n-th fact.
pub(crate) fn fact(n: usize) -> String {
    format!("fact {n:05}.")
}

/// Returns true if each of these facts has a line.
pub(crate) fn have_come(lines: &[Line], range: Range<usize>) -> bool {
    // From the end, because the last one usually arrives last.
    range.rev().all(|n| count(lines, &fact(n)) > 0)
}

/// Asserts that each of these facts has exactly one line, in order.
#[track_caller]
pub(crate) fn assert_once_in_order(lines: &[Line], range: Range<usize>) {
    let shown = texts(lines);
    let (mut wrong, mut last) = (String::new(), None);
    for n in range {
        let places: Vec<_> = (0..shown.len()).filter(|&place| shown[place].contains(&fact(n))).collect();
        match places[..] {
            [place] if last.is_some_and(|last| place < last) => _ = write!(wrong, "{} comes too early; ", fact(n)),
            [place] => last = Some(place),
            _ => _ = write!(wrong, "{} at {places:?}; ", fact(n)),
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{shown:#?}");
}

/// Asserts that each of these facts has a line, in any number and order.
#[track_caller]
pub(crate) fn assert_none_missing(lines: &[Line], range: Range<usize>) {
    let missing: Vec<_> = range.map(fact).filter(|fact| count(lines, fact) == 0).collect();
    assert_eq!(missing, [""; 0], "{:#?}", texts(lines));
}
