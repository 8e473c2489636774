//! Where built tools are kept: by the content of what they are built from.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Tool;

/// The Go module that pins every tool.
pub(super) fn module() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster"))
}

/// The folder built tools are kept in.
///
/// `CODER_LOGSTREAM_TEST_CACHE` names the folder of all caches; otherwise it is `coder-logstream-kube` under
/// `XDG_CACHE_HOME` or `~/.cache`. Another version of the module has another folder below it.
pub fn folder() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = set("CODER_LOGSTREAM_TEST_CACHE").unwrap_or_else(|| {
        set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(env::temp_dir)
            .join("coder-logstream-kube")
    });
    caches.join(format!("tools-{}", version()))
}

/// Where a tool is kept in that folder. What only some tests need has a version of its own: a change to it is no
/// reason to build the others again.
pub(super) fn path(folder: &Path, tool: Tool) -> PathBuf {
    match tool {
        Tool::CertManager => folder.join(format!("{tool}-{}", hash(&["certmanager/main.go"]))),
        _ => folder.join(tool.name()),
    }
}

/// The version of what decides the tools.
fn version() -> String {
    hash(&["go.mod", "go.sum", "etcd/main.go"])
}

/// The first 16 hexadecimal digits of a hash over files of the module.
fn hash(files: &[&str]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        let content = fs::read(module().join(file)).unwrap_or_default();
        hash.update(content.len().to_le_bytes());
        hash.update(&content);
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
