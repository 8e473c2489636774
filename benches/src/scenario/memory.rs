//! Memory, startup time and idle CPU, by the number of workspaces.
//!
//! For each workspace there are four other pods, and Events from before the start. The baseline lists and decodes the
//! same pods and Events and drops them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use logstream_testing::coder::Valid;
use logstream_testing::{CoderOptions, CoderStandIn};

use super::Bench;
use crate::objects::{self, Pod, token};
use crate::record::{Axis, Must, Plot, Record, Series, Unit};
use crate::site::{Site, coder};
use crate::stats::{millis, thousands};
use crate::{baseline, process, wait};

pub(super) const PODS: usize = 5;

/// Time without requests before the process counts as idle.
const QUIET: Duration = Duration::from_secs(10);
/// Age of the youngest object at the start. Objects created in the second of the start are new and are delivered.
const AGE: Duration = Duration::from_secs(2);
/// Duration of the CPU measurement.
const IDLE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_mins(5);

const GROWTH: (&str, &str) = ("Start and rest, by the number of workspaces", "workspaces");
const PEAK: &str = "memory at most, start included";
const REST: &str = "memory at rest";
const READY: &str = "until ready";
const BASELINE: &str = "the baseline's list";
const RATIO: &str = "ready against the baseline's list";

pub(super) struct Fixture {
    pub(super) site: Site,
    pub(super) namespace: String,
    pub(super) coder: CoderStandIn,
    workspaces: usize,
    events: usize,
    /// The first workspace's pod.
    first: Option<Pod>,
}

/// Results of one start.
struct Start {
    ready: Duration,
    baseline: Duration,
    memory: process::Memory,
    /// Idle CPU in percent of a core.
    cpu: Option<f64>,
}

pub(crate) async fn run(bench: &Bench, record: &mut Record) -> Result<()> {
    let site = Site::start(&bench.programs).await?;
    record.conditions.kubernetes.clone_from(&site.version);
    let namespace = site.namespace("workspaces").await?;
    let coder = coder(CoderOptions::new().without_rate_limit())?;
    let mut fixture = Fixture::new(site, namespace, coder);
    let most = bench.args.workspaces;
    let large = 10 * most;
    let mut sizes = vec![0, (most / 10).max(1), most];
    if bench.args.full {
        sizes.push(large);
    }
    let mut idle = 0.0;
    for size in sizes {
        fixture.fill(size, old_events(size, most), record).await?;
        for _ in 0..bench.args.runs {
            let start = fixture.start(size == most).await?;
            if size == 0 {
                idle = start.memory.now;
                record.add("resident memory, idle, no workspace", Unit::Megabytes, Must::AtMost(12.0), idle);
            } else {
                let each = (start.memory.now - idle) * 1_000.0 / size as f64;
                record.grow(GROWTH, size, "memory at rest beyond idle, a workspace", Unit::Kilobytes, each);
                of_size(record, size, (most, large), &start, each);
            }
            record.grow(GROWTH, size, PEAK, Unit::Megabytes, start.memory.peak);
            record.grow(GROWTH, size, REST, Unit::Megabytes, start.memory.now);
            record.grow(GROWTH, size, READY, Unit::Millis, millis(start.ready));
            record.grow(GROWTH, size, BASELINE, Unit::Millis, millis(start.baseline));
            record.grow(GROWTH, size, RATIO, Unit::Ratio, start.ready.as_secs_f64() / start.baseline.as_secs_f64());
        }
    }
    plots(record);
    Ok(())
}

/// Adds the measurements with a target, at two sizes.
fn of_size(record: &mut Record, size: usize, (most, large): (usize, usize), start: &Start, each: f64) {
    let [workspaces, pods, events] = [size, PODS * size, old_events(size, most)].map(thousands);
    let load = format!("{workspaces} workspaces in {pods} pods, {events} old events");
    if size == most {
        let what = format!("resident memory at most, start included: {load}");
        record.add(&what, Unit::Megabytes, Must::AtMost(30.0), start.memory.peak);
        if let Some(cpu) = start.cpu {
            let what = format!("idle CPU with {workspaces} workspaces, of a core");
            record.add(&what, Unit::Percent, Must::AtMost(0.2), cpu);
        }
    }
    if size == large {
        let ratio = start.ready.as_secs_f64() / start.baseline.as_secs_f64();
        record.add(&format!("{load}: ready, against the baseline's list"), Unit::Ratio, Must::AtMost(1.5), ratio);
        let what = format!("{load}: memory at rest beyond idle, a workspace");
        record.add(&what, Unit::Kilobytes, Must::AtMost(3.0), each);
    }
}

/// Path of the checkpoint's ConfigMap.
pub(super) fn progress(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/coder-logstream-kube-progress")
}

/// Number of Events from before the start: 20 for each workspace, or 10 beyond `most`.
const fn old_events(size: usize, most: usize) -> usize {
    if size > most { 10 * size } else { 20 * size }
}

fn plots(record: &mut Record) {
    let series = |record: &Record, column: &str| Series {
        name: column.to_owned(),
        points: record.grown(GROWTH.0, column).into_iter().filter(|(size, _)| *size > 0.0).collect(),
    };
    record.plots = vec![
        Plot {
            name: "memory".to_owned(),
            title: "Memory by the number of workspaces".to_owned(),
            x: Axis::logarithmic("workspaces (each with 4 other pods and old events)"),
            y: Axis::linear("resident memory, MB"),
            series: vec![series(record, PEAK), series(record, REST)],
        },
        Plot {
            name: "start".to_owned(),
            title: "Start by the number of workspaces".to_owned(),
            x: Axis::logarithmic("workspaces (each with 4 other pods and old events)"),
            y: Axis::logarithmic("ms"),
            series: vec![series(record, READY), series(record, BASELINE)],
        },
    ];
}

impl Fixture {
    pub(super) fn new(site: Site, namespace: String, coder: CoderStandIn) -> Self {
        Self { site, namespace, coder, workspaces: 0, events: 0, first: None }
    }

    /// The pod of a workspace.
    pub(super) fn first(&self) -> Option<&Pod> {
        self.first.as_ref()
    }

    /// Writes pods and old Events until there are `size` workspaces.
    pub(super) async fn fill(&mut self, size: usize, old_events: usize, record: &mut Record) -> Result<()> {
        let Self { site, namespace, coder, workspaces, events, first } = self;
        let begun = Instant::now();
        let names: Vec<String> = (*workspaces * PODS..size * PODS).map(|n| format!("pod-{n:06}")).collect();
        let pods = names.iter().enumerate().map(|(n, name)| {
            let object = if n.is_multiple_of(PODS) {
                let token = token();
                coder.add_agent(&token, Valid::Now);
                objects::workspace(name, &token)
            } else {
                objects::other_pod(name)
            };
            (objects::pods(namespace), object)
        });
        let written = site.driver.bulk(pods).await?;
        if let Some(last) = written.last() {
            record.note(format!("a pod is {:.1} KB as JSON", last.body.len() as f64 / 1e3));
        }
        let pods = names
            .into_iter()
            .zip(&written)
            .map(|(name, posted)| Ok(Pod { namespace: namespace.clone(), name, uid: posted.uid()? }));
        let pods = pods.collect::<Result<Vec<_>>>()?;
        if first.is_none() {
            *first = pods.first().cloned();
        }
        let objects = (*events..old_events).zip(pods.iter().cycle()).map(|(n, pod)| {
            let message = format!("Pulling image \"ghcr.io/example/workspace:2026.11\", event {n} of before the start");
            (objects::events(namespace), objects::event(pod, &format!("{}.{n:06}", pod.name), &message))
        });
        site.driver.bulk(objects).await?;
        *events = old_events;
        *workspaces = size;
        println!("    {size} workspaces: written in {:.1?}", begun.elapsed());
        Ok(())
    }

    /// Starts the product as if for the first time, then runs the baseline.
    async fn start(&self, watch_cpu: bool) -> Result<Start> {
        let Self { site, namespace, coder, .. } = self;
        let mut installation = site.plan(coder, namespace).unregistered().begin(site).await?;
        installation.product.kill9();
        site.driver.delete(&progress(namespace)).await?;
        tokio::time::sleep(AGE).await;
        let begun = Instant::now();
        installation.start_again()?;
        let ready = wait::ready(&installation, PATIENCE).await? - begun;
        tokio::time::sleep(QUIET).await;
        let pid = installation.product.pid();
        let memory = process::memory(pid)?;
        let cpu = if watch_cpu {
            let before = process::cpu_seconds(pid)?;
            tokio::time::sleep(IDLE).await;
            Some((process::cpu_seconds(pid)? - before) / IDLE.as_secs_f64() * 100.0)
        } else {
            None
        };
        installation.product.kill9();
        let kubeconfig = site.cluster.admin_kubeconfig();
        let kubeconfig = kubeconfig.to_str().context("a path is text")?;
        let baseline = baseline::timed(&site.programs.baseline_list, &[kubeconfig, namespace]).await?;
        Ok(Start { ready, baseline, memory, cpu })
    }
}
