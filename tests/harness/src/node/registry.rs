//! Local image registries of a node: Debian's `docker-registry`, as several hosts with different behaviour.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{pki::ServingCertificate, tools::debian_program};

/// Address from which images can be pulled.
pub(super) const OPEN: &str = "127.0.0.1:5000";
const PRIVATE: &str = "127.0.0.1:5001";
const UNTRUSTED: &str = "127.0.0.1:5002";

/// Hosts of image names, with the URL that the node's containerd uses instead.
const HOSTS: [(&str, &str, &str); 4] = [
    // Serves the images.
    ("registry.test", "http", OPEN),
    // Requires a login.
    ("private.test", "http", PRIVATE),
    // Has a certificate of an unknown CA.
    ("untrusted.test", "https", UNTRUSTED),
    // Serves plain HTTP where HTTPS is expected.
    ("plain.test", "https", OPEN),
];

/// Path of the registry's program, if it is on this machine.
pub(super) fn program() -> Option<PathBuf> {
    debian_program("docker-registry", "docker-registry")
}

/// Writes the registries' and containerd's configuration into the node's directory.
pub(super) fn write(dir: &Path) -> Result<()> {
    let certificate = ServingCertificate::generate(&[])?;
    let files = certificate.write(&dir.join("registry/tls"))?;
    // No password matches this hash: no login is possible.
    fs::write(dir.join("registry/users"), format!("user:$2y$05${}\n", ".".repeat(53)))?;
    let open = config(dir, OPEN);
    let mut private = config(dir, PRIVATE);
    private["auth"] = json!({ "htpasswd": { "realm": "test", "path": dir.join("registry/users") } });
    let mut untrusted = config(dir, UNTRUSTED);
    untrusted["http"]["tls"] = json!({ "certificate": files.certificate, "key": files.key });
    for (name, config) in [("open", open), ("private", private), ("untrusted", untrusted)] {
        fs::write(dir.join(format!("registry/{name}.json")), config.to_string())?;
    }
    for (host, scheme, address) in HOSTS {
        let directory = dir.join("certs.d").join(host);
        fs::create_dir_all(&directory)?;
        let url = format!("{scheme}://{address}");
        let hosts = format!("server = \"{url}\"\n[host.\"{url}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
        fs::write(directory.join("hosts.toml"), hosts)?;
    }
    Ok(())
}

/// A registry on an address; all share the same images.
fn config(dir: &Path, address: &str) -> Value {
    json!({
        "version": 0.1,
        "log": { "level": "warn" },
        "storage": { "filesystem": { "rootdirectory": dir.join("registry/data") } },
        "http": { "addr": address },
    })
}
