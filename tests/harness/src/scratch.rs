//! Temporary directories that do not outlive their owner.

use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::reaper;

/// Prefix of every scratch directory's name.
pub const PREFIX: &str = "coder-logstream-test-";

/// A temporary directory, removed on drop and when this process ends in any way.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Creates a directory with `purpose` in its name.
    pub fn create(purpose: &str) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(&format!("{PREFIX}{purpose}-")).tempdir()?;
        reaper::guard_directory(directory.path())?;
        Ok(Self(directory))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The reaper keeps guarding it, because a process may write to it during the removal. Names are random, so it
        // cannot remove another directory.
        let _ = std::fs::remove_dir_all(self.0.path());
    }
}
