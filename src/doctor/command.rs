//! The command: from options to an exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::{
    args::{Options, Target},
    checks,
    context::{Context, DoctorError, Vantage},
    render::{Text, json},
    run::{Runner, until},
};
use crate::{cli::Output, config::Config};

/// The exit code if the checks cannot begin, as for every wrong flag.
const CANNOT_BEGIN: u8 = 2;

/// Runs all checks. Exit code 0 if none failed, 1 if one failed, 2 if they cannot begin. Warnings and skipped checks do
/// not count.
pub async fn run(options: Options) -> io::Result<ExitCode> {
    let (output, style, wait) = (options.output, options.style, options.wait);
    let context = match context(options).await {
        Ok(context) => context,
        Err(error) => {
            writeln!(io::stderr(), "coder-logstream-kube: {error}")?;
            return Ok(ExitCode::from(CANNOT_BEGIN));
        }
    };
    let mut text = Text::new(style);
    let mut runner = Runner::new(until(wait));
    let mut out = io::stdout();
    if output == Output::Text {
        writeln!(out, "{}", context.title())?;
    }
    for check in checks::ALL {
        let outcome = runner.run(check, &context).await;
        if output == Output::Text {
            // Print each outcome as soon as it is known, because some take seconds.
            out.write_all(text.outcome(outcome).as_bytes())?;
            out.flush()?;
        }
    }
    let report = runner.report();
    match output {
        Output::Text => out.write_all(text.summary(&report).as_bytes())?,
        Output::Json => writeln!(out, "{:#}", json(&context, &report))?,
    }
    Ok(ExitCode::from(report.exit_code()))
}

async fn context(options: Options) -> Result<Context, DoctorError> {
    match options.target {
        Target::Release(release) => {
            let cluster = options.cluster.load_context(options.context.as_deref()).await?;
            Context::of_release(cluster, Vantage::of(&options.cluster), &release).await
        }
        Target::Process(flags) => {
            let arguments = std::iter::once("coder-logstream-kube".into()).chain(flags);
            // Files such as the webhook's key are not needed here, and not mounted in the pod of `helm test`.
            let environment = options.environment.on_another_machine();
            let mut config = Config::new(arguments, &environment)?;
            if options.is_explicit {
                config.cluster = options.cluster;
            }
            let cluster = config.cluster.load_context(options.context.as_deref()).await?;
            Context::of_process(cluster, config)
        }
    }
}
