//! `trilog secret`: where the secret goes.

use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub(super) struct SecretArgs {
    /// The file, which only its owner may read; one that is there is checked and stays as it is.
    #[arg(env = "TRILOG_CLUSTER_SECRET_FILE")]
    pub(super) file: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::super::{Invocation, invoke};

    #[test]
    fn a_file_is_named() {
        let Ok(Invocation::Secret(file)) = invoke(&["secret", "a/secret"]) else { panic!("it is named") };
        assert_eq!(file.to_str(), Some("a/secret"));
        assert!(invoke(&["secret"]).unwrap_err().contains("FILE"));
    }
}
