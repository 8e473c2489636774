//! The command line as clap reads it: texts only. They are parsed together with the environment.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser};

use super::setting::{ALL, Setting};
use super::webhook_flags::WebhookFlags;

/// Streams what Kubernetes does with a Coder workspace into its startup log.
#[derive(Debug, Default, Parser)]
#[command(
    name = "coder-logstream-kube",
    version,
    max_term_width = 100,
    args_override_self = true,
    after_help = "\
A flag comes before its environment variable. Besides those named above, SSL_CERT_FILE (a file of certificates in PEM) \
and SSL_CERT_DIR (directories of such files, separated by colons) replace the machine's own certificates for checking \
Coder's, and KUBECONFIG names the kubeconfig where --kubeconfig is not given."
)]
pub(crate) struct Flags {
    /// Address of the Coder deployment: an http or https URL, without user, password, query or fragment. Required.
    #[arg(long, short = 'u', value_name = "URL", help_heading = "Coder")]
    pub(crate) coder_url: Option<OsString>,

    /// Path of a kubeconfig file, which must exist. Default: the file in KUBECONFIG if that is set, else the service
    /// account when running in a cluster, else ~/.kube/config.
    #[arg(long, short = 'k', value_name = "FILE", help_heading = "Kubernetes")]
    pub(crate) kubeconfig: Option<OsString>,

    /// Namespaces to watch, separated by commas. Default, also if empty: all namespaces. The plural variable
    /// takes precedence, even if empty.
    #[arg(long, short = 'n', alias = "namespace", value_name = "LIST", help_heading = "Kubernetes")]
    pub(crate) namespaces: Option<OsString>,

    /// Watch only pods whose fields match, such as spec.nodeName!=node-1; several conditions are separated by commas.
    /// Default: all pods.
    #[arg(long, short = 'f', value_name = "SELECTOR", help_heading = "Kubernetes")]
    pub(crate) field_selector: Option<OsString>,

    /// Watch only pods whose labels match, such as app=coder or tier in (a,b); several conditions are separated by
    /// commas. Default: all pods.
    #[arg(long, short = 'l', value_name = "SELECTOR", help_heading = "Kubernetes")]
    pub(crate) label_selector: Option<OsString>,

    /// Set to false if this program has no permission to read the Secrets and ConfigMaps that hold agent tokens. Agents
    /// with such tokens are then not streamed. Default: true.
    #[arg(long, value_name = "BOOL", help_heading = "Kubernetes")]
    pub(crate) resolve_references: Option<OsString>,

    /// Address on which the admission webhook listens with TLS, such as 0.0.0.0:10250, or :10250 for all addresses.
    /// Default, also if empty: no webhook.
    #[arg(long, value_name = "ADDRESS", help_heading = "Webhook")]
    pub(crate) webhook_addr: Option<OsString>,

    #[command(flatten)]
    pub(crate) webhook: WebhookFlags,

    /// Least level of the lines that owners get: debug for every step, warn for failures and what may lead to them,
    /// or error. Default: debug.
    #[arg(long, value_name = "LEVEL", help_heading = "Lines")]
    pub(crate) min_level: Option<OsString>,

    /// Kubernetes reasons whose lines owners do not get, separated by commas, such as Pulling,Pulled,Scheduled; also
    /// those of failures, such as Unhealthy. Default, also if empty: none.
    #[arg(long, value_name = "LIST", help_heading = "Lines")]
    pub(crate) skip_reasons: Option<OsString>,

    /// Looks of the lines that owners get: fancy with emoji and colours, or plain without. Default: fancy.
    #[arg(long, value_name = "STYLE", help_heading = "Lines")]
    pub(crate) log_style: Option<OsString>,

    /// Format of this program's own log on standard error: text or json. Default: text.
    #[arg(long, value_name = "FORMAT", help_heading = "Running")]
    pub(crate) log_format: Option<OsString>,

    /// Level of this program's own log: off, error, warn, info, debug or trace; MODULE=LEVEL for a single module;
    /// separated by commas. Default: info.
    #[arg(long, visible_alias = "log", value_name = "LEVEL", help_heading = "Running")]
    pub(crate) log_level: Option<OsString>,

    /// Address that serves /metrics over plain HTTP; may equal --health-addr. Default, also if empty: off.
    #[arg(long, value_name = "ADDRESS", help_heading = "Running")]
    pub(crate) metrics_addr: Option<OsString>,

    /// Address that serves /livez and /readyz over plain HTTP; an empty value means off. Default: :8081, on all
    /// addresses.
    #[arg(long, value_name = "ADDRESS", help_heading = "Running")]
    pub(crate) health_addr: Option<OsString>,

    /// Time limit of a graceful shutdown after SIGTERM, from 0s to 10m, such as 20s or 1m30s. Keep it 5 s below the
    /// pod's terminationGracePeriodSeconds. Default: 20s.
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(crate) shutdown_grace: Option<OsString>,

    /// Namespace of the checkpoint ConfigMap, from which a restart continues; empty for no checkpoint. Default: this
    /// pod's namespace, or no checkpoint outside a cluster.
    #[arg(long, value_name = "NAMESPACE", help_heading = "Running")]
    pub(crate) state_namespace: Option<OsString>,

    /// Name of that ConfigMap. Default: coder-logstream-kube-progress.
    #[arg(long, value_name = "NAME", help_heading = "Running")]
    pub(crate) state_name: Option<OsString>,

    /// Name of the Lease by which one of several replicas is elected to deliver, in the namespace of the ConfigMap.
    /// Default, also if empty: no election, so at most one replica may run.
    #[arg(long, value_name = "NAME", help_heading = "Running")]
    pub(crate) lease_name: Option<OsString>,

    /// This replica in the Lease. Must be unique among processes that run at the same time; a later process of the same
    /// name takes over at once. Default: a random name.
    #[arg(long, value_name = "NAME", help_heading = "Running")]
    pub(crate) lease_identity: Option<OsString>,

    /// Time after which another replica takes over from one that was killed or cut off, from 3s to 10m. It is renewed
    /// every 2/15 of this time, and the holder stops sending 2/3 of it after its last renewal. Default: 15s.
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(crate) lease_duration: Option<OsString>,

    /// Deployment in the program's namespace that owns the Secret and ConfigMap created by the program, so that
    /// Kubernetes deletes them with it. They get its app.kubernetes.io labels. Default, also if empty: no owner.
    #[arg(long, value_name = "NAME", help_heading = "Running")]
    pub(crate) owner_deployment: Option<OsString>,
}

impl Flags {
    /// Reads the command line; the first item is the program's name.
    pub(crate) fn read(command: clap::Command, args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&command.try_get_matches_from(args)?)
    }
}

/// The command with each flag's variables in its help. clap can do that by itself only by reading the variables too,
/// which would put their values out of the reach of tests and into its own messages.
pub(crate) fn command() -> clap::Command {
    ALL.iter().fold(Flags::command(), |command, setting| {
        command.mut_arg(setting.flag.replace('-', "_"), |arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            arg.help(with_variables(help, *setting)).long_help(None)
        })
    })
}

fn with_variables(help: String, setting: Setting) -> String {
    // clap takes the full stop off a doc comment of one paragraph.
    let stop = if help.ends_with('.') { "" } else { "." };
    if setting.variables.is_empty() {
        help + stop
    } else {
        format!("{help}{stop} [env: {}]", setting.variables.join(", "))
    }
}
