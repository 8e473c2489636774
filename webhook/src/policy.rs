//! Selection of the objects that the webhook records and annotates.

use std::{collections::BTreeMap, fmt, sync::Arc};

use logstream_core::extract::{Agent, TokenSource};

/// Returns true if a pod with these labels is streamed. Called for each review while the API server waits, so it must
/// not block.
pub type SelectsLabels = Arc<dyn Fn(&BTreeMap<String, String>) -> bool + Send + Sync>;

/// The part of the configuration that decides which pods are streamed. The default streams every pod with an agent.
#[derive(Clone)]
pub struct Policy {
    selects: Option<SelectsLabels>,
    confirmed_by_watch: bool,
    resolves_references: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { selects: None, confirmed_by_watch: false, resolves_references: true }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { selects, confirmed_by_watch, resolves_references } = self;
        formatter
            .debug_struct("Policy")
            .field("selects", &selects.is_some())
            .field("confirmed_by_watch", confirmed_by_watch)
            .field("resolves_references", resolves_references)
            .finish()
    }
}

impl Policy {
    /// Only pods with matching labels are recorded and annotated. Workloads are matched by the labels of their pod
    /// template.
    #[must_use]
    pub fn with_labels(self, selects: SelectsLabels) -> Self {
        Self { selects: Some(selects), ..self }
    }

    /// The watch has to confirm each pod, because the selection depends on fields that are not known at admission.
    /// Registrations then carry no tokens, so nothing is sent to Coder ahead, and no pod is annotated.
    #[must_use]
    pub fn confirmed_by_watch(self) -> Self {
        Self { confirmed_by_watch: true, ..self }
    }

    /// Tokens in Secrets and ConfigMaps are not read, so agents with such a token are not streamed.
    #[must_use]
    pub fn without_references(self) -> Self {
        Self { resolves_references: false, ..self }
    }

    pub(crate) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selects.as_ref().is_none_or(|selects| selects(labels))
    }

    pub(crate) fn streams(&self, agent: &Agent) -> bool {
        self.resolves_references || matches!(agent.source, TokenSource::Value(_))
    }

    pub(crate) fn needs_confirmation(&self) -> bool {
        self.confirmed_by_watch
    }
}
