//! Chart values that make a release's process listen on loopback only.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::ports;

/// Free loopback ports for one process.
///
/// The chart's pod listens on all addresses. On a shared machine that would expose it, so the values contain arguments
/// with 127.0.0.1: arguments take precedence over the chart's own settings, which are environment variables. The ports
/// are chart values too, so that its probes use them.
#[derive(Debug, Clone, Copy)]
pub struct Loopback {
    health: SocketAddr,
    webhook: Option<SocketAddr>,
    called: CallTarget,
}

/// Address at which the API server calls the webhook.
#[derive(Debug, Clone, Copy)]
enum CallTarget {
    /// The process itself.
    Directly,
    /// An address that forwards to the process.
    Address(SocketAddr),
    /// The Service, as in production.
    Service,
}

impl Default for Loopback {
    fn default() -> Self {
        Self { health: ports::free(), webhook: Some(ports::free()), called: CallTarget::Directly }
    }
}

impl Loopback {
    /// Ports for a process with a webhook, which the API server calls directly.
    pub fn new() -> Self {
        Self::default()
    }

    /// Switches the webhook off.
    #[must_use]
    pub fn without_webhook(self) -> Self {
        Self { webhook: None, ..self }
    }

    /// Makes the API server call this address, which forwards to the process like a Service.
    #[must_use]
    pub fn behind(self, service: SocketAddr) -> Self {
        Self { called: CallTarget::Address(service), ..self }
    }

    /// Makes the API server call the Service, as the chart does by default. Services do not work here, so this is for
    /// tests without calls.
    #[must_use]
    pub fn called_by_service(self) -> Self {
        Self { called: CallTarget::Service, ..self }
    }

    /// Address of the webhook, if it is on.
    pub fn webhook(&self) -> Option<SocketAddr> {
        self.webhook
    }

    /// The chart values, merged with `more`.
    pub fn values(&self, more: Value) -> Value {
        let health = self.health;
        let mut values = json!({
            "args": [format!("--health-addr={health}"), format!("--metrics-addr={health}")],
            "metrics": { "enabled": true, "port": health.port() },
            "probes": { "port": health.port() },
            "webhook": { "enabled": false },
        });
        if let Some(webhook) = self.webhook {
            values["webhook"] = json!({ "enabled": true, "port": webhook.port() });
            let called = match self.called {
                CallTarget::Directly => Some(webhook),
                CallTarget::Address(address) => Some(address),
                CallTarget::Service => None,
            };
            if let Some(called) = called {
                values["webhook"]["url"] = format!("https://{called}").into();
            }
            if let Value::Array(arguments) = &mut values["args"] {
                arguments.push(format!("--webhook-addr={webhook}").into());
            }
        }
        merge(&mut values, more);
        values
    }
}

/// Merges values like helm: maps are merged, everything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_loopback_and_the_ports_of_the_values() {
        let loopback = Loopback::new();
        let values = loopback.values(json!({ "webhook": { "failurePolicy": "Fail" } }));
        let webhook = loopback.webhook().unwrap();
        assert_eq!(values["webhook"]["url"], format!("https://127.0.0.1:{}", webhook.port()));
        assert_eq!(values["webhook"]["failurePolicy"], "Fail");
        let arguments = values["args"].as_array().unwrap();
        assert!(arguments.iter().all(|one| one.as_str().unwrap().contains("=127.0.0.1:")), "{arguments:?}");
        let by_service = loopback.called_by_service().values(json!({}));
        assert_eq!(by_service["webhook"], json!({ "enabled": true, "port": webhook.port() }));
        let off = loopback.without_webhook().values(json!({}));
        assert_eq!(off["webhook"], json!({ "enabled": false }));
    }
}
