//! What is given for the webhook besides its address, put together.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use logstream_certs::self_managed::{CA_LIFETIME, CERT_LIFETIME};
use rustls::pki_types::ServerName;

use super::environment::Environment;
use super::error::ConfigError;
use super::setting::{self, Setting};
use super::source::optional;
use super::webhook_flags::WebhookFlags;
use super::{CertMode, SelfManaged, State, Webhook, certificates, duration, names, webhook};

const DEFAULT_SECRET: &str = "coder-logstream-kube-webhook";

/// Which of the two it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    SelfManaged,
    Mounted,
}

/// What was given, each by itself in order.
pub(crate) struct WebhookParts {
    mode: Option<Mode>,
    directory: Option<PathBuf>,
    secret: Option<String>,
    ca_lifetime: Option<Duration>,
    cert_lifetime: Option<Duration>,
    configuration: Option<String>,
    service: Option<Service>,
    names: Option<Vec<ServerName<'static>>>,
    client_ca: Option<PathBuf>,
}

struct Service {
    name: String,
    namespace: String,
}

impl WebhookParts {
    pub(crate) fn find(flags: WebhookFlags, environment: &Environment) -> Result<Self, ConfigError> {
        use setting::{
            WEBHOOK_CA_LIFETIME, WEBHOOK_CERT_DIR, WEBHOOK_CERT_LIFETIME, WEBHOOK_CERT_MODE, WEBHOOK_CERT_SECRET,
            WEBHOOK_CLIENT_CA, WEBHOOK_CONFIG_NAME, WEBHOOK_NAMES, WEBHOOK_SERVICE,
        };
        let lifetime = |setting, flag| optional(setting, flag, environment, duration::lifetime);
        let object = |setting, flag| optional(setting, flag, environment, names::subdomain);
        Ok(Self {
            mode: optional(WEBHOOK_CERT_MODE, flags.webhook_cert_mode, environment, mode)?,
            directory: optional(
                WEBHOOK_CERT_DIR,
                flags.webhook_cert_dir,
                environment,
                environment.file(certificates::directory),
            )?,
            secret: object(WEBHOOK_CERT_SECRET, flags.webhook_cert_secret)?,
            ca_lifetime: lifetime(WEBHOOK_CA_LIFETIME, flags.webhook_ca_lifetime)?,
            cert_lifetime: lifetime(WEBHOOK_CERT_LIFETIME, flags.webhook_cert_lifetime)?,
            configuration: object(WEBHOOK_CONFIG_NAME, flags.webhook_config_name)?,
            service: optional(WEBHOOK_SERVICE, flags.webhook_service, environment, service)?,
            names: optional(WEBHOOK_NAMES, flags.webhook_names, environment, webhook::names)?,
            client_ca: optional(
                WEBHOOK_CLIENT_CA,
                flags.webhook_client_ca,
                environment,
                environment.file(certificates::file),
            )?,
        })
    }

    /// The webhook's settings; none without an address.
    pub(crate) fn at(
        self,
        address: Option<SocketAddr>,
        state_namespace: Option<&OsString>,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Webhook>, ConfigError> {
        let Some(address) = address else {
            warnings.extend(self.given().map(|idle| format!("--{} has no effect without --webhook-addr", idle.flag)));
            return Ok(None);
        };
        let mode = self.mode.unwrap_or(if self.directory.is_some() { Mode::Mounted } else { Mode::SelfManaged });
        let (idle, word): (&[Setting], _) = match mode {
            Mode::SelfManaged => (&[setting::WEBHOOK_CERT_DIR], "self-managed"),
            Mode::Mounted => (
                &[setting::WEBHOOK_CERT_SECRET, setting::WEBHOOK_CA_LIFETIME, setting::WEBHOOK_CERT_LIFETIME],
                "mounted",
            ),
        };
        let idle = self.given().filter(|given| idle.contains(given));
        warnings.extend(idle.map(|idle| format!("--{} has no effect with a {word} certificate", idle.flag)));

        let names = self.names(mode);
        let certificate = match mode {
            Mode::Mounted => CertMode::Mounted {
                directory: required(
                    self.directory,
                    setting::WEBHOOK_CERT_DIR,
                    "is required with a mounted certificate",
                )?,
                configuration: self.configuration,
            },
            Mode::SelfManaged if names.is_empty() => {
                let why = "or --webhook-names is required with a self-managed certificate";
                return Err(ConfigError::missing(setting::WEBHOOK_SERVICE, why));
            }
            Mode::SelfManaged => {
                let why = "is required with a self-managed certificate";
                let own = State::home(state_namespace.cloned(), environment)?;
                let namespace = own.or(self.service.map(|service| service.namespace));
                CertMode::SelfManaged(SelfManaged {
                    namespace: required(namespace, setting::STATE_NAMESPACE, why)?,
                    secret: self.secret.unwrap_or_else(|| DEFAULT_SECRET.to_owned()),
                    configuration: required(self.configuration, setting::WEBHOOK_CONFIG_NAME, why)?,
                    ca_lifetime: self.ca_lifetime.unwrap_or(CA_LIFETIME),
                    cert_lifetime: self.cert_lifetime.unwrap_or(CERT_LIFETIME),
                })
            }
        };
        if let CertMode::SelfManaged(SelfManaged { ca_lifetime, cert_lifetime, .. }) = &certificate
            && cert_lifetime > ca_lifetime
        {
            return Err(ConfigError::Wrong(format!(
                "--{} is {cert_lifetime:?} and --{} is {ca_lifetime:?}; no certificate outlives its CA",
                setting::WEBHOOK_CERT_LIFETIME.flag,
                setting::WEBHOOK_CA_LIFETIME.flag
            )));
        }
        Ok(Some(Webhook { address, certificate, client_ca: self.client_ca, names }))
    }

    /// What the certificate must cover. Of a Service's names the API server asks for one; a certificate of ours has
    /// them all, for other callers.
    fn names(&self, mode: Mode) -> Vec<ServerName<'static>> {
        let forms = self.service.iter().flat_map(|Service { name, namespace }| match mode {
            Mode::Mounted => vec![format!("{name}.{namespace}.svc")],
            Mode::SelfManaged => vec![
                name.clone(),
                format!("{name}.{namespace}"),
                format!("{name}.{namespace}.svc"),
                format!("{name}.{namespace}.svc.cluster.local"),
            ],
        });
        let mut all: Vec<ServerName<'static>> = Vec::new();
        let forms = forms.filter_map(|form| form.try_into().ok());
        for name in forms.chain(self.names.iter().flatten().cloned()) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }

    /// The settings that were given.
    fn given(&self) -> impl Iterator<Item = Setting> + use<> {
        let all = [
            (setting::WEBHOOK_CERT_MODE, self.mode.is_some()),
            (setting::WEBHOOK_CERT_DIR, self.directory.is_some()),
            (setting::WEBHOOK_CERT_SECRET, self.secret.is_some()),
            (setting::WEBHOOK_CA_LIFETIME, self.ca_lifetime.is_some()),
            (setting::WEBHOOK_CERT_LIFETIME, self.cert_lifetime.is_some()),
            (setting::WEBHOOK_CONFIG_NAME, self.configuration.is_some()),
            (setting::WEBHOOK_SERVICE, self.service.is_some()),
            (setting::WEBHOOK_NAMES, self.names.is_some()),
            (setting::WEBHOOK_CLIENT_CA, self.client_ca.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(setting, _)| setting)
    }
}

fn required<T>(value: Option<T>, setting: Setting, why: &str) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::missing(setting, why))
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "self-managed" => Ok(Mode::SelfManaged),
        "mounted" => Ok(Mode::Mounted),
        _ => Err("which is not a mode".to_owned()),
    }
}

fn service(text: &str) -> Result<Service, String> {
    let (name, namespace) = text.split_once('.').ok_or("which has no dot")?;
    Ok(Service { name: names::label(name)?, namespace: names::label(namespace)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_name_and_a_namespace() {
        let Service { name, namespace } = service("logstream.coder").unwrap();
        assert_eq!((name.as_str(), namespace.as_str()), ("logstream", "coder"));
        for text in ["logstream", ".coder", "logstream.", "logstream.coder.svc", "Logstream.coder"] {
            assert!(service(text).is_err(), "{text}");
        }
    }
}
