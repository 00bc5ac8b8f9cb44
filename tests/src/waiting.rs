//! Patience: waiting for something that will be so, without saying when.

use std::time::{Duration, Instant};

/// How long anything in a cluster may take before a test calls it broken. Far above what is normal, because a test
/// machine may be busy; no test asserts how long something took.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often one looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none within [`PATIENCE`], saying `what` was waited for.
pub async fn wait_until<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    let answer = within(PATIENCE, ask).await;
    answer.unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Asks again and again until there is an answer; `None` if there is none in this time.
pub async fn within<T>(patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        tokio::time::sleep(INTERVAL).await;
    }
    None
}
