//! Official releases: the URL of each tool and of its published checksum.

use std::env::consts::{ARCH, OS};

use super::super::{Tool, module};

/// Operating system and processor in Go's notation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Platform {
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
}

impl Platform {
    /// The platforms whose checksums `tests/cluster/checksums.txt` may pin.
    pub(super) const ALL: [Self; 2] = [Self { os: "linux", arch: "amd64" }, Self { os: "linux", arch: "arm64" }];

    /// The platform of this process, if binaries are released for it. kube-apiserver and the other servers are
    /// released for Linux only.
    pub(super) fn current() -> Option<Self> {
        let arch = match ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self::ALL.into_iter().find(|platform| platform.os == OS && platform.arch == arch)
    }

    /// The platform in `checksums.txt`, such as `linux-amd64`.
    pub(super) fn name(self) -> String {
        format!("{}-{}", self.os, self.arch)
    }
}

/// A released file.
#[derive(Debug, Clone)]
pub(super) struct Release {
    pub(super) tool: Tool,
    /// Version with its leading `v`.
    pub(super) version: String,
    pub(super) host: &'static str,
    /// Path of the URL.
    pub(super) path: String,
    /// Path of the program in the file, if that is a tar.gz archive.
    pub(super) member: Option<String>,
    /// Path of the URL of the publisher's checksum, on the same host.
    pub(super) published: Option<String>,
}

/// Parts of a release that depend on its version.
struct Names {
    path: String,
    member: Option<String>,
    published: Option<String>,
}

impl Release {
    /// The release of a tool in the version that go.mod pins. None for a tool that is not published as a binary.
    pub(super) fn of(tool: Tool, platform: Platform) -> Option<Self> {
        let Platform { os, arch } = platform;
        let release = |module: &str, host, names: &dyn Fn(&str) -> Names| {
            let version = module::version(module)?;
            let Names { path, member, published } = names(&version);
            Some(Self { tool, version, host, path, member, published })
        };
        match tool {
            Tool::ApiServer | Tool::ControllerManager | Tool::Scheduler | Tool::Kubectl | Tool::Kubelet => {
                release("k8s.io/kubernetes", "dl.k8s.io", &|version| {
                    let path = format!("/release/{version}/bin/{os}/{arch}/{tool}");
                    let published = Some(format!("{path}.sha256"));
                    Names { path, member: None, published }
                })
            }
            Tool::Etcd => release("go.etcd.io/etcd/server/v3", "github.com", &|version| {
                let directory = format!("/etcd-io/etcd/releases/download/{version}");
                let name = format!("etcd-{version}-{os}-{arch}");
                let published = format!("{directory}/SHA256SUMS");
                Names {
                    path: format!("{directory}/{name}.tar.gz"),
                    member: Some(format!("{name}/etcd")),
                    published: Some(published),
                }
            }),
            Tool::Helm => release("helm.sh/helm/v4", "get.helm.sh", &|version| {
                let path = format!("/helm-{version}-{os}-{arch}.tar.gz");
                let published = format!("{path}.sha256sum");
                Names { path, member: Some(format!("{os}-{arch}/helm")), published: Some(published) }
            }),
            // kwok publishes no checksums: only a pinned one makes it downloadable.
            Tool::Kwok => release("sigs.k8s.io/kwok", "github.com", &|version| {
                let path = format!("/kubernetes-sigs/kwok/releases/download/{version}/kwok-{os}-{arch}");
                Names { path, member: None, published: None }
            }),
            Tool::CertManager => None,
        }
    }

    /// Name of the released file.
    pub(super) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}
