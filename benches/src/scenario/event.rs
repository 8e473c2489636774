//! Latency of one line: a known pod's event, three events in a row, the first line of a new pod.
//!
//! Product and baseline watch two namespaces side by side, and every other event is written for the baseline, so that
//! both run under the same conditions.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use logstream_testing::coder::{KUBERNETES_LOG_SOURCE, Valid};
use logstream_testing::process::Process;
use logstream_testing::{CoderOptions, CoderStandIn, Installation};
use serde_json::json;

use super::Bench;
use crate::arrivals::{Arrivals, wait_for};
use crate::baseline;
use crate::load::Posted;
use crate::objects::{self, Pod, token};
use crate::record::{Axis, Must, Plot, Record, Series, Unit};
use crate::site::{Site, coder};
use crate::stats::Sorted;

/// Coder's latency, if it is not zero.
const LATENCY: Duration = Duration::from_millis(20);
/// Number of workspaces whose pods the product already knows.
const KNOWN: usize = 20;
/// Pause between two events: long enough that none waits for another.
const PAUSE: Duration = Duration::from_millis(15);
/// Number of unmeasured events at first, which warm up connections and caches.
const WARM_UP: usize = 20;

/// A namespace that either the product or the baseline watches.
struct Side {
    namespace: String,
    coder: CoderStandIn,
    /// Pods and the tokens of their agents.
    pods: Vec<(Pod, String)>,
}

/// Times of a written object, and its expected line.
struct Written {
    sent: Instant,
    answered: Instant,
    token: String,
    text: String,
}

pub(crate) async fn run(bench: &Bench, record: &mut Record) -> Result<()> {
    let site = Site::start(&bench.programs).await?;
    record.conditions.kubernetes.clone_from(&site.version);
    record.note(format!(
        "the stand-in for Coder answers a PATCH in {:.2} ms (p50, its client included)",
        overhead(Duration::ZERO, Duration::ZERO).await?
    ));
    for run in 0..bench.args.runs {
        known(bench, &site, record, run).await?;
        three(bench, &site, record).await?;
        first(bench, &site, record, run).await?;
    }
    Ok(())
}

/// Latency of the stand-in itself for one line, in milliseconds: a lower bound for any program. `pause` precedes each
/// request, because timers of an idle machine fire later than those of a busy one.
async fn overhead(latency: Duration, pause: Duration) -> Result<f64> {
    let coder = coder(CoderOptions::new().without_rate_limit().latency(latency))?;
    let token = token();
    coder.add_agent(&token, Valid::Now);
    let http = reqwest::Client::new();
    let mut times = Vec::new();
    for n in 0..100 {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        let body = json!({
            "log_source_id": KUBERNETES_LOG_SOURCE,
            "logs": [{ "created_at": "2026-11-25T10:00:00Z", "level": "debug", "output": format!("line {n}") }],
        });
        let request = http.patch(format!("{}/api/v2/workspaceagents/me/logs", coder.url()));
        let answer = request.header("Coder-Session-Token", &token).json(&body).send().await?.error_for_status()?;
        answer.bytes().await?;
        times.push(begun.elapsed());
    }
    Ok(Sorted::millis(times).p50())
}

impl Written {
    fn new(posted: &Posted, token: &str, text: &str) -> Self {
        Self { sent: posted.sent, answered: posted.answered, token: token.to_owned(), text: text.to_owned() }
    }
}

/// Latencies in milliseconds.
struct Times {
    /// From the sending of the write to the arrival of the line's request.
    whole: Sorted,
    /// From the API server's answer to the arrival of the line's request.
    arrival: Sorted,
    /// From the API server's answer to Coder's.
    done: Sorted,
}

impl Side {
    async fn new(site: &Site, what: &str, latency: Duration) -> Result<Self> {
        let coder = coder(CoderOptions::new().without_rate_limit().latency(latency))?;
        Ok(Self { namespace: site.namespace(what).await?, coder, pods: Vec::new() })
    }

    /// Creates a workspace pod with this token.
    async fn pod(&mut self, site: &Site, name: &str, token: &str) -> Result<Written> {
        let posted = site.driver.post(&objects::pods(&self.namespace), &objects::workspace(name, token)).await?;
        let pod = Pod { namespace: self.namespace.clone(), name: name.to_owned(), uid: posted.uid()? };
        self.pods.push((pod, token.to_owned()));
        Ok(Written::new(&posted, token, name))
    }

    fn agent(&self) -> String {
        let token = token();
        self.coder.add_agent(&token, Valid::Now);
        token
    }

    async fn event(&self, site: &Site, n: usize) -> Result<Written> {
        let (pod, token) = &self.pods[n % self.pods.len()];
        let text = format!("image-{n:06}");
        let message = format!("Pulling image \"ghcr.io/example/{text}\"");
        let event = objects::event(pod, &format!("{}.{n:06}", pod.name), &message);
        let posted = site.driver.post(&objects::events(&self.namespace), &event).await?;
        Ok(Written::new(&posted, token, &text))
    }

    /// Latencies of the lines of these objects.
    fn times(&self, written: &[Written]) -> Result<Times> {
        let arrivals = Arrivals::of(&self.coder);
        let [mut whole, mut arrival, mut done] = [const { Vec::new() }; 3];
        for Written { sent, answered, token, text } in written {
            let came = arrivals.line(&self.coder, token, text)?;
            whole.push(came.received - *sent);
            // A watcher may be faster than the API server's answer to the writer.
            arrival.push(came.received.saturating_duration_since(*answered));
            done.push(came.answered.saturating_duration_since(*answered));
        }
        Ok(Times { whole: Sorted::millis(whole), arrival: Sorted::millis(arrival), done: Sorted::millis(done) })
    }
}

/// Installs the product, creates [`KNOWN`] pods and waits for their lines.
async fn product(site: &Site, side: &mut Side) -> Result<Installation> {
    let installation = site.install(&side.coder, &side.namespace).await?;
    for n in 0..KNOWN {
        let token = side.agent();
        side.pod(site, &format!("workspace-{n:02}"), &token).await?;
    }
    wait_for(&side.coder, KNOWN).await?;
    Ok(installation)
}

async fn baseline(site: &Site, side: &Side, kind: &str, token: &str) -> Result<Process> {
    let kubeconfig = site.cluster.admin_kubeconfig();
    let (program, kubeconfig) = (site.programs.baseline_stream.clone(), kubeconfig.display().to_string());
    let (namespace, url) = (side.namespace.clone(), side.coder.url());
    let (kind, token) = (kind.to_owned(), token.to_owned());
    tokio::task::spawn_blocking(move || baseline::watching(&program, &[&kubeconfig, &namespace, &kind, &url, &token]))
        .await
        .context("the baseline")?
}

/// Measures events of known pods, written in turn for the product and the baseline.
async fn known(bench: &Bench, site: &Site, record: &mut Record, run: u32) -> Result<()> {
    let (mut ours, mut theirs) =
        (Side::new(site, "event", Duration::ZERO).await?, Side::new(site, "event-baseline", Duration::ZERO).await?);
    let _product = product(site, &mut ours).await?;
    let token = theirs.agent();
    for n in 0..KNOWN {
        theirs.pod(site, &format!("workspace-{n:02}"), &token).await?;
    }
    let _baseline = baseline(site, &theirs, "events", &token).await?;
    let (mut of_product, mut of_baseline) = (Vec::new(), Vec::new());
    for n in 0..WARM_UP + bench.args.samples {
        of_product.push(ours.event(site, n).await?);
        tokio::time::sleep(PAUSE).await;
        of_baseline.push(theirs.event(site, n).await?);
        tokio::time::sleep(PAUSE).await;
    }
    wait_for(&ours.coder, KNOWN + of_product.len()).await?;
    wait_for(&theirs.coder, of_baseline.len()).await?;
    let (product, baseline) = (ours.times(&of_product[WARM_UP..])?, theirs.times(&of_baseline[WARM_UP..])?);
    let whole = product.whole.p50() / baseline.whole.p50();
    let (product, baseline) = (product.arrival, baseline.arrival);
    let ratio = |share: f64| product.quantile(share) / baseline.quantile(share);
    let what = "event of a known pod to its request's arrival at Coder";
    record.add(&format!("{what}: p50 against the baseline"), Unit::Ratio, Must::AtMost(1.2), ratio(0.5));
    record.add(&format!("{what}: p99 against the baseline"), Unit::Ratio, Must::AtMost(1.2), ratio(0.99));
    record.add(&format!("{what}: p50"), Unit::Millis, Must::Shown, product.p50());
    record.add(&format!("{what}: p99"), Unit::Millis, Must::Shown, product.p99());
    record.add(&format!("{what}: p50 of the baseline"), Unit::Millis, Must::Shown, baseline.p50());
    record.add(&format!("{what}: p99 of the baseline"), Unit::Millis, Must::Shown, baseline.p99());
    record.add(
        &format!("{what}, the write itself included: p50 against the baseline"),
        Unit::Ratio,
        Must::Shown,
        whole,
    );
    if run + 1 == bench.args.runs {
        curves(record, "event", "Event of a known pod to its request's arrival at Coder", &product, &baseline);
    }
    Ok(())
}

/// Measures three events written in sequence; the first one's request is in flight when the others arrive.
async fn three(bench: &Bench, site: &Site, record: &mut Record) -> Result<()> {
    let mut side = Side::new(site, "three", LATENCY).await?;
    let _product = product(site, &mut side).await?;
    let mut written = [Vec::new(), Vec::new(), Vec::new()];
    for trial in 0..(bench.args.samples / 5).max(1) {
        // All three of one trial go to one pod.
        let pod = trial % KNOWN;
        for (place, list) in written.iter_mut().enumerate() {
            list.push(side.event(site, (trial * 3 + place) * KNOWN + pod).await?);
        }
        tokio::time::sleep(5 * LATENCY).await;
    }
    wait_for(&side.coder, KNOWN + 3 * written[0].len()).await?;
    for (place, must) in [Must::Shown, Must::AtMost(45.0), Must::AtMost(45.0)].into_iter().enumerate() {
        let done = side.times(&written[place])?.done;
        let which = ["first", "second", "third"][place];
        let what = format!("three events in a row, Coder at 20 ms: {which} at Coder, p50");
        record.add(&what, Unit::Millis, must, done.p50());
    }
    Ok(())
}

/// Measures the first line of new pods, with the webhook on.
async fn first(bench: &Bench, site: &Site, record: &mut Record, run: u32) -> Result<()> {
    let samples = (bench.args.samples / 4).max(1);
    let (mut ours, mut theirs) =
        (Side::new(site, "first", Duration::ZERO).await?, Side::new(site, "first-baseline", Duration::ZERO).await?);
    let _product = site.install(&ours.coder, &ours.namespace).await?;
    let token = theirs.agent();
    let _baseline = baseline(site, &theirs, "pods", &token).await?;
    let (mut of_product, mut of_baseline) = (Vec::new(), Vec::new());
    for n in 0..WARM_UP + samples {
        let (name, agent) = (format!("workspace-{n:06}"), ours.agent());
        of_product.push(ours.pod(site, &name, &agent).await?);
        tokio::time::sleep(2 * PAUSE).await;
        of_baseline.push(theirs.pod(site, &name, &token).await?);
        tokio::time::sleep(2 * PAUSE).await;
    }
    wait_for(&ours.coder, of_product.len()).await?;
    wait_for(&theirs.coder, of_baseline.len()).await?;
    let (product, baseline) = (ours.times(&of_product[WARM_UP..])?, theirs.times(&of_baseline[WARM_UP..])?);
    let whole = product.whole.p50() / baseline.whole.p50();
    let (product, baseline) = (product.arrival, baseline.arrival);
    let what = "first line of a new pod, webhook on";
    let ratio = product.p50() / baseline.p50();
    record.add(&format!("{what}: p50 against the baseline"), Unit::Ratio, Must::AtMost(1.2), ratio);
    record.add(&format!("{what}: p50"), Unit::Millis, Must::Shown, product.p50());
    record.add(&format!("{what}: p50 of the baseline"), Unit::Millis, Must::Shown, baseline.p50());
    record.add(&format!("{what}: p99"), Unit::Millis, Must::Shown, product.p99());
    record.add(&format!("{what}: p99 of the baseline"), Unit::Millis, Must::Shown, baseline.p99());
    let what = "the same, the creation itself included";
    record.add(&format!("{what}: p50 against the baseline without webhook"), Unit::Ratio, Must::Shown, whole);
    if run + 1 == bench.args.runs {
        curves(record, "first-line", "New pod to its first line's arrival at Coder, webhook on", &product, &baseline);
    }
    first_with_latency(site, record, samples / 2 + 1, baseline.p50()).await
}

/// Measures the same with Coder's latency, which makes up a round trip.
async fn first_with_latency(site: &Site, record: &mut Record, samples: usize, baseline: f64) -> Result<()> {
    let mut side = Side::new(site, "first-20", LATENCY).await?;
    let _product = site.install(&side.coder, &side.namespace).await?;
    let (mut bare, mut of_replicaset) = (Vec::new(), Vec::new());
    for n in 0..samples {
        let (name, agent) = (format!("bare-{n:06}"), side.agent());
        bare.push(side.pod(site, &name, &agent).await?);
        tokio::time::sleep(5 * LATENCY).await;

        // As a controller does: the ReplicaSet first, its pod a while later.
        let (name, agent) = (format!("owned-{n:06}"), side.agent());
        let replicaset = objects::replicaset(&name, &agent);
        let replicaset = site.driver.post(&objects::replicasets(&side.namespace), &replicaset).await?;
        tokio::time::sleep(5 * LATENCY).await;
        let pod_name = format!("{name}-pod");
        let pod = objects::pod_of(&name, &replicaset.uid()?, &pod_name, &agent);
        let posted = site.driver.post(&objects::pods(&side.namespace), &pod).await?;
        of_replicaset.push(Written::new(&posted, &agent, &pod_name));
        tokio::time::sleep(5 * LATENCY).await;
    }
    wait_for(&side.coder, 3 * samples).await?;
    let (of_replicaset, bare) = (side.times(&of_replicaset)?.done, side.times(&bare)?.done);
    let round_trip = overhead(LATENCY, 5 * LATENCY).await?;
    let trips = |time: f64| (time - 1.2 * baseline).max(0.0) / round_trip;
    let what = "first line of a new pod, webhook on, Coder at 20 ms";
    // A second round trip would exceed this.
    let must = Must::AtMost(1.1);
    let round_trips = trips(of_replicaset.p50());
    record.add(
        &format!("{what}: round trips to Coder beyond 1.2 times the baseline at 0 ms"),
        Unit::Ratio,
        must,
        round_trips,
    );
    record.add(&format!("{what}: at Coder, p50"), Unit::Millis, Must::Shown, of_replicaset.p50());
    record.add(&format!("{what}, a bare pod: at Coder, p50"), Unit::Millis, Must::Shown, bare.p50());
    Ok(())
}

fn curves(record: &mut Record, name: &str, title: &str, product: &Sorted, baseline: &Sorted) {
    let series = |name: &str, of: &Sorted| Series { name: name.to_owned(), points: of.curve() };
    record.plots.push(Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: Axis::logarithmic("ms after the API server's answer"),
        y: Axis::linear("of all, %"),
        series: vec![series("product", product), series("baseline", baseline)],
    });
}
