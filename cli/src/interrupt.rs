//! Ctrl-C and SIGTERM: the first ends a command in order, the second at once.

use std::process;

use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The exit code of a process that is ended at once.
const AT_ONCE: i32 = 130;

/// Whether the command was asked to end. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Interrupt {
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// From now on, the first signal is told here instead of ending the process.
    #[must_use]
    pub fn watch() -> Self {
        let (tell, asked) = watch::channel(false);
        tokio::spawn(async move {
            received().await;
            tell.send_replace(true);
            received().await;
            process::exit(AT_ONCE);
        });
        Self { asked }
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn came(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits for a signal; resolves at once if it has come.
    ///
    /// Cancel safety: nothing is lost.
    pub async fn wait(&mut self) {
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            // Signals cannot be watched: then they end the process, as ever.
            std::future::pending().await
        }
    }
}

/// Waits for one of the two signals. A system that allows neither has them end the process.
async fn received() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        interrupted = ctrl_c() => if interrupted.is_err() { std::future::pending::<()>().await },
        _ = terminate.recv() => {}
    }
}
