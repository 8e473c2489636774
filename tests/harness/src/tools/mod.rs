//! The control plane's programs: found, downloaded, or built once from source, and kept in a cache outside the checkout.
//!
//! The directory in `KUBEBUILDER_ASSETS` takes precedence. A tool that it lacks comes from the cache. A tool that the
//! cache lacks is downloaded from its publisher if its checksum can be verified (see [`Downloads`]), and otherwise
//! built from the Go module in `tests/cluster`.

mod build;
mod cache;
mod catalog;
mod debian;
mod download;
mod estimate;
mod fill;
mod module;
mod progress;
mod source;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

pub use cache::directory as cache_directory;
pub use catalog::Tool;
pub use debian::{debian_program, installed};
pub use download::{Downloads, published_files};
pub use estimate::Estimate;
pub use progress::{Progress, print};
pub use source::module_source;

/// Error of finding or installing a tool. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// A tool is missing and there is no Go to build it.
    #[error(
        "{missing} must be built from source, and {problem}\n\
         either install Go {wanted} or later (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a directory that holds \
         {missing}"
    )]
    NoGo {
        /// The missing tools.
        missing: String,
        /// The problem with Go.
        problem: String,
        /// The version that go.mod requires.
        wanted: String,
    },
    /// `KUBEBUILDER_ASSETS` is not a directory.
    #[error("KUBEBUILDER_ASSETS is {}, which is not a directory; unset it, or set it to one", .0.display())]
    NoAssets(PathBuf),
    /// A variable has a value that is not accepted.
    #[error("{name}={value:?} is not valid: {expected}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The accepted values.
        expected: &'static str,
    },
    /// The build failed.
    #[error("building {tool} failed: {status}\n{output}")]
    Build {
        /// The tool.
        tool: Tool,
        /// Exit status of go.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// The source of a module is not available.
    #[error("the source of the Go module {module} is not available: {problem}")]
    Source {
        /// The module.
        module: String,
        /// The problem.
        problem: String,
    },
    /// The cache cannot be used.
    #[error("{}: {source}", path.display())]
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
}

/// Installed tools.
#[derive(Debug, Clone)]
pub struct Tools(BTreeMap<Tool, PathBuf>);

impl Tools {
    /// Finds the tools, installs missing ones, and prints the progress of that to stderr. Blocks.
    pub fn ensure(wanted: &[Tool]) -> Result<Self, ToolsError> {
        Self::ensure_with(wanted, &mut print())
    }

    /// Like [`Tools::ensure`], but reports to `progress`. Reports nothing if no tool is missing.
    pub fn ensure_with(wanted: &[Tool], progress: &mut dyn FnMut(&Progress<'_>)) -> Result<Self, ToolsError> {
        let mut found = assets(wanted)?;
        let cache = cache::directory();
        let others = wanted.iter().copied().filter(|tool| !found.contains_key(tool));
        found.extend(held_by(others, |tool| cache::path(&cache, tool)));
        let missing: Vec<Tool> = wanted.iter().copied().filter(|tool| !found.contains_key(tool)).collect();
        if !missing.is_empty() {
            found.extend(fill::fill(&missing, &cache, &Downloads::from_env()?, progress)?);
        }
        Ok(Self(found))
    }

    /// Path of a tool.
    ///
    /// # Panics
    /// If the tool was not among the wanted ones.
    pub fn path(&self, tool: Tool) -> &Path {
        self.0.get(&tool).unwrap_or_else(|| panic!("{tool} was not requested"))
    }
}

/// Tools in the directory in `KUBEBUILDER_ASSETS`.
fn assets(wanted: &[Tool]) -> Result<BTreeMap<Tool, PathBuf>, ToolsError> {
    let Some(directory) = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()).map(PathBuf::from) else {
        return Ok(BTreeMap::new());
    };
    if !directory.is_dir() {
        return Err(ToolsError::NoAssets(directory));
    }
    Ok(held_by(wanted.iter().copied(), |tool| directory.join(tool.name())))
}

fn held_by(tools: impl Iterator<Item = Tool>, path: impl Fn(Tool) -> PathBuf) -> BTreeMap<Tool, PathBuf> {
    tools.map(|tool| (tool, path(tool))).filter(|(_, path)| path.is_file()).collect()
}
