//! The control plane's programs: found, or built once from source and kept in a cache outside the checkout.
//!
//! The folder in `KUBEBUILDER_ASSETS` comes first when it is set; what it does not hold is taken from the cache, which
//! the Go module in `tests/cluster` fills.

mod build;
mod cache;
mod catalog;
mod progress;
mod source;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use cache::folder as cache_folder;
pub use catalog::Tool;
pub use progress::{Progress, print};
pub use source::module_source;

/// Why a tool cannot be had. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// Neither an asset folder with everything nor a Go that could build.
    #[error(
        "{missing} must be built from source, and {problem}\n\
         either install Go {wanted} or later (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a folder that holds \
         {missing}"
    )]
    NoGo {
        /// The tools that are not there.
        missing: String,
        /// What is wrong with Go.
        problem: String,
        /// The version that go.mod asks for.
        wanted: String,
    },
    /// `KUBEBUILDER_ASSETS` is set to something else than a folder.
    #[error("KUBEBUILDER_ASSETS is {}, which is not a folder; unset it, or set it to one", .0.display())]
    NoAssets(PathBuf),
    /// The build failed.
    #[error("building {tool} failed: {status}\n{output}")]
    Build {
        /// What was being built.
        tool: Tool,
        /// How go ended.
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// The source of a module that the tools are built from cannot be had.
    #[error("the source of the Go module {module} is not to be had: {problem}")]
    Source {
        /// The module.
        module: String,
        /// What went wrong.
        problem: String,
    },
    /// The cache cannot be used.
    #[error("{}: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// Tools that are there.
#[derive(Debug, Clone)]
pub struct Tools(BTreeMap<Tool, PathBuf>);

impl Tools {
    /// Finds the tools, building those that are nowhere, and printing the progress of that to stderr.
    pub fn ensure(wanted: &[Tool]) -> Result<Self, ToolsError> {
        Self::ensure_with(wanted, &mut print())
    }

    /// As [`Tools::ensure`], with the progress told to `progress`. With all tools there nothing is told.
    pub fn ensure_with(wanted: &[Tool], progress: &mut dyn FnMut(&Progress)) -> Result<Self, ToolsError> {
        let mut found = assets(wanted)?;
        let cache = cache::folder();
        let others = wanted.iter().copied().filter(|tool| !found.contains_key(tool));
        found.extend(held_by(others, |tool| cache::path(&cache, tool)));
        let missing: Vec<Tool> = wanted.iter().copied().filter(|tool| !found.contains_key(tool)).collect();
        if !missing.is_empty() {
            found.extend(build::build(&missing, &cache, progress)?);
        }
        Ok(Self(found))
    }

    /// Where a tool is.
    ///
    /// # Panics
    /// When it was not among those asked for.
    pub fn path(&self, tool: Tool) -> &Path {
        self.0.get(&tool).unwrap_or_else(|| panic!("{tool} was not asked for"))
    }
}

/// What the folder in `KUBEBUILDER_ASSETS` holds.
fn assets(wanted: &[Tool]) -> Result<BTreeMap<Tool, PathBuf>, ToolsError> {
    let Some(folder) = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()).map(PathBuf::from) else {
        return Ok(BTreeMap::new());
    };
    if !folder.is_dir() {
        return Err(ToolsError::NoAssets(folder));
    }
    Ok(held_by(wanted.iter().copied(), |tool| folder.join(tool.name())))
}

fn held_by(tools: impl Iterator<Item = Tool>, path: impl Fn(Tool) -> PathBuf) -> BTreeMap<Tool, PathBuf> {
    tools.map(|tool| (tool, path(tool))).filter(|(_, path)| path.is_file()).collect()
}

/// How long a first build takes on two cores.
pub const FIRST_BUILD: Duration = Duration::from_mins(8);
