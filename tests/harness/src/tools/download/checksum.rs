//! SHA-256 checksums: those pinned in `tests/cluster/checksums.txt` and those that publishers provide.

use std::fs;

use super::super::module;
use super::release::{Platform, Release};

/// Pinned checksums, a line each: tool, version, platform, SHA-256 in hexadecimal digits. `#` begins a comment.
#[derive(Debug, Clone, Default)]
pub(super) struct Pins(String);

impl Pins {
    /// Reads `tests/cluster/checksums.txt`.
    pub(super) fn read() -> Self {
        Self(fs::read_to_string(module::directory().join("checksums.txt")).unwrap_or_default())
    }

    #[cfg(test)]
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The pinned checksum of a release. An entry of another version does not count.
    pub(super) fn get(&self, release: &Release, platform: Platform) -> Option<String> {
        let wanted = [release.tool.name(), &release.version, &platform.name()];
        self.0.lines().find_map(|line| {
            let words: Vec<&str> = line.split('#').next()?.split_whitespace().collect();
            let (sum, key) = words.split_last()?;
            (key == wanted).then(|| checked(sum)).flatten()
        })
    }
}

/// The checksum of `file_name` in what a publisher provides: either a checksum alone, or lines of sha256sum.
pub(super) fn published(text: &str, file_name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [sum] => checked(sum),
            // sha256sum marks a file read in binary mode with an asterisk.
            [sum, name] if name.trim_start_matches('*') == file_name => checked(sum),
            _ => None,
        }
    })
}

/// Hexadecimal digits of a digest.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(64), |text, byte| format!("{text}{byte:02x}"))
}

fn checked(text: &str) -> Option<String> {
    (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tool;

    const SUM: &str = "A3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const LINUX: Platform = Platform { os: "linux", arch: "amd64" };

    #[test]
    fn a_pin_counts_for_its_tool_version_and_platform_only() {
        let release = Release::of(Tool::Kubectl, LINUX).unwrap();
        let line = |tool, version: &str, platform| format!("{tool} {version} {platform} {SUM}  # comment\n");
        let pins = Pins::of(line("kubectl", &release.version, "linux-amd64"));
        assert_eq!(pins.get(&release, LINUX), Some(SUM.to_ascii_lowercase()));
        let others = [
            line("kubectl", "v1.0.0", "linux-amd64"),
            line("kubectl", &release.version, "linux-arm64"),
            line("helm", &release.version, "linux-amd64"),
            format!("kubectl {} linux-amd64 {}", release.version, &SUM[1..]),
            format!("# {}", line("kubectl", &release.version, "linux-amd64")),
        ];
        assert_eq!(Pins::of(others.concat()).get(&release, LINUX), None);
    }

    #[test]
    fn the_forms_in_which_publishers_provide_checksums_are_read() {
        let sum = Some(SUM.to_ascii_lowercase());
        assert_eq!(published(SUM, "kubectl"), sum);
        assert_eq!(published(&format!("{SUM}\n"), "kubectl"), sum);
        assert_eq!(published(&format!("0 other\n{SUM} *etcd.tar.gz\n"), "etcd.tar.gz"), sum);
        assert_eq!(published(&format!("{SUM}  other.tar.gz\n"), "etcd.tar.gz"), None);
        assert_eq!(published("<html><body>Sign in</body></html>", "kubectl"), None);
    }

    #[test]
    fn every_entry_of_the_pinned_checksums_is_well_formed() {
        for line in Pins::read().0.lines() {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            assert!(words.is_empty() || (words.len() == 4 && checked(words[3]).is_some()), "{line}");
        }
    }
}
