//! Assembles the configuration, and checks settings that depend on each other.

use std::net::SocketAddr;
use std::time::Duration;

use logstream_core::line::Level;

use super::error::{ConfigError, Origin};
use super::setting::{self, Setting};
use super::source::{Given, Source};
use super::{
    ClusterAccess, Config, Election, FieldSelector, LabelSelector, LineFilter, Namespaces, Owner, State, Trust,
    Webhook, address, certificates, cluster, coder_url, duration, line_filter, log_filter, words,
};

/// Default port for health, as is usual for Kubernetes programs.
const HEALTH_PORT: u16 = 8081;

/// Default grace period: ten seconds below the default of a pod, part of which the kubelet needs.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

/// Builds the configuration, or returns the error of the first invalid setting.
pub(crate) fn config(source: &Source) -> Result<Config, ConfigError> {
    let mut warnings = Vec::new();

    let coder_url = source
        .optional(setting::CODER_URL, coder_url::parse)?
        .ok_or_else(|| ConfigError::missing(setting::CODER_URL, "is required"))?;
    let elsewhere = source.environment.elsewhere;
    let coder_trust = Trust {
        file: source.path(setting::SSL_CERT_FILE, certificates::file)?,
        directories: source
            .optional(setting::SSL_CERT_DIR, |text| certificates::directories(text, elsewhere))?
            .unwrap_or_default(),
    };

    let kubeconfig = source.path(setting::KUBECONFIG, cluster::existing_file)?;
    let namespaces = source.given(setting::NAMESPACES)?;
    warnings.extend(namespaces.as_ref().and_then(|given| overruled(given, source)));
    let namespaces = namespaces.map_or(Ok(Namespaces::All), |given| given.parse(Namespaces::parse))?;
    let field_selector = source.optional(setting::FIELD_SELECTOR, FieldSelector::parse)?;
    warnings.extend(field_selector.iter().flat_map(FieldSelector::unknown_fields).map(unknown_field));
    let label_selector = source.optional(setting::LABEL_SELECTOR, LabelSelector::parse)?;

    let listeners = Listeners::find(source)?;
    let webhook = Webhook::find(source, listeners.webhook, &mut warnings)?;
    let state = State::find(source)?;

    Ok(Config {
        coder_url,
        coder_trust,
        cluster: ClusterAccess::choose(kubeconfig, source.environment),
        namespaces,
        field_selector,
        label_selector,
        node_events: source.optional(setting::NODE_EVENTS, words::boolean)?.unwrap_or(true),
        resolve_references: source.optional(setting::RESOLVE_REFERENCES, words::boolean)?.unwrap_or(true),
        webhook,
        lines: LineFilter {
            min_level: source.optional(setting::MIN_LEVEL, words::level)?.unwrap_or(Level::Debug),
            skipped_reasons: source.optional(setting::SKIP_REASONS, line_filter::reasons)?.unwrap_or_default(),
        },
        log_style: source.optional(setting::LOG_STYLE, words::log_style)?.unwrap_or_default(),
        log_format: source.optional(setting::LOG_FORMAT, words::log_format)?.unwrap_or_default(),
        log_filter: source.optional(setting::LOG_LEVEL, log_filter::parse)?.unwrap_or_else(log_filter::default),
        metrics_addr: listeners.metrics,
        health_addr: listeners.health,
        shutdown_grace: source.optional(setting::SHUTDOWN_GRACE, duration::parse)?.unwrap_or(SHUTDOWN_GRACE),
        election: Election::find(source, state.as_ref())?,
        state,
        owner: Owner::find(source)?,
        warnings,
    })
}

/// Addresses that the process listens on; none means not at all.
struct Listeners {
    webhook: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    health: Option<SocketAddr>,
}

impl Listeners {
    fn find(source: &Source) -> Result<Self, ConfigError> {
        let every_address = || Some(address::every_address(HEALTH_PORT));
        let listeners = Self {
            webhook: source.switchable(setting::WEBHOOK_ADDR, address::parse, || None)?,
            metrics: source.switchable(setting::METRICS_ADDR, address::parse, || None)?,
            health: source.switchable(setting::HEALTH_ADDR, address::parse, every_address)?,
        };
        let webhook = (setting::WEBHOOK_ADDR, listeners.webhook);
        let metrics = (setting::METRICS_ADDR, listeners.metrics);
        let health = (setting::HEALTH_ADDR, listeners.health);
        must_not_meet(webhook, metrics, "one of them needs another port")?;
        must_not_meet(webhook, health, "one of them needs another port")?;
        if listeners.metrics != listeners.health {
            must_not_meet(metrics, health, "give both the same address or one of them another port")?;
        }
        Ok(listeners)
    }
}

fn must_not_meet(
    (one, address): (Setting, Option<SocketAddr>),
    (other, other_address): (Setting, Option<SocketAddr>),
    hint: &str,
) -> Result<(), ConfigError> {
    match (address, other_address) {
        (Some(address), Some(other_address)) if address::collide(address, other_address) => {
            Err(ConfigError::Wrong(format!(
                "--{} is {address} and --{} is {other_address}, which cannot both be listened on; {hint}",
                one.flag, other.flag
            )))
        }
        _ => Ok(()),
    }
}

/// Warns if both variables for namespaces are set and differ: the Go program's documentation names one, its chart the
/// other.
fn overruled(given: &Given, source: &Source) -> Option<String> {
    let [strong, weak] = setting::NAMESPACES.variables else { return None };
    let from_strong = matches!(given.origin, Origin::Variable { variable, .. } if variable == *strong);
    let differs = source.environment.get(weak)?.to_string_lossy().trim() != given.text;
    (from_strong && differs).then(|| format!("{weak} differs from {strong} and has no effect"))
}

fn unknown_field(field: &str) -> String {
    format!("--field-selector uses {field}, which pods of Kubernetes 1.37 cannot be selected by")
}
