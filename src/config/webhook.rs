//! The admission webhook's settings.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;

/// How admission reviews are received. Without it no webhook is served, and workspaces are found by the watch alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the serving certificate comes from.
    pub certificate: CertMode,
    /// Only callers with a certificate issued by one of those in this file are answered.
    pub client_ca: Option<PathBuf>,
    /// What the serving certificate must cover, each once; may be empty unless it is self-managed.
    pub names: Vec<ServerName<'static>>,
}

/// Where the serving certificate comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertMode {
    /// From a Secret that this program keeps.
    SelfManaged(SelfManaged),
    /// From a mounted Secret, kept up by someone else.
    Mounted {
        /// The directory with `tls.crt` and `tls.key`; it exists, the files may come later.
        directory: PathBuf,
        /// The `MutatingWebhookConfiguration` that readiness looks at.
        configuration: Option<String>,
    },
}

/// A certificate that this program keeps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SelfManaged {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// The `MutatingWebhookConfiguration` whose caBundle it keeps.
    pub configuration: String,
    /// How long a CA is valid.
    pub ca_lifetime: Duration,
    /// How long a certificate is valid; no longer than a CA.
    pub cert_lifetime: Duration,
}

impl CertMode {
    /// The name of our `MutatingWebhookConfiguration`, if it is known.
    pub fn configuration(&self) -> Option<&str> {
        match self {
            Self::SelfManaged(SelfManaged { configuration, .. }) => Some(configuration),
            Self::Mounted { configuration, .. } => configuration.as_deref(),
        }
    }
}

impl fmt::Display for CertMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfManaged(SelfManaged { namespace, secret, ca_lifetime, cert_lifetime, .. }) => write!(
                formatter,
                "webhook_cert_mode=self-managed webhook_cert_secret={namespace}/{secret} \
                 webhook_ca_lifetime={ca_lifetime:?} webhook_cert_lifetime={cert_lifetime:?}"
            )?,
            Self::Mounted { directory, .. } => {
                write!(formatter, "webhook_cert_mode=mounted webhook_cert_dir={}", directory.display())?;
            }
        }
        match self.configuration() {
            Some(name) => write!(formatter, " webhook_config_name={name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Webhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "webhook_addr={} {}", self.address, self.certificate)?;
        if let Some(file) = &self.client_ca {
            write!(formatter, " webhook_client_ca={}", file.display())?;
        }
        if !self.names.is_empty() {
            let names: Vec<_> = self.names.iter().map(ServerName::to_str).collect();
            write!(formatter, " webhook_names={}", names.join(","))?;
        }
        Ok(())
    }
}

/// DNS names and IP addresses separated by commas.
pub(crate) fn names(text: &str) -> Result<Vec<ServerName<'static>>, String> {
    let mut names = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let name = ServerName::try_from(item.to_ascii_lowercase())
            .map_err(|_| format!("where {item:?} is neither a DNS name nor an IP address"))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart_and_doubles_merged() {
        let names = names("webhook.coder.svc, 127.0.0.1,Webhook.coder.svc,").unwrap();
        assert!(matches!(names.as_slice(), [ServerName::DnsName(_), ServerName::IpAddress(_)]), "{names:?}");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["a b", "https://webhook", "webhook:443", "-a-.b!"] {
            assert!(names(text).is_err(), "{text}");
        }
    }
}
