//! The caBundle verifies the certificates that are served.

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhook, WebhookClientConfig},
    discovery::v1::EndpointSlice,
};
use logstream_certs::CaBundle;
use rustls::pki_types::ServerName;
use url::Url;

use super::{service_endpoints, webhook_configuration};
use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
    context::Vantage,
    handshake::{HandshakeError, handshake},
};

/// Remaining validity that causes a warning. Certificates are renewed much earlier than this.
const SOON: SignedDuration = SignedDuration::from_hours(3 * 24);
const RENEW: &str = "docs/operations.md#when-the-check-trust-fails lists causes by certificate mode";

pub(super) const CHECK: Check = Check {
    id: "webhook-certificate",
    group: Group::Webhook,
    description: "The caBundle verifies what is served",
    expected: "a TLS handshake with each ready endpoint succeeds with each webhook's caBundle, for more than three days",
    severity: Severity::Failure,
    fatal: false,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let configuration = webhook_configuration::read(context).await?;
    let mut soonest: Option<Timestamp> = None;
    let mut addresses = Vec::new();
    for webhook in configuration.webhooks.iter().flatten() {
        let (name, targets) = targets(context, &webhook.client_config).await?;
        let bundle = bundle(webhook)?;
        for address in targets {
            let expiry = handshake(&address, name.clone(), &bundle).await;
            let expiry = expiry.map_err(|error| problem(context.vantage, &webhook.name, &error))?;
            soonest = Some(soonest.map_or(expiry, |soonest| soonest.min(expiry)));
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    judge(&addresses, soonest, context.clock.now())
}

fn judge(addresses: &[String], soonest: Option<Timestamp>, now: Timestamp) -> Verdict {
    let Some(expiry) = soonest else {
        return Err(Problem::skipped("there is no ready endpoint to connect to"));
    };
    if expiry.duration_since(now) < SOON {
        return Err(Problem::doubtful(format!("a served certificate expires at {expiry}"), RENEW));
    }
    Ok(format!("{} verified, valid until {expiry}", addresses.join(", ")))
}

fn bundle(webhook: &MutatingWebhook) -> Result<CaBundle, Problem> {
    let pem = webhook.client_config.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice()).unwrap_or_default();
    let bundle = CaBundle::parse(pem);
    if bundle.certificates().is_empty() {
        return Err(Problem::unmet(
            format!("{} has no caBundle, so the API server trusts no certificate", webhook.name),
            RENEW,
        ));
    }
    Ok(bundle)
}

/// The name that the API server verifies, and the addresses that it may connect to.
async fn targets(
    context: &Context,
    client: &WebhookClientConfig,
) -> Result<(ServerName<'static>, Vec<String>), Problem> {
    let unusable =
        |what: &str| Problem::unmet(format!("{what} cannot be called"), "run `helm upgrade`, which restores it");
    if let Some(service) = &client.service {
        let name = format!("{}.{}.svc", service.name, service.namespace);
        let name = ServerName::try_from(name).map_err(|_| unusable("the webhook's Service"))?;
        let slices = service_endpoints::slices(context, service).await?;
        let port = service_endpoints::port_name(context, service).await?;
        return Ok((name, addresses(&slices, port.as_deref())));
    }
    let url: Url =
        client.url.as_deref().and_then(|url| url.parse().ok()).ok_or_else(|| unusable("the webhook's URL"))?;
    let host = url.host_str().unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(plain).map_err(|_| unusable("the webhook's URL"))?;
    Ok((name, vec![format!("{host}:{}", url.port().unwrap_or(443))]))
}

/// Addresses of ready endpoints at the port of this name.
fn addresses(slices: &[EndpointSlice], port: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    for slice in slices {
        let is_port = |name: Option<&str>| name.unwrap_or_default() == port.unwrap_or_default();
        let number = slice.ports.iter().flatten().find(|one| is_port(one.name.as_deref())).and_then(|port| port.port);
        let Some(number) = number else { continue };
        for endpoint in slice.endpoints.iter().filter(|endpoint| service_endpoints::is_ready(endpoint)) {
            // All addresses of an endpoint belong to the same pod.
            let host = endpoint.addresses.first().map(String::as_str).unwrap_or_default();
            all.push(if host.contains(':') { format!("[{host}]:{number}") } else { format!("{host}:{number}") });
        }
    }
    all
}

fn problem(vantage: Vantage, webhook: &str, error: &HandshakeError) -> Problem {
    match (vantage, error) {
        (Vantage::Outside, HandshakeError::Unreachable { .. }) => Problem::skipped(format!(
            "{error}. The webhook may be reachable only from inside of the cluster; `helm test` verifies it there"
        )),
        (Vantage::Cluster, HandshakeError::Unreachable { .. }) => Problem::unmet(
            format!("{webhook}: {error}"),
            "check that the program listens on the port (--webhook-addr), and that no NetworkPolicy or mesh is in the way",
        ),
        (_, HandshakeError::Rejected { .. } | HandshakeError::Failed { .. }) => {
            Problem::unmet(format!("{webhook}: {error}"), RENEW)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ready_endpoints_become_addresses_by_the_port_name() {
        let slice = json!({
            "metadata": {}, "addressType": "IPv4", "ports": [{ "name": "health", "port": 8081 }, { "name": "webhook", "port": 10250 }],
            "endpoints": [
                { "addresses": ["10.0.0.1"], "conditions": { "ready": true } },
                { "addresses": ["10.0.0.2"], "conditions": { "ready": false } },
                { "addresses": ["fd00::3"] },
            ],
        });
        let slices = [serde_json::from_value(slice).unwrap()];
        assert_eq!(addresses(&slices, Some("webhook")), ["10.0.0.1:10250", "[fd00::3]:10250"]);
        assert!(addresses(&slices, Some("other")).is_empty());
    }

    #[test]
    fn a_certificate_that_expires_within_three_days_is_warned_of() {
        let judged = |hours| {
            let now = Timestamp::UNIX_EPOCH;
            judge(&["10.0.0.1:10250".to_owned()], Some(now + SignedDuration::from_hours(hours)), now)
        };
        assert!(judged(3 * 24).unwrap().contains("10.0.0.1:10250 verified"));
        let Err(Problem::Doubtful(finding)) = judged(3 * 24 - 1) else { panic!("it passed") };
        assert!(finding.found.contains("expires at 1970-01-03T23:00:00Z"), "{finding:?}");
        assert!(matches!(judge(&[], None, Timestamp::UNIX_EPOCH), Err(Problem::Skipped(_))), "no endpoint");
    }

    #[test]
    fn an_unreachable_endpoint_fails_only_inside_of_the_cluster() {
        let error = HandshakeError::Unreachable { address: "10.0.0.1:1".into(), reason: "refused".into() };
        assert!(matches!(problem(Vantage::Cluster, "pods", &error), Problem::Unmet(_)));
        assert!(matches!(problem(Vantage::Outside, "pods", &error), Problem::Skipped(_)));
    }
}
