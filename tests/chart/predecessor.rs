//! Migration from the predecessor's chart, by `helm upgrade` with the same values file.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt};
use logstream_testing::{Loopback, Release, TestNamespace};
use serde_json::{Value, json};

use crate::context::{TestContext, values_file};

/// A chart with the objects of the older chart, according to its documentation.
const OLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/old-chart");

/// The usual name of a release.
const NAME: &str = "coder-logstream-kube";

/// Defaults of the older chart that differ here, each with the reason.
const DIFFERENT: [(&str, &str); 2] = [
    ("/image/repo", "another program"),
    ("/serviceAccount/name", "empty is coder-logstream-kube in a release of that name"),
];

/// Returns true for null, empty strings, lists and maps, which are equivalent defaults in both charts.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Collects the JSON pointers of the values in `old` that differ in `new`.
fn differences(at: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(fields), Value::Object(_)) => {
            for (key, value) in fields {
                differences(&format!("{at}/{key}"), value, &new[key.as_str()], found);
            }
        }
        _ if old == new || is_empty(old) && is_empty(new) => {}
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn defaults_are_those_of_the_older_chart() -> Result<()> {
    let read = |path: &str| -> Result<Value> {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))?;
        Ok(serde_saphyr::from_str(&text)?)
    };
    let (old, new) = (read("tests/chart/old-chart-defaults.yaml")?, read("helm/values.yaml")?);
    let mut found = Vec::new();
    differences("", &old, &new, &mut found);
    ensure!(found == DIFFERENT.map(|(path, _)| path), "other defaults than in the older chart: {found:?}");
    Ok(())
}

#[tokio::test]
async fn a_values_file_of_the_older_chart_upgrades_unchanged() -> Result<()> {
    let mut context = TestContext::new("predecessor").await?;
    let second = TestNamespace::create(context.cluster, "predecessor-second").await?;
    let home = context.home.name().to_owned();
    // The values file of the golden test, with existing namespaces.
    let text = std::fs::read_to_string(values_file("old-chart.yaml"))?;
    let text = text.replace("  - coder\n", &format!("  - {home}\n"));
    let text = text.replace("  - coder-workloads\n", &format!("  - {}\n", second.name()));
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &text)?;
    ensure!(text.contains(second.name()), "the values file has other namespaces than this test knows: {text}");
    let values = file.path().to_str().context("a path is text")?;

    context.release = Release::new(context.cluster, NAME, &home)?;
    context.release.install_chart(Path::new(OLD), file.path()).await?;
    let deployments: Api<Deployment> = Api::namespaced(context.client.clone(), &home);
    let old = deployments.get(NAME).await?;

    // Exactly the same values.
    context.release.upgrade(&json!({}), &["--values", values]).await?;
    let new = deployments.get(NAME).await?;
    ensure!(new.uid() == old.uid(), "the Deployment is upgraded and not recreated");
    ensure!(new.spec.as_ref().map(|spec| &spec.selector) == old.spec.as_ref().map(|spec| &spec.selector), "selector");
    let roles = context.cluster.kubectl(&["get", "roles,clusterroles", "-A", "-o", "name"])?;
    ensure!(!roles.contains("clusterrole.rbac.authorization.k8s.io/logstream-role"), "the older role is gone: {roles}");

    // Needed to start it here: Coder's URL, loopback addresses, and the certificates that the values mount.
    context
        .create(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "custom-ca-cert", "namespace": home },
            "data": { "ca.pem": logstream_testing::pki::ServingCertificate::generate(&[])?.ca },
        }))
        .await?;
    context.loopback = Loopback::new();
    let mut local = context.loopback.values(json!({}));
    local["url"] = context.coder.url().into();
    // These selectors would exclude the workspaces of tests.
    local["labelSelector"] = Value::Null;
    local["fieldSelector"] = Value::Null;
    context.release.upgrade(&local, &["--values", values]).await?;
    let _replica = context.start().await?;
    context.workspace_is_streamed(second.name(), true).await?;
    let before = context.of_this_release(&[second.name()])?;
    for named in ["ServiceAccount/logstream", "Role/logstream-role", "RoleBinding/logstream-rolebinding"] {
        ensure!(before.iter().any(|object| object == named), "{named} must exist before: {before:?}");
    }
    context.uninstall_leaves_nothing(&[second.name()]).await
}
