//! Reads and validates the content of the certificate Secret.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};

use super::plan::{Ca, ServingCert, Stored};
use crate::{
    bundle::{Bundle, BundleError},
    ca::{CaBundle, CaCertificate, CaId},
    issue::{BACKDATED, IssueError, Issued, SigningCa},
    labels::Refused,
};

/// Common name of the CAs created by this program; distinguishes them from other CAs in a caBundle.
pub(super) const COMMON_NAME: &str = "coder-logstream-kube webhook CA";

const CA_CERTIFICATES: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The valid parts of the Secret.
#[derive(Default)]
pub(super) struct Content {
    /// CAs, newest first.
    pub(super) cas: Vec<CaCertificate>,
    /// The newest CA with its private key.
    pub(super) signer: Option<SigningCa>,
    /// Serving certificate and the CA that issued it.
    pub(super) serving_cert: Option<(Bundle, CaId)>,
}

/// A part of the Secret is invalid and will be replaced.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidPart {
    #[error("ca.crt holds no valid certificate")]
    NoCa,
    #[error("ca.key is missing or not UTF-8")]
    NoCaKey,
    #[error("ca.key: {0}")]
    CaKey(#[from] IssueError),
    #[error("the first certificate of ca.crt expired at {0}")]
    CaExpired(Timestamp),
    #[error("the first certificate of ca.crt is not valid before {0}")]
    CaNotYetValid(Timestamp),
    #[error("tls.crt and tls.key: {0}")]
    ServingCert(#[from] BundleError),
    #[error("tls.crt is not issued by a CA in ca.crt")]
    UnknownIssuer,
}

impl InvalidPart {
    pub(super) fn label(&self) -> Refused {
        match self {
            Self::NoCa | Self::NoCaKey | Self::CaKey(IssueError::Rcgen(_)) => Refused::Malformed,
            Self::CaKey(_) => Refused::KeyMismatch,
            Self::CaExpired(_) => Refused::Expired,
            Self::CaNotYetValid(_) => Refused::NotYetValid,
            Self::ServingCert(error) => error.refused(),
            Self::UnknownIssuer => Refused::Issuer,
        }
    }
}

impl Content {
    /// Parses the data of a Secret and returns the valid parts and the errors. An empty Secret is valid.
    pub(super) fn read(data: &BTreeMap<String, ByteString>, now: Timestamp) -> (Self, Vec<InvalidPart>) {
        let get = |key: &str| data.get(key).map(|value| value.0.as_slice()).filter(|value| !value.is_empty());
        let mut invalid = Vec::new();
        let mut content = Self::default();
        if let Some(pem) = get(CA_CERTIFICATES) {
            content.cas = CaBundle::parse(pem).certificates().to_vec();
        }
        match content.cas.first() {
            None if [CA_CERTIFICATES, CA_KEY, CERTIFICATE, KEY].into_iter().any(|key| get(key).is_some()) => {
                invalid.push(InvalidPart::NoCa);
            }
            None => {}
            Some(first) if now > first.not_after() => invalid.push(InvalidPart::CaExpired(first.not_after())),
            Some(first) if now < first.not_before() => {
                invalid.push(InvalidPart::CaNotYetValid(first.not_before()));
            }
            Some(first) => match signer(first, get(CA_KEY)) {
                Ok(signer) => content.signer = Some(signer),
                Err(error) => invalid.push(error),
            },
        }
        if let (Some(certificate), Some(key)) = (get(CERTIFICATE), get(KEY)) {
            match content.serving_cert(certificate, key, now) {
                Ok(serving_cert) => content.serving_cert = Some(serving_cert),
                Err(error) => invalid.push(error),
            }
        }
        (content, invalid)
    }

    fn serving_cert(&self, certificate: &[u8], key: &[u8], now: Timestamp) -> Result<(Bundle, CaId), InvalidPart> {
        // The plan checks names: a certificate that lacks one of ours is better than none.
        let bundle = Bundle::parse(certificate, key, &[], now)?;
        let issuer = self.cas.iter().find(|ca| bundle.is_trusted_by([*ca], now)).ok_or(InvalidPart::UnknownIssuer)?;
        let issuer = issuer.id();
        Ok((bundle, issuer))
    }

    /// Converts the content into the facts of the plan.
    pub(super) fn facts(&self, names: &[ServerName<'_>]) -> Stored {
        let serving_cert = self.serving_cert.as_ref().map(|(bundle, issuer)| ServingCert {
            fingerprint: bundle.fingerprint().to_owned(),
            issuer: *issuer,
            created: made(bundle.not_before()),
            not_after: bundle.not_after(),
            covers: names.iter().all(|name| bundle.check_name(name).is_ok()),
        });
        Stored { cas: self.cas.iter().map(ca).collect(), signs: self.signer.is_some(), serving_cert }
    }
}

fn signer(certificate: &CaCertificate, key: Option<&[u8]>) -> Result<SigningCa, InvalidPart> {
    let key = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or(InvalidPart::NoCaKey)?;
    Ok(SigningCa::from_pem(&certificate.pem(), key)?)
}

/// Converts a CA certificate into a fact of the plan.
pub(super) fn ca(certificate: &CaCertificate) -> Ca {
    let ours = certificate.common_name() == COMMON_NAME;
    let not_before = certificate.not_before();
    let created = if ours { made(not_before) } else { not_before };
    Ca { id: certificate.id(), created, not_after: certificate.not_after(), ours }
}

/// Creation time of a certificate of ours, derived from `notBefore`.
fn made(not_before: Timestamp) -> Timestamp {
    let backdated = SignedDuration::try_from(BACKDATED).unwrap_or(SignedDuration::ZERO);
    not_before.saturating_add(backdated).unwrap_or(Timestamp::MAX)
}

/// Secret data for a new CA with its key, followed by the CAs that are kept.
pub(super) fn cas(signer: &SigningCa, others: &[CaCertificate]) -> Value {
    let all = others.iter().fold(signer.certificate().to_owned(), |text, ca| text + &ca.pem());
    json!({ CA_CERTIFICATES: bytes(all), CA_KEY: bytes(signer.key()) })
}

/// Secret data for the CAs that are kept.
pub(super) fn fewer(kept: &[CaCertificate]) -> Value {
    json!({ CA_CERTIFICATES: bytes(kept.iter().map(CaCertificate::pem).collect()) })
}

/// Secret data for a new serving certificate.
pub(super) fn serving_cert(issued: &Issued) -> Value {
    json!({ CERTIFICATE: bytes(issued.certificate.clone()), KEY: bytes(issued.key.clone()) })
}

fn bytes(text: String) -> ByteString {
    ByteString(text.into_bytes())
}
