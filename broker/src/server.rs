//! One node.

use std::io;

use thiserror::Error;
use tracing::info;

use crate::cli::ServeOptions;
use crate::shutdown::ShutdownSignals;

/// Why a node ended other than by request.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    /// The operating system refused a signal handler or a thread.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

/// Runs a node until it is asked to end.
///
/// # Errors
///
/// [`ServeError`].
pub(crate) async fn run(options: ServeOptions) -> Result<(), ServeError> {
    let mut shutdown = ShutdownSignals::listen(options.exit_with_parent).map_err(ServeError::Signals)?;
    let ServeOptions {
        node,
        data_dir,
        listeners,
        peer_listener,
        peers,
        cluster_id,
        durability,
        settings,
        ..
    } = &options;
    let members = options.members().len();
    info!(%node, members, cluster_id, data_dir = %data_dir.display(), durability = durability.as_str(), "starting");
    for listener in listeners {
        info!(
            listener = listener.name,
            bind = ?listener.bind,
            port = listener.port,
            advertised = %listener.advertised,
            "serving clients"
        );
    }
    for (peer, address) in peers {
        info!(%peer, %address, listener = ?peer_listener, "peer");
    }
    info!(?settings, "broker settings");
    let cause = shutdown.requested().await;
    info!(%cause, "ending");
    Ok(())
}
