//! The cluster's secret: what a node has to know to be taken for one.
//!
//! All nodes of a cluster are given the same file. The secret itself never travels: each side of a connection
//! [proves](crate::transport) that it has it. It is text, or any bytes, of which white space at the end is left out, as
//! editors and `openssl` put a line's end there.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The fewest bytes of a secret. A proof can be tried against guesses at leisure, so a secret is not to be guessed.
pub const MIN_SECRET_LEN: usize = 32;

/// The most bytes of a file with a secret; no more of it is read.
pub const MAX_SECRET_LEN: usize = 4096;

/// How many random bytes a new secret has; they are written as hexadecimal digits.
const NEW_SECRET_BYTES: usize = 32;

/// Whoever may read the file besides its owner and its group.
const OTHERS_MAY_READ: u32 = 0o004;

/// See the module's documentation. What it is does not show in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret(Vec<u8>);

/// Why there is no secret to be had.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It can be guessed.
    #[error(
        "{} holds {found} bytes, and a secret has at least {MIN_SECRET_LEN}; make one with: openssl rand -base64 32 > {}",
        path.display(), path.display()
    )]
    TooShort {
        /// The file.
        path: PathBuf,
        /// How many bytes it holds, white space at the end not counted.
        found: usize,
    },
    /// It is some other file.
    #[error(
        "{} holds more than {MAX_SECRET_LEN} bytes, so it is no secret; make one with: openssl rand -base64 32 > FILE",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

impl ClusterSecret {
    /// Reads the file that holds it. A file that others may read is warned of in the log.
    ///
    /// # Errors
    ///
    /// [`SecretError`], which names the file.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let io = |source| SecretError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.permissions().mode() & OTHERS_MAY_READ != 0 {
            tracing::warn!(
                path = %path.display(),
                "every user of this machine may read the cluster's secret: chmod o= the file"
            );
        }
        let mut bytes = Vec::new();
        file.take(MAX_SECRET_LEN as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() > MAX_SECRET_LEN {
            return Err(SecretError::TooLong { path: path.to_owned() });
        }
        bytes.truncate(bytes.trim_ascii_end().len());
        if bytes.len() < MIN_SECRET_LEN {
            return Err(SecretError::TooShort { path: path.to_owned(), found: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// Makes a file with a new secret that its owner alone may read, unless there is one. Of several that make it at
    /// the same time, one does, and the others find it. Returns whether there was none.
    ///
    /// # Errors
    ///
    /// [`SecretError`]: the file cannot be made, or the one that is there holds no secret.
    pub fn make(path: &Path) -> Result<bool, SecretError> {
        let io = |source| SecretError::Io { path: path.to_owned(), source };
        if fs::exists(path).map_err(io)? {
            return Self::read(path).map(|_| false);
        }
        // Under its name it is whole from the first moment on: it is linked there once it is on the disk.
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{}.new", std::process::id()));
        let unfinished = PathBuf::from(unfinished);
        let made = Self::write_new(&unfinished).and_then(|()| match fs::hard_link(&unfinished, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        });
        let _ = fs::remove_file(&unfinished);
        let made = made.map_err(io)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(io)?;
        }
        Self::read(path).map(|_| made)
    }

    fn write_new(path: &Path) -> io::Result<()> {
        let mut random = [0; NEW_SECRET_BYTES];
        getrandom::fill(&mut random).map_err(io::Error::from)?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        // One that a process of the same number left behind.
        let _ = fs::remove_file(path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{digits}")?;
        file.sync_all()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A secret that is these bytes, however short.
    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<ClusterSecret, SecretError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, bytes).unwrap();
        ClusterSecret::read(&path)
    }

    #[test]
    fn white_space_at_the_end_is_no_part_of_it() {
        let secret = read(b"0123456789abcdef0123456789abcdef \r\n\n").unwrap();
        assert_eq!(secret.as_bytes(), b"0123456789abcdef0123456789abcdef");
        assert_eq!(format!("{secret:?}"), "ClusterSecret(…)");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_told_how_to_make_one() {
        for short in [&b""[..], b"\n\n", b"password", &[b' '; 100], b"0123456789abcdef0123456789abcde\n"] {
            let refused = read(short).unwrap_err().to_string();
            assert!(refused.contains("openssl rand -base64 32"), "{refused}");
        }
        assert!(matches!(read(&[7; MAX_SECRET_LEN + 1]), Err(SecretError::TooLong { .. })));
        assert!(read(&[7; MAX_SECRET_LEN]).is_ok());
        let refused = ClusterSecret::read(Path::new("/nowhere/secret")).unwrap_err().to_string();
        assert!(refused.contains("/nowhere/secret"), "{refused}");
    }

    #[test]
    fn a_new_one_is_its_owners_alone_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert!(ClusterSecret::make(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let secret = ClusterSecret::read(&path).unwrap();
        assert!(!ClusterSecret::make(&path).unwrap());
        assert_eq!(ClusterSecret::read(&path).unwrap(), secret);
        let other = dir.path().join("other");
        ClusterSecret::make(&other).unwrap();
        assert_ne!(ClusterSecret::read(&other).unwrap(), secret);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left behind");
        fs::write(&path, "short").unwrap();
        assert!(matches!(ClusterSecret::make(&path), Err(SecretError::TooShort { found: 5, .. })));
    }
}
