//! A local process in place of a container of a Deployment's pod.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, PodSpec};
use kube::ResourceExt;

use super::mounts::Mounts;
use super::replica::{Probes, Replica};
use crate::{Access, Admin, Product};

/// Kubernetes' default termination grace period.
const GRACE_SECONDS: i64 = 30;

/// Arguments with the address of the health endpoint (see [`super::Loopback`]).
const HEALTH_ARGUMENTS: [&str; 2] = ["--health-addr=", "--metrics-addr="];

/// Path at which the API server mounts the token of a pod's ServiceAccount.
const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Starts the pod's only container with its arguments, environment, mounts and ServiceAccount token.
///
/// Two things differ from a node: the token is in a kubeconfig named by KUBECONFIG, because a local process has no
/// `/var/run/secrets`; and mount paths in arguments and variables are replaced by local directories.
pub(super) async fn start(admin: &Admin, deployment: &Deployment, program: &Path) -> Result<Replica> {
    let namespace = deployment.namespace().context("a Deployment has a namespace")?;
    // A new name for each process, as for the pods of a Deployment.
    let name = format!("pod-{}", uuid::Uuid::new_v4());
    start_spec(admin, (&namespace, &name), pod(deployment)?, program, None).await
}

/// The same for a pod of a Deployment. Its health endpoint is at this address, because pods share this machine's ports.
pub(super) async fn start_pod(admin: &Admin, pod: &Pod, program: &Path, health: SocketAddr) -> Result<Replica> {
    let (namespace, name) = (pod.namespace().context("a pod has a namespace")?, pod.name_any());
    let mut spec = pod.spec.clone().context("a pod has a spec")?;
    for container in &mut spec.containers {
        // The token is in the kubeconfig.
        container.volume_mounts.get_or_insert_default().retain(|mount| mount.mount_path != TOKEN_MOUNT);
    }
    start_spec(admin, (&namespace, &name), &spec, program, Some(health)).await
}

async fn start_spec(
    admin: &Admin,
    (namespace, name): (&str, &str),
    pod: &PodSpec,
    program: &Path,
    health: Option<SocketAddr>,
) -> Result<Replica> {
    let [container] = &pod.containers[..] else { bail!("a pod of {} containers", pod.containers.len()) };
    anyhow::ensure!(container.command.is_none(), "only the image's own entry point is supported");
    anyhow::ensure!(pod.automount_service_account_token != Some(false), "the pod must have a token");
    let account = pod.service_account_name.as_ref().context("the pod names its ServiceAccount")?;
    let access = Access::token_of(admin, namespace, account).await?;
    let mounts = Mounts::create(&admin.client().await?, namespace, pod, container).await?;

    let mut product = Product::builder(program);
    for argument in container.args.iter().flatten() {
        let moved = health.and_then(|health| {
            HEALTH_ARGUMENTS.iter().find(|name| argument.starts_with(**name)).map(|name| format!("{name}{health}"))
        });
        product = product.arg(moved.unwrap_or_else(|| mounts.with_local_paths(argument)));
    }
    for variable in container.env.iter().flatten() {
        product = product.env(&variable.name, mounts.with_local_paths(&value(variable, namespace, name)?));
    }
    let product = product.env("KUBECONFIG", access.kubeconfig.display().to_string()).start()?;
    let grace = pod.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS);
    Ok(Replica::new(product, Probes::of(container, health)?, grace.unsigned_abs(), mounts))
}

/// The name of its pods' ServiceAccount.
pub(super) fn account(deployment: &Deployment) -> Result<String> {
    pod(deployment)?.service_account_name.clone().context("the pod names its ServiceAccount")
}

fn pod(deployment: &Deployment) -> Result<&PodSpec> {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    template.and_then(|template| template.spec.as_ref()).context("a Deployment has a pod template")
}

/// The value that the kubelet would set for a variable.
fn value(variable: &EnvVar, namespace: &str, pod: &str) -> Result<String> {
    let Some(from) = &variable.value_from else { return Ok(variable.value.clone().unwrap_or_default()) };
    match from.field_ref.as_ref().map(|field| field.field_path.as_str()) {
        Some("metadata.namespace") => Ok(namespace.to_owned()),
        Some("metadata.name") => Ok(pod.to_owned()),
        _ => bail!("{} has an unsupported source: {from:?}", variable.name),
    }
}

impl Probes {
    fn of(container: &Container, health: Option<SocketAddr>) -> Result<Self> {
        let url = |what: &str, probe: &Option<k8s_openapi::api::core::v1::Probe>| {
            let get = probe.as_ref().and_then(|probe| probe.http_get.as_ref());
            let get = get.with_context(|| format!("no {what} probe by HTTP"))?;
            let path = get.path.clone().unwrap_or_default();
            let port = match health {
                Some(health) => i32::from(health.port()),
                None => port(container, &get.port)?,
            };
            Ok::<_, anyhow::Error>(format!("http://127.0.0.1:{port}{path}"))
        };
        Ok(Self {
            startup: url("startup", &container.startup_probe)?,
            liveness: url("liveness", &container.liveness_probe)?,
            readiness: url("readiness", &container.readiness_probe)?,
        })
    }
}

/// The number of a probe's port.
fn port(container: &Container, port: &k8s_openapi::apimachinery::pkg::util::intstr::IntOrString) -> Result<i32> {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    match port {
        IntOrString::Int(number) => Ok(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_ref() == Some(name));
            named.map(|port| port.container_port).with_context(|| format!("no port named {name}"))
        }
    }
}
