//! The threads beside the driver. None of them ends unnoticed: an error or a panic of one ends the node, and says which it
//! was.
//!
//! A node that goes on without one of them is worse than one that ends: without the syncer it leads and commits nothing,
//! without the purger its disk fills up, without the entry reader a follower that lags stays behind, without the page table's
//! the next start takes minutes.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use trilog_storage::StoreError;

use super::fatal::FatalError;
use super::inbox::{Inbox, Input};

/// Runs `work` on a thread called `name`. It returns when it is asked to end, and an error when it cannot go on.
pub(super) fn start(
    name: &'static str,
    inbox: Arc<Inbox>,
    work: impl FnOnce(&Inbox) -> Result<(), StoreError> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            inbox.panic_if_asked(name);
            work(&inbox)
        }));
        let fatal = match worked {
            Ok(Ok(())) => return,
            Ok(Err(error)) => FatalError::Store(error),
            Err(_) => FatalError::Panicked(name),
        };
        inbox.push(Input::Fail(fatal));
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// What the driver is told of a thread that does this.
    fn told(work: impl FnOnce(&Inbox) -> Result<(), StoreError> + Send + 'static) -> Vec<String> {
        let inbox = Arc::new(Inbox::default());
        start("worker", Arc::clone(&inbox), work).unwrap().join().unwrap();
        let inputs = inbox.drain(Instant::now(), 0).into_iter();
        inputs
            .map(|input| if let Input::Fail(fatal) = input { fatal.to_string() } else { "?".into() })
            .collect()
    }

    #[test]
    fn a_thread_that_was_asked_to_end_is_no_news() {
        assert!(told(|_| Ok(())).is_empty());
    }

    #[test]
    fn an_error_and_a_panic_end_the_node() {
        let damaged = || StoreError::damaged_in(crate::ids::RaftGroupId(3), "a page");
        let error = damaged().to_string();
        assert_eq!(told(move |_| Err(damaged())), [error]);
        let panic = told(|_| panic!("injected"));
        assert!(panic[0].contains("worker"), "{panic:?}");
    }
}
