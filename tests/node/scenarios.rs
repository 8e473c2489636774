//! Pods that fail, each in its own way.

use logstream_testing::node;
use serde_json::{Value, json};

/// A pod and the lines that its owner must read.
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
    /// True if its first container ends repeatedly: no line may count more ends than there were.
    pub(crate) ends: bool,
    /// Maximum number of lines by the time all expected texts are there.
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
    all.extend(endings());
    all.extend(configuration());
    if node::has_registry() {
        all.extend(registries());
    }
    all
}

/// Containers that start, and their outcome.
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

/// Containers that end or are killed.
fn endings() -> Vec<Scenario> {
    let run = |command: Value| json!({ "containers": [{ "command": command }] });
    let shell = |script: &str| run(json!(["sh", "-c", script]));
    let full_disk = |volume: Value, resources: Value| {
        json!({
            "containers": [{
                "command": ["sh", "-c", "head -c 20000000 /dev/zero > /data/file; sleep 3600"],
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
                "resources": resources,
            }],
            "volumes": [{ "name": "data", "emptyDir": volume }],
        })
    };
    vec![
        Scenario::new("exit-0", shell("sleep 1"), &["exit code 0", "keeps running"]).ends(),
        Scenario::new("segfault", shell("sleep 1; sh -c 'kill -SEGV $$$$'; exit $?"), &["exit code 139"]).ends(),
        Scenario::new("not-executable", run(json!(["/etc/passwd"])), &["permission denied"]).ends(),
        Scenario::new(
            "init-out-of-memory",
            json!({
                "initContainers": [{ "name": "prepare", "image": node::IMAGE, "command": ["tail", "/dev/zero"],
                    "resources": { "limits": { "memory": "32Mi" } } }],
                "containers": [{ "command": ["sleep", "3600"] }],
            }),
            &["prepare", "OOMKilled", "32Mi"],
        ),
        Scenario::new(
            "startup",
            json!({ "containers": [{ "command": ["sleep", "3600"], "startupProbe": {
                "exec": { "command": ["cat", "/started"] }, "periodSeconds": 1, "failureThreshold": 2,
            } }] }),
            &["Startup probe failed"],
        ),
        Scenario::new(
            "liveness-http",
            json!({ "containers": [{ "command": ["sleep", "3600"], "livenessProbe": {
                "httpGet": { "port": 8080, "path": "/healthz" }, "periodSeconds": 1, "failureThreshold": 2,
            } }] }),
            &["Liveness probe failed", "connection refused"],
        ),
        Scenario::new("empty-dir-limit", full_disk(json!({ "sizeLimit": "1Mi" }), json!({})), &["Evicted", "EmptyDir"]),
        Scenario::new(
            "ephemeral-limit",
            full_disk(json!({}), json!({ "limits": { "ephemeral-storage": "1Mi" } })),
            &["Evicted", "ephemeral"],
        ),
    ]
}

/// Images of the node's local registries.
fn registries() -> Vec<Scenario> {
    let image = |host: &str, name: &str| json!({ "containers": [{ "image": format!("{host}/{name}"), "command": ["sleep", "3600"] }] });
    let published = |host: &str| image(host, node::PUBLISHED);
    let guess = &["must check its name and tag"];
    vec![
        Scenario::new("image-pulled", published("registry.test"), &["Successfully pulled image", "Container started"])
            .at_most(8),
        Scenario::new("image-not-found", image("registry.test", "tools/missing:1"), &["The image was not found"]),
        Scenario::new("image-tag-not-found", image("registry.test", "tools/busybox:2"), &["The image was not found"]),
        Scenario::new("image-private", published("private.test"), &["private.test", "login"]).without(guess),
        Scenario::new("image-untrusted", published("untrusted.test"), &["certificate"]).without(guess),
        Scenario::new("image-plain-http", published("plain.test"), &["HTTPS"]).without(guess),
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
