//! Admission: reviews per second, their latency, and the effect on pod creation through the API server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use logstream_testing::coder::Valid;
use logstream_testing::process::Process;
use logstream_testing::scratch::Scratch;
use logstream_testing::{CoderOptions, CoderStandIn, FailurePolicy, WebhookConfig, pki, ports};

use super::Bench;
use crate::objects::{self, token};
use crate::record::{Axis, Must, Plot, Record, Series, Unit};
use crate::reviews::{Reviews, Target};
use crate::site::{Site, coder};
use crate::stats::Sorted;
use crate::{baseline, process};

const CONNECTIONS: [usize; 4] = [1, 4, 16, 64];
/// Duration of each closed loop.
const LOOP: Duration = Duration::from_millis(1_500);
/// Number of turns of each server.
const TURNS: u32 = 2;
const RATE: u32 = 1_000;
/// Duration of the load of 1,000 reviews per second.
const STEADY: Duration = Duration::from_secs(5);
/// Connections that an API server keeps open under such a load.
const STEADY_CONNECTIONS: usize = 16;

const GROWTH: (&str, &str) = ("Reviews a second over kept connections", "connections");
const CPU: (&str, &str) = ("The server's own CPU, a review", "connections");
const PRODUCT: &str = "product";
const BASELINE: &str = "baseline";
const DECODING: &str = "baseline that decodes the review";
const RATIO: &str = "product against the baseline";
const DECODING_RATIO: &str = "product against the baseline that decodes";

pub(crate) async fn run(bench: &Bench, record: &mut Record) -> Result<()> {
    let site = Site::start(&bench.programs).await?;
    record.conditions.kubernetes.clone_from(&site.version);
    let coder = coder(CoderOptions::new().without_rate_limit())?;
    let reviews = Arc::new(Reviews::new()?);
    for token in &reviews.tokens {
        coder.add_agent(token, Valid::Now);
    }
    record.note(format!("a review is {:.1} KB", reviews.size() as f64 / 1e3));
    let namespace = site.namespace("admission").await?;
    let installation = site.install(&coder, &namespace).await?;

    let url = installation.webhook_url();
    let product =
        url.strip_prefix("https://").and_then(|rest| rest.split('/').next()).context("a webhook's address")?;
    let product = Target::new(product.parse()?, &installation.ca_pem()?, Arc::clone(&reviews))?;
    let baseline = Baseline::start(&site, "read", &reviews).await?;
    let decoding = Baseline::start(&site, "decode", &reviews).await?;
    let patching = Baseline::start(&site, "patch", &reviews).await?;
    let patched = site.namespace("baseline-webhook").await?;
    let webhook = WebhookConfig::new(&patching.target.url(), &patching.ca, &[&patched]);
    // In effect within about a second, which is less than the loops before the first pods take.
    let _webhook = webhook.failure_policy(FailurePolicy::Fail).apply(&site).await?;
    let namespaces = [namespace, site.namespace("no-webhook").await?, patched];
    let servers = [
        Server { name: PRODUCT, target: &product, pid: installation.product.pid() },
        baseline.server(BASELINE),
        decoding.server(DECODING),
    ];
    for server in servers {
        server.target.closed_loop(4, LOOP).await?;
    }
    for run in 0..bench.args.runs {
        throughput(record, servers).await?;
        steady(record, &product, &baseline.target, run + 1 == bench.args.runs).await?;
        creation(bench, &site, &coder, &namespaces, record).await?;
    }
    record.plots.push(Plot {
        name: "admission".to_owned(),
        title: GROWTH.0.to_owned(),
        x: Axis::logarithmic("connections"),
        y: Axis::linear("reviews a second"),
        series: [PRODUCT, BASELINE, DECODING]
            .map(|name| Series { name: name.to_owned(), points: record.grown(GROWTH.0, name) })
            .to_vec(),
    });
    Ok(())
}

/// A running baseline.
struct Baseline {
    target: Target,
    ca: String,
    process: Process,
    _files: Scratch,
}

impl Baseline {
    async fn start(site: &Site, how: &str, reviews: &Arc<Reviews>) -> Result<Self> {
        let directory = Scratch::create("baseline")?;
        let files = pki::serving_cert(directory.path())?;
        let address = ports::free();
        let [certificate, key] = [&files.certificate, &files.key].map(|path| path.display().to_string());
        let arguments = [&address.to_string(), &certificate, &key, how];
        let process = baseline::start(&site.programs.baseline_admission, &arguments)?;
        baseline::listening(address).await?;
        let ca = std::fs::read_to_string(&files.ca)?;
        let target = Target::new(address, &ca, Arc::clone(reviews))?;
        Ok(Self { target, ca, process, _files: directory })
    }

    fn server(&self, name: &'static str) -> Server<'_> {
        Server { name, target: &self.target, pid: self.process.pid() }
    }
}

/// A webhook server under test.
#[derive(Clone, Copy)]
struct Server<'a> {
    name: &'static str,
    target: &'a Target,
    pid: u32,
}

/// Measures the throughput of all servers in turn.
async fn throughput(record: &mut Record, servers: [Server<'_>; 3]) -> Result<()> {
    let mut least = [f64::INFINITY; 2];
    for connections in CONNECTIONS {
        let (mut rates, mut cpu) = ([0.0; 3], [0.0; 3]);
        for _ in 0..TURNS {
            for ((rate, cpu), Server { target, pid, .. }) in rates.iter_mut().zip(&mut cpu).zip(servers) {
                let before = process::cpu_seconds(pid)?;
                let answered = target.closed_loop(connections, LOOP).await?;
                *cpu += (process::cpu_seconds(pid)? - before) / (answered * LOOP.as_secs_f64()) / f64::from(TURNS);
                *rate += answered / f64::from(TURNS);
            }
        }
        for ((rate, cpu), Server { name, .. }) in rates.into_iter().zip(cpu).zip(servers) {
            record.grow(GROWTH, connections, name, Unit::PerSecond, rate);
            record.grow(CPU, connections, name, Unit::Micros, cpu * 1e6);
        }
        let [product, baselines @ ..] = rates;
        for ((least, baseline), name) in least.iter_mut().zip(baselines).zip([RATIO, DECODING_RATIO]) {
            record.grow(GROWTH, connections, name, Unit::Ratio, product / baseline);
            *least = least.min(product / baseline);
        }
    }
    let what = "admission, keep-alive, 1 to 64 connections: requests a second, the worst,";
    record.add(&format!("{what} against the baseline that reads a review"), Unit::Ratio, Must::AtLeast(0.8), least[1]);
    let bytes = format!("{what} against the baseline that reads its bytes and not the review");
    record.add(&bytes, Unit::Ratio, Must::AtLeast(0.8), least[0]);
    Ok(())
}

async fn steady(record: &mut Record, product: &Target, baseline: &Target, last: bool) -> Result<()> {
    let ours = Sorted::millis(product.open_loop(STEADY_CONNECTIONS, RATE, STEADY).await?);
    let theirs = Sorted::millis(baseline.open_loop(STEADY_CONNECTIONS, RATE, STEADY).await?);
    let what = format!("admission at {RATE} a second");
    record.add(&format!("{what}: p99"), Unit::Millis, Must::AtMost(1.0), ours.p99());
    record.add(&format!("{what}: p99 of the baseline"), Unit::Millis, Must::Shown, theirs.p99());
    record.add(&format!("{what}: p50"), Unit::Millis, Must::Shown, ours.p50());
    record.add(&format!("{what}: p50 of the baseline"), Unit::Millis, Must::Shown, theirs.p50());
    if last {
        let series = |name: &str, of: &Sorted| Series { name: name.to_owned(), points: of.curve() };
        record.plots.push(Plot {
            name: "admission-latency".to_owned(),
            title: format!("Reviews at {RATE} a second"),
            x: Axis::logarithmic("ms"),
            y: Axis::linear("of all, %"),
            series: vec![series(PRODUCT, &ours), series(BASELINE, &theirs)],
        });
    }
    Ok(())
}

/// Measures pod creation through the API server, in turn with the webhook, without one, and with the library's.
async fn creation(
    bench: &Bench,
    site: &Site,
    coder: &CoderStandIn,
    namespaces: &[String; 3],
    record: &mut Record,
) -> Result<()> {
    let (mut times, mut cpu) = ([const { Vec::new() }; 3], [0.0; 3]);
    let apiserver = site.cluster.apiserver_pid();
    for _ in 0..bench.args.samples {
        for ((namespace, times), cpu) in namespaces.iter().zip(&mut times).zip(&mut cpu) {
            let token = token();
            coder.add_agent(&token, Valid::Now);
            let pod = objects::workspace(&format!("pod-{token}"), &token);
            let before = process::cpu_seconds(apiserver)?;
            let posted = site.driver.post(&objects::pods(namespace), &pod).await?;
            times.push(posted.answered - posted.sent);
            // Follow-up work for one pod, such as its first line, must not disturb the next.
            tokio::time::sleep(Duration::from_millis(8)).await;
            *cpu += (process::cpu_seconds(apiserver)? - before) * 1e3 / bench.args.samples as f64;
        }
    }
    let [with, without, baseline] = times.map(Sorted::millis);
    let what = "pod creation through the API server";
    let mut add = |what: String, must, value| record.add(&what, Unit::Millis, must, value);
    add(format!("{what}: p99 longer than without webhook"), Must::AtMost(1.0), with.p99() - without.p99());
    add(format!("{what}: p50 longer than without webhook"), Must::Shown, with.p50() - without.p50());
    let library = "the library's webhook that sets annotations too";
    add(format!("{what}: p99 longer, {library}"), Must::Shown, baseline.p99() - without.p99());
    add(format!("{what}: p50 longer, {library}"), Must::Shown, baseline.p50() - without.p50());
    add(format!("{what}: p99 without webhook"), Must::Shown, without.p99());
    let [with, without, baseline] = cpu;
    add(format!("{what}: the API server's own CPU, mean, more than without webhook"), Must::Shown, with - without);
    add(format!("{what}: the API server's own CPU, mean, more, {library}"), Must::Shown, baseline - without);
    add(format!("{what}: the API server's own CPU, mean, without webhook"), Must::Shown, without);
    Ok(())
}
