//! Tests of which serving certificates are accepted, and of the errors for the others.

use jiff::Timestamp;
use logstream_certs::{
    Bundle, BundleError, Refused,
    issue::{Issued, SigningCa},
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};

use crate::common::{HOUR, NAME, ca, name, now, serving_cert};

fn parse(issued: &Issued) -> Result<Bundle, BundleError> {
    parse_at(issued, now())
}

fn parse_at(issued: &Issued, now: Timestamp) -> Result<Bundle, BundleError> {
    Bundle::parse(issued.certificate.as_bytes(), issued.key.as_bytes(), &[name(NAME)], now)
}

/// Issues a self-signed certificate with any parameters.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    change(&mut params);
    Issued { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

#[test]
fn a_fresh_certificate_is_accepted_with_its_log_fields() {
    let bundle = parse(&serving_cert(&ca())).unwrap();
    let left = now().duration_until(bundle.not_after());
    assert!((3_590..=3_600).contains(&left.as_secs()), "{left:?}");
    assert_eq!((bundle.fingerprint().len(), bundle.chain_len()), (64, 1));
    assert!(bundle.serial().contains(':'), "{}", bundle.serial());
}

#[test]
fn a_chain_with_its_issuers_is_accepted() {
    let ca = ca();
    let mut issued = serving_cert(&ca);
    issued.certificate.push_str(ca.certificate());
    assert_eq!(parse(&issued).unwrap().chain_len(), 2);
}

#[test]
fn a_chain_that_does_not_hang_together_is_refused() {
    let (ca, other) = (ca(), self::ca());
    let issued = serving_cert(&ca);
    let with = |more: &[&str]| Issued { certificate: issued.certificate.clone() + &more.concat(), ..issued.clone() };
    let error = parse(&with(&[other.certificate()])).unwrap_err();
    assert!(matches!(error, BundleError::Chain { .. }), "{error}");
    assert_eq!(error.refused(), Refused::Issuer);
    // Extra certificates do no harm, in any order.
    parse(&with(&[other.certificate(), ca.certificate()])).unwrap();
    // An expired issuer does not count.
    let short = SigningCa::new("a CA", now(), HOUR / 2).unwrap();
    let mut outliving = serving_cert(&short);
    outliving.certificate.push_str(short.certificate());
    parse(&outliving).unwrap();
    let later = parse_at(&outliving, now() + HOUR * 3 / 4).unwrap_err();
    assert!(matches!(later, BundleError::Chain { .. }), "{later}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ca = ca();
    let mixed = Issued { key: serving_cert(&ca).key, ..serving_cert(&ca) };
    let error = parse(&mixed).unwrap_err();
    assert_eq!(error.refused(), Refused::KeyMismatch);
    assert!(error.to_string().starts_with("the private key does not belong to the first certificate"), "{error}");
    // The serving certificate must come first, even if the key belongs to it.
    let issued = serving_cert(&ca);
    let upside_down = Issued { certificate: format!("{}{}", ca.certificate(), issued.certificate), ..issued };
    assert_eq!(parse(&upside_down).unwrap_err().refused(), Refused::KeyMismatch);
}

#[test]
fn a_certificate_is_refused_outside_its_time() {
    let issued = serving_cert(&ca());
    let late = parse_at(&issued, now() + 2 * HOUR).unwrap_err();
    assert!(matches!(late, BundleError::Expired { .. }), "{late}");
    let early = parse_at(&issued, now() - HOUR).unwrap_err();
    assert!(matches!(early, BundleError::NotYetValid { .. }), "{early}");
    let bundle = parse(&issued).unwrap();
    assert_eq!(bundle.check_time(bundle.not_after()), Ok(()));
    assert_eq!(bundle.check_time(now() + 2 * HOUR), Err(late));
}

#[test]
fn every_expected_name_must_be_covered() {
    let short = "coder-logstream-kube.coder";
    let issued = ca().issue(&[name(short), name("10.0.0.1"), name("::1")], now(), HOUR).unwrap();
    let error = parse(&issued).unwrap_err().to_string();
    assert!(error.contains(&format!("does not cover the name {NAME}")), "{error}");
    assert!(error.ends_with("coder-logstream-kube.coder, 10.0.0.1, ::1"), "{error}");
    let all = [name(short), name("10.0.0.1")];
    Bundle::parse(issued.certificate.as_bytes(), issued.key.as_bytes(), &all, now()).unwrap();
    Bundle::parse(issued.certificate.as_bytes(), issued.key.as_bytes(), &[], now()).unwrap();
}

#[test]
fn a_certificate_that_the_api_server_would_not_accept_is_refused() {
    let nameless = self_signed(|params| params.subject_alt_names.clear());
    assert!(matches!(parse(&nameless), Err(BundleError::NoNames { .. })));
    let for_clients = self_signed(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(matches!(parse(&for_clients), Err(BundleError::NotForServers { .. })));
    parse(&self_signed(|_| {})).unwrap();
}

#[test]
fn malformed_certificates_and_keys_are_rejected_unquoted() {
    let issued = serving_cert(&ca());
    let with = |certificate: &str, key: &str| {
        parse(&Issued { certificate: certificate.to_owned(), key: key.to_owned() }).unwrap_err()
    };
    assert_eq!(with("", &issued.key), BundleError::NoCertificate);
    assert_eq!(with(&issued.key, &issued.key), BundleError::NoCertificate);
    assert_eq!(with(&issued.certificate[..200], &issued.key), BundleError::NoCertificate);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(with(broken, &issued.key), BundleError::NotACertificate { position: 1 });
    let second = format!("{}{broken}", issued.certificate);
    assert_eq!(with(&second, &issued.key), BundleError::NotACertificate { position: 2 });
    assert_eq!(with(&issued.certificate, ""), BundleError::NoKey);
    assert_eq!(with(&issued.certificate, &issued.certificate), BundleError::NoKey);
    let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let error = with(&issued.certificate, secret);
    assert_eq!(error, BundleError::UnsupportedKey);
    assert!(!error.to_string().contains("c2VjcmV0"));
}

#[test]
fn nothing_shows_a_key() {
    let ca = ca();
    let issued = serving_cert(&ca);
    let bundle = parse(&issued).unwrap();
    let shown = format!("{ca:?} {issued:?} {bundle:?}");
    for key in [ca.key(), issued.key] {
        let line = key.lines().nth(1).unwrap();
        assert!(!shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}

#[test]
fn a_stored_ca_goes_on_issuing() {
    let first = ca();
    let again = SigningCa::from_pem(first.certificate(), &first.key()).unwrap();
    assert_eq!(again.certificate(), first.certificate());
    parse(&serving_cert(&again)).unwrap();
    SigningCa::from_pem(first.certificate(), "no key").unwrap_err();
    let forever = SigningCa::new("a CA", now(), 100_000_000 * HOUR).unwrap_err();
    assert!(forever.to_string().contains("end before 9999"), "{forever}");
}
