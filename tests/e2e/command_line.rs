//! The command line: flags, errors, help and exit codes. Needs no cluster.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use logstream_testing::{
    Product, poll, ports,
    process::{Output, Process, Start},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, PROGRAM};

/// Deadline for a program that ends at once, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(20);

const URL: (&str, &str) = ("CODER_URL", "http://127.0.0.1:9");

/// Exit code and output of a program.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program until it ends.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ended> {
    let directory = TempDir::new()?;
    let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
    let environment: Vec<_> = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let start = Start {
        program: Path::new(PROGRAM),
        arguments: &arguments,
        environment: &environment,
        directory: directory.path(),
    };
    let mut process = Process::start(&start, &Output::Pipes)?;
    let (mut out, mut err) = process.take_pipes().context("the pipes are ours")?;
    let ended = poll::until("the program ends", AT_ONCE, || process.ended());
    process.kill();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    out.read_to_string(&mut stdout)?;
    err.read_to_string(&mut stderr)?;
    let status = ended.with_context(|| format!("{arguments:?} {environment:?}: {stderr}"))?;
    Ok(Ended { code: status.code(), stdout, stderr })
}

/// Asserts exit code 2 and one error line with all of these texts.
#[track_caller]
fn assert_refused(arguments: &[&str], environment: &[(&str, &str)], parts: &[&str]) {
    let ended = run(arguments, environment).expect("it runs");
    let Ended { code, stdout, stderr } = &ended;
    assert_eq!((*code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("coder-logstream-kube: ") && stderr.ends_with('\n'), "{stderr}");
    for text in parts {
        assert!(stderr.contains(text), "{text:?} is not in: {stderr}");
    }
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn an_invalid_value_exits_2_and_names_the_accepted_values() {
    for (flag, value, accepted) in [
        ("--coder-url", "coder.example.com", "expected an http or https URL"),
        ("--coder-url", "ftp://coder.example.com", "expected an http or https URL"),
        ("--kubeconfig", "/does/not/exist", "expected the path of a kubeconfig file"),
        ("--namespaces", "dev,Ops", "expected a list of namespaces"),
        ("--field-selector", "spec.nodeName", "expected a list of FIELD=VALUE"),
        ("--label-selector", "app in a", "expected a label selector"),
        ("--webhook-addr", "10250", "expected an IP address with a port"),
        ("--webhook-cert-dir", "/does/not/exist", "expected a directory"),
        ("--webhook-client-ca", "/dev/null", "expected a file of one or more certificates"),
        ("--webhook-names", "a b", "expected a list of DNS names and IP addresses"),
        ("--log-format", "xml", "expected text or json"),
        ("--log-level", "loud", "expected off, error, warn, info, debug or trace"),
        ("--metrics-addr", "example.com:1", "expected an IP address with a port"),
        ("--health-addr", ":x", "expected an IP address with a port"),
        ("--shutdown-grace", "20", "expected a duration"),
        ("--state-namespace", "A", "expected a namespace"),
        ("--state-name", "a_b", "expected the name of a ConfigMap"),
        ("--owner-deployment", "a_b", "expected the name of a Deployment"),
    ] {
        assert_refused(&[&format!("{flag}={value}")], &[URL], &[&format!("{flag} is \"{value}\""), accepted]);
    }
}

#[test]
fn an_invalid_variable_is_named_with_its_flag() {
    for (variable, value, named) in [
        ("CODER_URL", "coder", "--coder-url (from CODER_URL)"),
        ("CODER_NAMESPACE", "A", "--namespaces (from CODER_NAMESPACE)"),
        ("CODER_NAMESPACES", "A", "--namespaces (from CODER_NAMESPACES)"),
        ("CODER_FIELD_SELECTOR", "a", "--field-selector (from CODER_FIELD_SELECTOR)"),
        ("CODER_LABEL_SELECTOR", "a in", "--label-selector (from CODER_LABEL_SELECTOR)"),
        ("CODER_LOGSTREAM_METRICS_ADDR", "a", "--metrics-addr (from CODER_LOGSTREAM_METRICS_ADDR)"),
        ("SSL_CERT_FILE", "/dev/null", "SSL_CERT_FILE"),
        ("SSL_CERT_DIR", "/does/not/exist", "SSL_CERT_DIR"),
    ] {
        let others = [URL].into_iter().filter(|(name, _)| *name != variable);
        let environment: Vec<_> = others.chain([(variable, value)]).collect();
        assert_refused(&[], &environment, &[&format!("{named} is \"{value}\""), "expected "]);
    }
}

#[test]
fn missing_unknown_and_secret_arguments_are_one_line_errors() {
    assert_refused(&[], &[], &["--coder-url (or CODER_URL) is required", "an http or https URL"]);
    assert_refused(&["--coder-ulr=x"], &[URL], &["--coder-ulr is not a flag", "did you mean --coder-url?"]);
    assert_refused(&["--frobnicate"], &[URL], &["--frobnicate is not a flag"]);
    assert_refused(&["hunter2"], &[URL], &["a value without a flag"]);
    assert_refused(&["--namespaces"], &[URL], &["--namespaces needs a value"]);
    assert_refused(&["-u", "https://user:hunter2@coder.example.com"], &[], &["--coder-url", "***"]);
    let same = ["--metrics-addr=127.0.0.1:8081", "--health-addr=:8081"];
    assert_refused(&same, &[URL], &["--metrics-addr is 127.0.0.1:8081", "--health-addr"]);
}

/// A kubeconfig of an API server that does not exist.
struct Nowhere {
    directory: TempDir,
    kubeconfig: PathBuf,
}

impl Nowhere {
    fn new() -> Result<Self> {
        let directory = TempDir::new()?;
        let kubeconfig = directory.path().join("kubeconfig");
        let document = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{ "name": "a", "cluster": { "server": format!("https://{}", ports::free()) } }],
            "users": [{ "name": "a", "user": {} }],
            "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
        });
        fs::write(&kubeconfig, document.to_string())?;
        Ok(Self { directory, kubeconfig })
    }

    fn flag(&self) -> String {
        format!("--kubeconfig={}", self.kubeconfig.display())
    }
}

/// Asserts exit code 2 and one log line above level INFO, with all of these texts.
#[track_caller]
fn assert_not_begun(arguments: &[&str], line: &[&str]) {
    let ended = run(arguments, &[URL]).expect("it runs");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
    let errors: Vec<_> = ended.stderr.lines().filter(|line| !line.contains(" INFO ")).collect();
    let [error] = errors[..] else { panic!("not one line: {ended:?}") };
    for text in line {
        assert!(error.contains(text), "{text:?} is not in: {error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_port_in_use_exits_2_with_a_one_line_error() -> Result<()> {
    let nowhere = Nowhere::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let kubeconfig = nowhere.flag();
    for flag in ["--health-addr", "--metrics-addr"] {
        let free = format!("{}={}", if flag == "--health-addr" { "--metrics-addr" } else { "--health-addr" }, "");
        let expected = [flag, &address, "something else listens there already"];
        assert_not_begun(&[&kubeconfig, &free, &format!("{flag}={address}")], &expected);
    }
    let directory = format!("--webhook-cert-dir={}", nowhere.directory.path().display());
    let webhook = format!("--webhook-addr={address}");
    assert_not_begun(&[&kubeconfig, "--health-addr=", &directory, &webhook], &["--webhook-addr", &address]);
    Ok(())
}

#[test]
fn an_unusable_kubeconfig_exits_2_with_a_one_line_error() -> Result<()> {
    let nowhere = Nowhere::new()?;
    for (text, problem) in [
        ("]", "line 1, column 1"),
        ("users:\n- name: a\n  user: hunter2\n", "line 3"),
        ("{}", "current context"),
        (r#"{"apiVersion":"v1","kind":"Config","current-context":"b"}"#, "no context b"),
    ] {
        fs::write(&nowhere.kubeconfig, text)?;
        assert_not_begun(&[&nowhere.flag(), "--health-addr="], &["--kubeconfig", "cannot use the kubeconfig", problem]);
    }
    // A missing kubeconfig cannot be used either.
    fs::remove_file(&nowhere.kubeconfig)?;
    let home = nowhere.directory.path().display().to_string();
    let ended = run(&["--health-addr="], &[URL, ("HOME", &home)])?;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--kubeconfig selects another") && ended.stderr.contains(&home), "{ended:?}");
    Ok(())
}

#[test]
fn the_help_lists_every_flag_in_its_group_with_its_variable() -> Result<()> {
    for flag in ["--help", "-h"] {
        let ended = run(&[flag], &[])?;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let help = ended.stdout;
        let groups = ["Coder:", "Kubernetes:", "Webhook:", "Running:"];
        let places: Vec<_> = groups.iter().map(|group| help.find(&format!("\n{group}\n"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {help}");
        for (group, flag, variable) in [
            (0, "-u, --coder-url <URL>", "CODER_URL"),
            (1, "-k, --kubeconfig <FILE>", "KUBECONFIG"),
            (1, "-n, --namespaces <LIST>", "CODER_NAMESPACES, CODER_NAMESPACE"),
            (1, "-f, --field-selector <SELECTOR>", "CODER_FIELD_SELECTOR"),
            (1, "-l, --label-selector <SELECTOR>", "CODER_LABEL_SELECTOR"),
            (1, "--resolve-references <BOOL>", "CODER_LOGSTREAM_RESOLVE_REFERENCES"),
            (2, "--webhook-addr <ADDRESS>", "CODER_LOGSTREAM_WEBHOOK_ADDR"),
            (2, "--webhook-cert-dir <DIRECTORY>", "CODER_LOGSTREAM_WEBHOOK_CERT_DIR"),
            (2, "--webhook-client-ca <FILE>", "CODER_LOGSTREAM_WEBHOOK_CLIENT_CA"),
            (2, "--webhook-names <LIST>", "CODER_LOGSTREAM_WEBHOOK_NAMES"),
            (3, "--log-format <FORMAT>", "CODER_LOGSTREAM_LOG_FORMAT"),
            (3, "--log-level <LEVEL>", "CODER_LOGSTREAM_LOG"),
            (3, "--metrics-addr <ADDRESS>", "CODER_LOGSTREAM_METRICS_ADDR"),
            (3, "--health-addr <ADDRESS>", "CODER_LOGSTREAM_HEALTH_ADDR"),
            (3, "--shutdown-grace <DURATION>", "CODER_LOGSTREAM_SHUTDOWN_GRACE"),
            (3, "--state-namespace <NAMESPACE>", "CODER_LOGSTREAM_STATE_NAMESPACE"),
            (3, "--state-name <NAME>", "CODER_LOGSTREAM_STATE_NAME"),
            (3, "--owner-deployment <NAME>", "CODER_LOGSTREAM_OWNER_DEPLOYMENT"),
        ] {
            let end = places.get(group + 1).copied().flatten().unwrap_or(help.len());
            let of_group = &help[places[group].unwrap_or_default()..end];
            assert!(of_group.contains(flag), "{flag} is not in {of_group}");
            // The help is wrapped, also within brackets.
            let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(variable), "{variable} is not in {help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
    Ok(())
}

#[test]
fn the_version_is_one_line() -> Result<()> {
    let ended = run(&["--version"], &[])?;
    let expected = format!("coder-logstream-kube {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((ended.code, ended.stdout, ended.stderr), (Some(0), expected, String::new()));
    Ok(())
}

/// Starts the program with neither Coder nor a cluster.
fn alone(nowhere: &Nowhere, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(Product, SocketAddr)> {
    let health = ports::free();
    let mut product = Product::builder(PROGRAM)
        .arg(nowhere.flag())
        .arg(format!("--health-addr={health}"))
        .args(arguments.iter().copied());
    for (name, value) in environment {
        product = product.env(*name, *value);
    }
    let mut product = product.start()?;
    poll::until("the program has tried to reach Coder", AT_ONCE, || {
        (product.output().contains("Coder does not answer") || product.ended().is_some()).then_some(())
    })?;
    ensure!(product.ended().is_none(), "{}", product.output());
    Ok((product, health))
}

#[test]
fn the_predecessors_environment_variables_work() -> Result<()> {
    let environment = [
        URL,
        ("CODER_NAMESPACE", "team-a,team-b"),
        ("CODER_FIELD_SELECTOR", "spec.nodeName!=node-9"),
        ("CODER_LABEL_SELECTOR", "app=coder"),
    ];
    let (mut product, _) = alone(&Nowhere::new()?, &[], &environment)?;
    let output = product.output();
    let starting = output.lines().find(|line| line.contains("starting")).context("the settings are logged")?;
    for text in [
        "coder_url=http://127.0.0.1:9/",
        "namespaces=team-a,team-b",
        "field_selector=spec.nodeName!=node-9",
        "label_selector=app=coder",
    ] {
        assert!(starting.contains(text), "{text} is not in {starting}");
    }
    let (status, _) = product.sigterm_and_wait(AT_ONCE)?;
    assert_eq!(status.code(), Some(0), "{}", product.output());
    Ok(())
}

#[test]
fn json_logging_writes_one_object_per_line() -> Result<()> {
    let (mut product, _) = alone(&Nowhere::new()?, &["--log-format=json"], &[URL])?;
    let (status, _) = product.sigterm_and_wait(AT_ONCE)?;
    assert_eq!(status.code(), Some(0), "{}", product.output());
    let output = product.output();
    assert!(output.lines().count() >= 3, "{output}");
    for line in output.lines() {
        let entry: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        for key in ["timestamp", "level", "target", "message"] {
            assert!(entry[key].is_string(), "{key} is not in {line}");
        }
    }
    Ok(())
}

#[test]
fn ctrl_c_shuts_down_cleanly() -> Result<()> {
    let (mut product, _) = alone(&Nowhere::new()?, &[], &[URL])?;
    let interrupt = format!("kill -INT {}", product.pid());
    ensure!(Command::new("/bin/sh").args(["-c", &interrupt]).status()?.success(), "no signal was sent");
    let status = poll::until("the program ends", AT_ONCE, || product.ended())?;
    assert_eq!(status.code(), Some(0), "{}", product.output());
    assert!(product.output().contains("SIGINT"), "{}", product.output());
    Ok(())
}

#[tokio::test]
async fn readyz_reports_a_missing_cluster_and_certificate() -> Result<()> {
    let nowhere = Nowhere::new()?;
    let webhook = format!("--webhook-addr={}", ports::free());
    let directory = format!("--webhook-cert-dir={}", nowhere.directory.path().display());
    let (product, health) = alone(&nowhere, &[&webhook, &directory], &[URL])?;
    assert_eq!(product.get(&format!("http://{health}/livez")).await?, (200, "ok\n".to_owned()));
    poll::eventually("both are reported", PATIENCE, || async {
        let (status, body) = product.get(&format!("http://{health}/readyz?verbose")).await?;
        let parts = ["[+]shutdown ok", "[-]certificate failed: ", "[-]watch failed: ", "readyz check failed"];
        ensure!(status == 503 && parts.iter().all(|text| body.contains(text)), "{status} {body}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}
