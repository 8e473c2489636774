//! The admission webhook's settings.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use logstream_certs::self_managed;
use rustls::pki_types::ServerName;

use super::error::ConfigError;
use super::setting::{self, Setting, Settings};
use super::source::Source;
use super::state::State;
use super::webhook_names::{Service, each_once};
use super::words::Mode;

/// Settings of the webhook. Without it, workspaces are only found by the watch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// Address to listen on.
    pub address: SocketAddr,
    /// Source of the serving certificate.
    pub certificate: CertMode,
    /// File of CA certificates. Clients without a certificate issued by one of them are rejected.
    pub client_ca: Option<PathBuf>,
}

/// Source of the serving certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertMode {
    /// A Secret that this program creates and rotates.
    SelfManaged(self_managed::Settings),
    /// A mounted Secret that is rotated by another program.
    Mounted {
        /// The directory with `tls.crt` and `tls.key`; it exists, the files may come later.
        directory: PathBuf,
        /// The `MutatingWebhookConfiguration` that readiness checks.
        configuration: Option<String>,
        /// Names that the certificate must cover, each once; may be empty.
        names: Vec<ServerName<'static>>,
    },
}

impl Webhook {
    /// Checks the settings of this section together; `None` without an address.
    pub(crate) fn of(
        settings: &Settings,
        source: &Source,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let has_directory = settings.webhook_cert_dir.is_some();
        let default = if has_directory { Mode::Mounted } else { Mode::SelfManaged };
        let mode = settings.webhook_cert_mode.unwrap_or(default);
        warnings.extend(without_effect(source, settings.webhook_addr.map(|_| mode)));
        let Some(address) = settings.webhook_addr else { return Ok(None) };
        let certificate = match mode {
            Mode::Mounted => mounted(settings)?,
            Mode::SelfManaged => self_managed(settings, source)?,
        };
        Ok(Some(Self { address, certificate, client_ca: settings.webhook_client_ca.clone() }))
    }
}

fn mounted(settings: &Settings) -> Result<CertMode, ConfigError> {
    let why = "is required with a mounted certificate";
    Ok(CertMode::Mounted {
        directory: required(settings.webhook_cert_dir.clone(), setting::webhook_cert_dir, why)?,
        configuration: settings.webhook_config_name.clone(),
        names: covered(settings, Mode::Mounted),
    })
}

fn self_managed(settings: &Settings, source: &Source) -> Result<CertMode, ConfigError> {
    let why = "is required with a self-managed certificate";
    let names = covered(settings, Mode::SelfManaged);
    if names.is_empty() {
        let why = "or --webhook-names is required with a self-managed certificate";
        return Err(ConfigError::missing(setting::webhook_service, why));
    }
    let of_service = || settings.webhook_service.as_ref().map(|service| service.namespace.clone());
    let namespace = State::home(settings, source.environment).or_else(of_service);
    let (ca_lifetime, cert_lifetime) = (settings.webhook_ca_lifetime, settings.webhook_cert_lifetime);
    let kept = self_managed::Settings {
        namespace: required(namespace, setting::state_namespace, why)?,
        secret: settings.webhook_cert_secret.clone(),
        configuration: required(settings.webhook_config_name.clone(), setting::webhook_config_name, why)?,
        names,
        ca_lifetime,
        cert_lifetime,
    };
    if cert_lifetime > ca_lifetime {
        let (cert, ca) = (setting::webhook_cert_lifetime.flag, setting::webhook_ca_lifetime.flag);
        let why = "no certificate outlives its CA";
        return Err(ConfigError::Wrong(format!("--{cert} is {cert_lifetime:?} and --{ca} is {ca_lifetime:?}; {why}")));
    }
    Ok(CertMode::SelfManaged(kept))
}

/// Warnings about settings without effect: all of this section without a webhook, else those of the other mode.
fn without_effect(source: &Source, mode: Option<Mode>) -> impl Iterator<Item = String> {
    let why = match mode {
        None => "without --webhook-addr",
        Some(Mode::SelfManaged) => "with a self-managed certificate",
        Some(Mode::Mounted) => "with a mounted certificate",
    };
    let applies = move |setting: &Setting| match mode {
        None => setting.heading == setting::webhook_addr.heading,
        Some(Mode::SelfManaged) => *setting == setting::webhook_cert_dir,
        Some(Mode::Mounted) => {
            [setting::webhook_cert_secret, setting::webhook_ca_lifetime, setting::webhook_cert_lifetime]
                .contains(setting)
        }
    };
    let idle = setting::ALL.iter().copied().filter(applies).filter(|setting| source.value(*setting).is_given());
    idle.map(move |idle| format!("--{} has no effect {why}", idle.flag))
}

/// Names that the certificate must cover. The API server uses one name of a Service; a self-managed certificate covers
/// all of them, for other clients.
fn covered(settings: &Settings, mode: Mode) -> Vec<ServerName<'static>> {
    let forms = settings.webhook_service.iter().flat_map(|Service { name, namespace }| match mode {
        Mode::Mounted => vec![format!("{name}.{namespace}.svc")],
        Mode::SelfManaged => vec![
            name.clone(),
            format!("{name}.{namespace}"),
            format!("{name}.{namespace}.svc"),
            format!("{name}.{namespace}.svc.cluster.local"),
        ],
    });
    let forms = forms.filter_map(|form| form.try_into().ok());
    each_once(forms.chain(settings.webhook_names.iter().cloned()))
}

fn required<T>(value: Option<T>, setting: Setting, why: &str) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::missing(setting, why))
}

impl CertMode {
    /// The name of our `MutatingWebhookConfiguration`, if it is known.
    pub fn configuration(&self) -> Option<&str> {
        match self {
            Self::SelfManaged(settings) => Some(&settings.configuration),
            Self::Mounted { configuration, .. } => configuration.as_deref(),
        }
    }

    fn names(&self) -> &[ServerName<'static>] {
        match self {
            Self::SelfManaged(settings) => &settings.names,
            Self::Mounted { names, .. } => names,
        }
    }
}

impl fmt::Display for Webhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "webhook_addr={} ", self.address)?;
        match &self.certificate {
            CertMode::SelfManaged(self_managed::Settings { namespace, secret, ca_lifetime, cert_lifetime, .. }) => {
                write!(
                    formatter,
                    "webhook_cert_mode=self-managed webhook_cert_secret={namespace}/{secret} \
                     webhook_ca_lifetime={ca_lifetime:?} webhook_cert_lifetime={cert_lifetime:?}"
                )?;
            }
            CertMode::Mounted { directory, .. } => {
                write!(formatter, "webhook_cert_mode=mounted webhook_cert_dir={}", directory.display())?;
            }
        }
        if let Some(name) = self.certificate.configuration() {
            write!(formatter, " webhook_config_name={name}")?;
        }
        if let Some(file) = &self.client_ca {
            write!(formatter, " webhook_client_ca={}", file.display())?;
        }
        let names: Vec<_> = self.certificate.names().iter().map(ServerName::to_str).collect();
        if names.is_empty() { Ok(()) } else { write!(formatter, " webhook_names={}", names.join(",")) }
    }
}
