//! Downloading official binaries, each verified by its SHA-256.

mod checksum;
mod release;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use super::{Progress, Tool, ToolsError};
use checksum::Pins;
use release::{Platform, Release};
use transfer::{Http, Limits, TransferError};

/// Settings of downloads.
#[derive(Debug, Clone)]
pub struct Downloads {
    trust: Trust,
    mirror: Option<String>,
    pins: Pins,
    limits: Limits,
}

/// Checksums that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The pinned one; without a pin, the one that the publisher provides on the same host.
    Published,
    /// Only pinned ones.
    Pinned,
    /// None: nothing is downloaded.
    Off,
}

impl Downloads {
    /// Reads the settings from the environment.
    ///
    /// `CODER_LOGSTREAM_TEST_DOWNLOADS` is `published` (the default: verify by the pinned checksum, or by the
    /// publisher's own where none is pinned), `pinned` (only what `tests/cluster/checksums.txt` pins), or `off`.
    /// `CODER_LOGSTREAM_TEST_MIRROR` is the base URL of a mirror, which serves `https://HOST/PATH` as `BASE/HOST/PATH`.
    pub fn from_env() -> Result<Self, ToolsError> {
        const VARIABLE: &str = "CODER_LOGSTREAM_TEST_DOWNLOADS";
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let trust = match set(VARIABLE).as_deref() {
            None | Some("published") => Trust::Published,
            Some("pinned") => Trust::Pinned,
            Some("off") => Trust::Off,
            Some(value) => {
                let (value, expected) = (value.to_owned(), "use published, pinned or off");
                return Err(ToolsError::Setting { name: VARIABLE, value, expected });
            }
        };
        let mirror = set("CODER_LOGSTREAM_TEST_MIRROR");
        Ok(Self { trust, mirror, pins: Pins::read(), limits: Limits::DEFAULT })
    }

    fn http(&self) -> Http {
        // A mirror may serve plain HTTP: a loopback cache does.
        Http { limits: self.limits, https_only: self.mirror.is_none() }
    }

    fn url(&self, host: &str, path: &str) -> String {
        match &self.mirror {
            Some(base) => format!("{}/{host}{path}", base.trim_end_matches('/')),
            None => format!("https://{host}{path}"),
        }
    }
}

/// Error of one download. The tool is then built.
#[derive(Debug, thiserror::Error)]
enum DownloadError {
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("{url} contains no SHA-256 of {file}")]
    NoChecksum { url: String, file: String },
    #[error("{url} has the SHA-256 {actual}, but {checksum} is {expected}; the file was discarded")]
    Mismatch { url: String, actual: String, checksum: &'static str, expected: String },
    #[error("unpacking {file} failed: {reason}")]
    Unpack { file: String, reason: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

const PINNED: &str = "the pinned checksum";
const PUBLISHED: &str = "the publisher's checksum";

/// Downloads as many of `tools` as possible into `staging` and moves each to its `destination` once it is verified.
/// Returns the installed ones. Nothing here is fatal: what cannot be downloaded is reported and left to the caller.
pub(super) fn fetch(
    tools: &[Tool],
    staging: &Path,
    destination: impl Fn(Tool) -> PathBuf,
    downloads: &Downloads,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> BTreeMap<Tool, PathBuf> {
    let mut installed = BTreeMap::new();
    let Some(platform) = Platform::current().filter(|_| downloads.trust != Trust::Off) else { return installed };
    let mut releases = verifiable(tools, platform, downloads, progress);
    skip_unreachable(&mut releases, downloads, progress);
    while !releases.is_empty() {
        let release = releases.remove(0);
        let path = destination(release.tool);
        match install(&release, platform, staging, &path, downloads, progress) {
            Ok(checksum) => {
                progress(&Progress::Downloaded { tool: release.tool, checksum });
                installed.insert(release.tool, path);
            }
            Err(error) => {
                let mut skipped = vec![release.tool];
                if matches!(error, DownloadError::Transfer(TransferError::Connection { .. })) {
                    skipped.extend(releases.extract_if(.., |other| other.host == release.host).map(|other| other.tool));
                }
                progress(&Progress::NotDownloaded { tools: &skipped, reason: &error.to_string() });
            }
        }
    }
    installed
}

/// The releases whose checksum is or may be known.
fn verifiable(
    tools: &[Tool],
    platform: Platform,
    downloads: &Downloads,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Vec<Release> {
    let releases = tools.iter().filter_map(|&tool| Release::of(tool, platform));
    let (known, unknown): (Vec<_>, Vec<_>) = releases.partition(|release| {
        let published = downloads.trust == Trust::Published && release.published.is_some();
        published || downloads.pins.get(release, platform).is_some()
    });
    if !unknown.is_empty() {
        let tools: Vec<Tool> = unknown.iter().map(|release| release.tool).collect();
        let reason = "no checksum in tests/cluster/checksums.txt; tests/cluster/pin-checksums.sh adds it";
        progress(&Progress::NotDownloaded { tools: &tools, reason });
    }
    known
}

/// Sends one request to each host, all at the same time, and drops the releases of hosts that do not answer.
fn skip_unreachable(releases: &mut Vec<Release>, downloads: &Downloads, progress: &mut dyn FnMut(&Progress<'_>)) {
    let first: BTreeMap<&str, &Release> = releases.iter().rev().map(|release| (release.host, release)).collect();
    let failures: BTreeMap<&str, TransferError> = thread::scope(|scope| {
        let probe = |release: &Release| downloads.http().probe(&downloads.url(release.host, &release.path));
        let probes = first.into_values().map(|release| (release.host, scope.spawn(move || probe(release))));
        let probes: Vec<_> = probes.collect();
        let ended = probes.into_iter().map(|(host, thread)| (host, thread.join().expect("the probe does not panic")));
        ended.filter_map(|(host, result)| Some((host, result.err()?))).collect()
    });
    for (host, error) in failures {
        let skipped: Vec<Tool> = releases.extract_if(.., |release| release.host == host).map(|it| it.tool).collect();
        progress(&Progress::NotDownloaded { tools: &skipped, reason: &error.to_string() });
    }
}

/// Downloads, verifies and installs one tool. Returns the origin of the checksum.
fn install(
    release: &Release,
    platform: Platform,
    staging: &Path,
    path: &Path,
    downloads: &Downloads,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<&'static str, DownloadError> {
    let (http, tool) = (downloads.http(), release.tool);
    let (expected, checksum) = expected(release, platform, downloads)?;
    let url = downloads.url(release.host, &release.path);
    progress(&Progress::Downloading { tool, received: 0, size: None });
    let file = staging.join(release.file_name());
    let mut report = |received, size| progress(&Progress::Downloading { tool, received, size });
    let actual = http.file(&url, &file, &mut report)?;
    if actual != expected {
        let _ = fs::remove_file(&file);
        return Err(DownloadError::Mismatch { url, actual, checksum, expected });
    }
    let program = match &release.member {
        Some(member) => unpack(&file, member, staging)?,
        None => file,
    };
    let failed = |source| DownloadError::File { path: program.clone(), source };
    fs::set_permissions(&program, Permissions::from_mode(0o755)).map_err(failed)?;
    fs::rename(&program, path).map_err(failed)?;
    Ok(checksum)
}

/// The checksum that a release must have, and its origin.
fn expected(
    release: &Release,
    platform: Platform,
    downloads: &Downloads,
) -> Result<(String, &'static str), DownloadError> {
    if let Some(pin) = downloads.pins.get(release, platform) {
        return Ok((pin, PINNED));
    }
    let url = downloads.url(release.host, release.published.as_deref().unwrap_or_default());
    let text = downloads.http().text(&url)?;
    match checksum::published(&text, release.file_name()) {
        Some(sum) => Ok((sum, PUBLISHED)),
        None => Err(DownloadError::NoChecksum { url, file: release.file_name().to_owned() }),
    }
}

/// Extracts one file of a tar.gz archive.
fn unpack(archive: &Path, member: &str, into: &Path) -> Result<PathBuf, DownloadError> {
    let fail = |reason: String| DownloadError::Unpack { file: archive.display().to_string(), reason };
    let output = Command::new("tar")
        .args(["--extract", "--gzip", "--no-same-owner", "--file"])
        .arg(archive)
        .arg("--directory")
        .arg(into)
        .arg(member)
        .output()
        .map_err(|error| fail(format!("tar does not run: {error}")))?;
    if !output.status.success() {
        return Err(fail(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(into.join(member))
}

/// The released files for which checksums can be pinned, a line each: tool, version, platform, URL, and the URL of the
/// publisher's checksum or `-`. `tests/cluster/pin-checksums.sh` reads this.
pub fn published_files() -> String {
    let releases = Platform::ALL.into_iter().flat_map(|platform| {
        Tool::DEMO.into_iter().filter_map(move |tool| Some((platform, Release::of(tool, platform)?)))
    });
    let line = |(platform, release): (Platform, Release)| {
        let Release { tool, version, host, path, published, .. } = release;
        let published = published.map_or_else(|| "-".to_owned(), |path| format!("https://{host}{path}"));
        format!("{tool} {version} {} https://{host}{path} {published}\n", platform.name())
    };
    releases.map(line).collect()
}
