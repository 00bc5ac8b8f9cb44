//! What a node was started with, beside its broker settings.

use std::path::PathBuf;

use crate::cli::ServeOptions;

/// What the APIs tell of the process that they are part of.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    /// Where the node keeps everything, as an absolute path where that can be found out.
    pub(crate) data_dir: PathBuf,
}

impl Started {
    /// What `options` say.
    pub(crate) fn new(options: &ServeOptions) -> Self {
        let data_dir = &options.data_dir;
        Self { data_dir: std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone()) }
    }
}
