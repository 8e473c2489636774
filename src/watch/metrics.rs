//! Metrics of the watch. Every series is there from the first scrape.

use logstream_core::resource::Resource;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::failure::Reason;

/// How a lookup ended; a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookupOutcome {
    Found,
    Absent,
    Failed,
}

impl LookupOutcome {
    const ALL: [Self; 3] = [Self::Found, Self::Absent, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

/// How the search for a token ended; a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReferenceOutcome {
    /// A token was found.
    Found,
    /// What was found is no token.
    NotAToken,
    /// The objects may not be read.
    Forbidden,
    /// Nothing came to be in time.
    Absent,
    /// Nobody wants it any more.
    Forgotten,
}

impl ReferenceOutcome {
    const ALL: [Self; 5] = [Self::Found, Self::NotAToken, Self::Forbidden, Self::Absent, Self::Forgotten];

    fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotAToken => "not_a_token",
            Self::Forbidden => "forbidden",
            Self::Absent => "absent",
            Self::Forgotten => "forgotten",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabel {
    stream: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    stream: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The watch's counters and gauges; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    relists: Family<ResourceLabel, Counter>,
    errors: Family<ErrorLabels, Counter>,
    malformed: Family<ResourceLabel, Counter>,
    synced: Family<ResourceLabel, Gauge>,
    lookups: Family<OutcomeLabel, Counter>,
    references: Family<OutcomeLabel, Counter>,
}

impl Metrics {
    /// Makes them and registers them as `watch_…`, under the registry's own prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("watch");
        registry.register("relists", "Lists that began after the first one of their scope", metrics.relists.clone());
        registry.register("errors", "Failed lists and watches by reason", metrics.errors.clone());
        registry.register("malformed_objects", "Objects skipped because they do not decode", metrics.malformed.clone());
        registry.register(
            "synced",
            "1 while every scope of the resource has been listed and is being watched",
            metrics.synced.clone(),
        );
        registry.register("lookups", "Objects looked up because an Event came first", metrics.lookups.clone());
        registry.register("references", "Tokens searched for in Secrets and ConfigMaps", metrics.references.clone());
        metrics
    }

    /// Sets the gauges as they are without a watch.
    pub fn reset(&self) {
        for resource in Resource::all() {
            self.synced(resource, false);
        }
    }

    pub(super) fn relist(&self, resource: Resource) {
        self.relists.get_or_create(&label(resource)).inc();
    }

    pub(super) fn error(&self, resource: Resource, reason: Reason) {
        self.errors.get_or_create(&ErrorLabels { stream: resource.name(), reason: reason.as_str() }).inc();
    }

    pub(super) fn malformed(&self, resource: Resource) {
        self.malformed.get_or_create(&label(resource)).inc();
    }

    pub(super) fn synced(&self, resource: Resource, synced: bool) {
        self.synced.get_or_create(&label(resource)).set(i64::from(synced));
    }

    pub(super) fn lookup(&self, outcome: LookupOutcome) {
        self.lookups.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    pub(super) fn reference(&self, outcome: ReferenceOutcome) {
        self.references.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }
}

impl Default for Metrics {
    /// Makes them without a registry, each series at 0.
    fn default() -> Self {
        let metrics = Self {
            relists: Family::default(),
            errors: Family::default(),
            malformed: Family::default(),
            synced: Family::default(),
            lookups: Family::default(),
            references: Family::default(),
        };
        for resource in Resource::all() {
            metrics.synced(resource, false);
        }
        // Without the permission, the Events of nodes only ever fail.
        for resource in Resource::all().chain([Resource::NodeEvents]) {
            let _ = metrics.relists.get_or_create(&label(resource));
            let _ = metrics.malformed.get_or_create(&label(resource));
            for reason in Reason::ALL {
                let labels = ErrorLabels { stream: resource.name(), reason: reason.as_str() };
                let _ = metrics.errors.get_or_create(&labels);
            }
        }
        for outcome in LookupOutcome::ALL {
            let _ = metrics.lookups.get_or_create(&OutcomeLabel { outcome: outcome.as_str() });
        }
        for outcome in ReferenceOutcome::ALL {
            let _ = metrics.references.get_or_create(&OutcomeLabel { outcome: outcome.as_str() });
        }
        metrics
    }
}

fn label(resource: Resource) -> ResourceLabel {
    ResourceLabel { stream: resource.name() }
}

#[cfg(test)]
impl Metrics {
    /// The value of a series as a scrape would show it, such as `relists_total{stream="pods"}`.
    pub(super) fn value(&self, series: &str) -> f64 {
        let mut registry = Registry::default();
        registry.register("relists", "", self.relists.clone());
        registry.register("errors", "", self.errors.clone());
        registry.register("malformed", "", self.malformed.clone());
        registry.register("synced", "", self.synced.clone());
        registry.register("lookups", "", self.lookups.clone());
        registry.register("references", "", self.references.clone());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)).expect(series);
        line.trim().parse().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_before_anything_happened() {
        let mut registry = Registry::default();
        let _ = Metrics::register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for series in [
            "watch_relists_total{stream=\"events\"} 0",
            "watch_errors_total{stream=\"pods\",reason=\"forbidden\"} 0",
            "watch_malformed_objects_total{stream=\"jobs\"} 0",
            "watch_synced{stream=\"replicasets\"} 0",
            "watch_lookups_total{outcome=\"absent\"} 0",
            "watch_references_total{outcome=\"not_a_token\"} 0",
        ] {
            assert!(text.lines().any(|line| line == series), "{series} is not in\n{text}");
        }
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        // The Events of nodes are optional: they are in no `watch_synced`.
        assert_eq!(series, 7 + 7 * 8 + 7 + 6 + 3 + 5);
    }
}
