//! The whole demo, step by step.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use logstream_testing::{CoderOptions, CoderStandIn, Replica};

use crate::args::Args;
use crate::blocking::blocking;
use crate::choice::choose;
use crate::install::Installed;
use crate::log::{Entry, entries};
use crate::play::{self, Played, VALID_AFTER};
use crate::scenario::Scenario;
use crate::site::{self, Site};
use crate::steps::step;
use crate::style::Style;
use crate::summary::{self, Row};
use crate::watch::Watch;
use crate::{annotations, keep, page, product};

/// Indentation that aligns with the text of the steps, behind their times.
const UNDER_STEPS: &str = "          ";

/// Number of lines of the product's own log to print when expected lines are missing.
const TAIL: usize = 40;

/// Plays the scenarios, prints the logs, and returns true if all expected lines arrived. With `--keep` it never
/// returns; `verdict` is set as soon as the result is known.
pub(crate) async fn run(args: &Args, style: Style, verdict: &Cell<Option<bool>>) -> Result<bool> {
    let started = Instant::now();
    let scenarios = choose(&args.scenarios, args.kubeconfig.is_none())?;
    println!("{}\n", style.bold("coder-logstream-kube: Kubernetes events in a workspace's startup log"));
    let tools = site::tools(style, args.kubeconfig.is_some()).await?;
    let program = program(style, args.program.as_deref()).await?;
    let site = match &args.kubeconfig {
        None => Site::start(style, tools).await?,
        Some(path) => Site::existing(style, tools, path).await?,
    };
    let coder = async { Ok((CoderStandIn::start(CoderOptions::new())?, "started a stand-in for Coder")) };
    let coder = step(style, "starting a stand-in for Coder", coder).await?;
    let watch = Watch::start(&site.client, &site.namespaces.all()).await?;
    let mut installed = Installed::new(&site, &coder.url())?;
    let replica = install(style, &site, &program, &mut installed).await?;
    let played = playing(style, &scenarios.played, &site, &coder, args).await?;
    if !scenarios.left_out.is_empty() {
        let titles: Vec<&str> = scenarios.left_out.iter().map(|scenario| scenario.title()).collect();
        println!("\nNot played (they need the simulated node of the demo's own cluster): {}.", titles.join(", "));
    }

    let logs: Vec<Vec<Entry>> =
        played.iter().map(|played| entries(&played.started, &played.lines, &watch.facts())).collect();
    print!("\n{}\n{}", style.bold("Startup logs as their owners see them in Coder"), page::legend(style));
    for (played, log) in played.iter().zip(&logs) {
        let lines: String = log.iter().map(|entry| page::line(style, entry)).collect();
        print!("\n{}{lines}", page::title(style, &played.started));
    }
    if let Some((command, part)) = annotations::described(&site, &played).await? {
        print!("\n{}\n{part}", style.bold(&format!("{command}   (excerpt)")));
    }
    let row = |(played, log): (&Played, &Vec<Entry>)| {
        let scenario = played.started.scenario;
        Row::new(scenario, log, play::missing(scenario, &played.lines))
    };
    let rows: Vec<Row> = played.iter().zip(&logs).map(row).collect();
    let complete = rows.iter().all(Row::is_complete);
    verdict.set(Some(complete));
    print!("\n{}", summary(style, &rows, &coder, started));
    if !complete {
        print!("\n{}{}", summary::missing(style, &rows), tail(style, &replica));
    }
    if args.keep {
        print!("\n{}", keep::hints(style, &site, &replica, &played));
        keep::follow(style, &coder, &watch, played).await;
    }
    Ok(complete)
}

/// Path of the product's binary: the given one, or one built now.
async fn program(style: Style, named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return std::fs::canonicalize(path).with_context(|| format!("--program {}", path.display()));
    }
    let build = async {
        let (program, profile) = blocking(product::build).await?;
        Ok((program, format!("built {}: cargo build --package {0} --profile {profile}", product::NAME)))
    };
    step(style, &format!("cargo build --package {}", product::NAME), build).await
}

/// Installs the chart with helm and starts its container as a local process.
async fn install(style: Style, site: &Site, program: &Path, installed: &mut Installed) -> Result<Replica> {
    let helm = async {
        installed.install().await?;
        let command = installed.command().replace('\n', &format!("\n{UNDER_STEPS}"));
        Ok(((), format!("installed the chart, listening on 127.0.0.1 only:\n{UNDER_STEPS}{command}")))
    };
    step(style, "installing the chart", helm).await?;
    let start = async {
        let replica = installed.start(site, program).await?;
        let webhook = match &installed.webhook_off {
            None => "the API server calls its webhook for new workspaces".to_owned(),
            Some(why) => format!("its webhook is off: {why}"),
        };
        Ok((replica, format!("started its container as a local process; {webhook}")))
    };
    step(style, &format!("starting {}", product::NAME), start).await
}

async fn playing(
    style: Style,
    scenarios: &[Scenario],
    site: &Site,
    coder: &CoderStandIn,
    args: &Args,
) -> Result<Vec<Played>> {
    let seconds = VALID_AFTER.as_secs();
    let what = match scenarios {
        [_] => format!("1 workspace; Coder accepts its agent {seconds} s later"),
        _ => format!("{} workspaces at once; Coder accepts their agents {seconds} s later", scenarios.len()),
    };
    let play = async {
        let played = play::play(scenarios, site, coder, args.patience).await?;
        Ok((played, format!("started {what}")))
    };
    step(style, &format!("starting {what}"), play).await
}

fn summary(style: Style, rows: &[Row], coder: &CoderStandIn, started: Instant) -> String {
    let violations = coder.violations();
    let violations = if violations.is_empty() {
        "no request broke Coder's rules".to_owned()
    } else {
        style.bad(&format!("requests broke Coder's rules: {violations:?}"))
    };
    format!(
        "{}\n{}\n  {} lines, {:.1} s from the start of this demo\n  {}\n  {violations}\n",
        style.bold("Summary"),
        summary::table(style, rows),
        coder.line_count(),
        started.elapsed().as_secs_f64(),
        summary::requests(&coder.requests()),
    )
}

/// The last lines of the product's own log.
fn tail(style: Style, replica: &Replica) -> String {
    let output = replica.product.output();
    let lines: Vec<&str> = output.lines().collect();
    let end = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    format!("\n{}\n{end}\n", style.bold(&format!("The end of the log of {}", product::NAME)))
}
