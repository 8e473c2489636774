//! Which agents a pod's spec (or a template's) carries, and where each token is to be found.

use crate::{
    object::{Container, EnvVar, KeyToPath, PodSpec, Volume},
    token::AgentToken,
};

/// The token itself.
pub const TOKEN: &str = "CODER_AGENT_TOKEN";
/// The path of a file that holds it.
pub const TOKEN_FILE: &str = "CODER_AGENT_TOKEN_FILE";
/// The environment variables that tell an agent its token; the values of all others are never kept.
pub const VARIABLES: [&str; 2] = [TOKEN, TOKEN_FILE];

/// Where a token is to be found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// In the spec itself.
    Value(AgentToken),
    /// In objects of the pod's namespace; the first of these that holds the key tells it.
    Reference(Vec<Reference>),
}

/// A key of an object in the pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// A Secret or a ConfigMap.
    pub holder: Holder,
    /// The object's name.
    pub name: String,
    /// The key in its `data`.
    pub key: String,
}

/// The kinds of object that hold a token for a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// core/v1
    Secret,
    /// core/v1
    ConfigMap,
}

/// An agent of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The container it runs in.
    pub container: String,
    /// Its token.
    pub source: TokenSource,
}

/// What a spec carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// One for each container that runs an agent, init containers first.
    pub agents: Vec<Agent>,
    /// Containers whose token is given in the spec and is no UUID: no agents.
    pub not_tokens: usize,
}

/// Finds the agents of a spec.
///
/// As in Kubernetes the last entry of a name wins in `env`, and `env` wins over `envFrom`. As in Coder's agent the
/// token wins over the token file. An `envFrom` is only a possibility until its objects are read.
pub fn agents(spec: &PodSpec) -> Extracted {
    let mut extracted = Extracted::default();
    for container in spec.init_containers.iter().chain(&spec.containers) {
        match token_of(container, &spec.volumes) {
            Found::Nothing => {}
            Found::NotAToken => extracted.not_tokens += 1,
            Found::Source(source) => {
                extracted.agents.push(Agent { container: container.name.clone(), source });
            }
        }
    }
    extracted
}

enum Found {
    Nothing,
    NotAToken,
    Source(TokenSource),
}

fn token_of(container: &Container, volumes: &[Volume]) -> Found {
    let variable = |name: &str| container.env.iter().rev().find(|variable| variable.name == name);
    if let Some(variable) = variable(TOKEN) {
        return of_variable(variable);
    }
    if let Some(path) = variable(TOKEN_FILE).and_then(|file| file.value.as_ref()) {
        return match file_references(path.expose(), container, volumes) {
            references if references.is_empty() => Found::Nothing,
            references => Found::Source(TokenSource::Reference(references)),
        };
    }
    match env_from_references(container) {
        references if references.is_empty() => Found::Nothing,
        references => Found::Source(TokenSource::Reference(references)),
    }
}

fn of_variable(variable: &EnvVar) -> Found {
    if let Some(from) = &variable.value_from {
        let (holder, selector) = match (&from.secret_key_ref, &from.config_map_key_ref) {
            (Some(selector), _) => (Holder::Secret, selector),
            (None, Some(selector)) => (Holder::ConfigMap, selector),
            (None, None) => return Found::Nothing,
        };
        let reference = Reference { holder, name: selector.name.clone(), key: selector.key.clone() };
        return Found::Source(TokenSource::Reference(vec![reference]));
    }
    match &variable.value {
        // An empty value is how a template switches the agent off.
        None => Found::Nothing,
        Some(value) if value.expose().is_empty() => Found::Nothing,
        Some(value) => {
            AgentToken::parse(value.expose()).map_or(Found::NotAToken, |token| Found::Source(TokenSource::Value(token)))
        }
    }
}

fn env_from_references(container: &Container) -> Vec<Reference> {
    let mut references = Vec::new();
    // The last source that has the key wins, so it is asked first.
    for from in container.env_from.iter().rev() {
        let Some(key) = TOKEN.strip_prefix(from.prefix.as_str()) else { continue };
        for (holder, reference) in [(Holder::Secret, &from.secret_ref), (Holder::ConfigMap, &from.config_map_ref)] {
            if let Some(reference) = reference {
                references.push(Reference { holder, name: reference.name.clone(), key: key.to_owned() });
            }
        }
    }
    references
}

fn file_references(path: &str, container: &Container, volumes: &[Volume]) -> Vec<Reference> {
    let under = |mount: &str| -> Option<String> {
        let rest = path.strip_prefix(mount.trim_end_matches('/'))?;
        if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('/').map(str::to_owned) }
    };
    // The longest mount path is the one that the file is seen through.
    let Some((mount, rest)) = container
        .volume_mounts
        .iter()
        .filter_map(|mount| Some((mount, under(&mount.mount_path)?)))
        .max_by_key(|(mount, _)| mount.mount_path.len())
    else {
        return Vec::new();
    };
    let inside = [mount.sub_path.trim_matches('/'), rest.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/");
    volumes.iter().find(|volume| volume.name == mount.name).map(|volume| in_volume(volume, &inside)).unwrap_or_default()
}

fn in_volume(volume: &Volume, path: &str) -> Vec<Reference> {
    let mut references = Vec::new();
    let mut push = |holder, name: &str, items: &[KeyToPath]| {
        let key = if items.is_empty() {
            Some(path)
        } else {
            items.iter().find(|item| item.path.trim_matches('/') == path).map(|item| item.key.as_str())
        };
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            references.push(Reference { holder, name: name.to_owned(), key: key.to_owned() });
        }
    };
    if let Some(secret) = &volume.secret {
        push(Holder::Secret, &secret.secret_name, &secret.items);
    }
    if let Some(map) = &volume.config_map {
        push(Holder::ConfigMap, &map.name, &map.items);
    }
    for source in volume.projected.iter().flat_map(|projected| &projected.sources) {
        if let Some(secret) = &source.secret {
            push(Holder::Secret, &secret.name, &secret.items);
        }
        if let Some(map) = &source.config_map {
            push(Holder::ConfigMap, &map.name, &map.items);
        }
    }
    references
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "22222222-2222-4333-8444-555555555555";
    const B: &str = "33333333-2222-4333-8444-555555555555";

    fn spec(json: serde_json::Value) -> PodSpec {
        serde_json::from_value(json).unwrap()
    }

    fn secret(name: &str, key: &str) -> TokenSource {
        TokenSource::Reference(vec![Reference { holder: Holder::Secret, name: name.into(), key: key.into() }])
    }

    fn only_source(spec: &PodSpec) -> TokenSource {
        let mut extracted = agents(spec);
        assert_eq!(extracted.agents.len(), 1);
        extracted.agents.remove(0).source
    }

    #[test]
    fn several_agents_of_one_pod_are_told_apart_by_container() {
        let spec = spec(serde_json::json!({
            "initContainers": [{"name": "prepare", "env": [{"name": "CODER_AGENT_TOKEN", "value": A}]}],
            "containers": [
                {"name": "dev", "env": [{"name": "PATH", "value": "/"}, {"name": "CODER_AGENT_TOKEN", "value": B}]},
                {"name": "sidecar"},
            ],
        }));
        let found = agents(&spec).agents;
        let found: Vec<_> = found.iter().map(|agent| (agent.container.as_str(), &agent.source)).collect();
        let value = |text| TokenSource::Value(AgentToken::parse(text).unwrap());
        assert_eq!(found, [("prepare", &value(A)), ("dev", &value(B))]);
    }

    #[test]
    fn the_last_entry_of_a_name_wins() {
        let spec = spec(serde_json::json!({"containers": [{"name": "dev", "env": [
            {"name": "CODER_AGENT_TOKEN", "value": A}, {"name": "CODER_AGENT_TOKEN", "value": B}]}]}));
        assert_eq!(only_source(&spec), TokenSource::Value(AgentToken::parse(B).unwrap()));
    }

    #[test]
    fn a_token_that_is_no_uuid_is_counted_and_an_empty_one_is_nothing() {
        let spec = spec(serde_json::json!({"containers": [
            {"name": "a", "env": [{"name": "CODER_AGENT_TOKEN", "value": "hunter2"}]},
            {"name": "b", "env": [{"name": "CODER_AGENT_TOKEN", "value": ""}]},
            {"name": "c", "env": [{"name": "CODER_AGENT_TOKEN"}]},
        ]}));
        assert_eq!(agents(&spec), Extracted { agents: vec![], not_tokens: 1 });
    }

    #[test]
    fn references_are_found_in_key_refs_env_from_and_files() {
        let key_ref = spec(serde_json::json!({"containers": [{"name": "dev", "env": [{"name": "CODER_AGENT_TOKEN",
            "valueFrom": {"secretKeyRef": {"name": "agent", "key": "token"}}}]}]}));
        assert_eq!(only_source(&key_ref), secret("agent", "token"));

        let env_from = spec(serde_json::json!({"containers": [{"name": "dev", "envFrom": [
            {"configMapRef": {"name": "first"}},
            {"prefix": "CODER_", "secretRef": {"name": "second"}},
            {"prefix": "OTHER_", "secretRef": {"name": "third"}}]}]}));
        assert_eq!(
            only_source(&env_from),
            TokenSource::Reference(vec![
                Reference { holder: Holder::Secret, name: "second".into(), key: "AGENT_TOKEN".into() },
                Reference { holder: Holder::ConfigMap, name: "first".into(), key: "CODER_AGENT_TOKEN".into() },
            ])
        );
    }

    #[test]
    fn a_token_file_is_followed_through_mounts_items_and_sub_paths() {
        let with = |mount: serde_json::Value, volume: serde_json::Value| {
            spec(serde_json::json!({
                "containers": [{"name": "dev", "volumeMounts": [{"name": "other", "mountPath": "/"}, mount],
                    "env": [{"name": "CODER_AGENT_TOKEN_FILE", "value": "/etc/coder/token"}]}],
                "volumes": [{"name": "other", "emptyDir": {}}, volume],
            }))
        };
        let plain = with(
            serde_json::json!({"name": "t", "mountPath": "/etc/coder/"}),
            serde_json::json!({"name": "t", "secret": {"secretName": "agent"}}),
        );
        assert_eq!(only_source(&plain), secret("agent", "token"));
        let items = with(
            serde_json::json!({"name": "t", "mountPath": "/etc/coder"}),
            serde_json::json!({"name": "t", "secret": {"secretName": "agent",
                "items": [{"key": "k", "path": "token"}]}}),
        );
        assert_eq!(only_source(&items), secret("agent", "k"));
        let sub_path = with(
            serde_json::json!({"name": "t", "mountPath": "/etc/coder/token", "subPath": "value"}),
            serde_json::json!({"name": "t", "projected": {"sources": [{"secret": {"name": "agent"}}]}}),
        );
        assert_eq!(only_source(&sub_path), secret("agent", "value"));
        let elsewhere = with(
            serde_json::json!({"name": "t", "mountPath": "/etc/cod"}),
            serde_json::json!({"name": "t", "secret": {"secretName": "agent"}}),
        );
        assert_eq!(agents(&elsewhere).agents, []);
    }
}
