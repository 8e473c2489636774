//! The command line of `explain`.

use std::path::PathBuf;

use crate::{
    cli::{Colour, Output, Style},
    config::{ClusterAccess, Environment},
};

/// Prints what the owner of a pod reads or would read in the startup log. Needs neither Coder nor an installation.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The object: pod/NAME.
    #[arg(value_name = "KIND/NAME")]
    target: String,

    /// Namespace of the object. Default: that of the kubeconfig's context.
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Path of a kubeconfig file. Default: the file in KUBECONFIG, else the service account when running in a cluster,
    /// else ~/.kube/config.
    #[arg(long, short = 'k', value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Form of the output.
    #[arg(long, short = 'o', value_name = "FORMAT", default_value = "text")]
    output: Output,

    /// Use of colours.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Colour,
}

/// Settings of `explain`.
#[derive(Debug)]
pub struct Options {
    /// Name of the pod.
    pub pod: String,
    /// Its namespace, if not that of the kubeconfig's context.
    pub namespace: Option<String>,
    /// How the Kubernetes API is reached.
    pub cluster: ClusterAccess,
    /// Form of the output.
    pub output: Output,
    /// Colours of the output.
    pub style: Style,
}

impl Args {
    pub(crate) fn options(self, environment: &Environment) -> Options {
        let pod = self.target.strip_prefix("pod/").unwrap_or(&self.target).to_owned();
        Options {
            pod,
            namespace: self.namespace,
            cluster: ClusterAccess::choose(self.kubeconfig, environment),
            output: self.output,
            style: self.color.style(environment),
        }
    }
}
