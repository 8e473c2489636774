//! Checks of the network.

use anyhow::Result;
use serde_json::json;

use crate::context::TestContext;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_ready_endpoints_fails() -> Result<()> {
    let mut context = TestContext::new("doctor-service").await?;
    context.loopback = context.loopback.called_by_service();
    context.release.install(&context.values(json!({})), &[]).await?;
    context.doctor_shows("service-endpoints", "passed", "2 of 2 ready").await?;
    let service = context.release.full_name();
    let port = |port: u16| json!([{ "op": "replace", "path": "/spec/ports/0/port", "value": port }]).to_string();
    context.kubectl(&["patch", "service", &service, "--type=json", "--patch", &port(8443)])?;
    context.doctor_shows("service-endpoints", "failed", "has no port 443").await?;
    context.kubectl(&["patch", "service", &service, "--type=json", "--patch", &port(443)])?;
    let deployment = format!("deployment/{}", context.release.full_name());
    context.kubectl(&["scale", &deployment, "--replicas=0"])?;
    context.doctor_shows("service-endpoints", "failed", "selects no pod").await?;
    context.kubectl(&["delete", "service", &context.release.full_name()])?;
    context.doctor_shows("service-endpoints", "failed", "does not exist").await?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_and_meshes_in_the_way_are_found() -> Result<()> {
    let context = TestContext::new("doctor-network").await?;
    let values = context.values(json!({ "networkPolicy": { "enabled": true } }));
    context.release.install(&values, &[]).await?;
    let home = context.home.name();
    let report = context.doctor().await?;
    report.shows("network-policies", "passed", "allow the webhook's port")?;
    report.shows("service-mesh", "passed", "")?;

    // Policies are additive: as long as the chart's own policy allows the port, another one denies nothing.
    let deny = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": { "name": "deny-all", "namespace": home },
        "spec": { "podSelector": {}, "policyTypes": ["Ingress", "Egress"] },
    });
    context.create(&deny).await?;
    context.doctor_shows("network-policies", "warning", "all egress is denied").await?;
    context.kubectl(&["delete", "networkpolicy", &context.release.full_name()])?;
    context.doctor_shows("network-policies", "warning", "no rule allows port").await?;
    context.kubectl(&["delete", "networkpolicy", "deny-all"])?;
    context.doctor_shows("network-policies", "passed", "no policy").await?;

    context.cluster.kubectl(&["label", "namespace", home, "istio-injection=enabled"])?;
    context.doctor_shows("service-mesh", "warning", "Istio (sidecar)").await?;
    let excluded = json!({ "labels": { "sidecar.istio.io/inject": "false" } });
    context.release.upgrade(&context.values(excluded), &[]).await?;
    context.doctor_shows("service-mesh", "passed", "").await?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_variables_of_the_deployment_are_read() -> Result<()> {
    let context = TestContext::new("doctor-proxies").await?;
    let mut values =
        context.values(json!({ "env": [{ "name": "HTTPS_PROXY", "value": "http://bob:hunter2@proxy:3128" }] }));
    values["url"] = "https://coder.coder.svc".into();
    context.release.install(&values, &[]).await?;
    let report = context.doctor().await?;
    report.shows("proxies", "warning", "go to the proxy http://proxy:3128")?;
    anyhow::ensure!(!format!("{report:?}").contains("hunter2"), "{report:?}");
    report.shows("coder-reachable", "skipped", "inside of the cluster")?;
    values["env"] =
        json!([{ "name": "HTTPS_PROXY", "value": "http://proxy:3128" }, { "name": "NO_PROXY", "value": ".svc" }]);
    context.release.upgrade(&values, &[]).await?;
    context.doctor().await?.shows("proxies", "passed", "directly")?;
    context.release.uninstall().await
}
