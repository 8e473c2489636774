//! A busybox image as an OCI layout, for `ctr images import`. No container engine is needed.

use std::{fs, io, path::Path};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// The applets that tests and the sandbox use.
const APPLETS: [&str; 18] = [
    "cat", "date", "echo", "env", "false", "head", "id", "kill", "ls", "mkdir", "nc", "rm", "sh", "sleep", "tail",
    "touch", "true", "wc",
];

/// Writes the image `name` of a static busybox. Without a command it sleeps, as a pod's sandbox does.
pub(super) fn write(path: &Path, name: &str, busybox: &Path) -> io::Result<()> {
    let layer = layer(&fs::read(busybox)?)?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        // The name makes each image unique: the kubelet asks the registry for an image that it has pulled under another
        // name.
        "config": { "Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "2147483647"], "Labels": { "name": name } },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    })
    .to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string();
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    entry["platform"] = json!({ "architecture": architecture, "os": "linux" });
    entry["annotations"] = json!({ "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();

    let mut archive = Builder::new(fs::File::create(path)?);
    add(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
    add(&mut archive, "index.json", index.as_bytes(), 0o644)?;
    for blob in [config.as_bytes(), manifest.as_bytes(), &layer] {
        add(&mut archive, &format!("blobs/{}", digest(blob).replace(':', "/")), blob, 0o644)?;
    }
    archive.finish()
}

fn layer(busybox: &[u8]) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (directory, mode) in [("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("home", 0o777)] {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        archive.append_data(&mut header, format!("{directory}/"), io::empty())?;
    }
    add(&mut archive, "bin/busybox", busybox, 0o755)?;
    add(&mut archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)?;
    for applet in APPLETS {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    archive.into_inner()
}

fn add(archive: &mut Builder<impl io::Write>, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, path, content)
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
