//! Values by which a release's process serves this machine alone.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::ports;

/// Ports of loopback that nobody listens on, for one process.
///
/// The chart has a pod listen on every address, as it must. On a shared machine that would be everybody's, so the values
/// have arguments that name 127.0.0.1: an argument comes before the chart's own settings, which are variables. The ports
/// are the chart's values too, so that its probes ask where the process listens.
#[derive(Debug, Clone, Copy)]
pub struct Loopback {
    health: SocketAddr,
    webhook: Option<SocketAddr>,
    called: CallTarget,
}

/// Where the API server calls.
#[derive(Debug, Clone, Copy)]
enum CallTarget {
    /// Where the process listens.
    Directly,
    /// At an address that leads there.
    Address(SocketAddr),
    /// At the Service, as in life.
    Service,
}

impl Default for Loopback {
    fn default() -> Self {
        Self { health: ports::free(), webhook: Some(ports::free()), called: CallTarget::Directly }
    }
}

impl Loopback {
    /// For a process that serves a webhook, which the API server calls directly.
    pub fn new() -> Self {
        Self::default()
    }

    /// Without a webhook.
    #[must_use]
    pub fn without_webhook(self) -> Self {
        Self { webhook: None, ..self }
    }

    /// The API server calls this address, which leads to the process as a Service would.
    #[must_use]
    pub fn behind(self, service: SocketAddr) -> Self {
        Self { called: CallTarget::Address(service), ..self }
    }

    /// The API server is to call the Service, as it is by default. Here that leads nowhere: for tests in which nobody
    /// asks.
    #[must_use]
    pub fn called_by_service(self) -> Self {
        Self { called: CallTarget::Service, ..self }
    }

    /// Where the webhook listens.
    pub fn webhook(&self) -> Option<SocketAddr> {
        self.webhook
    }

    /// The values, with these on top.
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

/// As helm merges values: maps into each other, everything else is replaced.
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
    fn the_arguments_name_loopback_and_the_ports_of_the_values() {
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
