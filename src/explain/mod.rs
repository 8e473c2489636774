//! The `explain` command: what the owner of a pod reads or would read, on a terminal.
//!
//! The service's own pipeline with another sink: the watch reads, the correlator and the renderer produce the lines. In
//! place of the agents' tokens, each workload has an agent of its own, so that any pod can be explained.

mod args;
mod error;
mod names;
mod namespace;
mod permission;
mod pipeline;
mod print;
mod progress;
mod selection;
mod snapshot;
mod target;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use kube::Client;
use logstream_core::{checkpoint::Checkpoint, correlate::Observation, fact_id::ScopeId};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;

pub use args::{Args, Options, Times};
pub use target::{Target, TargetKind};

use self::{
    error::Problem,
    pipeline::{Line, Pipeline, Request},
    print::Printer,
    progress::Progress,
};
use crate::{
    cli::{Output, credentials},
    kubernetes,
    runtime::{Clock, Signals, SystemClock, shutdown::SignalSource},
    watch::{Lookups, Metrics, Scopes, Selectors, Setup, SyncStates, Watch},
};

/// Maximum number of observations waiting to be handled.
const OBSERVATIONS: usize = 256;

/// Interval at which held facts are checked.
const TICK: Duration = Duration::from_secs(1);

/// A hint for a user whose object is in another namespace.
const ELSEWHERE: &str = "\n--namespace names another namespace, and --all-namespaces reads all";

/// Runs the command. Returns the exit code; see the help of `explain`. An error is one of standard output.
pub async fn run(options: Options) -> io::Result<ExitCode> {
    match explain(&options).await {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        Err(Problem::Output(error)) => Err(error),
        Err(problem) => {
            complain(&problem.to_string())?;
            Ok(ExitCode::from(problem.exit_code()))
        }
    }
}

fn complain(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "coder-logstream-kube: {text}")
}

/// Explains the objects. Returns true if a cause was found.
async fn explain(options: &Options) -> Result<bool, Problem> {
    let cluster = options.cluster.load_context(options.context.as_deref()).await?;
    let namespaces = match &options.namespace {
        _ if options.all_namespaces => Vec::new(),
        Some(namespace) => vec![namespace.clone()],
        None => vec![cluster.config.default_namespace.clone()],
    };
    let scopes = Arc::new(Scopes::new(&namespaces).with_node_events());
    let server = cluster.config.cluster_url.to_string();
    let flaw = credentials::flaw(&cluster.config.auth_info, SystemClock.now());
    let client = kubernetes::client(cluster)?;
    let mut reading = Reading::start(&client, &scopes);
    let mut progress = Progress::new(format!("reading {}", place("pods, workloads and events", &namespaces)));
    let snapshot = snapshot::read(&mut reading.observations, &reading.states, &scopes, &mut progress).await;
    drop(progress);
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(problem @ Problem::Forbidden(_)) => {
            let advice = permission::missing(&client, options, &scopes, flaw.as_deref()).await;
            return Err(Problem::Denied(problem.to_string() + &advice));
        }
        Err(Problem::Unreadable(why)) => {
            let why = [Some(why), flaw].into_iter().flatten().collect::<Vec<_>>().join("; ");
            return Err(Problem::Unreachable { server, why });
        }
        Err(problem) => return Err(problem),
    };
    let is_needed = |id: &ScopeId| scopes.get(*id).is_some_and(|scope| !scope.resource.is_optional());
    if snapshot.denied.iter().any(is_needed) {
        let advice = permission::missing(&client, options, &scopes, flaw.as_deref()).await;
        complain(&format!("some workloads are left out for want of permission{advice}"))?;
    }
    if snapshot.objects.is_empty()
        && let [namespace] = &*namespaces
        && let Some(others) = namespace::missing(&client, namespace).await
    {
        return Err(Problem::NotFound(format!("there is no namespace {namespace}{others}")));
    }
    let existing = names::existing(&snapshot, options.all_namespaces);
    let mut pipeline = Pipeline::new(options.target.clone());
    let lines = pipeline.replay(SystemClock.now(), snapshot, !options.follow);
    if pipeline.groups().is_empty() && !options.follow {
        let verb = if matches!(options.target, Target::Named(..)) { "is" } else { "are" };
        let place = place(&options.target.to_string(), &namespaces);
        let elsewhere = if options.all_namespaces { "" } else { ELSEWHERE };
        let others = existing.describe(&options.target);
        return Err(Problem::NotFound(format!("there {verb} no {place}{others}{elsewhere}")));
    }
    let mut sink = Sink::new(options);
    sink.write(&pipeline, lines)?;
    if options.follow {
        follow(&mut reading, &mut pipeline, &mut sink).await?;
    } else if !sink.cause_found && options.output == Output::Text {
        writeln!(io::stderr(), "No problem found.")?;
    }
    Ok(sink.cause_found)
}

fn place(what: &str, namespaces: &[String]) -> String {
    match namespaces {
        [namespace] => format!("{what} in namespace {namespace}"),
        _ => format!("{what} in any namespace"),
    }
}

/// The watch, which runs until this is dropped.
struct Reading {
    observations: mpsc::Receiver<Observation>,
    states: SyncStates,
    lookups: Lookups,
    _tasks: JoinSet<()>,
}

impl Reading {
    /// Starts to read from the beginning of each scope's history: everything that exists counts as new.
    fn start(client: &Client, scopes: &Arc<Scopes>) -> Self {
        let (out, observations) = mpsc::channel(OBSERVATIONS);
        let setup = Setup {
            client: client.clone(),
            scopes: scopes.clone(),
            selectors: Selectors::default(),
            time: SystemClock.now(),
            started: Instant::now(),
            metrics: Metrics::default(),
        };
        let Watch { lookups, states, prepared, .. } = Watch::new(setup, out, &CancellationToken::new());
        let mut tasks = JoinSet::new();
        for task in prepared.tasks(|_| Some(Checkpoint::default())) {
            tasks.spawn(task.work);
        }
        Self { observations, states, lookups, _tasks: tasks }
    }
}

/// Output of lines.
struct Sink<'a> {
    options: &'a Options,
    printer: Printer<io::Stdout>,
    cause_found: bool,
}

impl<'a> Sink<'a> {
    fn new(options: &'a Options) -> Self {
        let printer = Printer::new(io::stdout(), options.output, options.style, options.times);
        Self { options, printer, cause_found: false }
    }

    fn write(&mut self, pipeline: &Pipeline, lines: Vec<Line>) -> io::Result<()> {
        let now = SystemClock.now();
        for line in lines.into_iter().filter(|line| line.level >= self.options.min_level) {
            self.cause_found |= line.cause.is_some();
            if let Some(group) = pipeline.group(line.group) {
                self.printer.line(now, &line, group)?;
            }
        }
        Ok(())
    }
}

/// Prints what happens until SIGINT or SIGTERM.
async fn follow(reading: &mut Reading, pipeline: &mut Pipeline, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut ticks = interval(TICK);
    let mut signals = Signals::install()?;
    loop {
        let (lines, requests) = tokio::select! {
            _ = signals.next() => return Ok(()),
            observation = reading.observations.recv() => match observation {
                Some(observation) => pipeline.observe(SystemClock.now(), observation),
                None => return Ok(()),
            },
            _ = ticks.tick() => pipeline.tick(SystemClock.now()),
        };
        sink.write(pipeline, lines)?;
        for request in requests {
            // The correlator repeats requests for which there is no room.
            let _ = match request {
                Request::LookUp(subject) => reading.lookups.ask(subject),
                Request::CheckPresence(subject) => reading.lookups.confirm(subject),
            };
        }
    }
}
