//! Workspaces as Coder's templates make them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::scenarios::{ANNOTATION, EVICT_AT, Scenario};

/// The Secret that [`Workspace::secret`] makes and [`Workspace::token_in_secret`] refers to has this key.
const SECRET_KEY: &str = "token";

/// A workspace, rendered as one object or another. Names and labels are those of Coder's kubernetes template.
#[derive(Debug, Clone)]
pub struct Workspace {
    namespace: String,
    owner: String,
    name: String,
    token: String,
    image: String,
    memory: String,
    scenario: Option<Scenario>,
    evict_at: Option<Timestamp>,
    init_image: Option<String>,
    secret: bool,
}

impl Workspace {
    /// A workspace with a token of its own, and an image that a scenario may or may not find.
    pub fn new(namespace: &str, owner: &str, name: &str, token: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            owner: owner.to_owned(),
            name: name.to_owned(),
            token: token.to_owned(),
            image: "ghcr.io/example/workspace:2026.11".to_owned(),
            memory: "512Mi".to_owned(),
            scenario: None,
            evict_at: None,
            init_image: None,
            secret: false,
        }
    }

    /// What happens to its pod. Without one the pod runs at once and silently.
    #[must_use]
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.scenario = Some(scenario);
        self
    }

    /// With [`Scenario::Evicted`]: how long from now its pod is evicted, to the second. Pods made later are left alone,
    /// so choose it long enough for the first pod to be there.
    #[must_use]
    pub fn evicted_after(mut self, time: Duration) -> Self {
        self.evict_at = Timestamp::now().checked_add(time).ok();
        self
    }

    /// The image of the agent's container.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// The memory limit of the agent's container.
    #[must_use]
    pub fn memory(mut self, limit: &str) -> Self {
        limit.clone_into(&mut self.memory);
        self
    }

    /// Adds an init container, which has no token.
    #[must_use]
    pub fn init_container(mut self, image: &str) -> Self {
        self.init_image = Some(image.to_owned());
        self
    }

    /// The token comes from a Secret, which [`Workspace::secret`] renders.
    #[must_use]
    pub fn token_in_secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// `coder-OWNER-NAME`, the name of whatever is rendered.
    pub fn object_name(&self) -> String {
        format!("coder-{}-{}", self.owner, self.name)
    }

    /// Its token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A Deployment, as of Coder's kubernetes template: labels on the Deployment and its pods, the owner's e-mail as an
    /// annotation of the Deployment alone.
    pub fn deployment(&self) -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self.metadata(&self.email()),
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": self.labels() },
                "strategy": { "type": "Recreate" },
                "template": self.template("Always"),
            },
        })
    }

    /// A bare pod, as of older templates.
    pub fn pod(&self) -> Value {
        let mut annotations = self.scenario_annotations();
        annotations.extend(self.email());
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self.metadata(&annotations),
            "spec": self.template("Always")["spec"],
        })
    }

    /// A StatefulSet of one pod.
    pub fn stateful_set(&self) -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": self.metadata(&self.email()),
            "spec": {
                "serviceName": self.object_name(),
                "replicas": 1,
                "selector": { "matchLabels": self.labels() },
                "template": self.template("Always"),
            },
        })
    }

    /// A Job of one pod.
    pub fn job(&self) -> Value {
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.metadata(&self.email()),
            "spec": { "backoffLimit": 0, "template": self.template("Never") },
        })
    }

    /// The Secret with the token, for [`Workspace::token_in_secret`].
    pub fn secret(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": self.object_name(), "namespace": self.namespace },
            "stringData": { SECRET_KEY: self.token },
        })
    }

    /// The labels of the template.
    pub fn labels(&self) -> Value {
        json!({
            "app.kubernetes.io/name": "coder-workspace",
            "app.kubernetes.io/instance": format!("coder-workspace-{}-{}", self.owner, self.name),
            "app.kubernetes.io/part-of": "coder",
            "com.coder.resource": "true",
            "com.coder.workspace.id": self.id("workspace"),
            "com.coder.workspace.name": self.name,
            "com.coder.user.id": self.id("user"),
            "com.coder.user.username": self.owner,
        })
    }

    fn metadata(&self, annotations: &Map<String, Value>) -> Value {
        json!({
            "name": self.object_name(),
            "namespace": self.namespace,
            "labels": self.labels(),
            "annotations": annotations,
        })
    }

    fn email(&self) -> Map<String, Value> {
        let mut annotations = Map::new();
        annotations.insert("com.coder.user.email".to_owned(), format!("{}@example.com", self.owner).into());
        annotations
    }

    fn scenario_annotations(&self) -> Map<String, Value> {
        let mut annotations = Map::new();
        if let Some(scenario) = self.scenario {
            annotations.insert(ANNOTATION.to_owned(), scenario.name().into());
        }
        if let Some(at) = self.evict_at {
            annotations.insert(EVICT_AT.to_owned(), at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
        }
        annotations
    }

    fn template(&self, restart_policy: &str) -> Value {
        let token = if self.secret {
            let reference = json!({ "name": self.object_name(), "key": SECRET_KEY });
            json!({ "name": "CODER_AGENT_TOKEN", "valueFrom": { "secretKeyRef": reference } })
        } else {
            json!({ "name": "CODER_AGENT_TOKEN", "value": self.token })
        };
        let mut spec = json!({
            "restartPolicy": restart_policy,
            "securityContext": { "runAsUser": 1000, "fsGroup": 1000, "runAsNonRoot": true },
            "containers": [{
                "name": "dev",
                "image": self.image,
                "imagePullPolicy": "Always",
                "command": ["sh", "-c", "exec ./agent"],
                "securityContext": { "runAsUser": 1000 },
                "env": [token],
                "resources": {
                    "requests": { "cpu": "250m", "memory": self.memory },
                    "limits": { "cpu": "2", "memory": self.memory },
                },
                "volumeMounts": [{ "name": "home", "mountPath": "/home/coder" }],
            }],
            "volumes": [{ "name": "home", "emptyDir": {} }],
        });
        if let Some(image) = &self.init_image {
            spec["initContainers"] =
                json!([{ "name": "prepare-home", "image": image, "command": ["sh", "-c", "true"] }]);
        }
        json!({
            "metadata": { "labels": self.labels(), "annotations": self.scenario_annotations() },
            "spec": spec,
        })
    }

    /// Stable, and of the form Coder's ids have.
    fn id(&self, what: &str) -> String {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(format!("{what}/{}/{}", self.owner, self.name));
        uuid::Uuid::from_slice(&digest[..16]).expect("16 bytes").to_string()
    }
}
