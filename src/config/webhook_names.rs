//! Names by which the API server calls the webhook.

use rustls::pki_types::ServerName;

use super::names;

/// The Service by which the API server calls the webhook.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(super) name: String,
    pub(super) namespace: String,
}

/// `NAME.NAMESPACE`.
pub(crate) fn service(text: &str) -> Result<Service, String> {
    let (name, namespace) = text.split_once('.').ok_or("which has no dot")?;
    Ok(Service { name: names::label(name)?, namespace: names::label(namespace)? })
}

/// DNS names and IP addresses separated by commas.
pub(crate) fn server_names(text: &str) -> Result<Vec<ServerName<'static>>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let names = items.map(|item| {
        let name = ServerName::try_from(item.to_ascii_lowercase());
        name.map_err(|_| format!("where {item:?} is neither a DNS name nor an IP address"))
    });
    Ok(each_once(names.collect::<Result<Vec<_>, _>>()?))
}

/// Without duplicates, in their order.
pub(super) fn each_once(names: impl IntoIterator<Item = ServerName<'static>>) -> Vec<ServerName<'static>> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_distinguished_and_duplicates_merged() {
        let names = server_names("webhook.coder.svc, 127.0.0.1,Webhook.coder.svc,").unwrap();
        assert!(matches!(names.as_slice(), [ServerName::DnsName(_), ServerName::IpAddress(_)]), "{names:?}");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["a b", "https://webhook", "webhook:443", "-a-.b!"] {
            assert!(server_names(text).is_err(), "{text}");
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
