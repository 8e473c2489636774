//! The `explain` command on a real API server, without Coder and without an installation.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use logstream_testing::{
    Access, Scenario, Tool, Workspace,
    access::{Scope, rule},
    poll,
    process::{Output, Process, Start},
    scenarios,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    events::NewEvent,
    support::{PATIENCE, PROGRAM, TestContext, texts, token},
};

/// Exit code and output.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `explain` with a kubeconfig until it ends.
fn explain(kubeconfig: &Path, arguments: &[&str]) -> Result<Ended> {
    let output = command(kubeconfig, arguments).output()?;
    let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "no colours in a pipe: {stdout}{stderr}");
    Ok(Ended { code: output.status.code(), stdout, stderr })
}

fn command(kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("KUBECONFIG", kubeconfig).arg("explain").args(arguments).stdin(Stdio::null());
    command
}

/// Runs `explain` in the test's namespace as an administrator.
fn here(context: &TestContext, arguments: &[&str]) -> Result<Ended> {
    let arguments = [arguments, &["-n", context.namespace.name()]].concat();
    explain(&context.cluster.admin_kubeconfig(), &arguments)
}

/// Runs `explain` again until it prints each of these texts.
async fn until(context: &TestContext, arguments: &[&str], texts: &[&str]) -> Result<Ended> {
    poll::eventually(&format!("explain prints {texts:?}"), PATIENCE, || async {
        match here(context, arguments) {
            Ok(ended) if texts.iter().all(|text| ended.stdout.contains(text)) => Ok(ended),
            Ok(ended) => Err(format!("{ended:#?}")),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await
}

fn workspace(context: &TestContext) -> Workspace {
    Workspace::new(context.namespace.name(), "alice", "dev", &token())
}

#[tokio::test]
async fn a_missing_image_is_explained_by_deployment_pod_owner_and_selector() -> Result<()> {
    let context = TestContext::new("explain-image").await?;
    let workspace = workspace(&context).scenario(Scenario::WrongImage).image("ghcr.io/example/missing:1");
    context.create(&workspace.deployment()).await?;
    let cause = "✗ Container dev cannot start: Failed to pull image \"ghcr.io/example/missing:1\": ";
    let ended = until(&context, &["deployment/coder-alice-dev"], &[cause]).await?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let title =
        format!("deployment/coder-alice-dev in namespace {} (owner alice, workspace dev)\n", context.namespace.name());
    assert!(ended.stdout.starts_with(&title), "{}", ended.stdout);
    for text in ["🐳 Queued pod from ReplicaSet: ", "🐳 Created pod: ", "Pulling image", "\n              → The image"]
    {
        assert_eq!(ended.stdout.matches(text).count(), 1, "{text:?} in {}", ended.stdout);
    }
    let order = ["🐳 Queued", "🐳 Created", "Successfully assigned", "Pulling image", cause]
        .map(|text| ended.stdout.find(text));
    assert!(order.is_sorted(), "{}", ended.stdout);

    let pod = context.only("v1", "Pod").await?.name_any();
    for arguments in [&["pod", &pod][..], &["--owner", "Alice"], &["-l", "com.coder.user.username=alice"], &[]] {
        let ended = here(&context, arguments)?;
        assert!(ended.code == Some(0) && ended.stdout.contains(cause), "{arguments:?}: {ended:#?}");
        assert!(ended.stdout.contains("🐳 Queued pod from ReplicaSet: "), "{arguments:?}: {ended:#?}");
    }
    let errors = here(&context, &["--min-level", "error"])?;
    assert!(errors.stdout.contains(cause) && !errors.stdout.contains("Pulling"), "{errors:#?}");
    Ok(())
}

#[tokio::test]
async fn it_prints_the_owners_log() -> Result<()> {
    let context = TestContext::new("explain-same").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).scenario(Scenario::OomKilled);
    context.create(&workspace.deployment()).await?;
    let lines = context.wait_for(&agent, &["was killed: out of memory", "already present on machine"]).await?;
    let ended = until(&context, &["--output", "json"], &["already present on machine"]).await?;
    let explained: Vec<Value> = ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    for line in lines.iter().filter(|line| !line.output.contains(" (x")) {
        let text = texts(std::slice::from_ref(line)).remove(0);
        let (message, hint) = text.split_once(" → ").map_or((text.as_str(), None), |(text, hint)| (text, Some(hint)));
        let same = |other: &&Value| other["message"] == message && other["hint"].as_str() == hint;
        assert_eq!(explained.iter().filter(same).count(), 1, "{text}\n{}", ended.stdout);
    }
    Ok(())
}

#[tokio::test]
async fn json_names_object_owner_and_cause() -> Result<()> {
    let context = TestContext::new("explain-json").await?;
    context.create(&workspace(&context).scenario(Scenario::OomKilled).memory("768Mi").pod()).await?;
    let arguments = ["pod/coder-alice-dev", "-o", "json"];
    let ended = until(&context, &arguments, &["was killed"]).await?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:#?}");
    let lines: Vec<Value> = ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let killed = lines.iter().find(|line| line["cause"].is_string()).context("a cause")?;
    let expected = json!({
        "time": killed["time"], "level": "error", "namespace": context.namespace.name(), "kind": "Pod",
        "name": "coder-alice-dev", "workload": "pod/coder-alice-dev", "owner": "alice", "workspace": "dev",
        "message": "Container dev was killed: out of memory (OOMKilled, exit code 137)",
        "hint": killed["hint"], "times": 1, "cause": "oom_killed", "actor": "owner",
    });
    assert_eq!(*killed, expected);
    assert!(killed["hint"].as_str().is_some_and(|hint| hint.contains("768Mi")), "{killed}");
    let times: Vec<_> = lines.iter().map(|line| line["time"].as_str().unwrap_or_default()).collect();
    assert!(times.is_sorted() && times.iter().all(|time| time.ends_with('Z')), "{times:?}");
    Ok(())
}

#[tokio::test]
async fn a_quota_is_explained_although_there_is_no_pod() -> Result<()> {
    let context = TestContext::new("explain-quota").await?;
    context.cluster.kubectl_with(&["apply", "-n", context.namespace.name(), "-f", "-"], scenarios::QUOTA)?;
    context.create(&workspace(&context).deployment()).await?;
    let quota = "The namespace's quota \"no-pods\" is used up";
    let ended = until(&context, &["deploy", "coder-alice-dev"], &["exceeded quota: no-pods", quota]).await?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    Ok(())
}

#[tokio::test]
async fn a_pod_that_is_no_workspace_is_explained() -> Result<()> {
    let context = TestContext::new("explain-any").await?;
    context.cluster.kubectl_with(&["apply", "-n", context.namespace.name(), "-f", "-"], scenarios::UNSCHEDULABLE)?;
    let ended = until(&context, &["too-large"], &["Insufficient cpu"]).await?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let title = format!("pod/too-large in namespace {}\n", context.namespace.name());
    assert!(ended.stdout.starts_with(&title), "without an owner: {}", ended.stdout);
    // The scheduler may have tried again meanwhile, which is counted.
    let first = |line: &&str| line.contains("Insufficient cpu") && !line.contains("(x");
    assert_eq!(ended.stdout.lines().filter(first).count(), 1, "{}", ended.stdout);
    // It is not a workspace of any owner.
    let ended = here(&context, &["--owner", "alice"])?;
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    Ok(())
}

#[tokio::test]
async fn without_a_problem_the_exit_code_is_1() -> Result<()> {
    let context = TestContext::new("explain-healthy").await?;
    context.create(&workspace(&context).scenario(Scenario::Normal).pod()).await?;
    let ended = until(&context, &["pod/coder-alice-dev"], &["Container started"]).await?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), "No problem found.\n"), "{ended:#?}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_names_there_are() -> Result<()> {
    let context = TestContext::new("explain-unknown").await?;
    let namespace = context.namespace.name();
    // Without permission to look up a namespace, it is assumed to exist.
    let rules = [rule("", &["pods", "events"], &["get", "list", "watch"])];
    let access = Access::grant(context.cluster, namespace, "few", &Scope::Namespaces(Vec::new()), &rules).await?;
    let ended = explain(&access.kubeconfig, &["pod/x", "-n", namespace])?;
    assert!(ended.code == Some(3) && ended.stderr.contains("there is no pod/x in namespace"), "{ended:#?}");

    context.create(&workspace(&context).pod()).await?;
    context.only("v1", "Pod").await?;
    let ended = here(&context, &["pod/coder-alice-prod"])?;
    let expected = format!(
        "coder-logstream-kube: there is no pod/coder-alice-prod in namespace {namespace}; pods are: coder-alice-dev\n\
         --namespace names another namespace, and --all-namespaces reads all\n"
    );
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr), (Some(3), "", expected));
    let ended = here(&context, &["deployment/x"])?;
    assert!(ended.code == Some(3) && ended.stderr.contains("; there are no deployments at all\n"), "{ended:#?}");
    let ended = here(&context, &["--owner", "bob"])?;
    assert!(ended.code == Some(3) && ended.stderr.contains("; owners of workspaces are: alice\n"), "{ended:#?}");

    let ended = explain(&context.cluster.admin_kubeconfig(), &["pod/x", "-n", "not-there"])?;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), ""));
    let (problem, names) = ended.stderr.split_once("; namespaces are: ").context("names")?;
    assert_eq!(problem, "coder-logstream-kube: there is no namespace not-there");
    assert!(names.contains("default"), "{names}");
    Ok(())
}

#[tokio::test]
async fn events_of_a_deleted_pod_are_explained() -> Result<()> {
    let context = TestContext::new("explain-deleted").await?;
    let pod = context.create(&workspace(&context).pod()).await?;
    NewEvent::warning(&pod, "FailedMount", "MountVolume.SetUp failed for volume \"home\"")
        .write(&context.client)
        .await?;
    context.cluster.kubectl(&["delete", "pod", "coder-alice-dev", "--now", "-n", context.namespace.name()])?;
    let ended = until(&context, &["pod/coder-alice-dev"], &["(deleted)", "MountVolume.SetUp failed"]).await?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.stdout.contains("Created pod"), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn a_missing_permission_is_named_with_a_command_that_checks_it() -> Result<()> {
    let context = TestContext::new("explain-rights").await?;
    let namespace = context.namespace.name();
    context.create(&workspace(&context).scenario(Scenario::OomKilled).pod()).await?;
    until(&context, &["pod/coder-alice-dev"], &["was killed"]).await?;
    let read = ["get", "list", "watch"];
    let here = Scope::Namespaces(Vec::new());

    let rules = [rule("", &["pods"], &read), rule("", &["events"], &["list"])];
    let access = Access::grant(context.cluster, namespace, "blind", &here, &rules).await?;
    let ended = explain(&access.kubeconfig, &["pod/coder-alice-dev", "-n", namespace])?;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""), "{ended:#?}");
    let check = format!("kubectl auth can-i watch events --namespace {namespace}\n");
    for text in ["no permission to read events in", &format!("missing: watch events in {namespace}"), &check] {
        assert!(ended.stderr.contains(text), "{text:?} in {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("list events") && !ended.stderr.contains("watch pods"), "{}", ended.stderr);

    // Without workloads, a pod can still be explained.
    let rules = [rule("", &["pods", "events"], &read)];
    let access = Access::grant(context.cluster, namespace, "pods-only", &here, &rules).await?;
    let ended = explain(&access.kubeconfig, &["pod/coder-alice-dev", "-n", namespace])?;
    assert!(ended.code == Some(0) && ended.stdout.contains("was killed"), "{ended:#?}");
    for text in ["some workloads are left out", "kubectl auth can-i list replicasets.apps --namespace"] {
        assert!(ended.stderr.contains(text), "{text:?} in {}", ended.stderr);
    }

    // The role from the help text.
    let rules = [
        rule("", &["pods", "events"], &read),
        rule("apps", &["deployments", "replicasets", "statefulsets"], &read),
        rule("batch", &["jobs"], &read),
    ];
    let access = Access::grant(context.cluster, namespace, "viewer", &here, &rules).await?;
    let ended = explain(&access.kubeconfig, &["pod/coder-alice-dev", "-n", namespace])?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:#?}");
    Ok(())
}

#[tokio::test]
async fn an_unreachable_api_server_is_reported_within_seconds() -> Result<()> {
    let context = TestContext::new("explain-away").await?;
    let kubeconfig = context.cluster.kubeconfig_via("https://127.0.0.1:9", "explain-away", "token")?;
    let began = Instant::now();
    let ended = explain(&kubeconfig, &["pod/x", "-n", "ns"])?;
    assert_eq!(ended.code, Some(4), "{ended:#?}");
    assert!(
        ended.stderr.contains("the cluster at https://127.0.0.1:9/ cannot be read: unreachable: "),
        "{}",
        ended.stderr
    );
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn no_token_is_printed() -> Result<()> {
    let context = TestContext::new("explain-token").await?;
    let (own, other) = (token(), token());
    let namespace = context.namespace.name();
    let pod = context.create(&Workspace::new(namespace, "alice", "dev", &own).pod()).await?;
    context.create(&Workspace::new(namespace, "bob", "dev", &other).pod()).await?;
    let message = format!("exec failed: agent {own} beside {other} and password=hunter2");
    NewEvent::warning(&pod, "Leak", &message).write(&context.client).await?;
    for output in ["text", "json"] {
        let ended = until(&context, &["pod/coder-alice-dev", "-o", output], &["exec failed"]).await?;
        assert!(ended.stdout.contains("agent *** beside *** and password=***"), "{}", ended.stdout);
        for secret in [own.as_str(), &other, "hunter2"] {
            assert!(!format!("{ended:?}").contains(secret), "{ended:#?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn follow_prints_new_lines_until_a_signal() -> Result<()> {
    let context = TestContext::new("explain-follow").await?;
    let directory = TempDir::new()?;
    let output = directory.path().join("output");
    let arguments = ["explain", "--owner", "alice", "--follow", "-n", context.namespace.name()].map(str::to_owned);
    let kubeconfig = context.cluster.admin_kubeconfig().display().to_string();
    let start = Start {
        program: Path::new(PROGRAM),
        arguments: &arguments,
        environment: &[("KUBECONFIG".to_owned(), kubeconfig)],
        directory: directory.path(),
    };
    let mut process = Process::start(&start, &Output::File(&output))?;
    context.create(&workspace(&context).scenario(Scenario::OomKilled).deployment()).await?;
    let printed = || fs::read_to_string(&output).unwrap_or_default();
    poll::eventually("the kill is printed", PATIENCE, || async {
        let printed = printed();
        if printed.contains("was killed: out of memory") { Ok(()) } else { Err(printed) }
    })
    .await?;
    let (status, _) = process.terminate(PATIENCE).context("it ends by a signal")?;
    let printed = printed();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(printed.starts_with("deployment/coder-alice-dev in namespace"), "{printed}");
    assert_eq!(printed.matches("was killed: out of memory").count(), 1, "{printed}");
    Ok(())
}

#[tokio::test]
async fn it_is_a_kubectl_plugin() -> Result<()> {
    let context = TestContext::new("explain-plugin").await?;
    context.create(&workspace(&context).pod()).await?;
    context.only("v1", "Pod").await?;
    let directory = TempDir::new()?;
    symlink(PROGRAM, directory.path().join("kubectl-logstream"))?;
    let kubectl = |arguments: &[&str]| {
        Command::new(context.cluster.tool(Tool::Kubectl))
            .env_clear()
            .env("PATH", directory.path())
            .env("KUBECONFIG", context.cluster.admin_kubeconfig())
            .args(arguments)
            .output()
    };
    let output = kubectl(&["logstream", "explain", "coder-alice-dev", "-n", context.namespace.name()])?;
    let stdout = String::from_utf8(output.stdout)?;
    ensure!(stdout.contains("🐳 Created pod: coder-alice-dev"), "{stdout}{}", String::from_utf8(output.stderr)?);
    let help = String::from_utf8(kubectl(&["logstream", "--help"])?.stdout)?;
    assert!(help.contains("Usage: kubectl logstream"), "{help}");
    Ok(())
}
