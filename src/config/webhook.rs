//! The admission webhook's settings.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use logstream_certs::self_managed::{self, CA_LIFETIME, CERT_LIFETIME};
use rustls::pki_types::ServerName;

use super::error::ConfigError;
use super::setting::{self, Setting};
use super::source::Source;
use super::{State, certificates, duration, names};

const DEFAULT_SECRET: &str = "coder-logstream-kube-webhook";

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
    /// Reads the settings; `None` without an address.
    pub(crate) fn find(
        source: &Source,
        address: Option<SocketAddr>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let mode = source.optional(setting::WEBHOOK_CERT_MODE, mode)?;
        let directory = source.path(setting::WEBHOOK_CERT_DIR, certificates::directory)?;
        let secret = source.optional(setting::WEBHOOK_CERT_SECRET, names::subdomain)?;
        let ca_lifetime = source.optional(setting::WEBHOOK_CA_LIFETIME, duration::lifetime)?.unwrap_or(CA_LIFETIME);
        let cert_lifetime =
            source.optional(setting::WEBHOOK_CERT_LIFETIME, duration::lifetime)?.unwrap_or(CERT_LIFETIME);
        let configuration = source.optional(setting::WEBHOOK_CONFIG_NAME, names::subdomain)?;
        let service = source.optional(setting::WEBHOOK_SERVICE, service)?;
        let names = source.optional(setting::WEBHOOK_NAMES, list)?.unwrap_or_default();
        let client_ca = source.path(setting::WEBHOOK_CLIENT_CA, certificates::file)?;

        let mode = mode.unwrap_or(if directory.is_some() { Mode::Mounted } else { Mode::SelfManaged });
        warnings.extend(without_effect(source, address.map(|_| mode)));
        let Some(address) = address else { return Ok(None) };
        let names = covered(service.as_ref(), mode, names);
        let why = match mode {
            Mode::Mounted => "is required with a mounted certificate",
            Mode::SelfManaged if names.is_empty() => {
                let why = "or --webhook-names is required with a self-managed certificate";
                return Err(ConfigError::missing(setting::WEBHOOK_SERVICE, why));
            }
            Mode::SelfManaged => "is required with a self-managed certificate",
        };
        let certificate = match mode {
            Mode::Mounted => CertMode::Mounted {
                directory: required(directory, setting::WEBHOOK_CERT_DIR, why)?,
                configuration,
                names,
            },
            Mode::SelfManaged => {
                let namespace = State::home(source)?.or(service.map(|service| service.namespace));
                let settings = self_managed::Settings {
                    namespace: required(namespace, setting::STATE_NAMESPACE, why)?,
                    secret: secret.unwrap_or_else(|| DEFAULT_SECRET.to_owned()),
                    configuration: required(configuration, setting::WEBHOOK_CONFIG_NAME, why)?,
                    names,
                    ca_lifetime,
                    leaf_lifetime: cert_lifetime,
                };
                if cert_lifetime > ca_lifetime {
                    let (cert, ca) = (setting::WEBHOOK_CERT_LIFETIME.flag, setting::WEBHOOK_CA_LIFETIME.flag);
                    let why = "no certificate outlives its CA";
                    let sentence = format!("--{cert} is {cert_lifetime:?} and --{ca} is {ca_lifetime:?}; {why}");
                    return Err(ConfigError::Wrong(sentence));
                }
                CertMode::SelfManaged(settings)
            }
        };
        Ok(Some(Self { address, certificate, client_ca }))
    }
}

/// Warnings about settings without effect: all of this section without a webhook, else those of the other mode.
fn without_effect(source: &Source, mode: Option<Mode>) -> impl Iterator<Item = String> {
    let why = match mode {
        None => "without --webhook-addr",
        Some(Mode::SelfManaged) => "with a self-managed certificate",
        Some(Mode::Mounted) => "with a mounted certificate",
    };
    let applies = move |setting: &Setting| match mode {
        None => setting.heading == setting::WEBHOOK_ADDR.heading,
        Some(Mode::SelfManaged) => *setting == setting::WEBHOOK_CERT_DIR,
        Some(Mode::Mounted) => {
            [setting::WEBHOOK_CERT_SECRET, setting::WEBHOOK_CA_LIFETIME, setting::WEBHOOK_CERT_LIFETIME]
                .contains(setting)
        }
    };
    let idle = setting::ALL.iter().copied().filter(applies).filter(|setting| source.has(*setting));
    idle.map(move |idle| format!("--{} has no effect {why}", idle.flag))
}

/// Names that the certificate must cover. The API server uses one name of a Service; a self-managed certificate covers
/// all of them, for other clients.
fn covered(service: Option<&Service>, mode: Mode, names: Vec<ServerName<'static>>) -> Vec<ServerName<'static>> {
    let forms = service.into_iter().flat_map(|Service { name, namespace }| match mode {
        Mode::Mounted => vec![format!("{name}.{namespace}.svc")],
        Mode::SelfManaged => vec![
            name.clone(),
            format!("{name}.{namespace}"),
            format!("{name}.{namespace}.svc"),
            format!("{name}.{namespace}.svc.cluster.local"),
        ],
    });
    let forms = forms.filter_map(|form| form.try_into().ok());
    each_once(forms.chain(names))
}

fn each_once(names: impl IntoIterator<Item = ServerName<'static>>) -> Vec<ServerName<'static>> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn required<T>(value: Option<T>, setting: Setting, why: &str) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::missing(setting, why))
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    SelfManaged,
    Mounted,
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "self-managed" => Ok(Mode::SelfManaged),
        "mounted" => Ok(Mode::Mounted),
        _ => Err("which is not a mode".to_owned()),
    }
}

struct Service {
    name: String,
    namespace: String,
}

fn service(text: &str) -> Result<Service, String> {
    let (name, namespace) = text.split_once('.').ok_or("which has no dot")?;
    Ok(Service { name: names::label(name)?, namespace: names::label(namespace)? })
}

/// DNS names and IP addresses separated by commas.
fn list(text: &str) -> Result<Vec<ServerName<'static>>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let names = items.map(|item| {
        let name = ServerName::try_from(item.to_ascii_lowercase());
        name.map_err(|_| format!("where {item:?} is neither a DNS name nor an IP address"))
    });
    Ok(each_once(names.collect::<Result<Vec<_>, _>>()?))
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
            CertMode::SelfManaged(self_managed::Settings { namespace, secret, ca_lifetime, leaf_lifetime, .. }) => {
                write!(
                    formatter,
                    "webhook_cert_mode=self-managed webhook_cert_secret={namespace}/{secret} \
                     webhook_ca_lifetime={ca_lifetime:?} webhook_cert_lifetime={leaf_lifetime:?}"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_distinguished_and_duplicates_merged() {
        let names = list("webhook.coder.svc, 127.0.0.1,Webhook.coder.svc,").unwrap();
        assert!(matches!(names.as_slice(), [ServerName::DnsName(_), ServerName::IpAddress(_)]), "{names:?}");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["a b", "https://webhook", "webhook:443", "-a-.b!"] {
            assert!(list(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_is_a_name_and_a_namespace() {
        let Service { name, namespace } = service("logstream.coder").unwrap();
        assert_eq!((name.as_str(), namespace.as_str()), ("logstream", "coder"));
        for text in ["logstream", ".coder", "logstream.", "logstream.coder.svc", "Logstream.coder"] {
            assert!(service(text).is_err(), "{text}");
        }
    }
}
