//! Decoding of single values.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::meta::Meta;
use crate::{
    bounded::{self, Entries},
    identity::Uid,
    text,
};

/// Decodes a struct from a JSON object only. By default serde also accepts an array, in the order of the fields.
///
/// # Errors
/// If the input is not a JSON object, or its fields do not decode.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// Reads `null` as the default: Kubernetes' Go types write it for an empty list, map or number.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a count. The API server accepts negative ones, which read as 0.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number: i64 = nullable(deserializer)?;
    Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// Reads a time; `None` if it is not a time, or is later than can be represented (the API server accepts the whole year
/// 9999).
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    text::read(deserializer, |text| text.parse().ok())
}

/// Reads a UID; `None` if it is empty.
pub(super) fn uid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uid>, D::Error> {
    text::read(deserializer, Uid::parse)
}

/// Reads labels.
pub(super) fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    // Maximum length of a value in Kubernetes.
    let entries = Entries { limit: 256, value: 63, needed: |_| true };
    bounded::map(deserializer, &entries).map(|(labels, _)| labels)
}

/// Reads metadata without the fields that only pods and workloads need.
pub(super) fn bare<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Meta, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Bare {
        #[serde(deserialize_with = "text::name")]
        name: String,
        #[serde(deserialize_with = "text::name")]
        namespace: String,
        #[serde(deserialize_with = "uid")]
        uid: Option<Uid>,
        #[serde(deserialize_with = "text::word")]
        resource_version: String,
        creation_timestamp: Option<Timestamp>,
        deletion_timestamp: Option<Timestamp>,
    }
    let Bare { name, namespace, uid, resource_version, creation_timestamp, deletion_timestamp } =
        Bare::deserialize(deserializer)?;
    let meta = Meta { name, namespace, uid, resource_version, creation_timestamp, ..Meta::default() };
    Ok(Meta { deletion_timestamp, ..meta })
}
