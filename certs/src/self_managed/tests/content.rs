//! What of a Secret is taken, and what is refused.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::pki_types::ServerName;
use serde_json::Value;

use super::super::stored::{COMMON_NAME, Content, authorities, leaf};
use crate::issue::Authority;

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

fn told(data: &BTreeMap<String, ByteString>, now: Timestamp) -> Vec<String> {
    Content::read(data, now).1.iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_written_is_read_again() {
    let (old, new) = (authority(), authority());
    let issued = old.issue(&[name("a.b.svc")], now(), HOUR).unwrap();
    let (with_old, _) = Content::read(&data(&[authorities(&old, &[])]), now());
    let both = data(&[authorities(&new, &with_old.authorities), leaf(&issued)]);
    let (content, nonsense) = Content::read(&both, now());
    assert!(nonsense.is_empty(), "{nonsense:?}");
    let facts = content.facts(&[name("a.b.svc")]);
    let [first, second] = facts.authorities.as_slice() else { panic!("{facts:?}") };
    assert!(facts.signs && first.ours && second.ours);
    let leaf = facts.leaf.unwrap();
    assert_eq!((leaf.issuer, leaf.covers, leaf.created), (second.id, true, now()));
    assert_eq!(leaf.not_after, now().checked_add(HOUR).unwrap());
    assert!(!content.facts(&[name("a.b.svc"), name("c")]).leaf.unwrap().covers);
}

#[test]
fn an_empty_secret_is_in_order() {
    assert_eq!(told(&BTreeMap::new(), now()), [""; 0]);
    let empty = ["ca.crt", "tls.key"].map(|key| (key.to_owned(), ByteString(Vec::new())));
    assert_eq!(told(&BTreeMap::from(empty), now()), [""; 0]);
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let (one, other) = (authority(), authority());
    let issued = one.issue(&[name("a.b.svc")], now(), HOUR).unwrap();
    let good = data(&[authorities(&one, &[]), leaf(&issued)]);
    let with = |key: &str, value: &[u8]| {
        let mut data = good.clone();
        data.insert(key.to_owned(), ByteString(value.to_vec()));
        data
    };
    for (data, reasons) in [
        (
            with("ca.crt", b"nonsense"),
            vec![
                "ca.crt holds no certificate that can be read",
                "tls.crt is issued by none of the authorities in ca.crt",
            ],
        ),
        (with("ca.key", b""), vec!["ca.key is missing or no text"]),
        (with("ca.key", &[0xff]), vec!["ca.key is missing or no text"]),
        (
            with("ca.key", other.key().as_bytes()),
            vec!["ca.key: the key does not belong to the authority's certificate"],
        ),
        (
            with("tls.crt", b"nonsense"),
            vec!["tls.crt and tls.key: the certificate chain holds no certificate; it must be PEM, the leaf first"],
        ),
        (
            data(&[authorities(&other, &[]), leaf(&issued)]),
            vec!["tls.crt is issued by none of the authorities in ca.crt"],
        ),
    ] {
        assert_eq!(told(&data, now()), reasons);
    }
    let nonsense = told(&with("ca.key", b"nonsense"), now());
    assert!(nonsense[0].starts_with("ca.key: cannot issue a certificate: "), "{nonsense:?}");
}

#[test]
fn what_has_expired_or_is_not_valid_yet_is_refused() {
    let authority = authority();
    let issued = authority.issue(&[name("a.b.svc")], now(), HOUR).unwrap();
    let data = data(&[authorities(&authority, &[]), leaf(&issued)]);
    let told = |hours: i64| told(&data, now().checked_add(jiff::SignedDuration::from_hours(hours)).unwrap());
    assert_eq!(told(0), [""; 0]);
    assert!(told(2)[0].contains("expired at 2026-11-01T01:00:00Z"), "{:?}", told(2));
    assert_eq!(told(2).len(), 1);
    assert!(told(200)[0].starts_with("the first certificate of ca.crt expired at "), "{:?}", told(200));
    assert!(told(-1)[0].starts_with("the first certificate of ca.crt is not valid before "), "{:?}", told(-1));
}

fn authority() -> Authority {
    Authority::new(COMMON_NAME, now(), 100 * HOUR).unwrap()
}
