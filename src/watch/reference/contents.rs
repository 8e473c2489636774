//! Contents of Secrets and ConfigMaps.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use logstream_core::{
    extract::{Holder, Reference},
    token::Sealed,
};
use serde::Deserialize;

/// The contents of a Secret or ConfigMap.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Contents {
    /// Base64 in a Secret, text in a ConfigMap.
    data: Option<BTreeMap<String, Sealed>>,
    /// Text in a Secret. An API server does not return it; a stand-in may.
    string_data: Option<BTreeMap<String, Sealed>>,
    /// Base64 in a ConfigMap.
    binary_data: Option<BTreeMap<String, Sealed>>,
}

impl Contents {
    /// Returns the value of the reference's key; `None` if there is no such key.
    pub(super) fn value(mut self, Reference { holder, key, .. }: &Reference) -> Option<Sealed> {
        let mut take = |map: fn(&mut Self) -> &mut Option<_>| -> Option<Sealed> {
            map(&mut self).as_mut().and_then(|map: &mut BTreeMap<String, Sealed>| map.remove(key))
        };
        let (plain, encoded) = match holder {
            Holder::Secret => (take(|it| &mut it.string_data), take(|it| &mut it.data)),
            Holder::ConfigMap => (take(|it| &mut it.data), take(|it| &mut it.binary_data)),
        };
        plain.or_else(|| encoded.map(|encoded| decode(&encoded)))
    }
}

/// Decodes base64. A value that is not text becomes an empty text, which is not a token.
fn decode(encoded: &Sealed) -> Sealed {
    let bytes = STANDARD.decode(encoded.expose()).unwrap_or_default();
    Sealed::new(String::from_utf8(bytes).unwrap_or_default())
}
