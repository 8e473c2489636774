//! The `explain` command: what the owner of a pod reads or would read, on a terminal.

mod args;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};

pub use args::{Args, Options};

use crate::kubernetes;

/// Prints the Events of the pod. Exit code 0 if there is a warning among them, 1 if not, 2 if they cannot be read.
pub async fn run(options: Options) -> io::Result<ExitCode> {
    let cannot = |error: String| {
        writeln!(io::stderr(), "coder-logstream-kube: {error}")?;
        Ok(ExitCode::from(2))
    };
    let cluster = match options.cluster.load().await {
        Ok(cluster) => cluster,
        Err(error) => return cannot(error.to_string()),
    };
    let namespace = options.namespace.unwrap_or_else(|| cluster.config.default_namespace.clone());
    let client = match kubernetes::client(cluster) {
        Ok(client) => client,
        Err(error) => return cannot(error.to_string()),
    };
    let events: Api<Event> = Api::namespaced(client, &namespace);
    let about = format!("involvedObject.kind=Pod,involvedObject.name={}", options.pod);
    match events.list(&ListParams::default().fields(&about)).await {
        Ok(list) => {
            let mut out = io::stdout().lock();
            for event in &list.items {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                writeln!(out, "{}: {}", options.style.bold(&text(&event.reason)), text(&event.message))?;
            }
            let warned = list.items.iter().any(|event| event.type_.as_deref() == Some("Warning"));
            Ok(if warned { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => cannot(error.to_string()),
    }
}
