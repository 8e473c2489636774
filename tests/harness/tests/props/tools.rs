//! Tools are found in the documented places, and errors name missing ones.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use logstream_testing::Tool;

/// Runs the example `tools` with these directories, without downloads and with an empty PATH.
fn tools(assets: Option<&Path>, cache: &Path) -> Output {
    let mut command = Command::new(example!("tools"));
    command.env_clear().env("PATH", "/nowhere").env("CODER_LOGSTREAM_TEST_CACHE", cache);
    command.env("CODER_LOGSTREAM_TEST_DOWNLOADS", "off");
    if let Some(assets) = assets {
        command.env("KUBEBUILDER_ASSETS", assets);
    }
    command.output().unwrap()
}

#[test]
fn the_asset_directory_takes_precedence() {
    let (assets, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for tool in Tool::DEMO {
        fs::write(assets.path().join(tool.name()), "").unwrap();
    }
    let output = tools(Some(assets.path()), cache.path());
    let paths = String::from_utf8(output.stdout).unwrap();
    assert_eq!(paths.lines().count(), Tool::DEMO.len());
    assert!(paths.lines().all(|path| Path::new(path).starts_with(assets.path())), "{paths}");
}

#[test]
fn without_go_the_error_names_what_is_missing_and_what_to_do() {
    let (assets, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for tool in [Tool::Etcd, Tool::ApiServer, Tool::Kubectl] {
        fs::write(assets.path().join(tool.name()), "").unwrap();
    }
    let output = tools(Some(assets.path()), cache.path());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for part in ["Go is not installed", "install Go 1.", "KUBEBUILDER_ASSETS", "kwok", "kube-scheduler", "helm"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("kube-apiserver must"), "{error}");
}

#[test]
fn an_asset_directory_that_does_not_exist_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let output = tools(Some(&cache.path().join("absent")), cache.path());
    assert!(String::from_utf8(output.stderr).unwrap().contains("which is not a directory"));
}
