//! coder-logstream-kube: streams what Kubernetes does with a Coder workspace into its startup log.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use coder_logstream_kube::{app, cli::Command, config::Config, doctor, explain, runtime::panics};

fn main() -> ExitCode {
    let command = match Command::from_args(std::env::args_os()) {
        Ok(command) => command,
        // The exit code is returned even if the message cannot be written.
        Err(error) => return error.show().map_or(ExitCode::FAILURE, |()| ExitCode::from(error.exit_code())),
    };
    panics::install_hook();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::warn!("another crypto provider was installed before");
    }
    match command {
        Command::Serve(config) => serve(*config),
        Command::Explain(options) => run(explain::run(options)),
        Command::Doctor(options) => run(doctor::run(options)),
    }
}

/// Runs the service until a signal.
fn serve(config: Config) -> ExitCode {
    config.start_log();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %config, "starting");
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the async runtime");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(app::run(config));
    // Nothing is left to wait for, least of all after a second signal.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "terminated");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs a command. A reader that closes the pipe early, such as `head`, is not an error.
fn run(command: impl Future<Output = io::Result<ExitCode>>) -> ExitCode {
    let ended = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(command);
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error),
    };
    match ended {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // If the message cannot be written, there is still the exit code.
            let _ = writeln!(io::stderr(), "coder-logstream-kube: {error}");
            ExitCode::FAILURE
        }
    }
}
