//! The command line, read by clap as text. Values are parsed together with those of the environment.

use clap::{Arg, Command, builder::OsStringValueParser};

use super::setting::{ALL, Setting};

const AFTER_HELP: &str = "\
A flag takes precedence over its environment variable. SSL_CERT_FILE (a PEM file) and SSL_CERT_DIR (directories of PEM \
files, separated by colons) replace the system's CA certificates for verifying Coder's certificate. KUBECONFIG names the \
kubeconfig if --kubeconfig is not given.";

/// Creates the command with a flag for each setting.
pub(crate) fn command() -> Command {
    Command::new("coder-logstream-kube")
        .about("Streams what Kubernetes does with a Coder workspace into its startup log")
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(100)
        .args_override_self(true)
        .after_help(AFTER_HELP)
        .args(ALL.iter().copied().map(flag))
}

/// Creates a flag. Its variables are not read by clap, which supports one per flag, repeats values in its messages, and
/// always reads the environment of the process, which tests cannot replace.
fn flag(setting: Setting) -> Arg {
    let help = setting.help.trim_start();
    let variables = setting.variables.join(", ");
    let flag = Arg::new(setting.flag)
        .long(setting.flag)
        .short(setting.short.first().copied())
        .value_name(setting.value)
        .value_parser(OsStringValueParser::new())
        .help_heading(setting.heading)
        .help(if variables.is_empty() { help.to_owned() } else { format!("{help} [env: {variables}]") });
    match setting.flag {
        // The predecessor's name.
        "namespaces" => flag.alias("namespace"),
        "log-level" => flag.visible_alias("log"),
        _ => flag,
    }
}
