//! Lists and maps of limited length. Unused elements are dropped one by one while decoding, so a forged object with a
//! million elements takes only the memory of the few that are kept.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use crate::text;

/// Maximum length of a key of a label or annotation: a DNS subdomain of 253 bytes, a slash and a name of 63.
const MAX_KEY: usize = 317;

/// Element of a bounded list.
pub(crate) trait Element {
    /// Maximum number of elements kept of each [`Class`].
    const LIMITS: [usize; 2];

    /// Returns the class of the element; `None` if the element is not used.
    fn class(&self) -> Option<Class>;
}

/// Class of an element. Each class has its own limit, so that unimportant elements cannot displace important ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// May lead to a token.
    Carrier,
    /// Anything else.
    Other,
}

/// Reads the used elements of a list, in order and within [`Element::LIMITS`]; `null` reads as an empty list.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Element + Deserialize<'de>,
{
    struct List<T>(PhantomData<T>);

    impl<'de, T: Element + Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_none<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
            deserializer.deserialize_seq(self)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut kept = Vec::new();
            let mut room = T::LIMITS;
            while let Some(element) = elements.next_element::<T>()? {
                let Some(class) = element.class() else { continue };
                if let Some(left) = room[class as usize].checked_sub(1) {
                    room[class as usize] = left;
                    kept.push(element);
                }
            }
            Ok(kept)
        }
    }

    deserializer.deserialize_option(List(PhantomData))
}

/// Limits of a map of strings.
pub(crate) struct Entries {
    /// Maximum number of entries.
    pub(crate) limit: usize,
    /// Maximum length of a value, in bytes.
    pub(crate) value: usize,
    /// Returns true if a key is used.
    pub(crate) needed: fn(&str) -> bool,
}

/// Reads the used entries of a map of strings; `null` reads as an empty map. Also returns the number of bytes of keys
/// and values that were dropped, at least 1 for each dropped entry.
pub(crate) fn map<'de, D: Deserializer<'de>>(
    deserializer: D,
    entries: &Entries,
) -> Result<(BTreeMap<String, String>, usize), D::Error> {
    struct Map<'a>(&'a Entries);

    impl<'de> Visitor<'de> for Map<'_> {
        type Value = (BTreeMap<String, String>, usize);

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a map of strings")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_map(self)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let Entries { limit, value: longest, needed } = *self.0;
            let mut kept = BTreeMap::new();
            let mut dropped = 0_usize;
            while let Some((key, length)) = map.next_key_seed(Start(MAX_KEY))? {
                let room = kept.len() < limit && key.len() == length && needed(&key);
                let (value, whole) = map.next_value_seed(Start(if room { longest } else { 0 }))?;
                if room {
                    dropped = dropped.saturating_add(whole - value.len());
                    kept.insert(key, value);
                } else {
                    dropped = dropped.saturating_add((length + whole).max(1));
                }
            }
            Ok((kept, dropped))
        }
    }

    deserializer.deserialize_option(Map(entries))
}

/// Reads the start of a text, up to this number of bytes, and the length of the whole text.
struct Start(usize);

impl<'de> DeserializeSeed<'de> for Start {
    type Value = (String, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        text::read(deserializer, |text| (text::start(text, self.0).to_owned(), text.len()))
    }
}
