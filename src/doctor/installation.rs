//! The configuration of an installed release, read from its Deployment.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Container, EnvVar},
};

use super::{
    access::Access,
    api::{Api, ApiError, encoded},
    context::DoctorError,
};
use crate::config::{Config, Environment};

/// Name of the program's container in the chart.
const CONTAINER: &str = "coder-logstream-kube";

/// A release of the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// Its namespace.
    pub(super) namespace: String,
    /// Its name, the value of the label `app.kubernetes.io/instance`; `None` for the only one in the namespace.
    pub(super) name: Option<String>,
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "no release {name}")?,
            None => write!(formatter, "no release of this program")?,
        }
        write!(formatter, " in the namespace {}", self.namespace)
    }
}

/// The configuration of an installed program.
pub(super) struct Installed {
    /// Name of the Deployment.
    pub(super) deployment: String,
    /// The configuration.
    pub(super) config: Config,
    /// Variables of the container.
    pub(super) variables: BTreeMap<String, String>,
    /// Variables and sources of variables that cannot be read from here.
    pub(super) unread: Vec<String>,
}

impl Installed {
    /// Reads the Deployment of a release: its arguments, and its variables as far as they are not in Secrets.
    pub(super) async fn read(api: &Api, release: &Release) -> Result<Self, DoctorError> {
        let list = Access::new("list", "apps", "deployments").within(&*release.namespace);
        let instance = release.name.as_ref().map(|name| format!("app.kubernetes.io/instance={name}"));
        let query = encoded(&[("labelSelector", instance.as_deref().unwrap_or_default())]);
        let deployments: Vec<Deployment> = api.list(&list, &query).await?;
        let mut found = deployments.iter().filter_map(|deployment| Some((deployment, container(deployment)?)));
        let (deployment, container) = match (found.next(), found.next()) {
            (Some(found), None) => found,
            (None, _) => return Err(DoctorError::NoRelease(release.clone())),
            (Some(_), Some(_)) => return Err(DoctorError::SeveralReleases(release.namespace.clone())),
        };
        let mut unread = Vec::new();
        let variables = variables(api, &release.namespace, container, &mut unread).await?;
        let arguments = [CONTAINER.to_owned()].into_iter().chain(container.args.iter().flatten().cloned());
        let environment = Environment::of(variables.clone()).on_another_machine();
        Ok(Self {
            deployment: deployment.metadata.name.clone().unwrap_or_default(),
            config: Config::new(arguments, &environment)?,
            variables,
            unread,
        })
    }
}

/// The program's container.
pub(super) fn container(deployment: &Deployment) -> Option<&Container> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.iter().find(|container| container.name == CONTAINER)
}

/// The variables of a container. `env` takes precedence over `envFrom`.
async fn variables(
    api: &Api,
    namespace: &str,
    container: &Container,
    unread: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut variables = BTreeMap::new();
    for from in container.env_from.iter().flatten() {
        if let Some(reference) = &from.config_map_ref {
            let prefix = from.prefix.as_deref().unwrap_or_default();
            let data = config_map(api, namespace, &reference.name, unread).await?;
            variables.extend(data.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
        }
        if let Some(reference) = &from.secret_ref {
            unread.push(format!("the Secret {}", reference.name));
        }
    }
    for variable in container.env.iter().flatten() {
        match value(api, namespace, variable, unread).await? {
            Some(value) => variables.insert(variable.name.clone(), value),
            None => variables.remove(&variable.name),
        };
    }
    Ok(variables)
}

async fn value(
    api: &Api,
    namespace: &str,
    variable: &EnvVar,
    unread: &mut Vec<String>,
) -> Result<Option<String>, ApiError> {
    let Some(from) = &variable.value_from else { return Ok(Some(variable.value.clone().unwrap_or_default())) };
    if from.field_ref.as_ref().is_some_and(|field| field.field_path == "metadata.namespace") {
        return Ok(Some(namespace.to_owned()));
    }
    if let Some(key) = &from.config_map_key_ref {
        return Ok(config_map(api, namespace, &key.name, unread).await?.remove(&key.key));
    }
    // Other fields differ from pod to pod.
    if from.field_ref.is_none() {
        unread.push(variable.name.clone());
    }
    Ok(None)
}

async fn config_map(
    api: &Api,
    namespace: &str,
    name: &str,
    unread: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let get = Access::new("get", "", "configmaps").within(namespace).named(name);
    match api.find::<ConfigMap>(&get).await {
        Ok(map) => Ok(map.and_then(|map| map.data).unwrap_or_default()),
        Err(ApiError::Forbidden(_)) => {
            unread.push(format!("the ConfigMap {name}"));
            Ok(BTreeMap::new())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::watch::testing::{Answer, Script};

    fn deployment(container: &str, env: &Value) -> Value {
        json!({
            "metadata": { "name": "logs", "namespace": "coder" },
            "spec": { "selector": {}, "template": { "spec": { "containers": [{
                "name": container, "args": ["--namespaces=team-a", "--webhook-addr=:10250",
                    "--webhook-cert-dir=/etc/coder-logstream-kube/tls", "--webhook-config-name=logs.coder"],
                "env": env,
                "envFrom": [{ "configMapRef": { "name": "more" } }, { "secretRef": { "name": "hidden" } }],
            }] } } },
        })
    }

    async fn read(container: &str) -> Result<Installed, DoctorError> {
        let own = json!({ "fieldRef": { "fieldPath": "metadata.namespace" } });
        let secret = json!({ "secretKeyRef": { "name": "proxy", "key": "url" } });
        let env = json!([
            { "name": "CODER_NAMESPACES", "value": "other" },
            { "name": "POD_NAMESPACE", "valueFrom": own },
            { "name": "HTTPS_PROXY", "valueFrom": secret },
        ]);
        let map = json!({ "data": { "CODER_URL": "https://coder.example.com", "CODER_NAMESPACES": "ignored" } });
        let script = Script::new()
            .always("labelSelector=app.kubernetes.io/instance=logs", Answer::list(1, &[deployment(container, &env)]))
            .always("configmaps/more", Answer::json(&map));
        let release = Release { namespace: "coder".to_owned(), name: Some("logs".to_owned()) };
        Installed::read(&Api::new(script.start().client()), &release).await
    }

    #[tokio::test]
    async fn arguments_and_variables_become_the_configuration() {
        let installed = read(CONTAINER).await.unwrap();
        let Config { coder_url, namespaces, state, webhook, .. } = &installed.config;
        assert_eq!(coder_url.as_str(), "https://coder.example.com/");
        assert_eq!(namespaces.to_string(), "team-a", "an argument takes precedence");
        assert_eq!(state.as_ref().unwrap().namespace, "coder");
        let configuration = webhook.as_ref().unwrap().certificate.configuration();
        assert_eq!(configuration, Some("logs.coder"), "although its directory is not on this machine");
        assert_eq!(installed.unread, ["the Secret hidden", "HTTPS_PROXY"]);
    }

    #[tokio::test]
    async fn a_deployment_of_another_program_is_not_taken() {
        let error = read("coder").await.err().unwrap().to_string();
        assert!(error.contains("no release logs in the namespace coder"), "{error}");
    }
}
