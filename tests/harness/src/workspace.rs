//! Workspaces as created by Coder's templates.

mod place;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use place::Place;

use crate::scenarios::{ANNOTATION, EVICT_AT, Scenario};

/// Builder of a workspace's objects. Names and labels are those of Coder's kubernetes template.
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
    place: Place,
    agent_in_init: bool,
    more: Vec<(String, String)>,
    labelled: bool,
    service_account: Option<String>,
}

impl Workspace {
    /// A workspace with this token and a default image.
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
            place: Place::default(),
            agent_in_init: false,
            more: Vec::new(),
            labelled: true,
            service_account: None,
        }
    }

    /// Sets its pod's scenario. Without one the pod runs at once, without Events.
    #[must_use]
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.scenario = Some(scenario);
        self
    }

    /// With [`Scenario::Evicted`]: evicts its pod after `time` from now, to the second. Pods created later stay, so it
    /// must be long enough for the first pod to be created.
    #[must_use]
    pub fn evicted_after(mut self, time: Duration) -> Self {
        self.evict_at = Timestamp::now().checked_add(time).ok();
        self
    }

    /// Sets the image of the agent's container.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// Sets the memory limit of the agent's container.
    #[must_use]
    pub fn memory(mut self, limit: &str) -> Self {
        limit.clone_into(&mut self.memory);
        self
    }

    /// Adds an init container without a token.
    #[must_use]
    pub fn init_container(mut self, image: &str) -> Self {
        self.init_image = Some(image.to_owned());
        self
    }

    /// Runs the agent only in an init container.
    #[must_use]
    pub fn agent_in_init_container(mut self, image: &str) -> Self {
        self.agent_in_init = true;
        self.init_container(image)
    }

    /// Sets the token's place; [`Workspace::token_object`] renders the Secret or ConfigMap.
    #[must_use]
    pub fn token_in(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Adds a container with another agent, whose token is in the spec.
    #[must_use]
    pub fn another_agent(mut self, container: &str, token: &str) -> Self {
        self.more.push((container.to_owned(), token.to_owned()));
        self
    }

    /// Omits the labels, as in the kubernetes-envbox template: only its name shows the owner.
    #[must_use]
    pub fn without_labels(mut self) -> Self {
        self.labelled = false;
        self
    }

    /// Sets the ServiceAccount of its pod.
    #[must_use]
    pub fn service_account(mut self, name: &str) -> Self {
        self.service_account = Some(name.to_owned());
        self
    }

    /// `coder-OWNER-NAME`, the name of its objects.
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

    /// A Deployment as in Coder's kubernetes template: labels on the Deployment and its pods, the owner's e-mail as an
    /// annotation of the Deployment only.
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

    /// A bare pod, as in older templates.
    pub fn pod(&self) -> Value {
        let mut annotations = self.scenario_annotations();
        if self.labelled {
            annotations.extend(self.email());
        }
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self.metadata(&annotations),
            "spec": self.template("Always")["spec"],
        })
    }

    /// A bare pod with a generated name.
    pub fn generated_pod(&self) -> Value {
        let mut pod = self.pod();
        pod["metadata"]["generateName"] = format!("{}-", self.object_name()).into();
        if let Some(metadata) = pod["metadata"].as_object_mut() {
            metadata.remove("name");
        }
        pod
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

    /// The Secret or ConfigMap with the token; `None` if the token is in the spec.
    pub fn token_object(&self) -> Option<Value> {
        self.place.object(&self.namespace, &self.object_name(), &self.token)
    }

    /// The labels of its objects.
    pub fn labels(&self) -> Value {
        if !self.labelled {
            return json!({});
        }
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
        json!({
            "metadata": { "labels": self.labels(), "annotations": self.scenario_annotations() },
            "spec": self.spec(restart_policy),
        })
    }

    fn spec(&self, restart_policy: &str) -> Value {
        let mut spec = json!({
            "restartPolicy": restart_policy,
            "securityContext": { "runAsUser": 1000, "fsGroup": 1000, "runAsNonRoot": true },
            "containers": [{
                "name": "dev",
                "image": self.image,
                "imagePullPolicy": "Always",
                "command": ["sh", "-c", "exec ./agent"],
                "securityContext": { "runAsUser": 1000 },
                "env": [],
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
        if let Some(account) = &self.service_account {
            spec["serviceAccountName"] = account.as_str().into();
        }
        let list = if self.agent_in_init { "initContainers" } else { "containers" };
        self.place.add_to(&mut spec, list, 0, &self.object_name(), &self.token);
        for (container, token) in &self.more {
            let Value::Array(containers) = &mut spec["containers"] else { continue };
            containers.push(json!({ "name": container, "image": self.image }));
            let index = containers.len() - 1;
            Place::Spec.add_to(&mut spec, "containers", index, "", token);
        }
        spec
    }

    /// Stable, and of the form Coder's ids have.
    fn id(&self, what: &str) -> String {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(format!("{what}/{}/{}", self.owner, self.name));
        uuid::Uuid::from_slice(&digest[..16]).expect("16 bytes").to_string()
    }
}
