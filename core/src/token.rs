//! Agent tokens: the one secret this program handles.

use std::fmt;

use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::text;

/// Environment variable that holds the token itself.
pub const TOKEN: &str = "CODER_AGENT_TOKEN";
/// Environment variable that holds the path of a file with the token.
pub const TOKEN_FILE: &str = "CODER_AGENT_TOKEN_FILE";
/// Environment variables that hold an agent's token. Decoding drops the values of all others, except those that these
/// refer to as `$(NAME)`.
pub const VARIABLES: [&str; 2] = [TOKEN, TOKEN_FILE];

/// Token with which a Coder agent authenticates: a user's credential.
///
/// Coder's agent tokens are UUIDs, so one takes 16 bytes here and is copied freely. Its value is not reachable through
/// `Debug`, `Display` or `Serialize`; logs show its [`Fingerprint`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentToken(Uuid);

/// Error for a text that should be an agent token and is not a UUID. Does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an agent token must be a UUID")]
pub struct NotAToken;

/// Eight hexadecimal digits that identify an agent in logs, and reveal nothing about the token.
///
/// The first 32 bits of the SHA-256 of the token, which has 122 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u32);

impl AgentToken {
    /// Parses a token from an environment variable or a file. White space around it is not part of it.
    ///
    /// Only the hyphenated form of a UUID is accepted: Coder writes tokens that way, and compares the text that it
    /// receives.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let text = text.trim();
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(NotAToken);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| NotAToken)
    }

    /// Returns the value, for the one header that needs it.
    pub fn expose(&self) -> String {
        self.0.hyphenated().to_string()
    }

    /// Returns the fingerprint for logs.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::digest(self.0.as_bytes());
        Fingerprint(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
    }
}

impl From<Uuid> for AgentToken {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Debug for AgentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentToken({})", self.fingerprint())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text of an object that may be a secret, such as an environment value. `Debug` does not show it. Decoding keeps at
/// most 4 KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Box<str>);

impl Sealed {
    /// Seals a text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Shortens the text to at most `limit` bytes. A text that was cut is neither a token nor a path.
    pub(crate) fn shorten(&mut self, limit: usize) {
        if let std::borrow::Cow::Owned(shorter) = text::excerpt(&self.0, limit) {
            self.0 = shorter.into();
        }
    }

    /// Returns the text. Callers must not print it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, |text| Self(text::excerpt(text, text::MAX_VALUE).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "22222222-2222-4333-8444-555555555555";

    #[test]
    fn a_token_shows_its_fingerprint_and_never_its_value() {
        let token = AgentToken::parse(TEXT).unwrap();
        let shown = format!("{token:?} {}", token.fingerprint());
        assert!(!shown.contains("22222222"), "{shown}");
        assert_eq!(token.expose(), TEXT);
        assert_eq!(token.fingerprint().to_string().len(), 8);
        assert_eq!(format!("{:?}", Sealed::new(TEXT)), "Sealed");
    }

    #[test]
    fn only_a_hyphenated_uuid_is_a_token() {
        assert_eq!(AgentToken::parse(&format!(" {TEXT}\n")).unwrap().expose(), TEXT);
        for text in ["", "secret", "$(TOKEN)", "22222222222243338444555555555555", &format!("{{{TEXT}}}")] {
            assert_eq!(AgentToken::parse(text), Err(NotAToken), "{text}");
        }
    }
}
