//! Namespaces that do not exist. The API server lists the pods of one as if it were empty.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::names::most_similar;

/// If the namespace does not exist, `; namespaces are: a, b` or, if they may not be listed, an empty text. Without the
/// permission to look it up, it is taken to exist.
pub(super) async fn missing(client: &Client, name: &str) -> Option<String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if !matches!(namespaces.get_metadata_opt(name).await, Ok(None)) {
        return None;
    }
    let listed = namespaces.list_metadata(&ListParams::default()).await;
    let names: BTreeSet<String> = listed.into_iter().flatten().map(|namespace| namespace.name_any()).collect();
    let known = !names.is_empty();
    Some(if known { format!("; namespaces are: {}", most_similar(&names, name)) } else { String::new() })
}
