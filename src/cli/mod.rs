//! The command line: the service, or a command for operators.

pub(crate) mod credentials;
mod output;
mod tools;

#[cfg(test)]
mod tests;

use std::{ffi::OsString, path::Path};

pub use output::{Colour, Output, Style};

use crate::{
    config::{Config, ConfigError, Environment},
    doctor, explain,
};

/// Name of the symbolic link by which kubectl runs the program as a plugin.
const PLUGIN: &str = "kubectl-logstream";

/// The task of one run.
#[derive(Debug)]
pub enum Command {
    /// No command was given: stream lines to Coder until a signal.
    Serve(Box<Config>),
    /// `explain`: print what the owner of a pod reads or would read.
    Explain(explain::Options),
    /// `doctor`: check an installation.
    Doctor(doctor::Options),
}

impl Command {
    /// The command of this process: `args` with the program's name first, and its environment.
    pub fn from_args<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> Result<Self, ConfigError> {
        Self::new(args, &Environment::of_process())
    }

    /// Like [`Command::from_args`], with any environment.
    ///
    /// A command is the first argument. As the kubectl plugin `kubectl-logstream` the program has commands only.
    pub fn new<A: Into<OsString>>(
        args: impl IntoIterator<Item = A>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let is_plugin = args.first().is_some_and(is_plugin);
        if is_plugin || args.get(1).is_some_and(|first| tools::is_name(first)) {
            return tools::parse(args, is_plugin, environment);
        }
        Config::from_command(tools::listed(crate::config::command()), args, environment)
            .map(|config| Self::Serve(Box::new(config)))
    }
}

/// True if the program was started by the name of the kubectl plugin. Krew adds `.exe` on Windows and replaces hyphens.
fn is_plugin(program: &OsString) -> bool {
    let stem = Path::new(program).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem == PLUGIN
}
