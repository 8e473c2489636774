//! Location of installed tools, by the content of the files that pin them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Tool, module};

/// Directory of the installed tools.
///
/// `CODER_LOGSTREAM_TEST_CACHE` sets its parent; the default is `coder-logstream-kube` in `XDG_CACHE_HOME` or
/// `~/.cache`. Each version of the Go module has a directory of its own.
pub fn directory() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = set("CODER_LOGSTREAM_TEST_CACHE").unwrap_or_else(|| {
        set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(env::temp_dir)
            .join("coder-logstream-kube")
    });
    caches.join(format!("tools-{}", version()))
}

/// Path of a tool in that directory. Tools of few tests have versions of their own, so that changing them does not
/// rebuild the others.
pub(super) fn path(directory: &Path, tool: Tool) -> PathBuf {
    match tool {
        Tool::CertManager => directory.join(format!("{tool}-{}", hash(&["certmanager/main.go"]))),
        Tool::Kubelet => directory.join(format!("{tool}-{}", hash(&["kubelet/go.mod", "kubelet/go.sum"]))),
        _ => directory.join(tool.name()),
    }
}

/// Version of the files that determine the tools.
fn version() -> String {
    hash(&["go.mod", "go.sum", "etcd/main.go"])
}

/// The first 16 hexadecimal digits of a hash over files of the module.
fn hash(files: &[&str]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        let content = fs::read(module::directory().join(file)).unwrap_or_default();
        hash.update(content.len().to_le_bytes());
        hash.update(&content);
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
