//! Facts about a pod that a test makes itself, each with a text of its own, so that every line can be accounted for.

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

/// A pod, which runs and is silent, and Events about it.
#[derive(Clone)]
pub(crate) struct Facts {
    events: Api<Event>,
    pub(crate) pod: DynamicObject,
    kind: &'static str,
    padding: usize,
}

impl Facts {
    /// Creates the bare pod of a workspace.
    pub(crate) async fn of(client: &Client, workspace: &Workspace) -> Result<Self> {
        Self::about(client, create(client, &workspace.pod()).await?)
    }

    /// Facts about a pod that is there.
    pub(crate) fn about(client: &Client, pod: DynamicObject) -> Result<Self> {
        let namespace = pod.namespace().context("a pod has a namespace")?;
        Ok(Self { events: Api::namespaced(client.clone(), &namespace), pod, kind: "Normal", padding: 0 })
    }

    /// Facts that warn.
    pub(crate) fn warnings(self) -> Self {
        Self { kind: "Warning", ..self }
    }

    /// Facts whose texts have so many bytes more; Kubernetes allows 1,024 in all.
    pub(crate) fn padded(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// The n-th fact happens.
    pub(crate) async fn happen(&self, n: usize) -> Result<()> {
        self.events.create(&PostParams::default(), &self.event(n)?).await?;
        Ok(())
    }

    /// These facts happen one after the other.
    pub(crate) async fn all_happen(&self, range: Range<usize>) -> Result<()> {
        for n in range {
            self.happen(n).await?;
        }
        Ok(())
    }

    /// These facts happen in a rush, in no order.
    pub(crate) async fn rush(&self, range: Range<usize>) -> Result<()> {
        let writes = futures::stream::iter(range).map(|n| self.happen(n));
        writes.buffer_unordered(16).try_collect().await
    }

    /// The n-th fact happens even though the API server may be away: it is written until it is there.
    pub(crate) async fn happen_some_time(&self, n: usize) -> Result<()> {
        let event = self.event(n)?;
        poll::eventually("an Event is written", PATIENCE, || async {
            match self.events.create(&PostParams::default(), &event).await {
                Ok(_) => Ok(()),
                // A try that had no answer was carried out all the same.
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
            "message": format!("{}{}", fact(n), "~".repeat(self.padding)),
            "count": 1,
            "source": { "component": "test" },
        }))?)
    }
}

/// The text of the n-th fact.
pub(crate) fn fact(n: usize) -> String {
    format!("fact {n:05}.")
}

/// Whether each of these facts has come.
pub(crate) fn have_come(lines: &[Line], range: Range<usize>) -> bool {
    // From the end: the last one is what is waited for.
    range.rev().all(|n| count(lines, &fact(n)) > 0)
}

/// Each of these facts was told exactly once, and in their order.
#[track_caller]
pub(crate) fn assert_once_in_order(lines: &[Line], range: Range<usize>) {
    let told = texts(lines);
    let (mut wrong, mut last) = (String::new(), None);
    for n in range {
        let places: Vec<_> = (0..told.len()).filter(|&place| told[place].contains(&fact(n))).collect();
        match places[..] {
            [place] if last.is_some_and(|last| place < last) => _ = write!(wrong, "{} comes too early; ", fact(n)),
            [place] => last = Some(place),
            _ => _ = write!(wrong, "{} at {places:?}; ", fact(n)),
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{told:#?}");
}

/// Each of these facts was told, however often and in whatever order.
#[track_caller]
pub(crate) fn assert_none_missing(lines: &[Line], range: Range<usize>) {
    let missing: Vec<_> = range.map(fact).filter(|fact| count(lines, fact) == 0).collect();
    assert_eq!(missing, [""; 0], "{:#?}", texts(lines));
}
