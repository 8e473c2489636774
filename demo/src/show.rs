//! The demo from its beginning to its end.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use logstream_testing::{CoderOptions, CoderStandIn, Replica};

use crate::args::Args;
use crate::blocking::blocking;
use crate::choice::stories;
use crate::install::Installed;
use crate::log::{Told, told};
use crate::play::{self, Played, VALID_AFTER};
use crate::site::{self, Site};
use crate::steps::step;
use crate::story::Story;
use crate::style::Style;
use crate::summary::{self, Row};
use crate::watch::Watch;
use crate::{annotations, keep, page, product};

/// As wide as the times of the steps.
const UNDER_STEPS: &str = "          ";

/// How much of the product's own log is shown when lines are missing.
const TAIL: usize = 40;

/// Plays, prints, and answers whether all lines came. With `--keep` it never ends by itself: `verdict` has the answer
/// as soon as there is one.
pub(crate) async fn run(args: &Args, style: Style, verdict: &Cell<Option<bool>>) -> Result<bool> {
    let started = Instant::now();
    let stories = stories(&args.scenarios, args.kubeconfig.is_none())?;
    println!("{}\n", style.bold("coder-logstream-kube: what Kubernetes does with a workspace, in its startup log"));
    let tools = site::tools(style, args.kubeconfig.is_some()).await?;
    let program = program(style, args.program.as_deref()).await?;
    let site = match &args.kubeconfig {
        None => Site::start(style, tools).await?,
        Some(path) => Site::existing(style, tools, path).await?,
    };
    let coder =
        async { Ok((CoderStandIn::start(CoderOptions::new())?, "started a stand-in for Coder that keeps its rules")) };
    let coder = step(style, "starting a stand-in for Coder", coder).await?;
    let watch = Watch::start(&site.client, &site.namespaces.all()).await?;
    let mut installed = Installed::new(&site, &coder.url())?;
    let replica = install(style, &site, &program, &mut installed).await?;
    let played = playing(style, &stories.played, &site, &coder, args).await?;
    if !stories.left_out.is_empty() {
        let titles: Vec<&str> = stories.left_out.iter().map(|story| story.title()).collect();
        println!("\nNot played, as they need the simulated node of the demo's own cluster: {}.", titles.join(", "));
    }

    let logs: Vec<Vec<Told>> =
        played.iter().map(|played| told(&played.started, &played.lines, &watch.facts())).collect();
    print!("\n{}\n{}", style.bold("What each owner reads on Coder's page"), page::legend(style));
    for (played, log) in played.iter().zip(&logs) {
        let lines: String = log.iter().map(|told| page::line(style, told)).collect();
        print!("\n{}{lines}", page::title(style, &played.started));
    }
    if let Some((command, part)) = annotations::described(&site, &played).await? {
        print!("\n{}\n{part}", style.bold(&format!("{command}   (a part)")));
    }
    let row = |(played, log): (&Played, &Vec<Told>)| {
        let story = played.started.story;
        Row::new(story, log, play::missing(story, &played.lines))
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

/// The product's binary: the one that was named, or a new one.
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

/// helm installs the chart, and a process plays its pod.
async fn install(style: Style, site: &Site, program: &Path, installed: &mut Installed) -> Result<Replica> {
    let helm = async {
        installed.install().await?;
        let command = installed.command().replace('\n', &format!("\n{UNDER_STEPS}"));
        Ok(((), format!("installed the chart, to listen on 127.0.0.1 alone:\n{UNDER_STEPS}{command}")))
    };
    step(style, "installing the chart", helm).await?;
    let start = async {
        let replica = installed.start(site, program).await?;
        let webhook = match &installed.unasked {
            None => "the API server asks its webhook about new workspaces".to_owned(),
            Some(why) => format!("without its webhook: {why}"),
        };
        Ok((replica, format!("started its container as a process of this machine: {webhook}")))
    };
    step(style, &format!("starting {}", product::NAME), start).await
}

async fn playing(
    style: Style,
    stories: &[Story],
    site: &Site,
    coder: &CoderStandIn,
    args: &Args,
) -> Result<Vec<Played>> {
    let seconds = VALID_AFTER.as_secs();
    let what = match stories {
        [_] => format!("1 workspace; Coder accepts its agent {seconds} s later"),
        _ => format!("{} workspaces at once; Coder accepts their agents {seconds} s later", stories.len()),
    };
    let play = async {
        let played = play::play(stories, site, coder, args.patience).await?;
        Ok((played, format!("started {what}")))
    };
    step(style, &format!("starting {what}"), play).await
}

fn summary(style: Style, rows: &[Row], coder: &CoderStandIn, started: Instant) -> String {
    let violations = coder.violations();
    let violations = if violations.is_empty() {
        "none of Coder's rules was broken".to_owned()
    } else {
        style.bad(&format!("Coder's rules were broken: {violations:?}"))
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

/// The end of the product's own log.
fn tail(style: Style, replica: &Replica) -> String {
    let output = replica.product.output();
    let lines: Vec<&str> = output.lines().collect();
    let end = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    format!("\n{}\n{end}\n", style.bold(&format!("The end of the log of {}", product::NAME)))
}
