//! Places of a workspace's agent token.

use serde_json::{Value, json};

/// The token's key, where it is freely chosen.
const KEY: &str = "token";

/// The variable that holds the token.
const VARIABLE: &str = "CODER_AGENT_TOKEN";

/// Mount path of [`Place::SecretFile`].
const MOUNT_PATH: &str = "/var/run/coder";

/// Source of a container's agent token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// The value of an environment variable, as in Coder's templates.
    #[default]
    Spec,
    /// A `secretKeyRef`.
    SecretKey,
    /// A `configMapKeyRef`.
    ConfigMapKey,
    /// An `envFrom` of a Secret.
    SecretEnv,
    /// An `envFrom` of a ConfigMap.
    ConfigMapEnv,
    /// A file: `CODER_AGENT_TOKEN_FILE` in a mounted Secret.
    SecretFile,
}

impl Place {
    /// All places except the spec itself.
    pub const REFERENCES: [Self; 5] =
        [Self::SecretKey, Self::ConfigMapKey, Self::SecretEnv, Self::ConfigMapEnv, Self::SecretFile];

    /// Adds the token to a container of a pod spec; `holder` is the name of the Secret or ConfigMap.
    pub(super) fn add_to(self, spec: &mut Value, list: &str, index: usize, holder: &str, token: &str) {
        if self == Self::SecretFile {
            push(&mut spec["volumes"], json!({ "name": "agent-token", "secret": { "secretName": holder } }));
        }
        let container = &mut spec[list][index];
        let key = json!({ "name": holder, "key": KEY });
        match self {
            Self::Spec => push(&mut container["env"], json!({ "name": VARIABLE, "value": token })),
            Self::SecretKey => {
                push(&mut container["env"], json!({ "name": VARIABLE, "valueFrom": { "secretKeyRef": key } }));
            }
            Self::ConfigMapKey => {
                push(&mut container["env"], json!({ "name": VARIABLE, "valueFrom": { "configMapKeyRef": key } }));
            }
            Self::SecretEnv => push(&mut container["envFrom"], json!({ "secretRef": { "name": holder } })),
            Self::ConfigMapEnv => push(&mut container["envFrom"], json!({ "configMapRef": { "name": holder } })),
            Self::SecretFile => {
                let file = format!("{MOUNT_PATH}/{KEY}");
                push(&mut container["env"], json!({ "name": "CODER_AGENT_TOKEN_FILE", "value": file }));
                push(&mut container["volumeMounts"], json!({ "name": "agent-token", "mountPath": MOUNT_PATH }));
            }
        }
    }

    /// The Secret or ConfigMap; `None` if the token is in the spec.
    pub(super) fn object(self, namespace: &str, holder: &str, token: &str) -> Option<Value> {
        let (kind, data, key) = match self {
            Self::Spec => return None,
            Self::SecretKey | Self::SecretFile => ("Secret", "stringData", KEY),
            Self::SecretEnv => ("Secret", "stringData", VARIABLE),
            Self::ConfigMapKey => ("ConfigMap", "data", KEY),
            Self::ConfigMapEnv => ("ConfigMap", "data", VARIABLE),
        };
        Some(json!({
            "apiVersion": "v1",
            "kind": kind,
            "metadata": { "name": holder, "namespace": namespace },
            data: { key: token },
        }))
    }
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        none => *none = json!([item]),
    }
}
