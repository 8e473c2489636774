//! Tests of which parts of a Secret are accepted and which are rejected.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::pki_types::ServerName;
use serde_json::Value;

use super::super::stored::{COMMON_NAME, Content, cas, serving_cert};
use crate::issue::SigningCa;

const HOUR: Duration = Duration::from_hours(1);

fn now() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn name(text: &str) -> ServerName<'static> {
    ServerName::try_from(text.to_owned()).unwrap()
}

fn data(parts: &[Value]) -> BTreeMap<String, ByteString> {
    let parts = parts.iter().map(|part| serde_json::from_value::<BTreeMap<_, _>>(part.clone()).unwrap());
    parts.flatten().collect()
}

fn errors(data: &BTreeMap<String, ByteString>, now: Timestamp) -> Vec<String> {
    Content::read(data, now).1.iter().map(ToString::to_string).collect()
}

#[test]
fn a_written_secret_is_read_again() {
    let (old, new) = (ca(), ca());
    let issued = old.issue(&[name("a.b.svc")], now(), HOUR).unwrap();
    let (with_old, _) = Content::read(&data(&[cas(&old, &[])]), now());
    let both = data(&[cas(&new, &with_old.cas), serving_cert(&issued)]);
    let (content, invalid) = Content::read(&both, now());
    assert!(invalid.is_empty(), "{invalid:?}");
    let facts = content.facts(&[name("a.b.svc")]);
    let [first, second] = facts.cas.as_slice() else { panic!("{facts:?}") };
    assert!(facts.signs && first.ours && second.ours);
    let serving_cert = facts.serving_cert.unwrap();
    assert_eq!((serving_cert.issuer, serving_cert.covers, serving_cert.created), (second.id, true, now()));
    assert_eq!(serving_cert.not_after, now().checked_add(HOUR).unwrap());
    assert!(!content.facts(&[name("a.b.svc"), name("c")]).serving_cert.unwrap().covers);
}

#[test]
fn an_empty_secret_is_in_order() {
    assert_eq!(errors(&BTreeMap::new(), now()), [""; 0]);
    let empty = ["ca.crt", "tls.key"].map(|key| (key.to_owned(), ByteString(Vec::new())));
    assert_eq!(errors(&BTreeMap::from(empty), now()), [""; 0]);
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let (one, other) = (ca(), ca());
    let issued = one.issue(&[name("a.b.svc")], now(), HOUR).unwrap();
    let good = data(&[cas(&one, &[]), serving_cert(&issued)]);
    let with = |key: &str, value: &[u8]| {
        let mut data = good.clone();
        data.insert(key.to_owned(), ByteString(value.to_vec()));
        data
    };
    for (data, reasons) in [
        (
            with("ca.crt", b"invalid"),
            vec!["ca.crt holds no valid certificate", "tls.crt is not issued by a CA in ca.crt"],
        ),
        (with("ca.key", b""), vec!["ca.key is missing or not UTF-8"]),
        (with("ca.key", &[0xff]), vec!["ca.key is missing or not UTF-8"]),
        (with("ca.key", other.key().as_bytes()), vec!["ca.key: the key does not match the CA certificate"]),
        (
            with("tls.crt", b"invalid"),
            vec![
                "tls.crt and tls.key: the certificate chain holds no certificate; it must be PEM, the serving certificate first",
            ],
        ),
        (data(&[cas(&other, &[]), serving_cert(&issued)]), vec!["tls.crt is not issued by a CA in ca.crt"]),
    ] {
        assert_eq!(errors(&data, now()), reasons);
    }
    let invalid = errors(&with("ca.key", b"invalid"), now());
    assert!(invalid[0].starts_with("ca.key: cannot issue a certificate: "), "{invalid:?}");
}

#[test]
fn expired_and_not_yet_valid_certificates_are_rejected() {
    let ca = ca();
    let issued = ca.issue(&[name("a.b.svc")], now(), HOUR).unwrap();
    let data = data(&[cas(&ca, &[]), serving_cert(&issued)]);
    let errors = |hours: i64| errors(&data, now().checked_add(jiff::SignedDuration::from_hours(hours)).unwrap());
    assert_eq!(errors(0), [""; 0]);
    assert!(errors(2)[0].contains("expired at 2026-11-01T01:00:00Z"), "{:?}", errors(2));
    assert_eq!(errors(2).len(), 1);
    assert!(errors(200)[0].starts_with("the first certificate of ca.crt expired at "), "{:?}", errors(200));
    assert!(errors(-1)[0].starts_with("the first certificate of ca.crt is not valid before "), "{:?}", errors(-1));
}

fn ca() -> SigningCa {
    SigningCa::new(COMMON_NAME, now(), 100 * HOUR).unwrap()
}
