//! The Go modules in `tests/cluster`, which pin the version of every tool.

use std::fs;
use std::path::{Path, PathBuf};

use super::Tool;

/// Directory of the Go module.
pub(super) fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster"))
}

/// Directory of the Go module that a tool is built in. The kubelet needs many modules that no other tool does.
pub(super) fn of(tool: Tool) -> PathBuf {
    match tool {
        Tool::Kubelet => directory().join("kubelet"),
        _ => directory().to_owned(),
    }
}

/// Version of Kubernetes in go.mod, such as `v1.37.2`.
pub(super) fn kubernetes_version() -> String {
    version("k8s.io/kubernetes").unwrap_or_else(|| "v1.37.2".to_owned())
}

/// Version of a required module, or of `go` itself.
pub(super) fn version(module: &str) -> Option<String> {
    let text = fs::read_to_string(directory().join("go.mod")).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == module).then(|| words.next().map(str::to_owned))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_mod_pins_go_and_kubernetes() {
        assert!(kubernetes_version().starts_with("v1."));
        assert!(version("go").is_some());
        assert!(version("sigs.k8s.io/kwok").is_some());
    }

    #[test]
    fn the_kubelet_has_the_version_of_the_control_plane() {
        let text = fs::read_to_string(of(Tool::Kubelet).join("go.mod")).unwrap();
        assert!(text.contains(&format!("k8s.io/kubernetes {}", kubernetes_version())), "{text}");
    }
}
