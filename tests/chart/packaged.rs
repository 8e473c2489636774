//! The chart as `helm package` writes it.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use logstream_testing::{Tool, Tools, release::CHART, release::Helm};
use serde_json::json;

use crate::context::TestContext;

#[tokio::test]
async fn the_packaged_chart_installs_and_streams() -> Result<()> {
    let context = TestContext::new("packaged").await?;
    let directory = tempfile::tempdir()?;
    let tools = tokio::task::spawn_blocking(|| Tools::ensure(&[Tool::Helm])).await??;
    let helm = Helm::new(tools.path(Tool::Helm), Path::new("/dev/null"))?;
    let destination = directory.path().to_str().context("a path in UTF-8")?;
    helm.run(&["package", CHART, "--destination", destination, "--version", "1.2.3", "--app-version", "1.2.3"]).await?;
    let chart = directory.path().join("coder-logstream-kube-1.2.3.tgz");

    // Files that are not for users are left out; files that templates read are included.
    let shown = helm
        .run(&[
            "template",
            "release",
            chart.to_str().context("a path in UTF-8")?,
            "--set",
            "url=https://coder.example.com,metrics.enabled=true,dashboard.enabled=true,prometheusRule.enabled=true",
        ])
        .await?;
    ensure!(shown.contains("CoderLogstreamAbsent") && shown.contains("\"uid\": \"coder-logstream-kube\""), "{shown}");
    ensure!(shown.contains("coder-logstream-kube:v1.2.3"), "the image has the tag of the version: {shown}");
    let size = fs::metadata(&chart)?.len();
    ensure!(size < 64 * 1024, "{size} bytes: it contains more than the chart");

    let values = directory.path().join("values.json");
    fs::write(&values, serde_json::to_vec(&context.values(json!({})))?)?;
    context.release.install_chart(&chart, &values).await?;
    let _replica = context.start().await?;
    context.workspace_is_streamed(context.home.name(), true).await?;
    context.release.uninstall().await
}
