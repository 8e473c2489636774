use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::setting::ALL;
use super::*;
use crate::leader::Timing;
use crate::runtime::logging::LogFormat;

const URL: (&str, &str) = ("CODER_URL", "https://coder.example.com");

fn config(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let args = std::iter::once("coder-logstream-kube").chain(args.iter().copied());
    Config::new(args, &Environment::of(variables.iter().copied()))
}

/// For each setting, a valid value other than its default.
fn values(scratch: &Scratch) -> BTreeMap<&'static str, String> {
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    BTreeMap::from([
        ("coder-url", "http://other.example.com".to_owned()),
        ("kubeconfig", file(&scratch.certificate)),
        ("namespaces", "dev,ops".to_owned()),
        ("field-selector", "spec.nodeName!=node-1".to_owned()),
        ("label-selector", "app in (a,b)".to_owned()),
        ("node-events", "false".to_owned()),
        ("resolve-references", "false".to_owned()),
        ("webhook-addr", "0.0.0.0:10250".to_owned()),
        ("webhook-cert-mode", "self-managed".to_owned()),
        ("webhook-cert-dir", file(scratch.directory.path())),
        ("webhook-cert-secret", "webhook-cert".to_owned()),
        ("webhook-ca-lifetime", "2000h".to_owned()),
        ("webhook-cert-lifetime", "1000h".to_owned()),
        ("webhook-config-name", "logstream".to_owned()),
        ("webhook-service", "hook.coder".to_owned()),
        ("webhook-client-ca", file(&scratch.certificate)),
        ("webhook-names", "webhook.coder.svc,127.0.0.1".to_owned()),
        ("min-level", "warn".to_owned()),
        ("skip-reasons", "Pulling,Pulled".to_owned()),
        ("log-style", "plain".to_owned()),
        ("log-format", "json".to_owned()),
        ("log-level", "debug".to_owned()),
        ("metrics-addr", "127.0.0.1:2112".to_owned()),
        ("health-addr", "127.0.0.1:2113".to_owned()),
        ("shutdown-grace", "1m30s".to_owned()),
        ("state-namespace", "coder".to_owned()),
        ("state-name", "progress".to_owned()),
        ("lease-name", "logstream".to_owned()),
        ("lease-identity", "logstream-x7k2p".to_owned()),
        ("lease-duration", "30s".to_owned()),
        ("owner-deployment", "logstream".to_owned()),
    ])
}

struct Scratch {
    directory: tempfile::TempDir,
    certificate: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certificate = directory.path().join("ca.crt");
        let pem = rcgen::generate_simple_self_signed(["coder.example.com".to_owned()]).unwrap().cert.pem();
        std::fs::write(&certificate, pem).unwrap();
        Self { directory, certificate }
    }
}

fn expected(scratch: &Scratch, kubeconfig: &str) -> String {
    let file = scratch.certificate.display();
    format!(
        "coder_url=http://other.example.com/ kubeconfig={kubeconfig} namespaces=dev,ops \
         field_selector=spec.nodeName!=node-1 label_selector=app in (a,b) node_events=false resolve_references=false webhook_addr=0.0.0.0:10250 \
         webhook_cert_mode=self-managed webhook_cert_secret=coder/webhook-cert webhook_ca_lifetime=7200000s \
         webhook_cert_lifetime=3600000s webhook_config_name=logstream webhook_client_ca={file} \
         webhook_names=hook,hook.coder,hook.coder.svc,hook.coder.svc.cluster.local,webhook.coder.svc,127.0.0.1 \
         min_level=warn skip_reasons=Pulled,Pulling log_style=plain log_level=debug metrics_addr=127.0.0.1:2112 health_addr=127.0.0.1:2113 shutdown_grace=90s \
         state=coder/progress lease=coder/logstream lease_identity=logstream-x7k2p lease_duration=30s owner=coder/logstream"
    )
}

#[test]
fn every_setting_can_be_given_by_flag() {
    let scratch = Scratch::new();
    let values = values(&scratch);
    assert_eq!(values.len(), ALL.len());
    let args: Vec<String> = values.iter().map(|(flag, value)| format!("--{flag}={value}")).collect();
    let config = config(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[]).unwrap();
    assert_eq!(config.to_string(), expected(&scratch, scratch.certificate.to_str().unwrap()));
    assert_eq!(config.settings.log_format, LogFormat::Json);
    // No command line uses all of them.
    assert_eq!(config.warnings, ["--webhook-cert-dir has no effect with a self-managed certificate"]);
}

#[test]
fn a_directory_makes_the_certificate_a_mounted_one() {
    let scratch = Scratch::new();
    let directory = format!("--webhook-cert-dir={}", scratch.directory.path().display());
    let args = ["--webhook-addr=:10250", &directory, "--webhook-service=hook.coder", "--webhook-cert-lifetime=1h"];
    let config = config(&args, &[URL]).unwrap();
    let webhook = format!(
        "webhook_addr=[::]:10250 webhook_cert_mode=mounted webhook_cert_dir={} webhook_names=hook.coder.svc",
        scratch.directory.path().display()
    );
    assert_eq!(config.webhook.unwrap().to_string(), webhook);
    assert_eq!(config.warnings, ["--webhook-cert-lifetime has no effect with a mounted certificate"]);
}

#[test]
fn a_self_managed_certificate_is_kept_in_the_pods_own_namespace() {
    let args = ["--webhook-addr=:10250", "--webhook-config-name=hook", "--webhook-service=hook.of-service"];
    let namespace = |variables: &[(&str, &str)]| {
        let variables: Vec<_> = [URL].iter().chain(variables).copied().collect();
        match config(&args, &variables).unwrap().webhook.unwrap().certificate {
            CertMode::SelfManaged(kept) => format!("{}/{}", kept.namespace, kept.secret),
            CertMode::Mounted { .. } => panic!("is self-managed"),
        }
    };
    assert_eq!(namespace(&[]), "of-service/coder-logstream-kube-webhook");
    assert_eq!(namespace(&[("POD_NAMESPACE", "of-pod")]), "of-pod/coder-logstream-kube-webhook");
    let memory = [("POD_NAMESPACE", "of-pod"), ("CODER_LOGSTREAM_STATE_NAMESPACE", "")];
    assert_eq!(namespace(&memory), "of-pod/coder-logstream-kube-webhook");
    let state = [("POD_NAMESPACE", "of-pod"), ("CODER_LOGSTREAM_STATE_NAMESPACE", "of-state")];
    assert_eq!(namespace(&state), "of-state/coder-logstream-kube-webhook");
}

#[test]
fn every_setting_but_the_kubeconfig_can_be_given_by_each_of_its_variables() {
    let scratch = Scratch::new();
    let values = values(&scratch);
    for last in [false, true] {
        let variables: Vec<_> = ALL
            .iter()
            .filter_map(|setting| {
                let variable = if last { setting.variables.last() } else { setting.variables.first() };
                Some((*variable?, values[setting.flag].as_str()))
            })
            .collect();
        let config = config(&[], &variables).unwrap();
        assert_eq!(config.to_string(), expected(&scratch, "default"));
        assert_eq!(config.settings.log_format, LogFormat::Json);
    }
}

#[test]
fn the_address_of_coder_is_enough() {
    let config = config(&[], &[URL]).unwrap();
    assert_eq!(
        config.to_string(),
        "coder_url=https://coder.example.com/ kubeconfig=default namespaces=all field_selector=none \
         label_selector=none node_events=true resolve_references=true webhook_addr=off min_level=debug skip_reasons=none log_style=fancy log_level=info metrics_addr=off health_addr=[::]:8081 \
         shutdown_grace=20s state=memory lease=none owner=none"
    );
    assert_eq!(config.settings.log_format, LogFormat::Text);
}

#[test]
fn an_election_needs_a_checkpoint_and_a_lease_that_is_not_too_short() {
    let in_cluster = [URL, ("POD_NAMESPACE", "coder"), ("POD_NAME", "logstream-x7k2p")];
    let election = config(&["--lease-name=logstream"], &in_cluster).unwrap().election.unwrap();
    assert_eq!((&*election.namespace, &*election.name), ("coder", "logstream"));
    assert_eq!((election.identity.as_deref(), election.lease), (Some("logstream-x7k2p"), Timing::DEFAULT_LEASE));
    assert_eq!(config(&[], &in_cluster).unwrap().election, None);
    let problem = config(&["--lease-name=logstream"], &[URL]).unwrap_err().to_string();
    assert!(problem.contains("--state-namespace") && problem.contains("--lease-name"), "{problem}");
    let short = ["--lease-name=logstream", "--lease-duration=2s"];
    assert!(config(&short, &in_cluster).unwrap_err().to_string().contains("which is too short"));
}

#[test]
fn a_flag_comes_before_its_variable_and_the_last_flag_before_the_first() {
    let config = config(&["-n", "a", "--namespace", "b"], &[URL, ("CODER_NAMESPACES", "c")]).unwrap();
    assert_eq!(config.settings.namespaces.to_string(), "b");
}

#[test]
fn the_short_flags_of_the_predecessor_are_understood() {
    let config = config(&["-u", "https://a.example.com", "-n", "b", "-f", "spec.nodeName=c", "-l", "d"], &[]).unwrap();
    let shown = config.to_string();
    assert!(shown.starts_with("coder_url=https://a.example.com/ kubeconfig=default namespaces=b "), "{shown}");
    assert!(shown.contains("field_selector=spec.nodeName=c label_selector=d "), "{shown}");
}

#[test]
fn of_two_variables_for_namespaces_the_plural_counts_even_when_empty() {
    let both =
        |plural, singular| config(&[], &[URL, ("CODER_NAMESPACES", plural), ("CODER_NAMESPACE", singular)]).unwrap();
    assert_eq!(both("a", "b").settings.namespaces.to_string(), "a");
    assert_eq!(both("", "b").settings.namespaces, Namespaces::All);
    assert_eq!(both("a", "b").warnings, ["CODER_NAMESPACE differs from CODER_NAMESPACES and has no effect"]);
    assert_eq!(both("a", "a").warnings, [""; 0]);
}

#[test]
fn an_empty_value_switches_off_or_counts_as_unset() {
    let variables: Vec<_> = ALL.iter().flat_map(|setting| setting.variables).map(|name| (*name, "")).collect();
    let mut variables: Vec<_> = variables.into_iter().filter(|(name, _)| *name != URL.0).collect();
    variables.push(URL);
    let config = config(&[], &variables).unwrap();
    assert_eq!((config.settings.health_addr, config.state.is_none()), (None, true));
    assert_eq!(
        (config.settings.shutdown_grace, config.settings.log_format),
        (Duration::from_secs(20), LogFormat::Text)
    );
}

#[test]
fn progress_is_kept_in_the_pods_own_namespace() {
    let state = |environment: &Environment| {
        let state = Config::new(["program"], environment).unwrap().state;
        state.map(|state| format!("{}/{}", state.namespace, state.name))
    };
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("namespace");
    std::fs::write(&file, "from-file\n").unwrap();

    let pod = Environment::of([URL]).with_namespace_file(&file);
    assert_eq!(state(&pod).as_deref(), Some("from-file/coder-logstream-kube-progress"));
    let downward = Environment::of([URL, ("POD_NAMESPACE", "from-pod")]).with_namespace_file(&file);
    assert_eq!(state(&downward).as_deref(), Some("from-pod/coder-logstream-kube-progress"));
    let memory = Environment::of([URL, ("POD_NAMESPACE", "from-pod"), ("CODER_LOGSTREAM_STATE_NAMESPACE", "")]);
    assert_eq!(state(&memory), None);
}

#[test]
fn health_and_metrics_may_share_an_address() {
    let config = config(&["--metrics-addr=:8081"], &[URL]).unwrap();
    assert_eq!(config.settings.metrics_addr, config.settings.health_addr);
}

#[test]
fn certificates_for_coder_come_from_the_two_usual_variables() {
    let scratch = Scratch::new();
    let (file, directory) = (scratch.certificate.to_str().unwrap(), scratch.directory.path().to_str().unwrap());
    let config = config(&[], &[URL, ("SSL_CERT_FILE", file), ("SSL_CERT_DIR", directory)]).unwrap();
    let trust = Trust { file: Some(file.into()), directories: vec![directory.into()] };
    assert_eq!(config.coder_trust, trust);
}

#[test]
fn settings_without_effect_are_warned_about() {
    let args = ["--webhook-names=a.b", "--field-selector=involvedObject.kind=Pod"];
    assert_eq!(
        config(&args, &[URL]).unwrap().warnings,
        [
            "--field-selector uses involvedObject.kind, which pods of Kubernetes 1.37 cannot be selected by",
            "--webhook-names has no effect without --webhook-addr",
        ]
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of every setting's sentences")]
fn an_error_names_the_setting_the_value_and_the_accepted_values() {
    let address =
        "expected an IP address with a port such as 127.0.0.1:8081, :PORT for all addresses, or empty for off";
    for (flag, value, sentence) in [
        (
            "coder-url",
            "coder.example.com",
            r#"is "coder.example.com", which does not start with http:// or https://; expected an http or https URL such as https://coder.example.com, without user, password, query or fragment"#,
        ),
        (
            "namespaces",
            "dev,Ops",
            r#"is "dev,Ops", where a name contains 'O'; expected a list of namespaces separated by commas, each of at most 63 of a-z, 0-9 and -, or nothing for all namespaces"#,
        ),
        (
            "field-selector",
            "spec.nodeName",
            r#"is "spec.nodeName", where "spec.nodeName" has no =, == or !=; expected a list of FIELD=VALUE, FIELD==VALUE or FIELD!=VALUE separated by commas, such as spec.nodeName!=node-1"#,
        ),
        (
            "label-selector",
            "app in a",
            r#"is "app in a", where in or notin has no ( after it; expected a label selector of Kubernetes, such as app=coder,tier in (a,b),!legacy"#,
        ),
        ("webhook-addr", "10250", &format!(r#"is "10250", which has no port; {address}"#)),
        (
            "webhook-cert-dir",
            "/does/not/exist",
            r#"is "/does/not/exist", which cannot be read (No such file or directory (os error 2)); expected a directory that holds tls.crt and tls.key"#,
        ),
        ("webhook-cert-mode", "auto", r#"is "auto", which is not a mode; expected self-managed or mounted"#),
        (
            "webhook-cert-lifetime",
            "30d",
            r#"is "30d", which is not a duration; expected a duration from 5s to 175200h such as 720h"#,
        ),
        (
            "webhook-service",
            "hook",
            r#"is "hook", which has no dot; expected the name and the namespace of a Service with a dot between, such as coder-logstream-kube.coder"#,
        ),
        (
            "webhook-config-name",
            "a:b",
            r#"is "a:b", where a name contains ':'; expected the name of a MutatingWebhookConfiguration, of at most 253 of a-z, 0-9, - and ."#,
        ),
        (
            "webhook-client-ca",
            "/dev/null",
            r#"is "/dev/null", which contains no certificate; expected a file of one or more certificates in PEM"#,
        ),
        (
            "webhook-names",
            "a b",
            r#"is "a b", where "a b" is neither a DNS name nor an IP address; expected a list of DNS names and IP addresses separated by commas"#,
        ),
        ("resolve-references", "no", r#"is "no", which is neither true nor false; expected true or false"#),
        ("log-format", "xml", r#"is "xml", which is not a format; expected text or json"#),
        (
            "log-level",
            "loud",
            r#"is "loud", where "loud" is not a level; expected off, error, warn, info, debug or trace, and MODULE=LEVEL, separated by commas, such as info,kube_client=debug"#,
        ),
        (
            "metrics-addr",
            "example.com:1",
            &format!(r#"is "example.com:1", which does not start with an IP address; {address}"#),
        ),
        ("health-addr", ":x", &format!(r#"is ":x", where the port is not a number from 0 to 65535; {address}"#)),
        (
            "shutdown-grace",
            "20",
            r#"is "20", which is not a duration; expected a duration from 0s to 10m such as 20s or 1m30s"#,
        ),
        (
            "state-namespace",
            "A",
            r#"is "A", where a name contains 'A'; expected a namespace of at most 63 of a-z, 0-9 and -, or empty for no checkpoint"#,
        ),
        (
            "state-name",
            "a_b",
            r#"is "a_b", where a name contains '_'; expected the name of a ConfigMap, of at most 253 of a-z, 0-9, - and ."#,
        ),
    ] {
        let by_flag = config(&[&format!("--{flag}={value}")], &[URL]).unwrap_err();
        assert_eq!(by_flag, ConfigError::Wrong(format!("--{flag} {sentence}")));
        assert_eq!(by_flag.exit_code(), 2);

        let setting = ALL.iter().find(|setting| setting.flag == flag).unwrap();
        for variable in setting.variables {
            let others = [URL].into_iter().filter(|(name, _)| name != variable);
            let variables: Vec<_> = others.chain([(*variable, value)]).collect();
            let by_variable = config(&[], &variables).unwrap_err();
            assert_eq!(by_variable, ConfigError::Wrong(format!("--{flag} (from {variable}) {sentence}")));
        }
    }
}

#[test]
fn a_conflict_of_settings_is_one_sentence() {
    let scratch = Scratch::new();
    let directory = format!("--webhook-cert-dir={}", scratch.directory.path().display());
    let kubeconfig = "is \"/does/not/exist\", which cannot be read (No such file or directory (os error 2)); expected \
                      the path of a kubeconfig file";
    for (args, variables, sentence) in [
        (vec![], vec![], "--coder-url (or CODER_URL) is required: an http or https URL such as https://coder.example.com, without user, password, query or fragment".to_owned()),
        (vec!["-k", "/does/not/exist"], vec![URL], format!("--kubeconfig {kubeconfig}")),
        (vec!["--webhook-addr=:10250"], vec![URL], "--webhook-service (or CODER_LOGSTREAM_WEBHOOK_SERVICE) or --webhook-names is required with a self-managed certificate: the name and the namespace of a Service with a dot between, such as coder-logstream-kube.coder".to_owned()),
        (vec!["--webhook-addr=:10250", "--webhook-service=a.b"], vec![URL], "--webhook-config-name (or CODER_LOGSTREAM_WEBHOOK_CONFIG_NAME) is required with a self-managed certificate: the name of a MutatingWebhookConfiguration, of at most 253 of a-z, 0-9, - and .".to_owned()),
        (vec!["--webhook-addr=:10250", "--webhook-names=a.b", "--webhook-config-name=c"], vec![URL], "--state-namespace (or CODER_LOGSTREAM_STATE_NAMESPACE or POD_NAMESPACE) is required with a self-managed certificate: a namespace of at most 63 of a-z, 0-9 and -, or empty for no checkpoint".to_owned()),
        (vec!["--webhook-addr=:10250", "--webhook-service=a.b", "--webhook-config-name=c", "--webhook-ca-lifetime=1h"], vec![URL], "--webhook-cert-lifetime is 2592000s and --webhook-ca-lifetime is 3600s; no certificate outlives its CA".to_owned()),
        (vec!["--webhook-addr=:10250", "--webhook-cert-mode=mounted"], vec![URL], "--webhook-cert-dir (or CODER_LOGSTREAM_WEBHOOK_CERT_DIR) is required with a mounted certificate: a directory that holds tls.crt and tls.key".to_owned()),
        (vec!["--webhook-addr=0.0.0.0:8081", &directory], vec![URL], "--webhook-addr is 0.0.0.0:8081 and --health-addr is [::]:8081, which cannot both be listened on; one of them needs another port".to_owned()),
        (vec!["--metrics-addr=127.0.0.1:8081"], vec![URL], "--metrics-addr is 127.0.0.1:8081 and --health-addr is [::]:8081, which cannot both be listened on; give both the same address or one of them another port".to_owned()),
        (vec![], vec![URL, ("SSL_CERT_FILE", "/dev/null")], "SSL_CERT_FILE is \"/dev/null\", which contains no certificate; expected a file of one or more certificates in PEM".to_owned()),
        (vec![], vec![URL, ("SSL_CERT_DIR", "/does/not/exist")], "SSL_CERT_DIR is \"/does/not/exist\", where no directory exists; expected a directory, or several separated by colons".to_owned()),
    ] {
        assert_eq!(config(&args, &variables).unwrap_err(), ConfigError::Wrong(sentence));
    }
}

#[test]
fn a_command_line_that_cannot_be_read_is_one_sentence_without_values() {
    for (args, sentence) in [
        (
            vec!["--coder-ulr=https://u:secret@h"],
            "--coder-ulr is not a flag of this program; did you mean --coder-url?",
        ),
        (vec!["--frobnicate"], "--frobnicate is not a flag of this program; --help lists the flags"),
        (vec!["-x"], "-x is not a flag of this program; --help lists the flags"),
        (vec!["https://u:secret@h"], "there is a value without a flag; --help lists the flags"),
        (vec!["--coder-url"], "--coder-url needs a value; --help says which"),
        (vec!["--log-level", "--help"], "--log-level needs a value; --help says which"),
    ] {
        assert_eq!(config(&args, &[]).unwrap_err(), ConfigError::Wrong(sentence.to_owned()));
    }
}

#[test]
fn a_password_in_the_address_of_coder_is_never_repeated() {
    for value in ["https://u:secret@coder.example.com", "u:secret@coder", "https://u:se/cret@coder", "ftp://secret@h"] {
        for error in [config(&["-u", value], &[]), config(&[], &[("CODER_URL", value)])].map(Result::unwrap_err) {
            assert!(!error.to_string().contains("cret") && error.to_string().contains("***"), "{error}");
        }
    }
    for setting in ALL {
        let elsewhere = config(&[&format!("--{}=https://u:hunter2@h", setting.flag)], &[URL]).unwrap_err();
        assert!(!elsewhere.to_string().contains("hunter2"), "{elsewhere}");
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let environment = Environment::of([("CODER_URL", OsString::from_vec(vec![0xff]))]);
    let error = Config::new(["program"], &environment).unwrap_err();
    assert!(error.to_string().starts_with("--coder-url (from CODER_URL) is not shown, which is not valid UTF-8; "));
}

#[test]
fn help_has_every_flag_variable_and_heading() {
    for flag in ["--help", "-h"] {
        let Err(ConfigError::Asked(help)) = config(&[flag], &[("CODER_URL", "https://u:hunter2@h")]) else {
            panic!("help was not shown")
        };
        for heading in ["Coder:", "Kubernetes:", "Webhook:", "Lines:", "Running:"] {
            assert!(help.contains(&format!("\n{heading}\n")), "{heading} is missing in {help}");
        }
        for setting in ALL {
            assert!(help.contains(&format!("--{} <", setting.flag)), "{} is missing in {help}", setting.flag);
        }
        let words: Vec<&str> = help.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
        let variables = ALL.iter().flat_map(|setting| setting.variables.iter().copied());
        for variable in variables.chain(["SSL_CERT_FILE", "SSL_CERT_DIR", "KUBECONFIG"]) {
            assert!(words.contains(&variable), "{variable} is missing in {help}");
        }
        assert!(!help.contains("hunter2"));
    }
}

#[test]
fn every_flag_is_a_setting_with_its_default_in_a_full_sentence() {
    command().debug_assert();
    for arg in command().get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
        let flag = arg.get_long().unwrap();
        assert!(ALL.iter().any(|setting| setting.flag == flag), "{flag} is no setting");
        assert!(arg.get_help_heading().is_some(), "{flag} has no heading");
        let help = arg.get_help().unwrap().to_string();
        let says_default =
            ["Default: ", "Default, ", "Required.", "no default"].iter().any(|words| help.contains(words));
        assert!(says_default && help.contains(". "), "{flag}: {help}");
    }
}

#[test]
fn the_version_is_shown_on_demand() {
    let shown = config(&["--version"], &[]).unwrap_err();
    assert_eq!(shown, ConfigError::Asked(format!("coder-logstream-kube {}\n", env!("CARGO_PKG_VERSION"))));
    assert_eq!(shown.exit_code(), 0);
}
