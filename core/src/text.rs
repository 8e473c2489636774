//! Text of limited length. All text in an object is untrusted, and the API server does not limit most of it. Text
//! beyond the limits here is dropped while decoding and never allocated.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{Deserializer, de::Visitor};

/// Maximum length of names, namespaces and keys, in bytes. It is more than Kubernetes accepts (253), so that a cut name
/// is still recognizably too long.
const MAX_NAME: usize = 260;
/// Maximum length of kinds, phases, statuses and resourceVersions, in bytes.
const MAX_WORD: usize = 64;
/// Maximum length of reasons, in bytes. The API server accepts 128 in `events.k8s.io/v1`, and any length in core/v1.
const MAX_REASON: usize = 256;
/// Maximum length of messages, in bytes: twice what the API server accepts in `events.k8s.io/v1` Events, and twice what
/// a line holds. core/v1 Events have no limit.
pub(crate) const MAX_MESSAGE: usize = 2 * 1024;
/// Maximum length of image references and mount paths, in bytes. The API server limits neither; Linux limits paths.
const MAX_PATH: usize = 4 * 1024;
/// Maximum length of values that may be secret, in bytes. A token has 36 bytes, a path on Linux at most 4,096.
pub(crate) const MAX_VALUE: usize = 4 * 1024;

/// Mark at the end of a text that was cut.
pub(crate) const CUT: char = '…';

/// Length of a UUID as text, in bytes. A cut text must not end in part of a UUID, which would not be recognized as a
/// token.
const UUID: usize = 36;

/// Returns the start of a text, at most `limit` bytes, cut at a character boundary.
pub(crate) fn start(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// Returns the start of a text, at most `limit` bytes in all, with [`CUT`] at its end if something is missing. A cut
/// text does not end in part of a UUID.
pub(crate) fn excerpt(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let kept = start(text, limit.saturating_sub(CUT.len_utf8()));
    let tail = kept.bytes().rev().take(UUID).take_while(|byte| byte.is_ascii_hexdigit() || *byte == b'-').count();
    let mut cut = String::with_capacity(kept.len() - tail + CUT.len_utf8());
    cut.push_str(&kept[..kept.len() - tail]);
    cut.push(CUT);
    Cow::Owned(cut)
}

/// Reads a text, and returns what `keep` makes of it. `null` reads as the empty text, as in Kubernetes.
pub(crate) fn read<'de, D, T, F>(deserializer: D, keep: F) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    F: FnOnce(&str) -> T,
{
    struct Reader<T, F>(F, PhantomData<T>);

    impl<'de, T, F: FnOnce(&str) -> T> Visitor<'de> for Reader<T, F> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a string")
        }

        fn visit_str<E>(self, text: &str) -> Result<T, E> {
            Ok((self.0)(text))
        }

        fn visit_none<E>(self) -> Result<T, E> {
            Ok((self.0)(""))
        }

        fn visit_unit<E>(self) -> Result<T, E> {
            Ok((self.0)(""))
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
            deserializer.deserialize_str(self)
        }
    }

    deserializer.deserialize_option(Reader(keep, PhantomData))
}

/// Reads a name, namespace or key. Keeps at most 260 bytes, more than Kubernetes accepts.
///
/// # Errors
/// If the input is neither a string nor `null`.
pub fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    read(deserializer, |text| start(text, MAX_NAME).to_owned())
}

/// Reads a kind, phase, status or resourceVersion.
pub(crate) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    read(deserializer, |text| start(text, MAX_WORD).to_owned())
}

/// Reads a reason.
pub(crate) fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    read(deserializer, |text| excerpt(text, MAX_REASON).into_owned())
}

/// Reads a message.
pub(crate) fn message<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    read(deserializer, |text| excerpt(text, MAX_MESSAGE).into_owned())
}

/// Reads an image reference or a mount path. One that was cut ends in [`CUT`], so it cannot equal another, shorter one.
pub(crate) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    read(deserializer, |text| excerpt(text, MAX_PATH).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_text_is_cut_and_marked() {
        assert_eq!(excerpt("short", 5), "short");
        assert_eq!(excerpt("longer", 5), "lo…");
        assert_eq!(excerpt("ééé", 5), "é…");
        let token = "value 22222222-2222-4333-8444-555555555555";
        for limit in 12..token.len() {
            assert_eq!(excerpt(token, limit), "value …", "{limit}");
        }
    }

    #[test]
    fn null_reads_as_empty() {
        let mut json = serde_json::Deserializer::from_str("null");
        assert_eq!(name(&mut json).unwrap(), "");
    }

    proptest! {
        #[test]
        fn an_excerpt_is_within_its_limit(text in any::<String>(), limit in 3_usize..64) {
            let kept = excerpt(&text, limit);
            prop_assert!(kept.len() <= limit.max(3));
            prop_assert_eq!(kept.len() == text.len(), text.len() <= limit);
        }
    }
}
