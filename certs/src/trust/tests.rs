//! Tests of readiness with different configurations and certificates.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::*;
use crate::issue::SigningCa;

const DAY: Duration = Duration::from_hours(24);

fn now() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn ca() -> SigningCa {
    SigningCa::new("a CA", now(), DAY).unwrap()
}

fn bundle(ca: &SigningCa, names: &[&str]) -> Bundle {
    let names: Vec<_> = names.iter().map(|name| ServerName::try_from((*name).to_owned()).unwrap()).collect();
    let issued = ca.issue(&names, now(), DAY).unwrap();
    Bundle::parse(issued.certificate.as_bytes(), issued.key.as_bytes(), &[], now()).unwrap()
}

fn by_service(trusted: &str) -> Value {
    let service = json!({ "name": "hook", "namespace": "coder" });
    json!({ "name": "pods", "clientConfig": { "service": service, "caBundle": STANDARD.encode(trusted) } })
}

fn by_url(url: &str, trusted: &str) -> Value {
    json!({ "name": "workloads", "clientConfig": { "url": url, "caBundle": STANDARD.encode(trusted) } })
}

fn trust(webhooks: &[Value]) -> Trust {
    let trust = Trust::new("logstream", Metrics::new());
    let configuration = json!({ "metadata": { "resourceVersion": "1" }, "webhooks": webhooks });
    trust.read(Some(&serde_json::from_value(configuration).unwrap()));
    trust
}

fn error(trust: &Trust, served: &Bundle) -> String {
    trust.check(Some(served), now()).unwrap_err().to_string()
}

#[test]
fn it_is_trusted_when_every_webhook_trusts_it_by_the_name_that_it_is_called_by() {
    let (ca, other) = (ca(), ca());
    let served = bundle(&ca, &["hook.coder.svc", "127.0.0.1", "::1"]);
    let both = ca.certificate().to_owned() + other.certificate();
    for url in ["https://127.0.0.1:10250/mutate", "https://[::1]/mutate"] {
        let trust = trust(&[by_service(ca.certificate()), by_url(url, &both)]);
        assert_eq!(trust.check(Some(&served), now()), Ok(()));
    }
    let one = trust(&[by_service(&both), by_url("https://127.0.0.1/", other.certificate())]);
    assert!(error(&one, &served).starts_with("the caBundle of webhook workloads does not verify the certificate with"));
    let none = trust(&[by_service(""), by_url("https://127.0.0.1/", &both)]);
    assert_eq!(error(&none, &served), "webhook pods has no caBundle");
    let elsewhere = trust(&[by_url("https://hook.example.com/", &both)]);
    assert!(
        error(&elsewhere, &served)
            .starts_with("the certificate does not cover the name of webhook workloads: the certificate with")
    );
}

#[test]
fn a_missing_part_is_named() {
    let trust = Trust::new("logstream", Metrics::new());
    assert_eq!(
        trust.check(None, now()).unwrap_err().to_string(),
        "the webhook configuration logstream has not been read yet"
    );
    trust.trouble(Some("no route".to_owned()));
    let unknown = trust.check(None, now()).unwrap_err().to_string();
    assert_eq!(unknown, "the webhook configuration logstream has not been read yet: no route");
    trust.read(None);
    assert_eq!(trust.check(None, now()).unwrap_err().to_string(), "the webhook configuration logstream does not exist");
    let empty = self::trust(&[]);
    assert_eq!(
        empty.check(None, now()).unwrap_err().to_string(),
        "the webhook configuration logstream has no webhooks"
    );
    let waiting = self::trust(&[by_service("")]);
    waiting.trouble(Some("may not".to_owned()));
    let nothing = waiting.check(None, now()).unwrap_err().to_string();
    assert_eq!(nothing, "no certificate is served yet: may not");
}

#[test]
fn time_ends_trust() {
    let ca = ca();
    let served = bundle(&ca, &["hook.coder.svc"]);
    let trust = trust(&[by_service(ca.certificate())]);
    assert_eq!(trust.check(Some(&served), now().checked_add(DAY / 2).unwrap()), Ok(()));
    assert!(trust.check(Some(&served), now().checked_add(DAY * 2).unwrap()).is_err());
    // Immediately, like the check of the certificate itself.
    let over = served.not_after().checked_add(Duration::from_millis(1)).unwrap();
    assert!(served.check_time(over).is_err() && trust.check(Some(&served), over).is_err());
}

#[test]
fn a_self_signed_certificate_is_trusted_as_its_own_ca() {
    // As created by `openssl req -x509`: Go's verifier accepts it, webpki does not.
    let ca = ca();
    let mut params = rcgen::CertificateParams::new(["hook.coder.svc".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let served = Bundle::parse(certificate.as_bytes(), key.serialize_pem().as_bytes(), &[], now()).unwrap();
    assert_eq!(trust(&[by_service(&certificate)]).check(Some(&served), now()), Ok(()));
    assert!(trust(&[by_service(ca.certificate())]).check(Some(&served), now()).is_err());
}
