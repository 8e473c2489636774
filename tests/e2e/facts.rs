//! Facts about a pod: see [`logstream_testing::facts`].

use std::ops::Range;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, PostParams},
};
pub(crate) use logstream_testing::facts::fact;
use logstream_testing::{Workspace, coder::Line, facts, poll};

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

    /// Pads the texts by this many bytes; Kubernetes allows 1,024 in total.
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

    /// Writes these facts concurrently, in no particular order.
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
                // An earlier attempt without a response has succeeded.
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    fn event(&self, n: usize) -> Result<Event> {
        let message = format!("{}{}{}", fact(n), "~".repeat(self.padding), self.suffix);
        facts::event(&self.pod, self.kind, n, &message)
    }
}

/// Returns true if each of these facts has a line.
pub(crate) fn have_come(lines: &[Line], range: Range<usize>) -> bool {
    // From the end, because the last one usually arrives last.
    range.rev().all(|n| count(lines, &fact(n)) > 0)
}

/// Asserts that each of these facts has exactly one line, in order.
#[track_caller]
pub(crate) fn assert_once_in_order(lines: &[Line], range: Range<usize>) {
    facts::assert_once_in_order(lines, range.map(fact));
}

/// Asserts that each of these facts has a line, in any number and order.
#[track_caller]
pub(crate) fn assert_none_missing(lines: &[Line], range: Range<usize>) {
    let missing: Vec<_> = range.map(fact).filter(|fact| count(lines, fact) == 0).collect();
    assert_eq!(missing, [""; 0], "{:#?}", texts(lines));
}
