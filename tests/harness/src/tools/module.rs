//! The Go module `tests/cluster`, which pins the version of every tool.

use std::fs;
use std::path::Path;

/// Directory of the Go module.
pub(super) fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster"))
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
}
