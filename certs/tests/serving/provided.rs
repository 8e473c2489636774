//! Files that another program replaces.

use std::{fs, time::Duration};

use jiff::Timestamp;
use logstream_certs::{
    CertSource as _, FileError, Metrics, Refused,
    issue::Issued,
    provided::{Files, INTERVAL, Refusal, Source},
};
use tokio::time::timeout;

use crate::common::{HOUR, Mounted, NAME, ca, clock, name, now, serving_cert};

/// Long enough for a source to read its files many times. These tests do not run in real time.
const LONG: Duration = Duration::from_mins(1);

async fn nothing_new(source: &mut Source) {
    assert!(timeout(LONG, source.next()).await.is_err(), "nothing new was to come");
}

#[tokio::test(start_paused = true)]
async fn each_of_five_rotations_is_given_once() {
    let ca = ca();
    let mut mounted = Mounted::of(&serving_cert(&ca));
    let mut source = mounted.source(&Metrics::new());
    let mut last = source.next().await.unwrap().fingerprint().to_owned();
    for _ in 0..5 {
        nothing_new(&mut source).await;
        mounted.swap(&serving_cert(&ca));
        let bundle = timeout(LONG, source.next()).await.unwrap().unwrap();
        assert_ne!(bundle.fingerprint(), last);
        bundle.fingerprint().clone_into(&mut last);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_bundle_is_refused_once_and_the_good_one_stays() {
    let (ca, metrics) = (ca(), Metrics::new());
    let good = serving_cert(&ca);
    let mut mounted = Mounted::of(&good);
    let mut source = mounted.source(&metrics);
    source.next().await.unwrap();

    let other_name = ca.issue(&[name("example.com")], now(), HOUR).unwrap();
    let expired = ca.issue(&[name(NAME)], now() - 2 * HOUR, HOUR).unwrap();
    let no_certificate = Issued { certificate: "soon".into(), ..good.clone() };
    let wrong_key = Issued { key: serving_cert(&ca).key, ..good.clone() };
    let too_large = Issued { key: " ".repeat(1024 * 1024 + 1), ..good.clone() };
    for (bad, reason, count) in [
        (other_name, Refused::Name, 1),
        (expired, Refused::Expired, 1),
        (no_certificate, Refused::Malformed, 1),
        (too_large, Refused::Malformed, 2),
        (wrong_key, Refused::KeyMismatch, 1),
    ] {
        mounted.swap(&bad);
        nothing_new(&mut source).await;
        assert_eq!(metrics.refused(reason), count, "{reason:?}");
    }
    // The served content is back, which is not a change.
    mounted.swap(&good);
    nothing_new(&mut source).await;
    mounted.swap(&serving_cert(&ca));
    timeout(LONG, source.next()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn files_that_are_not_there_yet_are_waited_for() {
    let (mut mounted, metrics) = (Mounted::empty(), Metrics::new());
    let mut source = mounted.source(&metrics);
    nothing_new(&mut source).await;
    assert_eq!(metrics.refused(Refused::Unreadable), 1);
    let refusal = source.check().await.unwrap_err();
    assert!(matches!(refusal, Refusal::File(FileError::Unreadable { .. })));
    assert!(refusal.to_string().contains("tls.crt"), "{refusal}");
    mounted.swap(&serving_cert(&ca()));
    timeout(LONG, source.next()).await.unwrap().unwrap();
    source.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_comes_before_its_time_is_taken_when_it_is_there() {
    let (metrics, start, begun) = (Metrics::new(), now(), tokio::time::Instant::now());
    let early = ca().issue(&[name(NAME)], start + HOUR, HOUR).unwrap();
    let mounted = Mounted::of(&early);
    let clock = std::sync::Arc::new(move || -> Timestamp { start + begun.elapsed() });
    let mut source =
        Source::new(Files::in_directory(mounted.path()), vec![name(NAME)], LONG / 10, clock, metrics.clone());
    let bundle = timeout(2 * HOUR, source.next()).await.unwrap().unwrap();
    assert!(begun.elapsed() > HOUR / 2);
    bundle.check_time(start + HOUR).unwrap();
    assert_eq!(metrics.refused(Refused::NotYetValid), 1);
}

#[tokio::test]
async fn a_pair_is_never_torn_however_often_it_is_replaced() {
    let (ca, metrics) = (ca(), Metrics::new());
    let pairs: Vec<_> = (0..50).map(|_| serving_cert(&ca)).collect();
    let mut mounted = Mounted::of(&pairs[0]);
    let files = Files::in_directory(mounted.path());
    let mut source = Source::new(files, vec![name(NAME)], Duration::ZERO, clock(), metrics.clone());
    let mut swapping = tokio::task::JoinSet::new();
    swapping.spawn_blocking(move || {
        for round in 0..500 {
            mounted.swap(&pairs[round % pairs.len()]);
        }
        mounted
    });
    let reading = async {
        loop {
            source.next().await;
        }
    };
    let mounted = tokio::select! {
        mounted = swapping.join_next() => mounted,
        () = reading => None,
    };
    assert_eq!(metrics.refused(Refused::KeyMismatch), 0);
    drop(mounted);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_loses_nothing() {
    let mounted = Mounted::of(&serving_cert(&ca()));
    let mut source = mounted.source(&Metrics::new());
    for _ in 0..50 {
        if timeout(INTERVAL / 10, source.next()).await.is_ok() {
            return;
        }
    }
    source.next().await.unwrap();
}

#[test]
fn two_paths_need_not_be_in_one_folder() {
    let mounted = Mounted::empty();
    let files = Files { certificate: mounted.path().join("a"), key: mounted.path().join("b") };
    let issued = serving_cert(&ca());
    fs::write(&files.certificate, &issued.certificate).unwrap();
    fs::write(&files.key, &issued.key).unwrap();
    let source = Source::new(files, vec![], INTERVAL, clock(), Metrics::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(source.check()).unwrap();
}
