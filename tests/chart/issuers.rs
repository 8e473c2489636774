//! Certificates that are not self-managed.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::context::{TestContext, cert_manager};
use crate::exercise::Modes;

const NOT_SELF_MANAGED: Modes = Modes { webhook: true, self_managed: false, read_secrets: false };

#[tokio::test]
async fn cert_manager_issues_and_its_secrets_carry_labels() -> Result<()> {
    let context = TestContext::new("cert-manager").await?;
    let manager = cert_manager().await;
    let home = context.home.name();
    let installed = context.install(json!({ "certs": { "mode": "cert-manager" } })).await;
    let _replica = installed.with_context(|| manager.log())?;
    context.notes_are_true(&["Certificate:  cert-manager, issued by a CA created for this release"]).await?;
    context.exercise(&[home], NOT_SELF_MANAGED).await?;
    context.uninstall_leaves_issued_secrets(&context.issued_secrets()).await?;
    let secrets = Api::<Secret>::namespaced(context.client.clone(), home).list(&ListParams::default()).await?;
    ensure!(secrets.items.is_empty(), "Secrets are left");
    Ok(())
}

/// An issuer named `company` with its own CA.
fn company(namespace: &str) -> [Value; 3] {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "cert-manager.io/v1", "kind": kind,
            "metadata": { "name": name, "namespace": namespace },
            "spec": spec,
        })
    };
    let ca = json!({
        "isCA": true, "commonName": "company", "secretName": "company-ca", "issuerRef": { "name": "company-root" },
    });
    [
        object("Issuer", "company-root", json!({ "selfSigned": {} })),
        object("Certificate", "company-ca", ca),
        object("Issuer", "company", json!({ "ca": { "secretName": "company-ca" } })),
    ]
}

#[tokio::test]
async fn a_custom_issuer_issues_and_is_kept() -> Result<()> {
    let context = TestContext::new("issuer").await?;
    let manager = cert_manager().await;
    let home = context.home.name();
    for object in company(home) {
        context.create(&object).await?;
    }
    let certs = json!({ "mode": "cert-manager", "issuerRef": { "name": "company" } });
    let _replica = context.install(json!({ "certs": certs })).await.with_context(|| manager.log())?;
    context.notes_are_true(&["Certificate:  cert-manager, issued by Issuer company"]).await?;
    context.workspace_is_streamed(home, true).await?;
    context.uninstall_leaves_issued_secrets(&context.issued_secrets()[..1]).await?;
    let secret = Api::<Secret>::namespaced(context.client.clone(), home).get_opt("company-ca").await?;
    ensure!(secret.is_some(), "objects of others are kept");
    Ok(())
}

#[tokio::test]
async fn a_provided_certificate_is_mounted_and_trusted() -> Result<()> {
    let context = TestContext::new("provided").await?;
    let home = context.home.name();
    let certs = context.provide("of-the-company").await?;
    let _replica = context.install(json!({ "certs": certs })).await?;
    context.notes_are_true(&["Certificate:  provided, from the Secret of-the-company"]).await?;
    context.exercise(&[home], NOT_SELF_MANAGED).await?;
    context.uninstall_leaves_nothing(&[]).await?;
    let secret = Api::<Secret>::namespaced(context.client.clone(), home).get_opt("of-the-company").await?;
    ensure!(secret.is_some(), "objects of others are kept");
    Ok(())
}
