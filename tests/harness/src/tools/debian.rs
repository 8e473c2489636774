//! Programs of Debian packages that are not installed, as their services would start, but unpacked.

use std::{env, path::PathBuf};

use super::cache;

/// Path of a program, if it is on this machine: in `PATH` or the directories of system programs, or where `.ci/run`
/// unpacks the Debian package.
pub fn debian_program(package: &str, program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let unpacked = cache::directory().with_file_name(package).join("usr/bin");
    let directories = env::split_paths(&path).chain(system).chain([unpacked]);
    directories.map(|directory| directory.join(program)).find(|path| path.is_file())
}
