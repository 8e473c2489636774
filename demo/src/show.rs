//! The whole demo, step by step.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use logstream_scenarios::Scenario as Cause;
use logstream_testing::coder::RateLimit;
use logstream_testing::{CoderOptions, CoderStandIn, Replica};

use crate::args::Args;
use crate::blocking::blocking;
use crate::choice::choose;
use crate::html::{self, Section};
use crate::install::Installed;
use crate::log::{Entry, entries};
use crate::play::{self, Played, VALID_AFTER};
use crate::scenario::Scenario;
use crate::site::{self, Site};
use crate::steps::step;
use crate::style::Style;
use crate::summary::{self, Row};
use crate::watch::Watch;
use crate::{annotations, catalogue, keep, page, product};

/// Indentation that aligns with the text of the steps, behind their times.
const UNDER_STEPS: &str = "          ";

/// Rate limit as raised by the administrator of a Coder with hundreds of workspaces (`CODER_API_RATE_LIMIT`): all
/// scenarios of the catalogue start within a minute.
const RAISED: RateLimit = RateLimit { requests: 20_000, window: Duration::from_mins(1) };

/// Number of lines of the product's own log to print when expected lines are missing.
const TAIL: usize = 40;

/// Plays the scenarios, prints the logs, and returns true if all expected lines arrived. With `--keep` it never
/// returns; `verdict` is set as soon as the result is known.
pub(crate) async fn run(args: &Args, style: Style, verdict: &Cell<Option<bool>>) -> Result<bool> {
    let started = Instant::now();
    let chosen = choose(args)?;
    println!("{}\n", style.bold("coder-logstream-kube: Kubernetes events in a workspace's startup log"));
    let tools = site::tools(style, args.kubeconfig.is_some()).await?;
    let program = program(style, args.program.as_deref()).await?;
    let site = match &args.kubeconfig {
        None => Site::start(style, tools).await?,
        Some(path) => Site::existing(style, tools, path).await?,
    };
    let has_entries = !chosen.entries.is_empty();
    let options = if has_entries { CoderOptions::new().rate_limit(RAISED) } else { CoderOptions::new() };
    let coder = async { Ok((CoderStandIn::start(options)?, "started a stand-in for Coder")) };
    let coder = step(style, "starting a stand-in for Coder", coder).await?;
    let watch = Watch::start(&site.client, &site.namespaces.all()).await?;
    let mut installed = Installed::new(&site, &coder.url(), has_entries)?;
    let replica = install(style, &site, &program, &mut installed).await?;
    let shown = Shown { style, site: &site, coder: &coder, watch: &watch, started };
    let mut sections = Vec::new();
    let mut complete = true;
    let mut played = Vec::new();
    if !chosen.stories.is_empty() {
        played = playing(style, &chosen.stories, &site, &coder, args).await?;
        complete = shown.stories(&played, &chosen.left_out, &mut sections).await?;
    }
    if has_entries {
        complete &= shown.entries(&chosen.entries, args, &mut sections).await?;
    }
    verdict.set(Some(complete));
    if !complete {
        print!("{}", tail(style, &replica));
    }
    if let Some(path) = &args.html {
        html::write(path, &sections)?;
        println!("\nThe logs are in {}", path.display());
    }
    if args.keep {
        print!("\n{}", keep::hints(style, &site, &program, &replica, &played));
        keep::follow(style, &coder, &watch, played).await;
    }
    Ok(complete)
}

/// Data from which the output is made.
struct Shown<'a> {
    style: Style,
    site: &'a Site,
    coder: &'a CoderStandIn,
    watch: &'a Watch,
    started: Instant,
}

impl Shown<'_> {
    /// Prints the built-in scenarios' logs and their summary; returns true if all expected lines arrived.
    async fn stories(&self, played: &[Played], left_out: &[Scenario], sections: &mut Vec<Section>) -> Result<bool> {
        let style = self.style;
        if !left_out.is_empty() {
            let titles: Vec<&str> = left_out.iter().map(|scenario| scenario.title()).collect();
            println!("\nNot played (they need the simulated node of the demo's own cluster): {}.", titles.join(", "));
        }
        let logs: Vec<Vec<Entry>> =
            played.iter().map(|played| entries(&played.started, &played.lines, &self.watch.facts())).collect();
        print!("\n{}\n{}", style.bold("Startup logs as their owners see them in Coder"), page::legend(style));
        for (played, log) in played.iter().zip(&logs) {
            let lines: String = log.iter().map(|entry| page::line(style, entry)).collect();
            print!("\n{}{lines}", page::title(style, &played.started));
        }
        if let Some((command, part)) = annotations::described(self.site, played).await? {
            print!("\n{}\n{part}", style.bold(&format!("{command}   (excerpt)")));
        }
        let row = |(played, log): (&Played, &Vec<Entry>)| {
            let scenario = played.started.scenario;
            Row::new(scenario, log, play::missing(scenario, &played.lines))
        };
        let rows: Vec<Row> = played.iter().zip(&logs).map(row).collect();
        sections.extend(played.iter().zip(&rows).map(|(played, row)| section(played, row.is_complete())));
        let complete = rows.iter().all(Row::is_complete);
        print!("\n{}", summary(style, &rows, self.coder, self.started));
        if !complete {
            print!("\n{}", summary::missing(style, &rows));
        }
        Ok(complete)
    }

    /// Plays scenarios of the catalogue and prints them; returns true if each explains its cause.
    async fn entries(&self, entries: &[Cause], args: &Args, sections: &mut Vec<Section>) -> Result<bool> {
        let style = self.style;
        let what = format!("playing {} scenarios of the catalogue, side by side", entries.len());
        let play = async {
            let outcomes = catalogue::play(entries, self.site, self.coder, args.patience).await?;
            Ok((outcomes, format!("played {} scenarios of the catalogue, side by side", entries.len())))
        };
        let outcomes = step(style, &what, play).await?;
        println!();
        for outcome in &outcomes {
            print!("{}", catalogue::block(style, outcome, !args.all));
            sections.push(outcome.section());
        }
        let (requests, elapsed) = (summary::requests(&self.coder.requests()), self.started.elapsed().as_secs_f64());
        print!("\n{}\n{}", style.bold("Summary"), catalogue::summary(style, &outcomes));
        println!("{} lines, {elapsed:.1} s from the start of this demo\n{requests}", self.coder.line_count());
        let violations = self.coder.violations();
        if !violations.is_empty() {
            println!("{}", style.bad(&format!("requests broke Coder's rules: {violations:?}")));
        }
        Ok(violations.is_empty() && outcomes.iter().all(|outcome| outcome.problems.is_empty()))
    }
}

/// The page's section of a built-in scenario.
fn section(played: &Played, complete: bool) -> Section {
    let scenario = played.started.scenario;
    Section {
        name: scenario.title().replace(' ', "-"),
        workspace: scenario.full_name(),
        title: scenario.title().to_owned(),
        complete,
        lines: played.lines.clone(),
    }
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
        let replica = Box::pin(installed.start(site, program)).await?;
        let webhook = match &installed.webhook_off {
            None => "the API server calls its webhook for new workspaces".to_owned(),
            Some(why) => format!("its webhook is off: {why}"),
        };
        Ok((replica, format!("started its container as a local process; {webhook}")))
    };
    step(style, &format!("starting {}", product::NAME), Box::pin(start)).await
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
