//! `--keep`: everything keeps running for inspection.

use std::path::Path;
use std::time::Duration;

use logstream_testing::{CoderStandIn, Replica};

use crate::install;
use crate::log::entries;
use crate::page;
use crate::play::Played;
use crate::scenario::Scenario;
use crate::site::Site;
use crate::style::Style;
use crate::watch::Watch;

/// Upper bound of one wait; a new line ends it early.
const LOOK: Duration = Duration::from_mins(1);

/// Commands for inspecting the running demo, with this binary of the product.
pub(crate) fn hints(style: Style, site: &Site, program: &Path, replica: &Replica, played: &[Played]) -> String {
    let (namespace, program) = (&site.namespaces.workspaces, program.display());
    let mut commands = vec![format!("export KUBECONFIG={}", site.admin.kubeconfig().display())];
    if let Some(directory) = site.admin.kubectl_path().parent() {
        commands.push(format!("export PATH={}:$PATH", directory.display()));
    }
    if let Some(Played { started, .. }) = played.iter().find(|played| played.started.scenario == Scenario::WrongImage) {
        commands.push(format!("{program} explain deployment/{} --namespace {}", started.object, started.namespace));
    }
    commands.push(format!("{program} explain --all-namespaces --min-level warn"));
    commands.push(format!("{program} doctor --namespace {namespace}"));
    commands.push(format!("helm -n {namespace} get notes {}", install::NAME));
    commands.push(format!("kubectl -n {namespace} get pods"));
    commands.push(format!("kubectl -n {namespace} describe pod -l com.coder.resource=true"));
    if let Some(Played { started, .. }) = played.first() {
        commands.push(format!("kubectl -n {} rollout restart deployment {}", started.namespace, started.object));
    }
    for path in ["/readyz?verbose", "/metrics"] {
        commands.push(format!("curl '{}'", replica.url(path)));
    }
    let title = style.bold("Everything stays up until Ctrl-C. In another terminal:");
    let commands: String = commands.iter().flat_map(|command| ["  ", command, "\n"]).collect();
    format!("{title}\n{commands}\n{}\n", style.bold("New log lines:"))
}

/// Prints each new line under its workspace's title. Never returns.
pub(crate) async fn follow(style: Style, coder: &CoderStandIn, watch: &Watch, mut played: Vec<Played>) {
    let mut under = None;
    loop {
        let count = coder.line_count();
        for Played { started, lines } in &mut played {
            let now = coder.lines(&started.token);
            if now.len() > lines.len() {
                let entries = entries(started, &now, &watch.facts());
                let new: String = entries.iter().skip(lines.len()).map(|entry| page::line(style, entry)).collect();
                if under.replace(started.scenario) != Some(started.scenario) {
                    print!("\n{}", page::title(style, started));
                }
                print!("{new}");
                *lines = now;
            }
        }
        coder.wait_until(LOOK, |coder| coder.line_count() > count).await;
    }
}
