//! Temporary directories that do not outlive their owner.

use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::reaper;

/// How the name of every scratch directory starts.
pub const PREFIX: &str = "coder-logstream-test-";

/// A directory under the system's temporary directory, removed when dropped or when this process ends in any way.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes a directory whose name tells what it is for.
    pub fn create(purpose: &str) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(&format!("{PREFIX}{purpose}-")).tempdir()?;
        reaper::guard_directory(directory.path())?;
        Ok(Self(directory))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Still told to the reaper, which may find what a process of ours wrote while it was being removed: names are
        // random, so nobody else's directory can be meant.
        let _ = std::fs::remove_dir_all(self.0.path());
    }
}
