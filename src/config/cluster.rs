//! Access to the Kubernetes API.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig};

use super::environment::Environment;
use super::kubeconfig::{KubeconfigFlaw, check};
use super::proxy::{Proxy, ProxyError, take_proxy_url};
use super::setting::{KUBECONFIG_VARIABLE, SERVICE_HOST_VARIABLE};

/// Source of the API server's address and credentials. In order of precedence: the flag, KUBECONFIG, the service
/// account of the pod, the file that kubectl uses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClusterAccess {
    /// This kubeconfig, as given by the flag.
    File(PathBuf),
    /// The kubeconfig that kube finds: the files in KUBECONFIG, else `~/.kube/config`.
    Found,
    /// The service account of the pod this runs in.
    ServiceAccount,
}

/// Time limit of a connection: enough for three lost SYNs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connection to the API server.
#[derive(Debug)]
pub struct Cluster {
    /// Address, certificates and credentials, without a proxy.
    pub config: kube::Config,
    /// Proxy to the API server.
    pub proxy: Option<Proxy>,
}

/// The API server's address and credentials are not available.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig is missing or wrong.
    #[error("cannot use the kubeconfig (--kubeconfig selects another): {0}")]
    Kubeconfig(#[from] KubeconfigFlaw),
    /// The proxy cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The service account of the pod is not usable.
    #[error("cannot use the pod's service account: {0}")]
    ServiceAccount(#[from] InClusterError),
}

impl ClusterAccess {
    pub(crate) fn choose(flag: Option<PathBuf>, environment: &Environment) -> Self {
        match flag {
            Some(path) => Self::File(path),
            None if environment.filled(KUBECONFIG_VARIABLE).is_some() => Self::Found,
            None if environment.filled(SERVICE_HOST_VARIABLE).is_some() => Self::ServiceAccount,
            None => Self::Found,
        }
    }

    /// Loads the configuration. A service account is used without the proxy of the environment, because the API server
    /// is inside the cluster.
    ///
    /// # Errors
    /// If the kubeconfig, the service account or the proxy cannot be used.
    pub async fn load(&self) -> Result<Cluster, ClusterError> {
        self.load_context(None).await
    }

    /// Like [`ClusterAccess::load`], with another context of the kubeconfig than its current one. Has no effect on a
    /// service account.
    pub async fn load_context(&self, context: Option<&str>) -> Result<Cluster, ClusterError> {
        let (mut config, proxy) = match self {
            Self::File(path) => {
                of_kubeconfig(Kubeconfig::read_from(path).map_err(KubeconfigFlaw::from)?, context).await?
            }
            Self::Found => of_kubeconfig(Kubeconfig::read().map_err(KubeconfigFlaw::from)?, context).await?,
            Self::ServiceAccount => (kube::Config::incluster()?, None),
        };
        config.proxy_url = None;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // Each request is retried here, with a log message and a metric.
        config.default_retry = false;
        Ok(Cluster { config, proxy })
    }
}

async fn of_kubeconfig(
    mut kubeconfig: Kubeconfig,
    context: Option<&str>,
) -> Result<(kube::Config, Option<Proxy>), ClusterError> {
    if let Some(context) = context {
        kubeconfig.current_context = Some(context.to_owned());
    }
    check(&kubeconfig)?;
    let proxy_url = take_proxy_url(&mut kubeconfig);
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let config = config.map_err(KubeconfigFlaw::from)?;
    let proxy = Proxy::choose(proxy_url.as_deref(), &config.cluster_url)?;
    Ok((config, proxy))
}

impl fmt::Display for ClusterAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Found => formatter.write_str("default"),
            Self::ServiceAccount => formatter.write_str("service-account"),
        }
    }
}

/// Checks that a file exists.
pub(crate) fn existing_file(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(path.to_owned()),
        Ok(_) => Err("which is not a file".to_owned()),
        Err(error) => Err(format!("which cannot be read ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_comes_before_implicit() {
        let pod = Environment::of([(SERVICE_HOST_VARIABLE, "10.96.0.1")]);
        let pod_with_file = Environment::of([(SERVICE_HOST_VARIABLE, "10.96.0.1"), (KUBECONFIG_VARIABLE, "/config")]);
        let laptop = Environment::of([(KUBECONFIG_VARIABLE, "")]);
        let flag = || Some(PathBuf::from("/other"));

        assert_eq!(ClusterAccess::choose(flag(), &pod_with_file), ClusterAccess::File("/other".into()));
        assert_eq!(ClusterAccess::choose(None, &pod_with_file), ClusterAccess::Found);
        assert_eq!(ClusterAccess::choose(None, &pod), ClusterAccess::ServiceAccount);
        assert_eq!(ClusterAccess::choose(None, &laptop), ClusterAccess::Found);
    }

    #[tokio::test]
    async fn a_kubeconfig_is_read_from_the_file_given() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("config");
        std::fs::write(
            &path,
            "{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}], \
             clusters: [{name: a, cluster: {server: 'https://127.0.0.1:6443'}}], users: [{name: a, user: {}}]}",
        )
        .unwrap();
        let Cluster { config, proxy } = ClusterAccess::File(path.clone()).load().await.unwrap();
        assert_eq!(proxy, None);
        assert_eq!(config.cluster_url, "https://127.0.0.1:6443/");

        std::fs::write(&path, "users:\n- name: a\n  user: hunter2\n").unwrap();
        let error = ClusterAccess::File(path.clone()).load().await.unwrap_err().to_string();
        assert!(
            error.contains("not valid YAML of a kubeconfig (line 3, column ") && !error.contains("hunter2"),
            "{error}"
        );

        std::fs::remove_file(&path).unwrap();
        let error = ClusterAccess::File(path).load().await.unwrap_err();
        assert!(error.to_string().starts_with("cannot use the kubeconfig (--kubeconfig selects another): "), "{error}");
    }
}
