//! Everything stays up, to be looked at.

use std::time::Duration;

use logstream_testing::{CoderStandIn, Replica};

use crate::install;
use crate::log::told;
use crate::page;
use crate::play::Played;
use crate::site::Site;
use crate::style::Style;
use crate::watch::Watch;

/// Only a bound: lines wake the waiting.
const LOOK: Duration = Duration::from_mins(1);

/// What to look at, and how.
pub(crate) fn hints(style: Style, site: &Site, replica: &Replica, played: &[Played]) -> String {
    let namespace = &site.namespaces.workspaces;
    let mut commands = vec![format!("export KUBECONFIG={}", site.admin.kubeconfig().display())];
    if let Some(directory) = site.admin.kubectl_path().parent() {
        commands.push(format!("export PATH={}:$PATH", directory.display()));
    }
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
    format!("{title}\n{commands}\n{}\n", style.bold("What the owners read from now on:"))
}

/// Prints each line that comes, under its workspace's title; never ends by itself.
pub(crate) async fn follow(style: Style, coder: &CoderStandIn, watch: &Watch, mut played: Vec<Played>) {
    let mut under = None;
    loop {
        let count = coder.line_count();
        for Played { started, lines } in &mut played {
            let now = coder.lines(&started.token);
            if now.len() > lines.len() {
                let told = told(started, &now, &watch.facts());
                let new: String = told.iter().skip(lines.len()).map(|told| page::line(style, told)).collect();
                if under.replace(started.story) != Some(started.story) {
                    print!("\n{}", page::title(style, started));
                }
                print!("{new}");
                *lines = now;
            }
        }
        coder.wait_until(LOOK, |coder| coder.line_count() > count).await;
    }
}
