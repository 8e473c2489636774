//! Puts the settings together, and looks at those that must fit each other.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use logstream_core::line::Level;

use super::election::{Election, ElectionFlags};
use super::environment::Environment;
use super::error::{ConfigError, Origin};
use super::flags::Flags;
use super::setting::{self, Setting};
use super::source::{Given, optional};
use super::webhook_parts::WebhookParts;
use super::{
    ClusterAccess, Config, FieldSelector, LabelSelector, LineFilter, Namespaces, Owner, State, Trust, address,
    certificates, cluster, coder_url, duration, line_filter, log_filter, log_format, log_style, resolve_references,
};

/// The port that Kubernetes programs commonly serve their health on.
const HEALTH_PORT: u16 = 8081;

/// Ten seconds below the 30 s that a pod is given to end by default: kubelet takes its part of them.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

/// The configuration, or what is wrong with the first setting that cannot be used.
pub(crate) fn config(mut flags: Flags, environment: &Environment) -> Result<Config, ConfigError> {
    let mut warnings = Vec::new();
    let election = ElectionFlags::take(&mut flags);

    let coder_url = optional(setting::CODER_URL, flags.coder_url, environment, coder_url::parse)?
        .ok_or_else(|| ConfigError::missing(setting::CODER_URL, "is required"))?;
    let coder_trust = Trust {
        file: optional(setting::SSL_CERT_FILE, None, environment, environment.file(certificates::file))?,
        directories: optional(setting::SSL_CERT_DIR, None, environment, environment.files(certificates::directories))?
            .unwrap_or_default(),
    };

    let kubeconfig =
        optional(setting::KUBECONFIG, flags.kubeconfig, environment, environment.file(cluster::existing_file))?;
    let namespaces = Given::find(setting::NAMESPACES, flags.namespaces, environment)?;
    warnings.extend(namespaces.as_ref().and_then(|given| overruled(given, environment)));
    let namespaces = namespaces.map_or(Ok(Namespaces::All), |given| given.parse(Namespaces::parse))?;
    let field_selector = optional(setting::FIELD_SELECTOR, flags.field_selector, environment, FieldSelector::parse)?;
    warnings.extend(field_selector.iter().flat_map(FieldSelector::unknown_fields).map(unknown_field));
    let label_selector = optional(setting::LABEL_SELECTOR, flags.label_selector, environment, LabelSelector::parse)?;

    let ports = Ports::find(flags.webhook_addr, flags.metrics_addr, flags.health_addr, environment)?;
    let webhook = WebhookParts::find(flags.webhook, environment)?;
    let owner = Owner::find(flags.owner_deployment, flags.state_namespace.as_ref(), environment)?;
    let webhook = webhook.at(ports.webhook, flags.state_namespace.as_ref(), environment, &mut warnings)?;

    let state = State::find(flags.state_namespace, flags.state_name, environment)?;

    Ok(Config {
        coder_url,
        coder_trust,
        cluster: ClusterAccess::choose(kubeconfig, environment),
        namespaces,
        field_selector,
        label_selector,
        resolve_references: optional(
            setting::RESOLVE_REFERENCES,
            flags.resolve_references,
            environment,
            resolve_references::parse,
        )?
        .unwrap_or(true),
        webhook,
        lines: LineFilter {
            min_level: optional(setting::MIN_LEVEL, flags.min_level, environment, line_filter::level)?
                .unwrap_or(Level::Debug),
            skipped_reasons: optional(setting::SKIP_REASONS, flags.skip_reasons, environment, line_filter::reasons)?
                .unwrap_or_default(),
        },
        log_style: optional(setting::LOG_STYLE, flags.log_style, environment, log_style::parse)?.unwrap_or_default(),
        log_format: optional(setting::LOG_FORMAT, flags.log_format, environment, log_format::parse)?
            .unwrap_or_default(),
        log_filter: optional(setting::LOG_LEVEL, flags.log_level, environment, log_filter::parse)?
            .unwrap_or_else(log_filter::default),
        metrics_addr: ports.metrics,
        health_addr: ports.health,
        shutdown_grace: optional(setting::SHUTDOWN_GRACE, flags.shutdown_grace, environment, duration::parse)?
            .unwrap_or(SHUTDOWN_GRACE),
        election: Election::find(election, state.as_ref(), environment)?,
        state,
        owner,
        warnings,
    })
}

/// Where the process listens; none means not at all.
struct Ports {
    webhook: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    health: Option<SocketAddr>,
}

impl Ports {
    fn find(
        webhook: Option<OsString>,
        metrics: Option<OsString>,
        health: Option<OsString>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let find = |setting, flag, default| match Given::find(setting, flag, environment)? {
            Some(given) if given.text.is_empty() => Ok(None),
            Some(given) => given.parse(address::parse).map(Some),
            None => Ok(default),
        };
        let ports = Self {
            webhook: find(setting::WEBHOOK_ADDR, webhook, None)?,
            metrics: find(setting::METRICS_ADDR, metrics, None)?,
            health: find(setting::HEALTH_ADDR, health, Some(address::every_address(HEALTH_PORT)))?,
        };
        let webhook = (setting::WEBHOOK_ADDR, ports.webhook);
        must_not_meet(webhook, (setting::METRICS_ADDR, ports.metrics), "one of them needs another port")?;
        must_not_meet(webhook, (setting::HEALTH_ADDR, ports.health), "one of them needs another port")?;
        if ports.metrics != ports.health {
            let hint = "give both the same address or one of them another port";
            must_not_meet((setting::METRICS_ADDR, ports.metrics), (setting::HEALTH_ADDR, ports.health), hint)?;
        }
        Ok(ports)
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

/// The predecessor's documentation names one variable and its chart another: both may be set, and differ.
fn overruled(given: &Given, environment: &Environment) -> Option<String> {
    let [strong, weak] = setting::NAMESPACES.variables else { return None };
    let from_strong = matches!(given.origin, Origin::Variable { variable, .. } if variable == *strong);
    let differs = environment.get(weak)?.to_string_lossy().trim() != given.text;
    (from_strong && differs).then(|| format!("{weak} differs from {strong} and has no effect"))
}

fn unknown_field(field: &str) -> String {
    format!("--field-selector uses {field}, which pods of Kubernetes 1.37 cannot be selected by")
}
