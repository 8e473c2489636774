//! coder-logstream-kube: streams what Kubernetes does with a Coder workspace into its startup log.

use std::process::ExitCode;

use coder_logstream_kube::{
    app,
    config::Config,
    runtime::{logging, panics},
};

fn main() -> ExitCode {
    let config = match Config::from_args(std::env::args_os()) {
        Ok(config) => config,
        // Where not even the sentence can be written, the exit code still tells.
        Err(error) => return error.show().map_or(ExitCode::FAILURE, |()| ExitCode::from(error.exit_code())),
    };
    logging::init(config.log_format, config.log_filter.clone());
    panics::install_hook();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::warn!("another crypto provider was installed before");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %config, "starting");
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no async runtime");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(app::run(config));
    // Nothing is left to wait for, least of all after a second signal.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            ExitCode::from(error.exit_code())
        }
    }
}
