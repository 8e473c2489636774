//! Temporary folders that do not outlive their owner.

use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::reaper;

/// How the name of every scratch folder starts.
pub const PREFIX: &str = "coder-logstream-test-";

/// A folder under the system's temporary folder, removed when dropped or when this process ends in any way.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes a folder whose name tells what it is for.
    pub fn create(purpose: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("{PREFIX}{purpose}-")).tempdir()?;
        reaper::guard_folder(folder.path())?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Still told to the reaper, which may find what a process of ours wrote while it was being removed: names are
        // random, so nobody else's folder can be meant.
        let _ = std::fs::remove_dir_all(self.0.path());
    }
}
