//! Pods that fail, each in its own way.

use serde_json::{Value, json};

/// A pod and what its owner must read.
pub(crate) struct Scenario {
    /// Name of the pod.
    pub(crate) name: &'static str,
    /// Its spec. Image, token and placement are filled in.
    pub(crate) spec: Value,
    /// Its tolerations.
    pub(crate) tolerations: Value,
    /// Texts that must be in its lines.
    pub(crate) expected: &'static [&'static str],
    /// Texts that must not be in any of its lines.
    pub(crate) unexpected: &'static [&'static str],
    /// Its first container ends again and again: no line may count more ends than there were.
    pub(crate) ends: bool,
    /// Maximum number of lines by the time that all expected texts are there.
    pub(crate) most_lines: usize,
}

impl Scenario {
    pub(crate) fn new(name: &'static str, spec: Value, expected: &'static [&'static str]) -> Self {
        Self {
            name,
            spec,
            tolerations: json!([{ "operator": "Exists" }]),
            expected,
            unexpected: &[],
            ends: false,
            most_lines: 20,
        }
    }

    fn ends(self) -> Self {
        Self { ends: true, ..self }
    }

    fn without(self, unexpected: &'static [&'static str]) -> Self {
        Self { unexpected, ..self }
    }

    fn at_most(self, most_lines: usize) -> Self {
        Self { most_lines, ..self }
    }
}

/// All scenarios.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = containers();
    all.extend(configuration());
    all
}

/// Containers that start, and what becomes of them.
fn containers() -> Vec<Scenario> {
    let run = |command: Value| json!({ "containers": [{ "command": command }] });
    let shell = |script: &str| run(json!(["sh", "-c", script]));
    let probe = |kind: &str| {
        json!({ "containers": [{ "command": ["sleep", "3600"], kind: {
            "exec": { "command": ["sh", "-c", "echo no agent >&2; exit 1"] }, "periodSeconds": 2, "failureThreshold": 2,
        } }] })
    };
    let limited = |command: Value| json!({ "containers": [{ "command": command, "resources": { "limits": { "memory": "32Mi" } } }] });
    vec![
        Scenario::new("normal", run(json!(["sleep", "3600"])), &["Created pod", "Container started"]).at_most(8),
        Scenario::new("out-of-memory", limited(json!(["tail", "/dev/zero"])), &["OOMKilled", "32Mi", "(x"]).ends(),
        Scenario::new("exit-1", shell("sleep 1; exit 1"), &["exit code 1", "(x"]).ends(),
        Scenario::new("exit-127", shell("no-such-command"), &["exit code 127"]).ends(),
        Scenario::new(
            "last-words",
            shell("echo cannot reach coder > /dev/termination-log; exit 5"),
            &["exit code 5", "cannot reach coder"],
        )
        .ends(),
        Scenario::new("no-command", run(json!(["/no/such/file"])), &["no such file or directory"]).ends(),
        Scenario::new("liveness", probe("livenessProbe"), &["Liveness probe failed", "no agent"]),
        Scenario::new("readiness", probe("readinessProbe"), &["Readiness probe failed"]).at_most(12),
        Scenario::new(
            "init-fails",
            json!({
                "initContainers": [{ "name": "prepare", "image": logstream_testing::node::IMAGE,
                    "command": ["sh", "-c", "exit 3"] }],
                "containers": [{ "command": ["sleep", "3600"] }],
            }),
            &["prepare", "exit code 3"],
        ),
        Scenario::new(
            "post-start",
            json!({ "containers": [{ "command": ["sleep", "3600"],
            "lifecycle": { "postStart": { "exec": { "command": ["sh", "-c", "exit 3"] } } } }] }),
            &["PostStartHook"],
        ),
        Scenario::new(
            "deadline",
            json!({ "activeDeadlineSeconds": 3, "containers": [{ "command": ["sleep", "3600"] }] }),
            &["DeadlineExceeded"],
        ),
        Scenario::new(
            "once",
            json!({ "restartPolicy": "Never", "containers": [{ "command": ["sh", "-c", "exit 7"] }] }),
            &["exit code 7"],
        )
        .at_most(12),
    ]
}

/// Pods whose containers cannot start.
fn configuration() -> Vec<Scenario> {
    let env = |kind: &str, name: &str| json!({ "containers": [{ "command": ["sleep", "3600"], "envFrom": [{ kind: { "name": name } }] }] });
    let volume = |source: Value| {
        let mut volume = json!({ "name": "data" });
        for (key, value) in source.as_object().into_iter().flatten() {
            volume[key] = value.clone();
        }
        json!({
            "containers": [{ "command": ["sleep", "3600"], "volumeMounts": [{ "name": "data", "mountPath": "/data" }] }],
            "volumes": [volume],
        })
    };
    vec![
        Scenario::new("secret-missing", env("secretRef", "workspace-env"), &["workspace-env", "not found"]).at_most(8),
        Scenario::new("configmap-missing", env("configMapRef", "settings"), &["settings", "not found"]).at_most(8),
        Scenario::new(
            "volume-secret",
            volume(json!({ "secret": { "secretName": "files" } })),
            &["FailedMount", "files"],
        )
        .at_most(8),
        Scenario::new(
            "volume-host-path",
            volume(json!({ "hostPath": { "path": "/no/such", "type": "Directory" } })),
            &["FailedMount"],
        )
        .at_most(8),
        Scenario::new(
            "runs-as-root",
            json!({ "containers": [{ "command": ["sleep", "3600"],
            "securityContext": { "runAsNonRoot": true } }] }),
            &["runAsNonRoot"],
        )
        .without(&["Secret or a ConfigMap"]),
        Scenario::new(
            "image-missing",
            json!({ "containers": [{ "image": "registry.invalid/team/missing:1" }] }),
            &["registry.invalid/team/missing:1"],
        )
        .without(&["Check its name and tag"]),
        Scenario::new(
            "image-never",
            json!({ "containers": [{ "image": "registry.invalid/team/never:1",
            "imagePullPolicy": "Never" }] }),
            &["registry.invalid/team/never:1"],
        ),
        Scenario::new(
            "image-name",
            json!({ "containers": [{ "image": "registry.invalid/Team/upper:1" }] }),
            &["InvalidImageName"],
        ),
        Scenario::new(
            "too-large",
            json!({ "containers": [{ "command": ["sleep", "3600"],
            "resources": { "requests": { "cpu": "640" } } }] }),
            &["Insufficient cpu"],
        )
        .at_most(6),
    ]
}
