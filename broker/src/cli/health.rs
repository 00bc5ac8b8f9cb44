//! `trilog health`: the flags of the question whether a node can be used.
//!
//! Where the node listens and which topics it makes come from the same variables as with `trilog serve`, so that in the
//! node's own environment, a container's say, the command needs no flag.

use std::time::Duration;

use clap::Args;

use super::create_topics::CreateTopicsArgs;
use super::host_port::HostPort;
use super::listener::ListenerList;

/// Whom to ask, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthOptions {
    /// Where the node listens for clients.
    pub(crate) address: HostPort,
    /// Topics that have to exist.
    pub(crate) topics: Vec<String>,
    /// How long the node may take to answer everything.
    pub(crate) timeout: Duration,
}

#[derive(Clone, Debug, Args)]
pub(super) struct HealthArgs {
    /// Where the node listens for clients [default: the first of --listeners, as reached from this machine].
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<HostPort>,

    /// How many seconds the node may take to answer.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// The listeners of the node, as it was given them.
    #[arg(long, env = "TRILOG_LISTENERS", default_value = "PLAINTEXT://localhost:9092", value_name = "LIST")]
    listeners: ListenerList,

    /// Topics that have to exist, as the node was given them.
    #[command(flatten)]
    topics: CreateTopicsArgs,
}

impl HealthArgs {
    pub(super) fn into_options(self) -> HealthOptions {
        HealthOptions {
            address: self.address.unwrap_or_else(|| self.listeners.reached_from_here()),
            topics: self.topics.into_names(),
            timeout: Duration::from_secs(self.timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Invocation, invoke};
    use super::*;

    fn health(flags: &[&str]) -> HealthOptions {
        match invoke(&[&["health"], flags].concat()) {
            Ok(Invocation::Health(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_node_is_asked_where_it_listens() {
        for (listeners, address) in [
            ("PLAINTEXT://localhost:9092", "localhost:9092"),
            ("A://0.0.0.0:9093,B://10.0.0.1:1", "127.0.0.1:9093"),
            ("A://[::]:9094", "[::1]:9094"),
            ("A://10.0.0.1:9095", "10.0.0.1:9095"),
        ] {
            assert_eq!(health(&["--listeners", listeners]).address.to_string(), address);
        }
        let told = health(&["--listeners", "A://0.0.0.0:9093", "--address", "elsewhere:1"]);
        assert_eq!(told.address.to_string(), "elsewhere:1");
    }

    #[test]
    fn no_flag_is_needed() {
        let options = health(&[]);
        assert_eq!(options.address.to_string(), "localhost:9092");
        assert_eq!((options.topics.len(), options.timeout), (0, Duration::from_secs(5)));
    }
}
