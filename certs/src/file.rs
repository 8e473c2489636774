//! Bounded reads of certificate files.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{fs::File, io::AsyncReadExt as _};

use crate::labels::Refused;

/// Maximum file size in bytes. A Secret or ConfigMap holds at most 1 MiB in total.
const LARGEST: u64 = 1024 * 1024;

/// The file cannot be read now. Transient: it may appear or be replaced.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// An I/O error.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The file is larger than 1 MiB.
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
