//! A mounted Secret, updated as by the kubelet.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use logstream_testing::scratch::Scratch;

/// `tls.crt` is a link to `..data/tls.crt`, and `..data` a link to a directory that is never changed. A new version is
/// a new directory and one rename of the link.
pub(crate) struct Mounted {
    directory: Scratch,
    version: u32,
}

impl Mounted {
    pub(crate) fn empty() -> io::Result<Self> {
        Ok(Self { directory: Scratch::create("mounted")?, version: 0 })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn swap(&mut self, certificate: &[u8], key: &[u8]) -> io::Result<()> {
        let at = |name: &str| self.directory.path().join(name);
        let old = format!("..version_{}", self.version);
        self.version += 1;
        let new = format!("..version_{}", self.version);
        fs::create_dir(at(&new))?;
        for (file, content) in [("tls.crt", certificate), ("tls.key", key)] {
            fs::write(at(&new).join(file), content)?;
            if self.version == 1 {
                symlink(PathBuf::from("..data").join(file), at(file))?;
            }
        }
        symlink(&new, at("..data_tmp"))?;
        fs::rename(at("..data_tmp"), at("..data"))?;
        if at(&old).exists() {
            fs::remove_dir_all(at(&old))?;
        }
        Ok(())
    }
}
