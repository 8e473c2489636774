//! The admission webhook's settings.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// What the serving certificate must cover, each once; may be empty.
    pub names: Vec<ServerName<'static>>,
}

/// Where the serving certificate comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertMode {
    /// A mounted Secret, kept up by someone else.
    Provided {
        /// The folder with `tls.crt` and `tls.key`; it exists, the files may come later.
        folder: PathBuf,
    },
}

impl fmt::Display for Webhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CertMode::Provided { folder } = &self.certificate;
        write!(formatter, "webhook_addr={} webhook_cert_dir={}", self.address, folder.display())?;
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
