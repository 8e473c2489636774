//! The command line of `explain`.

use std::path::PathBuf;

use clap::ValueEnum;
use logstream_core::line::Level;

use super::target::Target;
use crate::{
    cli::{Colour, Output, Style},
    config::{ClusterAccess, ConfigError, Environment, LabelSelector, existing_file, namespace},
};

/// Prints what the owner of a pod reads or would read in the startup log: what happened, why, and what to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needs neither Coder nor an installation, and changes nothing. Permissions: list and watch on pods, events, \
replicasets.apps, statefulsets.apps and jobs.batch, which the ClusterRole view grants.

Exit codes:
  0  a cause was found: a warning or an error was printed
  1  no cause was found
  2  the command line is wrong
  3  there is no such object
  4  the cluster could not be read, for example because a permission is missing")]
pub struct Args {
    /// The object, also written as two words; without a kind it is a pod. Kinds: pod, deployment, statefulset,
    /// daemonset, replicaset, job, cronjob. Default: all pods and workloads.
    #[arg(value_name = "KIND/NAME", num_args = 0..=2, conflicts_with_all = ["selector", "owner"])]
    target: Vec<String>,

    /// Explain pods and workloads with these labels, such as app=dev.
    #[arg(long, short = 'l', value_name = "SELECTOR", conflicts_with = "owner")]
    selector: Option<String>,

    /// Explain the workspaces of this Coder user: a name or an e-mail address.
    #[arg(long, value_name = "USER")]
    owner: Option<String>,

    /// Namespace to read. Default: that of the kubeconfig's context.
    #[arg(long, short = 'n', value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    namespace: Option<String>,

    /// Read all namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,

    /// Go on and print what happens, until interrupted.
    #[arg(long, short = 'f')]
    follow: bool,

    /// Least level of the lines that are printed.
    #[arg(long, value_name = "LEVEL", default_value = "debug")]
    min_level: MinLevel,

    /// Times of lines. Default: relative, with --follow absolute.
    #[arg(long, value_name = "FORM")]
    times: Option<Times>,

    /// Context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Path of a kubeconfig file. Default: the file in KUBECONFIG, else the service account when running in a cluster,
    /// else ~/.kube/config.
    #[arg(long, short = 'k', value_name = "FILE")]
    kubeconfig: Option<String>,

    /// Form of the output; json is one object a line.
    #[arg(long, short = 'o', value_name = "FORMAT", default_value = "text")]
    output: Output,

    /// Use of colours.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Colour,
}

/// Form of times.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Times {
    /// Such as 3m ago.
    Relative,
    /// Such as 2026-11-27T02:40:11Z.
    Absolute,
}

/// Least level of lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum MinLevel {
    /// All lines.
    Debug,
    /// Warnings and errors.
    Warn,
    /// Errors only.
    Error,
}

/// Settings of `explain`.
#[derive(Debug)]
pub struct Options {
    /// The objects to explain.
    pub target: Target,
    /// Namespace to read, if not that of the kubeconfig's context.
    pub namespace: Option<String>,
    /// True to read all namespaces.
    pub all_namespaces: bool,
    /// True to go on until interrupted.
    pub follow: bool,
    /// Least level of the lines that are printed.
    pub min_level: Level,
    /// Form of times in text.
    pub times: Times,
    /// Access to the Kubernetes API.
    pub cluster: ClusterAccess,
    /// Context of the kubeconfig.
    pub context: Option<String>,
    /// Form of the output.
    pub output: Output,
    /// Colours of the output.
    pub style: Style,
}

impl Args {
    pub(crate) fn options(self, environment: &Environment) -> Result<Options, ConfigError> {
        let target = match (self.selector, self.owner) {
            (Some(text), _) => {
                let labels = LabelSelector::parse(&text);
                Target::Labels(labels.map_err(|problem| wrong("selector", &text, &problem, SELECTOR))?)
            }
            (None, Some(user)) if user.is_empty() => {
                return Err(wrong("owner", &user, "which is empty", "the name or the e-mail address of a Coder user"));
            }
            (None, Some(user)) => Target::Owner(user),
            (None, None) => Target::parse(&self.target).map_err(ConfigError::Wrong)?,
        };
        let check = |name: String| namespace(&name).map_err(|problem| wrong("namespace", &name, &problem, NAMESPACE));
        let namespace = self.namespace.map(check).transpose()?;
        let check = |path: String| existing_file(&path).map_err(|problem| wrong("kubeconfig", &path, &problem, FILE));
        let kubeconfig: Option<PathBuf> = self.kubeconfig.map(check).transpose()?;
        let default_times = if self.follow { Times::Absolute } else { Times::Relative };
        Ok(Options {
            target,
            namespace,
            all_namespaces: self.all_namespaces,
            follow: self.follow,
            min_level: self.min_level.level(),
            times: self.times.unwrap_or(default_times),
            cluster: match (kubeconfig, &self.context) {
                // A service account has no contexts.
                (None, Some(_)) => ClusterAccess::Found,
                (kubeconfig, _) => ClusterAccess::choose(kubeconfig, environment),
            },
            context: self.context,
            output: self.output,
            style: self.color.style(environment),
        })
    }
}

const SELECTOR: &str = "labels such as app=dev,team!=web";
const NAMESPACE: &str = "a name of lowercase letters, digits and hyphens";
const FILE: &str = "the path of a kubeconfig";

/// Unlike the service's, the values of these flags hold no credentials.
fn wrong(flag: &str, value: &str, problem: &str, accepted: &str) -> ConfigError {
    ConfigError::Wrong(format!("--{flag} has the value {value:?}, {problem}; accepted: {accepted}"))
}

impl MinLevel {
    fn level(self) -> Level {
        match self {
            Self::Debug => Level::Debug,
            Self::Warn => Level::Warn,
            Self::Error => Level::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::Command, explain::TargetKind};

    fn options(args: &str) -> Result<Options, ConfigError> {
        let args = ["coder-logstream-kube", "explain"].into_iter().chain(args.split_whitespace());
        match Command::new(args, &Environment::of([("KUBERNETES_SERVICE_HOST", "10.0.0.1")]))? {
            Command::Explain(options) => Ok(options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_explain_everything_in_the_contexts_namespace() {
        let options = options("").unwrap();
        assert_eq!((options.target, options.namespace, options.all_namespaces), (Target::All, None, false));
        assert_eq!((options.min_level, options.times), (Level::Debug, Times::Relative));
        assert_eq!((options.cluster, options.output), (ClusterAccess::ServiceAccount, Output::Text));
    }

    #[test]
    fn every_flag_has_its_effect() {
        let options =
            options("deploy/dev -n team --follow --min-level warn --context prod -o json --color always").unwrap();
        assert_eq!(options.target, Target::Named(TargetKind::Deployment, "dev".to_owned()));
        assert_eq!(options.namespace.as_deref(), Some("team"));
        assert!(options.follow && !options.all_namespaces);
        assert_eq!((options.min_level, options.times), (Level::Warn, Times::Absolute));
        // The context is one of the kubeconfig, also in a pod.
        assert_eq!((options.cluster, options.context.as_deref()), (ClusterAccess::Found, Some("prod")));
        assert_eq!((options.output, options.style), (Output::Json, Style::Coloured));
    }

    #[test]
    fn conflicting_and_impossible_arguments_are_rejected() {
        for (args, problem) in [
            ("pod/dev --owner alice", "cannot be used with"),
            ("-l app=dev --owner alice", "cannot be used with"),
            ("-A -n team", "cannot be used with"),
            ("node/dev", "\"node\" is not a kind that is explained; accepted are pod, deployment"),
            ("-n Team", "--namespace has the value \"Team\", where a name"),
            ("-n Team", "accepted: a name of lowercase letters"),
            ("-l app=", ""),
            ("-l app~dev", "--selector has the value \"app~dev\", "),
            ("-k /does/not/exist", "--kubeconfig has the value \"/does/not/exist\", which cannot be read"),
            ("--owner=", "--owner has the value \"\", which is empty; accepted: the name"),
            ("--min-level loud", "possible values: debug, warn, error"),
        ] {
            match options(args) {
                Ok(options) => assert!(problem.is_empty(), "{args}: {options:?}"),
                Err(error) => {
                    assert_eq!(error.exit_code(), 2);
                    assert!(!problem.is_empty() && error.to_string().contains(problem), "{args}: {error}");
                }
            }
        }
    }
}
