//! Detection of credentials that cannot work, as far as the credentials themselves show it.

use base64::Engine as _;
use jiff::Timestamp;
use kube::config::AuthInfo;
use logstream_certs::CaBundle;

/// The reason why no API server accepts these credentials: there are none, or the client certificate has expired.
pub(crate) fn flaw(credentials: &AuthInfo, now: Timestamp) -> Option<String> {
    let AuthInfo { username, token, token_file, auth_provider, exec, .. } = credentials;
    let has_other = username.is_some()
        || token.is_some()
        || token_file.is_some()
        || auth_provider.is_some()
        || exec.is_some()
        || credentials.client_certificate.is_some();
    let Some(encoded) = &credentials.client_certificate_data else {
        return (!has_other).then(|| "the context's user has no credentials".to_owned());
    };
    let pem = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let expiry = CaBundle::parse(&pem).certificates().first()?.not_after();
    (expiry < now).then(|| format!("the client certificate expired at {expiry}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(credentials: &AuthInfo) -> Option<String> {
        flaw(credentials, "2026-11-27T02:00:00Z".parse().unwrap())
    }

    fn with_certificate(last: (i32, u8, u8)) -> AuthInfo {
        let mut params = rcgen::CertificateParams::new(["alice".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(last.0, last.1, last.2);
        let pem = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        let encoded = base64::engine::general_purpose::STANDARD.encode(pem);
        AuthInfo { client_certificate_data: Some(encoded), ..AuthInfo::default() }
    }

    #[test]
    fn an_expired_client_certificate_and_missing_credentials_are_found() {
        let expired = found(&with_certificate((2026, 11, 26)));
        assert_eq!(expired.as_deref(), Some("the client certificate expired at 2026-11-26T00:00:00Z"));
        assert_eq!(found(&with_certificate((2026, 11, 28))), None);
        assert_eq!(found(&AuthInfo::default()).as_deref(), Some("the context's user has no credentials"));
        assert_eq!(found(&AuthInfo { token_file: Some("/token".to_owned()), ..AuthInfo::default() }), None);
    }
}
