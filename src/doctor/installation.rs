//! The configuration of an installed release, read from its Deployment.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::core::v1::ConfigMap;

use super::{
    access::Access,
    api::{Api, ApiError, encoded},
    context::DoctorError,
    deployment::{CONTAINER, Container, Deployment, EnvVar},
};
use crate::config::{Config, Environment};

/// Maximum number of releases that are named.
const SHOWN: usize = 10;

/// Label whose value is the name of the release.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// The release of the chart to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// Its namespace; `None` for the only release in all namespaces that may be read.
    pub(super) namespace: Option<String>,
    /// Its name; `None` for the only one.
    pub(super) name: Option<String>,
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "no release {name}")?,
            None => write!(formatter, "no release of this program")?,
        }
        match &self.namespace {
            Some(namespace) => write!(formatter, " in the namespace {namespace}"),
            None => write!(formatter, " in any namespace"),
        }
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
    /// Finds the Deployment of a release. Without the permission to list those of all namespaces, a release without a
    /// namespace is looked for in `default`.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub(super) async fn find(api: &Api, release: &Release, default: &str) -> Result<Self, DoctorError> {
        let mut release = release.clone();
        let mut found = deployments(api, &release).await;
        if release.namespace.is_none() && matches!(found, Err(ApiError::Forbidden(_))) {
            release.namespace = Some(default.to_owned());
            found = deployments(api, &release).await;
        }
        let found = found?;
        match &*found {
            [(deployment, container)] => Self::read(api, deployment, container).await,
            [] => {
                let all = deployments(api, &Release { namespace: None, name: None }).await;
                Err(DoctorError::NoRelease { release, flags: names(&all.unwrap_or_default()) })
            }
            several => Err(DoctorError::SeveralReleases(names(several))),
        }
    }

    /// Reads a Deployment: its arguments, and its variables as far as they are not in Secrets.
    async fn read(api: &Api, deployment: &Deployment, container: &Container) -> Result<Self, DoctorError> {
        let namespace = &deployment.metadata.namespace;
        let mut unread = Vec::new();
        let variables = variables(api, namespace, container, &mut unread).await?;
        let arguments = [CONTAINER.to_owned()].into_iter().chain(container.args.iter().cloned());
        let environment = Environment::of(variables.clone()).on_another_machine();
        Ok(Self {
            deployment: deployment.metadata.name.clone(),
            config: Config::new(arguments, &environment)?,
            variables,
            unread,
        })
    }
}

/// The program's Deployments that may belong to the release, each with the program's container.
async fn deployments(api: &Api, release: &Release) -> Result<Vec<(Deployment, Container)>, ApiError> {
    let list = Access::new("list", "apps", "deployments").within(release.namespace.as_deref());
    let instance = release.name.as_ref().map(|name| format!("{INSTANCE}={name}"));
    let query = encoded(&[("labelSelector", instance.as_deref().unwrap_or_default())]);
    let deployments: Vec<Deployment> = api.list(&list, &query).await?;
    let with_container = |deployment: Deployment| {
        let container = deployment.spec.template.pod().container()?;
        Some((deployment, container))
    };
    Ok(deployments.into_iter().filter_map(with_container).collect())
}

/// The flags that name each release, such as `--namespace coder --release logs`.
fn names(deployments: &[(Deployment, Container)]) -> String {
    let name = |(deployment, _): &(Deployment, Container)| {
        let release = deployment.metadata.labels.get(INSTANCE).map(|name| format!(" --release {name}"));
        format!("--namespace {}{}", deployment.metadata.namespace, release.unwrap_or_default())
    };
    deployments.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ")
}

/// The variables of a container. `env` takes precedence over `envFrom`.
async fn variables(
    api: &Api,
    namespace: &str,
    container: &Container,
    unread: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut variables = BTreeMap::new();
    for from in &container.env_from {
        if let Some(reference) = &from.config_map_ref {
            let data = config_map(api, namespace, &reference.name, unread).await?;
            variables.extend(data.into_iter().map(|(key, value)| (format!("{}{key}", from.prefix), value)));
        }
        if let Some(reference) = &from.secret_ref {
            unread.push(format!("the Secret {}", reference.name));
        }
    }
    for variable in &container.env {
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
    let Some(from) = &variable.value_from else { return Ok(Some(variable.value.clone())) };
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
            "metadata": { "name": "logs", "namespace": "coder", "labels": { INSTANCE: "logs" } },
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
        let release = Release { namespace: Some("coder".to_owned()), name: Some("logs".to_owned()) };
        Installed::find(&Api::new(script.start().client()), &release, "default").await
    }

    #[tokio::test]
    async fn arguments_and_variables_become_the_configuration() {
        let installed = read(CONTAINER).await.unwrap();
        let Config { settings, state, webhook, .. } = &installed.config;
        assert_eq!(settings.coder_url.as_str(), "https://coder.example.com/");
        assert_eq!(settings.namespaces.to_string(), "team-a", "an argument takes precedence");
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

    /// Finds a release with scripted answers to the requests for all namespaces and for `team`.
    async fn found(all: Answer, team: Answer, namespace: Option<&str>) -> Result<String, String> {
        let script = Script::new().always("/v1/deployments?", all).always("/namespaces/team/deployments?", team);
        let release = Release { namespace: namespace.map(str::to_owned), name: None };
        let config = json!({ "data": { "CODER_URL": "https://coder.example.com" } });
        let api = Api::new(script.always("configmaps/more", Answer::json(&config)).start().client());
        let installed = Installed::find(&api, &release, "team").await.map_err(|error| error.to_string())?;
        Ok(installed.deployment)
    }

    #[tokio::test]
    async fn the_only_release_of_the_cluster_needs_no_flag() {
        let own = || deployment(CONTAINER, &json!([]));
        let forbidden = || Answer::status(403, "deployments is forbidden: User \"bob\" cannot list resource");
        let other = deployment("coder", &json!([]));
        assert_eq!(found(Answer::list(1, &[other.clone(), own()]), forbidden(), None).await, Ok("logs".into()));
        let error = found(Answer::list(1, &[own(), own()]), forbidden(), None).await.unwrap_err();
        assert!(error.contains("--namespace coder --release logs"), "{error}");
        // An account that can read one namespace only.
        assert_eq!(found(forbidden(), Answer::list(1, &[own()]), None).await, Ok("logs".into()));
        let error = found(Answer::list(1, &[own()]), Answer::list(1, &[]), Some("team")).await.unwrap_err();
        assert!(error.contains("in the namespace team; there is --namespace coder --release logs"), "{error}");
        let error = found(Answer::list(1, &[]), forbidden(), None).await.unwrap_err();
        assert!(error.contains("no release of this program in any namespace"), "{error}");
    }
}
