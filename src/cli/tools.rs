//! The commands for operators, as clap reads them.

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use super::Command;
use crate::{
    config::{ConfigError, Environment},
    doctor, explain,
};

/// Shows what happens to Coder workspaces and other pods, and checks an installation.
#[derive(Debug, Parser)]
#[command(name = "coder-logstream-kube", version, max_term_width = 100, arg_required_else_help = true)]
struct Tools {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Explain(explain::Args),
    Doctor(doctor::Args),
}

/// True if an argument is the name of a command.
pub(super) fn is_name(argument: &OsStr) -> bool {
    argument == "help" || Tools::command().get_subcommands().any(|command| argument == command.get_name())
}

/// The service's command line with the commands in its help.
pub(super) fn listed(service: clap::Command) -> clap::Command {
    let tools = Tools::command();
    service.subcommands(tools.get_subcommands().cloned()).args_conflicts_with_subcommands(true)
}

pub(super) fn parse(args: Vec<OsString>, is_plugin: bool, environment: &Environment) -> Result<Command, ConfigError> {
    let tools = if is_plugin { Tools::command().bin_name("kubectl logstream") } else { Tools::command() };
    let tool = tools.try_get_matches_from(args).and_then(|matches| Tools::from_arg_matches(&matches));
    match tool.map_err(|error| explained(&error))?.tool {
        Tool::Explain(args) => args.options(environment).map(Command::Explain),
        Tool::Doctor(args) => Ok(Command::Doctor(args.options(environment))),
    }
}

/// Converts an error of clap, with its message: unlike the service's flags, these contain no credentials.
fn explained(error: &clap::Error) -> ConfigError {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ConfigError::Asked(error.render().to_string())
        }
        _ => {
            let text = error.render().to_string();
            ConfigError::Wrong(text.trim_end().trim_start_matches("error: ").to_owned())
        }
    }
}
