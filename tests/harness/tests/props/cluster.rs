//! The cluster: requests, restarts, access, webhooks, and its end.

use std::fs;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod};
use kube::Api;
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use logstream_testing::access::rule;
use logstream_testing::webhook_config::FailurePolicy;
use logstream_testing::{
    Access, Cluster, ClusterOptions, FaultProxy, Scope, TestNamespace, WebhookConfig, Workspace, pki, poll, ports,
};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

async fn client_of(kubeconfig: &std::path::Path) -> kube::Client {
    let read = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
}

#[tokio::test]
async fn an_account_may_do_what_it_was_granted_and_no_more() {
    let cluster = Cluster::shared_async().await;
    let namespace = TestNamespace::create(cluster, "access").await.unwrap();
    let rules = [rule("", &["pods"], &["list"])];
    let scope = Scope::Namespaces(Vec::new());
    let access = Access::grant(cluster, namespace.name(), "product", &scope, &rules).await.unwrap();
    let client = client_of(&access.kubeconfig).await;
    Api::<Pod>::namespaced(client.clone(), namespace.name()).list(&ListParams::default()).await.unwrap();
    assert!(Api::<Pod>::all(client.clone()).list(&ListParams::default()).await.is_err());
    assert!(Api::<Event>::namespaced(client.clone(), namespace.name()).list(&ListParams::default()).await.is_err());

    let access = Access::grant(cluster, namespace.name(), "product", &Scope::Cluster, &rules).await.unwrap();
    let client = client_of(&access.kubeconfig).await;
    Api::<Pod>::all(client).list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn the_webhook_is_asked_about_pods_and_workloads_with_a_token_only() {
    let cluster = Cluster::shared_async().await;
    let namespace = TestNamespace::create(cluster, "webhook").await.unwrap();
    let client = cluster.admin_client().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = pki::serving_cert(folder.path()).unwrap();
    let ca = fs::read_to_string(files.ca).unwrap();
    // Nobody listens there: who is asked about is refused.
    let url = format!("https://{}/mutate", ports::free());
    let config = WebhookConfig::new(&url, &ca, &[namespace.name()]).failure_policy(FailurePolicy::Fail);
    let applied = config.apply(cluster).await.unwrap();

    let pods: Api<Pod> = Api::namespaced(client, namespace.name());
    let workspace = Workspace::new(namespace.name(), "alice", "dev", "token");
    let with_token: Pod = serde_json::from_value(workspace.pod()).unwrap();
    let mut without = with_token.clone();
    without.spec.as_mut().unwrap().containers[0].env = None;
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    poll::eventually("the webhook is asked about a pod", SOON, || async {
        match pods.create(&dry, &with_token).await {
            Err(error) if error.to_string().contains("failed calling webhook") => Ok(()),
            other => Err(other),
        }
    })
    .await
    .unwrap();
    pods.create(&dry, &without).await.unwrap();
    let apply = ["apply", "--dry-run=server", "-f", "-"];
    for workload in [workspace.stateful_set(), workspace.job()] {
        let refused = cluster.kubectl_with(&apply, &workload.to_string()).unwrap_err();
        assert!(refused.to_string().contains("workloads.logstream.coder.com"), "{refused}");
    }
    cluster.kubectl_with(&apply, &workspace.deployment().to_string()).unwrap();

    drop(applied);
    poll::eventually("the webhook is gone", SOON, || pods.create(&dry, &with_token)).await.unwrap();
}

#[tokio::test]
async fn the_api_server_is_reached_through_a_proxy_that_can_stall() {
    let cluster = Cluster::shared_async().await;
    let proxy = FaultProxy::start(cluster.server_address()).unwrap();
    let server = format!("https://{}", proxy.address());
    let kubeconfig = cluster.kubeconfig_by(&server, "by-proxy", cluster.admin_token()).unwrap();
    let namespaces: Api<Namespace> = Api::all(client_of(&kubeconfig).await);
    namespaces.get("default").await.unwrap();
    proxy.stall(true);
    assert!(tokio::time::timeout(Duration::from_millis(200), namespaces.get("default")).await.is_err());
    proxy.stall(false);
    namespaces.get("default").await.unwrap();
}

#[tokio::test]
async fn a_control_plane_survives_its_api_server_and_leaves_nothing_behind() {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{ "level": "Metadata" }],
    });
    let options = ClusterOptions::new()
        .control_plane_only()
        .event_ttl(Duration::from_mins(10))
        .apiserver_argument("--etcd-compaction-interval=30s")
        .audit_policy(policy.to_string());
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(options)).await.unwrap().unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.admin_client().await.unwrap(), "default");
    maps.create(&PostParams::default(), &config_map("kept")).await.unwrap();

    cluster.stop_apiserver();
    assert!(maps.get("kept").await.is_err());
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.start_apiserver().unwrap();
        cluster
    })
    .await
    .unwrap();
    maps.get("kept").await.unwrap();
    assert!(fs::read_to_string(cluster.folder().join("audit.log")).unwrap().contains("\"kept\""));

    let (folder, pids) = (cluster.folder().to_owned(), cluster.pids());
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
    assert!(!folder.exists());
    for pid in pids {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        assert_eq!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH));
    }
}
