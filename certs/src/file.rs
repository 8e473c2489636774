//! Reading a file that somebody else keeps.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{fs::File, io::AsyncReadExt as _};

use crate::metrics::Refused;

/// The largest file read: a Secret or ConfigMap holds no more than 1 MiB in all.
const LARGEST: u64 = 1024 * 1024;

/// Why a file was not read. It may come, or be replaced: read it again later.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no certificate or key by its size alone.
    #[error("{path} is larger than 1 MiB, which is more than a Secret holds")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    pub(crate) fn refused(&self) -> Refused {
        match self {
            Self::Unreadable { .. } => Refused::Unreadable,
            Self::TooLarge { .. } => Refused::Malformed,
        }
    }
}

pub(crate) async fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
    let mut contents = Vec::new();
    let file = File::open(path).await.map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_end(&mut contents).await.map_err(unreadable)?;
    if contents.len() as u64 > LARGEST {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(contents)
}
