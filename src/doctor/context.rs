//! Context of the checks: the program's configuration and its clients.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::{Mutex, OnceCell};

use super::{
    access::Access,
    api::{Api, ApiError, attributes, is_allowed},
    check::Problem,
    deployment::Deployment,
    installation::{Installed, Release},
    proxies::Variables,
    workspaces::Workspaces,
};
use crate::{
    cli::credentials,
    coder::{Probe, ProbeError},
    config::{Cluster, ClusterAccess, ClusterError, Config, ConfigError, Namespaces},
    kubernetes::{self, ClientError},
    runtime::{Clock, SystemClock},
};

/// Namespace that the chart's webhook never selects.
pub(super) const EXCLUDED: &str = "kube-system";

/// Maximum number of namespaces that are checked one by one.
const MAX_NAMESPACES: usize = 50;

/// The checks cannot begin. The exit code is 2.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoctorError {
    /// The kubeconfig or the ServiceAccount cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A client cannot be created from it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The Deployment cannot be read.
    #[error("the release cannot be read: {0}")]
    Read(Box<ApiError>),
    /// The same, with the server's address.
    #[error("the cluster at {server} cannot be read: {error}")]
    Unreadable {
        /// The API server's address.
        server: String,
        /// The error.
        error: Box<ApiError>,
    },
    /// The release does not exist.
    #[error("{release}{}", others(.flags))]
    NoRelease {
        /// The requested release.
        release: Release,
        /// Flags that name each release that exists.
        flags: String,
    },
    /// There are several releases.
    #[error("there are several releases of this program: {0}")]
    SeveralReleases(String),
    /// The program would reject its own configuration.
    #[error("{0}")]
    Config(#[from] ConfigError),
}

impl From<ApiError> for DoctorError {
    fn from(error: ApiError) -> Self {
        Self::Read(Box::new(error))
    }
}

impl DoctorError {
    /// Adds the address of the API server.
    fn at(self, server: &str) -> Self {
        match self {
            Self::Read(error) => Self::Unreadable { server: server.to_owned(), error },
            other => other,
        }
    }
}

fn others(flags: &str) -> String {
    match flags {
        "" => "; `helm list --all-namespaces` shows all. Without a release, CODER_URL or flags after -- are checked"
            .to_owned(),
        flags => format!("; there is {flags}"),
    }
}

/// Location where `doctor` runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vantage {
    /// In a pod, which reaches what the program reaches.
    Cluster,
    /// Elsewhere: addresses of the cluster may not be reachable, and name resolution, proxies and clocks differ.
    Outside,
}

/// The installation under examination.
pub(super) struct Context {
    /// Address of the API server.
    pub(super) server: String,
    pub(super) api: Api,
    pub(super) config: Config,
    pub(super) vantage: Vantage,
    pub(super) clock: Arc<dyn Clock>,
    /// Proxy variables of the program.
    pub(super) proxies: Variables,
    /// Name of the Deployment, if known.
    pub(super) deployment: Option<String>,
    /// Variables of the Deployment that cannot be read.
    pub(super) unread: Vec<String>,
    /// Coder's response, once it was requested.
    pub(super) coder: Mutex<Option<Result<Probe, ProbeError>>>,
    pub(super) workspaces: OnceCell<Result<Workspaces, ApiError>>,
}

impl Context {
    /// The installation that this process's flags and environment belong to.
    ///
    /// # Errors
    /// If no client for Kubernetes can be created.
    pub(super) fn of_process(cluster: Cluster, config: Config) -> Result<Self, DoctorError> {
        let (server, api) = connected(cluster)?;
        let vantage = Vantage::of(&config.cluster);
        let deployment = config.owner.as_ref().map(|owner| owner.deployment.clone());
        let context = Self::new(api, config, vantage, Variables::of_process(), deployment, Vec::new());
        Ok(Self { server, ..context })
    }

    /// An installed release. Its flags are read from its Deployment.
    ///
    /// # Errors
    /// If the release cannot be found or read.
    pub(super) async fn of_release(cluster: Cluster, vantage: Vantage, release: &Release) -> Result<Self, DoctorError> {
        let namespace = cluster.config.default_namespace.clone();
        let (server, api) = connected(cluster)?;
        let found = Installed::find(&api, release, &namespace).await.map_err(|error| error.at(&server))?;
        let proxies = Variables::of(&found.variables);
        let context = Self::new(api, found.config, vantage, proxies, Some(found.deployment), found.unread);
        Ok(Self { server, ..context })
    }

    pub(super) fn new(
        api: Api,
        config: Config,
        vantage: Vantage,
        proxies: Variables,
        deployment: Option<String>,
        unread: Vec<String>,
    ) -> Self {
        Self {
            server: String::new(),
            api,
            config,
            vantage,
            clock: Arc::new(SystemClock),
            proxies,
            deployment,
            unread,
            coder: Mutex::default(),
            workspaces: OnceCell::new(),
        }
    }

    /// Short description of the installation.
    pub(super) fn title(&self) -> String {
        let what = match (&self.deployment, self.home()) {
            (Some(deployment), Some(home)) => format!("the Deployment {deployment} in the namespace {home}"),
            _ => "the settings of this process".to_owned(),
        };
        format!("Checking {what}, by the API server at {}", self.server)
    }

    /// Namespace of the program's own objects.
    pub(super) fn home(&self) -> Option<&str> {
        let of_owner = self.config.owner.as_ref().map(|owner| owner.namespace.as_str());
        of_owner.or_else(|| self.config.state.as_ref().map(|state| state.namespace.as_str()))
    }

    /// Name of the webhook's configuration, or the reason why there is nothing to verify.
    pub(super) fn configuration(&self) -> Result<&str, Problem> {
        let webhook = self.config.webhook.as_ref();
        let webhook = webhook.ok_or_else(|| Problem::skipped("the webhook is off (--webhook-addr is empty)"))?;
        let unknown = || Problem::skipped("the configuration's name is unknown (--webhook-config-name is not set)");
        webhook.certificate.configuration().ok_or_else(unknown)
    }

    /// The Deployment, or the reason why it is unknown.
    pub(super) async fn deployment(&self) -> Result<Deployment, Problem> {
        let (Some(namespace), Some(name)) = (self.home(), &self.deployment) else {
            let reason = "the Deployment is unknown (--owner-deployment is not set)";
            return Err(Problem::skipped(reason));
        };
        let get = Access::new("get", "apps", "deployments").within(namespace).named(name);
        match self.api.find(&get).await? {
            Some(deployment) => Ok(deployment),
            None => Err(Problem::unmet(
                format!("the Deployment {name} does not exist in {namespace}"),
                "install the chart, or correct --owner-deployment",
            )),
        }
    }

    /// User name of the program's ServiceAccount; `None` if `doctor` runs with the same account, or there is no
    /// Deployment that names one.
    pub(super) async fn other_user(&self) -> Result<Option<(String, String)>, Problem> {
        if self.deployment.is_none() {
            return Ok(None);
        }
        let deployment = self.deployment().await?;
        let account = deployment.spec.template.pod().service_account_name.unwrap_or_else(|| "default".to_owned());
        let namespace = self.home().unwrap_or_default().to_owned();
        let user = format!("system:serviceaccount:{namespace}:{account}");
        Ok((self.api.user().await != user).then_some((namespace, account)))
    }

    /// True if the program has a permission. `other` is its account, unless `doctor` runs with the same one.
    pub(super) async fn program_may(
        &self,
        access: &Access,
        other: Option<&(String, String)>,
    ) -> Result<bool, ApiError> {
        let Some((namespace, account)) = other else { return self.api.may(access).await };
        let (kind, resource) = match access.namespace {
            Some(_) => ("LocalSubjectAccessReview", "localsubjectaccessreviews"),
            None => ("SubjectAccessReview", "subjectaccessreviews"),
        };
        let create = Access::new("create", "authorization.k8s.io", resource).within(access.namespace.as_deref());
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": { "namespace": access.namespace },
            "spec": {
                "resourceAttributes": attributes(access),
                "user": format!("system:serviceaccount:{namespace}:{account}"),
                "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{namespace}"), "system:authenticated"],
            },
        });
        Ok(is_allowed(&self.api.review(&create, &review).await?))
    }

    /// The watched namespaces for requests: each, or `None` for all at once.
    pub(super) fn scopes(&self) -> Vec<Option<&str>> {
        match &self.config.settings.namespaces {
            Namespaces::All => vec![None],
            Namespaces::Listed(names) => names.iter().take(MAX_NAMESPACES).map(|name| Some(name.as_str())).collect(),
        }
    }

    /// Namespaces in which a pod is created by dry run; none if the webhook is never called in those that are watched.
    pub(super) fn sampled_namespaces(&self) -> Vec<&str> {
        let mut names: Vec<&str> = match &self.config.settings.namespaces {
            Namespaces::All => vec![self.home().unwrap_or("default")],
            Namespaces::Listed(names) => names.iter().take(MAX_NAMESPACES).map(String::as_str).collect(),
        };
        names.retain(|name| *name != EXCLUDED);
        names
    }
}

/// The address of the API server, and a client.
fn connected(cluster: Cluster) -> Result<(String, Api), DoctorError> {
    let server = cluster.config.cluster_url.to_string();
    let flaw = credentials::flaw(&cluster.config.auth_info, SystemClock.now());
    Ok((server, Api::with_flaw(kubernetes::client(cluster)?, flaw.as_deref())))
}

impl Vantage {
    pub(super) fn of(access: &ClusterAccess) -> Self {
        match access {
            ClusterAccess::ServiceAccount => Self::Cluster,
            ClusterAccess::File(_) | ClusterAccess::Found => Self::Outside,
        }
    }
}
