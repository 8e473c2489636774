//! The `doctor` command: checks of an installation.

mod args;

use std::{
    io::{self, Write},
    process::ExitCode,
};

pub use args::{Args, Options};

use crate::kubernetes;

/// Runs the checks. Exit code 0 if each of them passed, 1 otherwise.
pub async fn run(options: Options) -> io::Result<ExitCode> {
    let style = options.style;
    let mut out = io::stdout().lock();
    let found = match options.cluster.load().await {
        Ok(cluster) => match kubernetes::client(cluster) {
            Ok(client) => client.apiserver_version().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    match found {
        Ok(version) => {
            writeln!(out, "{} Kubernetes API server: {}", style.green("✓"), version.git_version)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            writeln!(out, "{} Kubernetes API server: {error}", style.red("✗"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}
