//! Ownership of the objects that the program creates, so that Kubernetes deletes them together with its Deployment.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::apps::v1::Deployment,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Api, Client, Resource};
use tokio::time::timeout;

use crate::runtime::Backoff;

/// Number of requests before the program goes on without an owner. A fresh cluster may refuse the first ones, until its
/// RBAC is in effect.
const ATTEMPTS: u32 = 5;

/// Maximum duration of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Prefix of the labels that are copied from the Deployment.
const LABEL_PREFIX: &str = "app.kubernetes.io/";

/// Label that is not copied, since Helm does not manage these objects.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Labels and owner of the objects that the program creates: those of the Deployment of this name, or none if it cannot
/// be read after a few attempts. A missing owner only means that the objects outlive the Deployment.
pub async fn of_deployment(client: &Client, namespace: &str, name: &str) -> ObjectMeta {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let mut attempt = 1;
    loop {
        let problem = match timeout(REQUEST_TIMEOUT, api.get_metadata(name)).await {
            Ok(Ok(deployment)) => return owned_by(&deployment.metadata, name),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => "it does not exist".to_owned(),
            Ok(Err(error)) if attempt >= ATTEMPTS => error.to_string(),
            Err(_) if attempt >= ATTEMPTS => format!("no answer within {REQUEST_TIMEOUT:?}"),
            Ok(Err(_)) | Err(_) => {
                attempt += 1;
                tokio::time::sleep(backoff.pause()).await;
                continue;
            }
        };
        tracing::warn!(
            deployment = %format_args!("{namespace}/{name}"),
            problem,
            "owner Deployment cannot be read, created objects will not be deleted with it"
        );
        return ObjectMeta::default();
    }
}

/// Metadata of an object that belongs to the Deployment with this metadata.
fn owned_by(deployment: &ObjectMeta, name: &str) -> ObjectMeta {
    let copied = deployment.labels.iter().flatten().filter(|(key, _)| key.starts_with(LABEL_PREFIX));
    let mut labels: BTreeMap<_, _> = copied.map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.insert(MANAGED_BY.to_owned(), env!("CARGO_PKG_NAME").to_owned());
    // Without blockOwnerDeletion, which would need permission to update the Deployment's finalizers.
    let owner = deployment.uid.clone().map(|uid| OwnerReference {
        api_version: Deployment::api_version(&()).into_owned(),
        kind: Deployment::kind(&()).into_owned(),
        name: name.to_owned(),
        uid,
        ..OwnerReference::default()
    });
    ObjectMeta { labels: Some(labels), owner_references: owner.map(|owner| vec![owner]), ..ObjectMeta::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_uid_of_the_deployment_are_used() {
        let labels = [
            ("app.kubernetes.io/instance", "logs"),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("argocd.argoproj.io/instance", "logs"),
        ];
        let deployment = ObjectMeta {
            uid: Some("1-2-3".to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        };
        let owned = owned_by(&deployment, "logs");
        let expected = [("app.kubernetes.io/instance", "logs"), (MANAGED_BY, "coder-logstream-kube")];
        assert_eq!(owned.labels, Some(expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into()));
        let [deployment] = owned.owner_references.as_deref().unwrap() else { panic!("one owner") };
        let reference = (&*deployment.api_version, &*deployment.kind, &*deployment.uid);
        assert_eq!(reference, ("apps/v1", "Deployment", "1-2-3"));
        assert_eq!(deployment.block_owner_deletion, None);
    }
}
