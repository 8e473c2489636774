//! Several releases in one cluster.

use anyhow::{Result, ensure};
use logstream_testing::{Loopback, Release, TestNamespace};
use serde_json::{Value, json};

use crate::context::{TestContext, watching};

/// Two releases of one name watch the same namespace, and a third of another name is in the first one's namespace.
#[tokio::test]
async fn releases_do_not_collide() -> Result<()> {
    let context = TestContext::new("neighbours").await?;
    let cluster = context.cluster;
    let elsewhere = TestNamespace::create(cluster, "neighbours-elsewhere").await?;
    let watched = TestNamespace::create(cluster, "neighbours-watched").await?;
    let values = |loopback: Loopback| -> Value {
        let mut values = loopback.values(watching(&[watched.name()]));
        values["url"] = context.coder.url().into();
        values
    };
    let _first = context.install(watching(&[watched.name()])).await?;
    let second = Release::new(cluster, context.release.name(), elsewhere.name())?;
    second.install(&values(Loopback::new()), &[]).await?;
    let third = Release::new(cluster, "third-of-them", context.home.name())?;
    third.install(&values(Loopback::new()), &[]).await?;
    let mut processes = Vec::new();
    for release in [&second, &third] {
        let mut process = release.start(env!("CARGO_BIN_EXE_coder-logstream-kube").as_ref()).await?;
        process.wait_ready().await?;
        processes.push(process);
    }

    // Two of three are uninstalled. The other one still works.
    second.uninstall().await?;
    third.uninstall().await?;
    processes.clear();
    context.workspace_is_streamed(watched.name(), true).await?;
    let left = cluster.kubectl(&["get", "mutatingwebhookconfigurations", "-o", "name"])?;
    ensure!(left.contains(&context.release.cluster_name()), "{left}");
    ensure!(!left.contains(&second.cluster_name()) && !left.contains(&third.cluster_name()), "{left}");
    context
        .release
        .upgrade(&context.values(json!({ "namespaces": [watched.name()], "podAnnotations": { "a": "b" } })), &[])
        .await?;
    context.uninstall_leaves_nothing(&[watched.name()]).await
}
