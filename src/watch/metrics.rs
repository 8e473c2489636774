//! Metrics of the watch. Each series exists from the first scrape.

use logstream_core::resource::Resource;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use strum::VariantArray as _;

use super::failure::Reason;
use crate::runtime::metrics::{Labels, family};

/// Outcome of a lookup, used as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(super) enum LookupOutcome {
    Found,
    Absent,
    Failed,
}

/// Outcome of a search for a token, used as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(super) enum ReferenceOutcome {
    /// A token was found.
    Found,
    /// The value that was found is not a token.
    NotAToken,
    /// The permission to read the objects is missing.
    Forbidden,
    /// No object or key appeared in time.
    Absent,
    /// The search was cancelled because its object is gone.
    Forgotten,
}

fn of_stream(resource: Resource) -> Labels<1> {
    [("stream", resource.name())]
}

fn error(resource: Resource, reason: Reason) -> Labels<2> {
    [("stream", resource.name()), ("reason", reason.into())]
}

fn with_outcome(outcome: impl Into<&'static str>) -> Labels<1> {
    [("outcome", outcome.into())]
}

/// The watch's counters and gauges; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    relists: Family<Labels<1>, Counter>,
    errors: Family<Labels<2>, Counter>,
    malformed: Family<Labels<1>, Counter>,
    synced: Family<Labels<1>, Gauge>,
    lookups: Family<Labels<1>, Counter>,
    references: Family<Labels<1>, Counter>,
}

impl Metrics {
    /// Creates the metrics and registers them as `watch_…`, under the registry's own prefix.
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

    /// Resets the gauges to their values without a watch.
    pub fn reset(&self) {
        for resource in Resource::all() {
            self.synced(resource, false);
        }
    }

    pub(super) fn relist(&self, resource: Resource) {
        self.relists.get_or_create(&of_stream(resource)).inc();
    }

    pub(super) fn error(&self, resource: Resource, reason: Reason) {
        self.errors.get_or_create(&error(resource, reason)).inc();
    }

    pub(super) fn malformed(&self, resource: Resource) {
        self.malformed.get_or_create(&of_stream(resource)).inc();
    }

    pub(super) fn synced(&self, resource: Resource, synced: bool) {
        self.synced.get_or_create(&of_stream(resource)).set(i64::from(synced));
    }

    pub(super) fn lookup(&self, outcome: LookupOutcome) {
        self.lookups.get_or_create(&with_outcome(outcome)).inc();
    }

    pub(super) fn reference(&self, outcome: ReferenceOutcome) {
        self.references.get_or_create(&with_outcome(outcome)).inc();
    }
}

impl Default for Metrics {
    /// Creates the metrics without a registry, with each series at 0.
    fn default() -> Self {
        // Without the permission, the Events of nodes only ever fail, so they have no `synced` series.
        let all = Resource::all().chain([Resource::NodeEvents]);
        let errors =
            all.clone().flat_map(|resource| Reason::VARIANTS.iter().map(move |reason| error(resource, *reason)));
        Self {
            relists: family(all.clone().map(of_stream)),
            errors: family(errors),
            malformed: family(all.clone().map(of_stream)),
            synced: family(Resource::all().map(of_stream)),
            lookups: family(LookupOutcome::VARIANTS.iter().map(with_outcome)),
            references: family(ReferenceOutcome::VARIANTS.iter().map(with_outcome)),
        }
    }
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
        // The Events of nodes are optional and have no `watch_synced` series.
        assert_eq!(series, 7 + 7 * 8 + 7 + 6 + 3 + 5);
    }
}
