//! Filling the cache: official binaries where they can be downloaded and verified, otherwise a build with Go.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::download::{self, Downloads};
use super::{Progress, Tool, ToolsError, build, cache, held_by};

/// Installs tools into the cache. A second process that needs the same tools waits and then uses the first one's.
///
/// A tool appears in the cache by a rename, so a file that is there is complete even after an interruption.
pub(super) fn fill(
    missing: &[Tool],
    cache: &Path,
    downloads: &Downloads,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<BTreeMap<Tool, PathBuf>, ToolsError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| ToolsError::Cache { path, source }
    };
    fs::create_dir_all(cache).map_err(fail(cache))?;
    let _lock = lock(&cache.with_extension("lock"), progress)?;

    // Another process may have installed them while this one waited for the lock.
    let mut found = held_by(missing.iter().copied(), |tool| cache::path(cache, tool));
    let still = rest(missing, &found);
    if still.is_empty() {
        return Ok(found);
    }
    let started = Instant::now();
    let staging = Staging::create(cache)?;
    found.extend(download::fetch(&still, &staging.0, |tool| cache::path(cache, tool), downloads, progress));
    let still = rest(missing, &found);
    if !still.is_empty() {
        found.extend(build::build(&still, cache, &staging.0, progress)?);
    }
    progress(&Progress::Done { elapsed: started.elapsed(), cache });
    Ok(found)
}

fn rest(wanted: &[Tool], found: &BTreeMap<Tool, PathBuf>) -> Vec<Tool> {
    wanted.iter().copied().filter(|tool| !found.contains_key(tool)).collect()
}

/// An empty directory on the cache's file system for unfinished files; removed when dropped.
struct Staging(PathBuf);

impl Staging {
    fn create(cache: &Path) -> Result<Self, ToolsError> {
        let path = cache.with_extension("unfinished");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|source| ToolsError::Cache { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lock(path: &Path, progress: &mut dyn FnMut(&Progress<'_>)) -> Result<File, ToolsError> {
    let fail = |source| ToolsError::Cache { path: path.to_owned(), source };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(&Progress::Waiting);
            file.lock().map_err(fail)?;
        }
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    Ok(file)
}
