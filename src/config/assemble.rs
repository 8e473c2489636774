//! Assembles the configuration, and checks settings that depend on each other.

use std::net::SocketAddr;

use super::error::{ConfigError, Origin};
use super::setting::{self, Setting, Settings};
use super::source::Source;
use super::{
    ClusterAccess, Config, Election, FieldSelector, LineFilter, Owner, State, Trust, Webhook, address, certificates,
};

/// Builds the configuration, or returns the error of the first invalid setting.
pub(crate) fn config(source: &Source) -> Result<Config, ConfigError> {
    let settings = Settings::parse(source)?;
    let environment = source.environment;
    let coder_trust = Trust {
        file: source.value(setting::SSL_CERT_FILE).path(certificates::file)?,
        directories: source
            .value(setting::SSL_CERT_DIR)
            .or(Vec::new(), |text| certificates::directories(text, environment.elsewhere))?,
    };
    let mut warnings = Vec::new();
    warnings.extend(overruled(source)?);
    warnings.extend(settings.field_selector.iter().flat_map(FieldSelector::unknown_fields).map(unknown_field));
    must_not_collide(&settings)?;
    let webhook = Webhook::of(&settings, source, &mut warnings)?;
    let state = State::of(&settings);
    Ok(Config {
        coder_trust,
        cluster: ClusterAccess::choose(settings.kubeconfig.clone(), environment),
        webhook,
        lines: LineFilter { min_level: settings.min_level, skipped_reasons: settings.skip_reasons.clone() },
        election: Election::of(&settings, state.as_ref())?,
        state,
        owner: Owner::of(&settings, environment),
        warnings,
        settings,
    })
}

/// Checks that the process can listen on all its addresses.
fn must_not_collide(settings: &Settings) -> Result<(), ConfigError> {
    let webhook = (setting::webhook_addr, settings.webhook_addr);
    let metrics = (setting::metrics_addr, settings.metrics_addr);
    let health = (setting::health_addr, settings.health_addr);
    must_not_meet(webhook, metrics, "one of them needs another port")?;
    must_not_meet(webhook, health, "one of them needs another port")?;
    if settings.metrics_addr == settings.health_addr {
        return Ok(());
    }
    must_not_meet(metrics, health, "give both the same address or one of them another port")
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
fn overruled(source: &Source) -> Result<Option<String>, ConfigError> {
    let Some(given) = source.value(setting::namespaces).given()? else { return Ok(None) };
    let [strong, weak] = setting::namespaces.variables else { return Ok(None) };
    let from_strong = matches!(given.origin, Origin::Variable { variable, .. } if variable == *strong);
    let of_weak = source.environment.get(weak).map(|value| value.to_string_lossy());
    let differs = of_weak.is_some_and(|value| value.trim() != given.text);
    Ok((from_strong && differs).then(|| format!("{weak} differs from {strong} and has no effect")))
}

fn unknown_field(field: &str) -> String {
    format!("--field-selector uses {field}, which pods of Kubernetes 1.37 cannot be selected by")
}
