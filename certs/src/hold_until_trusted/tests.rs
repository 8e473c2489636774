//! Tests of when a bundle is held back, and for how long.

use jiff::Timestamp;
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::*;
use crate::issue::SigningCa;

const LIFE: Duration = Duration::from_hours(1);
const LONG: Duration = Duration::from_mins(1);

fn start() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

struct Sent(mpsc::UnboundedReceiver<Bundle>);

impl CertSource for Sent {
    async fn next(&mut self) -> Option<Bundle> {
        self.0.recv().await
    }
}

/// A source with its input and the trusted caBundle. Its clock advances with tokio's.
struct Fixture {
    send: mpsc::UnboundedSender<Bundle>,
    trust: Arc<Trust>,
    metrics: Metrics,
    source: HoldUntilTrusted<Sent>,
}

impl Fixture {
    fn new() -> Self {
        let (send, bundles) = mpsc::unbounded_channel();
        let metrics = Metrics::new();
        let trust = Arc::new(Trust::new("logstream", metrics.clone()));
        let begun = Instant::now();
        let clock: Arc<dyn Clock> = Arc::new(move || start() + begun.elapsed());
        let source = HoldUntilTrusted::new(Sent(bundles), trust.clone(), clock, metrics.clone());
        Self { send, trust, metrics, source }
    }

    fn trusts(&self, cas: &[&SigningCa]) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let pem: String = cas.iter().map(|ca| ca.certificate()).collect();
        let client = json!({ "url": "https://127.0.0.1/mutate", "caBundle": STANDARD.encode(pem) });
        let webhooks = json!([{ "name": "pods", "clientConfig": client }]);
        let configuration = json!({ "metadata": { "resourceVersion": "1" }, "webhooks": webhooks });
        self.trust.read(Some(&serde_json::from_value(configuration).unwrap()));
    }

    fn comes(&self, bundle: &Bundle) {
        self.send.send(bundle.clone()).unwrap();
    }

    async fn gives(&mut self, bundle: &Bundle) {
        let given = timeout(LONG, self.source.next()).await.expect("something is given").unwrap();
        assert_eq!(given.fingerprint(), bundle.fingerprint());
    }

    async fn gives_nothing(&mut self) {
        assert!(timeout(LONG, self.source.next()).await.is_err(), "nothing was to be given");
    }
}

fn ca() -> SigningCa {
    SigningCa::new("a CA", start(), 10 * LIFE).unwrap()
}

fn serving_cert(ca: &SigningCa) -> Bundle {
    let issued = ca.issue(&["127.0.0.1".try_into().unwrap()], start(), LIFE).unwrap();
    Bundle::parse(issued.certificate.as_bytes(), issued.key.as_bytes(), &[], start()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_bundle_waits_until_it_is_trusted_beside_the_one_before_and_a_little_longer() {
    let (mut fixture, old, new) = (Fixture::new(), ca(), ca());
    let (first, second) = (serving_cert(&old), serving_cert(&new));
    fixture.trusts(&[&old]);
    fixture.comes(&first);
    fixture.gives(&first).await;
    fixture.comes(&second);
    fixture.gives_nothing().await;
    assert_eq!(fixture.metrics.refused(Refused::Untrusted), 1);
    fixture.trusts(&[&old, &new]);
    let trusted = Instant::now();
    fixture.gives(&second).await;
    assert!(trusted.elapsed() >= PROPAGATION_DELAY, "{:?}", trusted.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_trusted_already_does_not_wait() {
    let (mut fixture, old, new) = (Fixture::new(), ca(), ca());
    let (first, second, third) = (serving_cert(&old), serving_cert(&new), serving_cert(&new));
    fixture.trusts(&[&old, &new]);
    for bundle in [&first, &second, &third] {
        fixture.comes(bundle);
        let came = Instant::now();
        fixture.gives(bundle).await;
        assert_eq!(came.elapsed(), Duration::ZERO);
    }
    assert_eq!(fixture.metrics.refused(Refused::Untrusted), 0);
}

#[tokio::test(start_paused = true)]
async fn with_nothing_to_lose_nothing_waits() {
    let (mut fixture, old, new) = (Fixture::new(), ca(), ca());
    let (first, second, third) = (serving_cert(&old), serving_cert(&new), serving_cert(&old));
    // The caBundle is still unknown when both bundles arrive.
    for bundle in [&first, &second] {
        fixture.comes(bundle);
        fixture.gives(bundle).await;
    }
    // The caBundle is replaced, not extended.
    fixture.trusts(&[&new]);
    fixture.comes(&third);
    fixture.gives_nothing().await;
    fixture.trusts(&[&old]);
    let replaced = Instant::now();
    fixture.gives(&third).await;
    assert!(replaced.elapsed() <= LOOK, "{:?}", replaced.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_bundle_waits_no_longer_than_the_one_before_is_valid() {
    let (mut fixture, old, new) = (Fixture::new(), ca(), ca());
    let (first, second) = (serving_cert(&old), serving_cert(&new));
    fixture.trusts(&[&old]);
    fixture.comes(&first);
    fixture.gives(&first).await;
    fixture.comes(&second);
    fixture.gives_nothing().await;
    let waited = timeout(2 * LIFE, fixture.source.next()).await.unwrap().unwrap();
    assert_eq!(waited.fingerprint(), second.fingerprint());
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_taken_back_is_forgotten() {
    let (mut fixture, old, new) = (Fixture::new(), ca(), ca());
    let (first, second) = (serving_cert(&old), serving_cert(&new));
    fixture.trusts(&[&old]);
    fixture.comes(&first);
    fixture.gives(&first).await;
    fixture.comes(&second);
    fixture.comes(&first);
    fixture.gives_nothing().await;
    fixture.trusts(&[&old, &new]);
    fixture.gives_nothing().await;
}
