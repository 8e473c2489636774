//! Programs of Debian packages that are unpacked rather than installed, because their services would start.

use std::{env, path::PathBuf};

use super::cache;

/// Path of an installed program: in `PATH` or the directories of system programs.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// The same, or its path where `.ci/run` unpacks the Debian package.
pub fn debian_program(package: &str, program: &str) -> Option<PathBuf> {
    let unpacked = cache::directory().with_file_name(package).join("usr/bin").join(program);
    installed(program).or_else(|| Some(unpacked).filter(|path| path.is_file()))
}
