//! Agents in the spec of a pod or template, and the source of each token.

use crate::{
    expansion::{self, Piece},
    object::{Container, EnvVar, KeyToPath, PodSpec, Volume},
    token::{AgentToken, Sealed, TOKEN, TOKEN_FILE},
};

/// Source of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// In the spec itself.
    Value(AgentToken),
    /// In objects of the pod's namespace. The first one that has the key wins.
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
    /// True if the pod also starts without it: if it does not exist now, there is no reason to wait for it.
    pub optional: bool,
    /// True if the object is imported as a whole (`envFrom`), and may not have the key.
    pub whole: bool,
}

/// Kind of an object that holds a token for a pod.
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

/// Agents found in a spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// One for each container that runs an agent, init containers first.
    pub agents: Vec<Agent>,
    /// Number of containers with a token in the spec that is not a UUID. They have no agent.
    pub not_tokens: usize,
}

/// Maximum length of an expanded value, in bytes: longer than any token and any path.
const MAX_EXPANDED: usize = 4 * 1024;
/// Maximum number of references expanded for one variable. A forged spec can hold a million.
const MAX_REFERENCES: usize = 256;

/// Finds the agents of a spec.
///
/// As in Kubernetes, the last entry of a name wins in `env`, `env` takes precedence over `envFrom`, and `$(NAME)` in a
/// value refers to a variable of `envFrom` or of an earlier entry. As in Coder's agent, the token takes precedence over
/// the token file. An `envFrom` is only a possibility until its objects are read.
pub fn agents(spec: &PodSpec) -> Extracted {
    let mut extracted = Extracted::default();
    for (container, _) in spec.each_container() {
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
    let variable = |name: &str| container.env.iter().rposition(|variable| variable.name == name);
    if let Some(index) = variable(TOKEN) {
        return match value_of(container, index) {
            // A template switches the agent off with an empty value.
            Value::Text(text) if text.expose().is_empty() => Found::Nothing,
            Value::Text(text) => AgentToken::parse(text.expose())
                .map_or(Found::NotAToken, |token| Found::Source(TokenSource::Value(token))),
            Value::Reference(references) => Found::Source(TokenSource::Reference(references)),
            Value::Elsewhere => Found::Nothing,
            Value::Mixed => Found::NotAToken,
        };
    }
    if let Some(index) = variable(TOKEN_FILE)
        && let Value::Text(path) = value_of(container, index)
    {
        return match file_references(path.expose(), container, volumes) {
            references if references.is_empty() => Found::Nothing,
            references => Found::Source(TokenSource::Reference(references)),
        };
    }
    match env_from_references(container, TOKEN) {
        references if references.is_empty() => Found::Nothing,
        references => Found::Source(TokenSource::Reference(references)),
    }
}

/// The value of an environment variable, as far as the spec shows it.
enum Value {
    Text(Sealed),
    /// The whole value is in another object. The first one that has the key wins.
    Reference(Vec<Reference>),
    /// The value is a field of the pod or similar, which is not a token.
    Elsewhere,
    /// A part of the value is in another object.
    Mixed,
}

/// Returns the value of the variable at this position in `env`.
fn value_of(container: &Container, index: usize) -> Value {
    // Each once and in order, as in the kubelet, so that many references between variables cost nothing.
    let mut values: Vec<Value> = Vec::with_capacity(index + 1);
    let mut room = MAX_REFERENCES;
    for variable in &container.env[..=index] {
        let value = match &variable.value {
            Some(value) if !value.expose().is_empty() => expand(value.expose(), container, &values, &mut room),
            _ => of_source(variable),
        };
        values.push(value);
    }
    values.pop().unwrap_or(Value::Elsewhere)
}

fn of_source(variable: &EnvVar) -> Value {
    let Some(from) = &variable.value_from else { return Value::Text(Sealed::new("")) };
    let (holder, selector) = match (&from.secret_key_ref, &from.config_map_key_ref) {
        (Some(selector), _) => (Holder::Secret, selector),
        (None, Some(selector)) => (Holder::ConfigMap, selector),
        (None, None) => return Value::Elsewhere,
    };
    let (name, key) = (selector.name.clone(), selector.key.clone());
    Value::Reference(vec![Reference { holder, name, key, optional: selector.optional, whole: false }])
}

/// Expands the references in a value, as long as there is room for them. `before` holds the values of the entries
/// before it.
fn expand(value: &str, container: &Container, before: &[Value], room: &mut usize) -> Value {
    let mut expanded = String::new();
    let mut references = None;
    for piece in expansion::pieces(value) {
        let name = match piece {
            Piece::Text(text) => {
                expanded.push_str(text);
                continue;
            }
            Piece::Variable(name) => name,
        };
        let Some(left) = room.checked_sub(1) else { return Value::Mixed };
        *room = left;
        match container.env[..before.len()].iter().rposition(|variable| variable.name == name).map(|at| &before[at]) {
            Some(Value::Text(text)) => expanded.push_str(text.expose()),
            Some(Value::Reference(found)) if references.is_none() => references = Some(found.clone()),
            Some(_) => return Value::Mixed,
            None => match env_from_references(container, name) {
                found if found.is_empty() => expanded.extend(["$(", name, ")"]),
                found if references.is_none() => references = Some(found),
                _ => return Value::Mixed,
            },
        }
        if expanded.len() > MAX_EXPANDED {
            return Value::Mixed;
        }
    }
    match references {
        None => Value::Text(Sealed::new(expanded)),
        // White space around a token is not part of it.
        Some(references) if expanded.trim().is_empty() => Value::Reference(references),
        Some(_) => Value::Mixed,
    }
}

/// Returns the sources of `envFrom` that may provide this variable.
fn env_from_references(container: &Container, variable: &str) -> Vec<Reference> {
    let mut references = Vec::new();
    // The last source that has the key wins, so it comes first.
    for from in container.env_from.iter().rev() {
        let Some(key) = variable.strip_prefix(from.prefix.as_str()).filter(|key| !key.is_empty()) else { continue };
        for (holder, reference) in [(Holder::Secret, &from.secret_ref), (Holder::ConfigMap, &from.config_map_ref)] {
            if let Some(reference) = reference {
                let (name, key) = (reference.name.clone(), key.to_owned());
                references.push(Reference { holder, name, key, optional: reference.optional, whole: true });
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
    // The mount with the longest path provides the file.
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
    let mut push = |holder, name: &str, items: &[KeyToPath], optional| {
        let key = if items.is_empty() {
            Some(path)
        } else {
            items.iter().find(|item| item.path.trim_matches('/') == path).map(|item| item.key.as_str())
        };
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            let (name, key) = (name.to_owned(), key.to_owned());
            references.push(Reference { holder, name, key, optional, whole: false });
        }
    };
    if let Some(secret) = &volume.secret {
        push(Holder::Secret, &secret.secret_name, &secret.items, secret.optional);
    }
    if let Some(map) = &volume.config_map {
        push(Holder::ConfigMap, &map.name, &map.items, map.optional);
    }
    for source in volume.projected.iter().flat_map(|projected| &projected.sources) {
        if let Some(secret) = &source.secret {
            push(Holder::Secret, &secret.name, &secret.items, secret.optional);
        }
        if let Some(map) = &source.config_map {
            push(Holder::ConfigMap, &map.name, &map.items, map.optional);
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
        TokenSource::Reference(vec![Reference {
            holder: Holder::Secret,
            name: name.into(),
            key: key.into(),
            optional: false,
            whole: false,
        }])
    }

    fn only_source(spec: &PodSpec) -> TokenSource {
        let mut extracted = agents(spec);
        assert_eq!(extracted.agents.len(), 1);
        extracted.agents.remove(0).source
    }

    #[test]
    fn several_agents_of_one_pod_are_distinguished_by_container() {
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
                Reference {
                    holder: Holder::Secret,
                    name: "second".into(),
                    key: "AGENT_TOKEN".into(),
                    optional: false,
                    whole: true
                },
                Reference {
                    holder: Holder::ConfigMap,
                    name: "first".into(),
                    key: "CODER_AGENT_TOKEN".into(),
                    optional: false,
                    whole: true
                },
            ])
        );
    }

    fn source_of(env: &serde_json::Value, env_from: &serde_json::Value) -> TokenSource {
        only_source(&spec(serde_json::json!({"containers": [{"name": "dev", "env": env, "envFrom": env_from}]})))
    }

    #[test]
    fn references_to_earlier_variables_are_expanded() {
        let token = |env: &serde_json::Value| source_of(env, &serde_json::Value::Null);
        let value = TokenSource::Value(AgentToken::parse(A).unwrap());
        let var = |name: &str, value: &str| serde_json::json!({"name": name, "value": value});
        for env in [
            vec![var("TOKEN", A), var("CODER_AGENT_TOKEN", "$(TOKEN)")],
            vec![var("T", "22222222"), var("U", "$(T)-2222"), var("CODER_AGENT_TOKEN", "$(U)-4333-8444-555555555555")],
            vec![var("TOKEN", B), var("OTHER", "x"), var("TOKEN", A), var("CODER_AGENT_TOKEN", " $(TOKEN)\n")],
            vec![var("CODER_AGENT_TOKEN", A), var("CODER_AGENT_TOKEN", "$(CODER_AGENT_TOKEN)")],
            vec![var("TOKEN", A), var("CODER_AGENT_TOKEN", "$(TOKEN)"), var("TOKEN", B)],
        ] {
            assert_eq!(token(&env.clone().into()), value, "{env:?}");
        }
        let from =
            serde_json::json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "agent", "key": "token"}}});
        let env = serde_json::json!([from, var("ALIAS", "$(TOKEN)"), var("CODER_AGENT_TOKEN", "$(ALIAS)")]);
        assert_eq!(token(&env), secret("agent", "token"));
    }

    #[test]
    fn a_reference_may_be_to_a_variable_of_env_from() {
        let env = serde_json::json!([{"name": "CODER_AGENT_TOKEN", "value": "$(WS_TOKEN)"}]);
        let from = serde_json::json!([{"prefix": "WS_", "secretRef": {"name": "agent"}}]);
        let TokenSource::Reference(found) = source_of(&env, &from) else { panic!() };
        assert_eq!(
            found,
            [Reference {
                holder: Holder::Secret,
                name: "agent".into(),
                key: "TOKEN".into(),
                optional: false,
                whole: true
            }]
        );
    }

    #[test]
    fn a_value_that_does_not_expand_to_a_token_is_none() {
        let var = |name: &str, value: &str| serde_json::json!({"name": name, "value": value});
        let from = serde_json::json!({"name": "T", "valueFrom": {"secretKeyRef": {"name": "agent", "key": "token"}}});
        for (env, not_tokens) in [
            (vec![var("TOKEN", A), var("CODER_AGENT_TOKEN", "$$(TOKEN)")], 1),
            (vec![var("CODER_AGENT_TOKEN", "$(TOKEN)"), var("TOKEN", A)], 1),
            (vec![var("CODER_AGENT_TOKEN", "$(MISSING)")], 1),
            (vec![from, var("CODER_AGENT_TOKEN", "x$(T)")], 1),
            (vec![var("EMPTY", ""), var("CODER_AGENT_TOKEN", "$(EMPTY)")], 0),
        ] {
            let spec = spec(serde_json::json!({"containers": [{"name": "dev", "env": env}]}));
            assert_eq!(agents(&spec), Extracted { agents: vec![], not_tokens }, "{spec:?}");
        }
    }

    #[test]
    fn variables_that_double_each_other_cost_nothing() {
        let mut env = vec![serde_json::json!({"name": "V0", "value": "x".repeat(200)})];
        env.extend((1..200).map(|n| {
            let twice = format!("$(V{})$(V{})", n - 1, n - 1);
            serde_json::json!({"name": format!("V{n}"), "value": twice})
        }));
        env.push(serde_json::json!({"name": "CODER_AGENT_TOKEN", "value": "$(V199)"}));
        let spec = spec(serde_json::json!({"containers": [{"name": "dev", "env": env}]}));
        assert_eq!(agents(&spec).not_tokens, 1);
    }

    #[test]
    fn optional_references_are_marked() {
        let env_from = serde_json::json!([{"secretRef": {"name": "agent", "optional": true}}]);
        let TokenSource::Reference(found) = source_of(&serde_json::json!([]), &env_from) else { panic!() };
        assert!(found[0].optional);
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
