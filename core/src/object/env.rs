//! Environment of a container, reduced while decoding to what can lead to the agent's token.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use super::decode::nullable;
use crate::{
    expansion::{self, Piece},
    text,
    token::{Sealed, VARIABLES},
};

/// Maximum number of a container's variables, from the first one, that a reference `$(NAME)` can find.
const MAX_REMEMBERED: usize = 1_024;
/// Maximum number of names that the agent's variables refer to, directly and through other variables.
const MAX_REFERENCES: usize = 256;
/// Maximum length of a remembered value, in bytes, of variables other than the agent's. A token has 36 bytes.
const MAX_PART: usize = 256;

/// Source of an environment variable's value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvSource {
    /// A key of a Secret in the pod's namespace.
    pub secret_key_ref: Option<KeySelector>,
    /// A key of a ConfigMap in the pod's namespace.
    pub config_map_key_ref: Option<KeySelector>,
}

/// A key of a Secret or ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KeySelector {
    /// The object's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// The key.
    #[serde(deserialize_with = "text::name")]
    pub key: String,
    /// True if the pod starts even if the key does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

/// Import of a whole ConfigMap or Secret into the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    /// Prefix that is added to each key.
    #[serde(deserialize_with = "text::name")]
    pub prefix: String,
    /// A Secret in the pod's namespace.
    pub secret_ref: Option<NameReference>,
    /// A ConfigMap in the pod's namespace.
    pub config_map_ref: Option<NameReference>,
}

/// Reference to an object in the pod's namespace, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NameReference {
    /// The object's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// True if the pod starts even if the object does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

/// Environment variable. Decoding keeps only the agent's own variables ([`VARIABLES`]) and those that they refer to as
/// `$(NAME)`. All others are dropped with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvVar {
    /// The variable's name.
    pub name: String,
    /// Literal value, if there is one; references in it are not expanded.
    pub value: Option<Sealed>,
    /// Source of the value, if it is not literal.
    pub value_from: Option<EnvSource>,
}

impl<'de> Deserialize<'de> for EnvVar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            #[serde(default, deserialize_with = "text::name")]
            name: String,
            value: Option<Sealed>,
            value_from: Option<EnvSource>,
        }
        let Raw { name, value, value_from } = Raw::deserialize(deserializer)?;
        Ok(Self { name, value, value_from })
    }
}

impl EnvVar {
    /// Adds the names that its value refers to.
    fn add_references(&self, names: &mut HashSet<String>) {
        for piece in self.value.iter().flat_map(|value| expansion::pieces(value.expose())) {
            if let Piece::Variable(name) = piece
                && names.len() < MAX_REFERENCES
            {
                names.insert(name.to_owned());
            }
        }
    }
}

/// Variables decoded so far.
#[derive(Default)]
struct Environment {
    /// First variables, with their positions in the list.
    remembered: Vec<(usize, EnvVar)>,
    /// Last one of each of [`VARIABLES`].
    agents: [Option<(usize, EnvVar)>; VARIABLES.len()],
}

impl Environment {
    fn add(&mut self, position: usize, mut variable: EnvVar) {
        if let Some(index) = VARIABLES.iter().position(|name| *name == variable.name) {
            self.agents[index] = Some((position, variable.clone()));
        } else if let Some(value) = &mut variable.value {
            value.shorten(MAX_PART);
        }
        if self.remembered.len() < MAX_REMEMBERED {
            self.remembered.push((position, variable));
        }
    }

    /// Returns the agent's variables and the earlier ones that they refer to, in their original order.
    fn needed(self) -> Vec<EnvVar> {
        let mut kept: Vec<(usize, EnvVar)> = self.agents.into_iter().flatten().collect();
        let agents: Vec<usize> = kept.iter().map(|(position, _)| *position).collect();
        let mut names = HashSet::new();
        for (_, variable) in &kept {
            variable.add_references(&mut names);
        }
        // A reference is to an earlier variable, so one pass from the end finds all, including indirect ones.
        for (position, variable) in self.remembered.into_iter().rev() {
            if names.contains(&variable.name) && !agents.contains(&position) {
                variable.add_references(&mut names);
                kept.push((position, variable));
            }
        }
        kept.sort_by_key(|(position, _)| *position);
        kept.into_iter().map(|(_, variable)| variable).collect()
    }
}

/// Reads `env` of a container; `null` reads as the empty list.
pub(super) fn environment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EnvVar>, D::Error> {
    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Vec<EnvVar>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Vec<EnvVar>, E> {
            Ok(Vec::new())
        }

        fn visit_none<E>(self) -> Result<Vec<EnvVar>, E> {
            Ok(Vec::new())
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<EnvVar>, D::Error> {
            deserializer.deserialize_seq(self)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<EnvVar>, A::Error> {
            let mut environment = Environment::default();
            let mut position = 0;
            while let Some(variable) = elements.next_element::<EnvVar>()? {
                position += 1;
                if !variable.name.is_empty() {
                    environment.add(position, variable);
                }
            }
            Ok(environment.needed())
        }
    }

    deserializer.deserialize_option(Reader)
}
