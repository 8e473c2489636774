//! The command line of `doctor`.

use std::path::PathBuf;

use crate::{
    cli::{Colour, Output, Style},
    config::{ClusterAccess, Environment},
};

/// Checks an installation: the API server, permissions, the webhook and Coder.
#[derive(Debug, clap::Args)]
pub struct Args {
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

/// Settings of `doctor`.
#[derive(Debug)]
pub struct Options {
    /// How the Kubernetes API is reached.
    pub cluster: ClusterAccess,
    /// Form of the output.
    pub output: Output,
    /// Colours of the output.
    pub style: Style,
}

impl Args {
    pub(crate) fn options(self, environment: &Environment) -> Options {
        Options {
            cluster: ClusterAccess::choose(self.kubeconfig, environment),
            output: self.output,
            style: self.color.style(environment),
        }
    }
}
