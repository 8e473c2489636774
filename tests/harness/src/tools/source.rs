//! Files in the source of a tool, such as its CRDs.

use std::path::PathBuf;
use std::process::Command;

use super::ToolsError;
use super::module;

/// Directory with the source of a module that `tests/cluster` requires. Downloads it if needed. Blocks.
pub fn module_source(name: &str) -> Result<PathBuf, ToolsError> {
    let fail = |problem: String| ToolsError::Source { module: name.to_owned(), problem };
    let output = Command::new("go")
        .args(["mod", "download", "-json", name])
        .current_dir(module::directory())
        .output()
        .map_err(|error| fail(format!("go does not run: {error}")))?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match answer["Dir"].as_str() {
        Some(directory) => Ok(PathBuf::from(directory)),
        None => Err(fail(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
