//! What the Secret holds, checked before it is used.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};

use super::plan::{Ca, Leaf, Stored};
use crate::{
    bundle::{Bundle, BundleError},
    ca::{CaBundle, CaCertificate, CaId},
    issue::{Authority, BACKDATED, IssueError, Issued},
    metrics::Refused,
};

/// The common name of the authorities that this program makes. By it they are told from those of others.
pub(super) const COMMON_NAME: &str = "coder-logstream-kube webhook CA";

const CA_CERTIFICATES: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The Secret's content, as far as it is of use.
#[derive(Default)]
pub(super) struct Content {
    /// The newest first.
    pub(super) authorities: Vec<CaCertificate>,
    /// The first one with its key.
    pub(super) signer: Option<Authority>,
    /// The leaf, and which of the authorities issued it.
    pub(super) leaf: Option<(Bundle, CaId)>,
}

/// Why a part of the Secret is of no use. It is made again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Nonsense {
    #[error("ca.crt holds no certificate that can be read")]
    NoAuthority,
    #[error("ca.key is missing or no text")]
    NoAuthorityKey,
    #[error("ca.key: {0}")]
    AuthorityKey(#[from] IssueError),
    #[error("the first certificate of ca.crt expired at {0}")]
    AuthorityExpired(Timestamp),
    #[error("the first certificate of ca.crt is not valid before {0}")]
    AuthorityNotYetValid(Timestamp),
    #[error("tls.crt and tls.key: {0}")]
    Leaf(#[from] BundleError),
    #[error("tls.crt is issued by none of the authorities in ca.crt")]
    Stranger,
}

impl Nonsense {
    pub(super) fn label(&self) -> Refused {
        match self {
            Self::NoAuthority | Self::NoAuthorityKey | Self::AuthorityKey(IssueError::Rcgen(_)) => Refused::Malformed,
            Self::AuthorityKey(_) => Refused::KeyMismatch,
            Self::AuthorityExpired(_) => Refused::Expired,
            Self::AuthorityNotYetValid(_) => Refused::NotYetValid,
            Self::Leaf(error) => error.refused(),
            Self::Stranger => Refused::Issuer,
        }
    }
}

impl Content {
    /// Reads the data of a Secret, and says what of it is of no use. An empty one is in order.
    pub(super) fn read(data: &BTreeMap<String, ByteString>, now: Timestamp) -> (Self, Vec<Nonsense>) {
        let get = |key: &str| data.get(key).map(|value| value.0.as_slice()).filter(|value| !value.is_empty());
        let mut nonsense = Vec::new();
        let mut content = Self::default();
        if let Some(pem) = get(CA_CERTIFICATES) {
            content.authorities = CaBundle::parse(pem).certificates().to_vec();
        }
        match content.authorities.first() {
            None if [CA_CERTIFICATES, CA_KEY, CERTIFICATE, KEY].into_iter().any(|key| get(key).is_some()) => {
                nonsense.push(Nonsense::NoAuthority);
            }
            None => {}
            Some(first) if now > first.not_after() => nonsense.push(Nonsense::AuthorityExpired(first.not_after())),
            Some(first) if now < first.not_before() => {
                nonsense.push(Nonsense::AuthorityNotYetValid(first.not_before()));
            }
            Some(first) => match signer(first, get(CA_KEY)) {
                Ok(signer) => content.signer = Some(signer),
                Err(error) => nonsense.push(error),
            },
        }
        if let (Some(certificate), Some(key)) = (get(CERTIFICATE), get(KEY)) {
            match content.leaf(certificate, key, now) {
                Ok(leaf) => content.leaf = Some(leaf),
                Err(error) => nonsense.push(error),
            }
        }
        (content, nonsense)
    }

    fn leaf(&self, certificate: &[u8], key: &[u8], now: Timestamp) -> Result<(Bundle, CaId), Nonsense> {
        // Names are left to the plan: a leaf without one of ours is better than none.
        let bundle = Bundle::parse(certificate, key, &[], now)?;
        let issuer = self.authorities.iter().find(|ca| bundle.is_trusted_by([*ca], now)).ok_or(Nonsense::Stranger)?;
        let issuer = issuer.id();
        Ok((bundle, issuer))
    }

    /// What the plan has to know of it.
    pub(super) fn facts(&self, names: &[ServerName<'_>]) -> Stored {
        let leaf = self.leaf.as_ref().map(|(bundle, issuer)| Leaf {
            fingerprint: bundle.fingerprint().to_owned(),
            issuer: *issuer,
            created: made(bundle.not_before()),
            not_after: bundle.not_after(),
            covers: names.iter().all(|name| bundle.check_name(name).is_ok()),
        });
        Stored { authorities: self.authorities.iter().map(ca).collect(), signs: self.signer.is_some(), leaf }
    }
}

fn signer(certificate: &CaCertificate, key: Option<&[u8]>) -> Result<Authority, Nonsense> {
    let key = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or(Nonsense::NoAuthorityKey)?;
    Ok(Authority::from_pem(&certificate.pem(), key)?)
}

/// What the plan has to know of an authority.
pub(super) fn ca(certificate: &CaCertificate) -> Ca {
    let ours = certificate.common_name() == COMMON_NAME;
    let not_before = certificate.not_before();
    let created = if ours { made(not_before) } else { not_before };
    Ca { id: certificate.id(), created, not_after: certificate.not_after(), ours }
}

/// When something of ours was made, by the first moment of its validity.
fn made(not_before: Timestamp) -> Timestamp {
    let backdated = SignedDuration::try_from(BACKDATED).unwrap_or(SignedDuration::ZERO);
    not_before.saturating_add(backdated).unwrap_or(Timestamp::MAX)
}

/// New authorities, the first with its key.
pub(super) fn authorities(signer: &Authority, others: &[CaCertificate]) -> Value {
    let all = others.iter().fold(signer.certificate().to_owned(), |text, ca| text + &ca.pem());
    json!({ CA_CERTIFICATES: bytes(all), CA_KEY: bytes(signer.key()) })
}

/// Fewer authorities.
pub(super) fn fewer(kept: &[CaCertificate]) -> Value {
    json!({ CA_CERTIFICATES: bytes(kept.iter().map(CaCertificate::pem).collect()) })
}

/// A new leaf.
pub(super) fn leaf(issued: &Issued) -> Value {
    json!({ CERTIFICATE: bytes(issued.certificate.clone()), KEY: bytes(issued.key.clone()) })
}

fn bytes(text: String) -> ByteString {
    ByteString(text.into_bytes())
}
