//! The command line as clap reads it: texts only. They are parsed together with the environment.

use clap::{Arg, Command, builder::OsStringValueParser};

use super::setting::{ALL, Setting};

const AFTER_HELP: &str = "\
A flag comes before its environment variable. Besides those named above, SSL_CERT_FILE (a file of certificates in PEM) \
and SSL_CERT_DIR (directories of such files, separated by colons) replace the machine's own certificates for checking \
Coder's, and KUBECONFIG names the kubeconfig where --kubeconfig is not given.";

/// The command with a flag for each setting.
pub(crate) fn command() -> Command {
    Command::new("coder-logstream-kube")
        .about("Streams what Kubernetes does with a Coder workspace into its startup log")
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(100)
        .args_override_self(true)
        .after_help(AFTER_HELP)
        .args(ALL.iter().copied().map(flag))
}

/// clap can read the variables by itself, but not two for one flag, and it would put their values into its own messages
/// and out of the reach of tests.
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
