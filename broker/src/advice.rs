//! What an operator is told when a node ends by a fault of its own.

use std::path::Path;

/// The lines that follow the error of a node that ended because an invariant was broken.
pub(crate) fn on_broken_invariant(data_dir: &Path) -> String {
    let (version, repository) = (env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_REPOSITORY"));
    let data_dir = data_dir.display();
    format!(
        "\
This is a fault of Trilog {version}: a node ends rather than go on from a state that cannot be.
* What it has acknowledged is in {data_dir}, and on the other nodes of its cluster. Do not delete it.
* Start the node again: it reads its state anew, and gets from the others what it lacks.
* If it ends in the same way again and the other nodes of its cluster run, move {data_dir} aside and start the node \
without it: it comes back with what the others have. Keep what was moved. Never do that with two nodes at once, nor \
with the only node of a cluster.
* Report it at {repository}/issues, with the message above that says panicked, the lines of the log before it and \
this version."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_the_data_is_what_to_try_and_where_to_report() {
        let advice = on_broken_invariant(Path::new("/data/node-1"));
        for said in
            ["/data/node-1", "Do not delete", "Start the node again", "/issues", env!("CARGO_PKG_VERSION")]
        {
            assert!(advice.contains(said), "{said} is missing: {advice}");
        }
    }
}
