//! The environment of the process, read once.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::{names, setting};

/// File with the namespace of this pod.
const SERVICE_ACCOUNT_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Input of the configuration besides the command line: environment variables and one file.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: HashMap<String, OsString>,
    namespace_file: PathBuf,
    /// True if the files named by settings are on another machine.
    pub(crate) elsewhere: bool,
}

impl Environment {
    /// The environment of this process; only the variables that this program knows are kept.
    #[expect(clippy::disallowed_methods, reason = "this is the one place the environment is read")]
    pub fn of_process() -> Self {
        let known = setting::variables().chain(setting::PROXY_VARIABLES);
        let variables = known.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect();
        Self { variables, namespace_file: PathBuf::from(SERVICE_ACCOUNT_NAMESPACE), elsewhere: false }
    }

    /// An environment of these variables, outside a cluster.
    pub fn of<K: Into<String>, V: Into<OsString>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, namespace_file: PathBuf::new(), elsewhere: false }
    }

    /// Sets the file with the namespace of the pod.
    #[cfg(test)]
    #[must_use]
    pub(super) fn with_namespace_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.namespace_file = path.into();
        self
    }

    /// Marks this as the environment of a configuration on another machine: the files that it names are not opened.
    #[must_use]
    pub fn on_another_machine(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    pub(crate) fn get(&self, variable: &str) -> Option<&OsStr> {
        self.variables.get(variable).map(OsString::as_os_str)
    }

    /// The value of a variable that this program or its HTTP client reads, if it is UTF-8.
    pub fn text(&self, variable: &str) -> Option<String> {
        self.get(variable)?.to_str().map(str::to_owned)
    }

    /// Like [`Environment::get`], but a variable that is set and empty counts as not set.
    pub(crate) fn filled(&self, variable: &str) -> Option<&OsStr> {
        self.get(variable).filter(|value| !value.is_empty())
    }

    /// Namespace of this pod, from the mounted service account. None outside a pod.
    pub(crate) fn own_namespace(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.namespace_file).ok()?;
        names::label(text.trim()).ok()
    }
}
