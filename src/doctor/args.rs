//! The command line of `doctor`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use super::installation::Release;
use crate::{
    cli::{Colour, Output, Style},
    config::{ClusterAccess, Environment},
};

/// Checks an installation: the API server, permissions, the webhook, Coder and the workspaces that exist.
///
/// The flags of an installed release are read from its Deployment: of the only one in the cluster, or of the one that
/// --namespace and --release name. With `CODER_URL` in the environment, as in the program's own pod, or with flags
/// after `--`, the settings of this process are checked instead.
///
/// Nothing is changed: besides reads there are access reviews, and pods created by a server-side dry run. A check for
/// which a permission is missing is skipped and says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  no check failed; warnings and skipped checks do not count
  1  a check failed
  2  the checks could not begin: a wrong flag, or no such release

docs/doctor.md explains each check.")]
pub struct Args {
    /// Path of a kubeconfig file. Default: the file in KUBECONFIG, else the service account when running in a cluster,
    /// else ~/.kube/config.
    #[arg(long, short = 'k', value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Namespace of the release to check. Default: all that may be read.
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Name of the release to check. Default: the only one.
    #[arg(long, short = 'r', value_name = "NAME")]
    release: Option<String>,

    /// How long to wait for what becomes true after an installation, such as 30s or 2m.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = crate::config::duration)]
    wait: Duration,

    /// Form of the output.
    #[arg(long, short = 'o', value_name = "FORMAT", default_value = "text")]
    output: Output,

    /// Use of colours.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Colour,

    /// Flags of the program to check, which take precedence over environment variables.
    #[arg(last = true, value_name = "FLAGS", conflicts_with_all = ["namespace", "release"])]
    flags: Vec<OsString>,
}

/// Settings of `doctor`.
#[derive(Debug)]
pub struct Options {
    /// Access to the Kubernetes API.
    pub(super) cluster: ClusterAccess,
    /// Another context of the kubeconfig than its current one.
    pub(super) context: Option<String>,
    /// True if `cluster` was chosen by a flag of `doctor`.
    pub(super) is_explicit: bool,
    /// The installation to check.
    pub(super) target: Target,
    /// The program's environment, for [`Target::Process`].
    pub(super) environment: Environment,
    /// Time to wait for states that become true by themselves.
    pub(super) wait: Duration,
    /// Form of the output.
    pub(super) output: Output,
    /// Colours of the output.
    pub(super) style: Style,
}

/// The installation to check.
#[derive(Debug)]
pub(super) enum Target {
    /// The one that this process's environment and these flags belong to.
    Process(Vec<OsString>),
    /// An installed release.
    Release(Release),
}

impl Args {
    pub(crate) fn options(self, environment: &Environment) -> Options {
        let target = match (self.namespace, self.release) {
            // Only the program's own environment has its settings: elsewhere a release is meant.
            (None, None) if !self.flags.is_empty() || environment.text("CODER_URL").is_some() => {
                Target::Process(self.flags)
            }
            (namespace, name) => Target::Release(Release { namespace, name }),
        };
        Options {
            context: self.context,
            is_explicit: self.kubeconfig.is_some(),
            cluster: ClusterAccess::choose(self.kubeconfig, environment),
            target,
            environment: environment.clone(),
            wait: self.wait,
            output: self.output,
            style: self.color.style(environment),
        }
    }
}
