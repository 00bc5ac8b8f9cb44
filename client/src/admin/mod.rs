//! Administration: topics, configurations, groups, records, rights, users, quotas and the cluster itself.
//!
//! ```no_run
//! use trilog_client::admin::{Admin, AdminConfig, Change, NewTopic};
//!
//! # async fn example() -> Result<(), trilog_client::Error> {
//! let admin = Admin::new(AdminConfig::new("127.0.0.1:9092")?)?;
//! let orders = NewTopic::new("orders").partitions(6).replicas(3).config("retention.ms", "86400000");
//! for (topic, outcome) in admin.create_topics([orders], Change::Apply).await {
//!     println!("{topic}: {} partitions", outcome?.partitions);
//! }
//! for group in admin.list_groups(&Default::default()).await?.groups {
//!     println!("{} is {}", group.group, group.state);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Errors and attempts
//!
//! A call about several items (topics, partitions, groups, brokers) returns [`Results`]: an outcome for each item. A broker that is
//! down, or an item that is refused, does not spoil the others. Items are sent to the broker in charge, the leader, coordinator or
//! controller, in as few requests as possible.
//!
//! What a broker refuses because another one is in charge is sent again, to that one, until `default.api.timeout.ms` is over. So are
//! questions, and changes that make no difference a second time. A deletion whose answer was lost is not sent again: the item may
//! have been created anew meanwhile. Its error is [`Error::Disconnected`] or
//! [`Error::Timeout`], and it may have been carried out.
//!
//! A creation that is repeated because its answer was lost can be `TOPIC_ALREADY_EXISTS` although it was this call that created it.
//!
//! A request that the broker does not serve is [`Error::NotServed`].
//!
//! # Cancel safety
//!
//! Every call may be dropped. Whether a change that was on its way has been carried out is then unknown.
//!
//! # Memory
//!
//! A request names at most 1,000 items, and each broker is asked one request at a time. An answer is at most
//! `receive.message.max.bytes` long.
//!
//! # How it is built
//!
//! | module | what it tells |
//! | --- | --- |
//! | `rounds` | which items still need an answer: what is worth another attempt |
//! | `route` | which broker an item belongs to, and which items share a request |
//! | `run` | the sockets and the clock around both |
//! | the others | one area of calls each, with its messages |

mod acls;
mod cluster;
mod config;
mod configs;
mod elections;
mod groups;
mod log_dirs;
mod offsets;
mod producers;
mod quorum;
mod quotas;
mod reassignments;
mod records;
mod requests;
mod rounds;
mod route;
mod run;
mod topics;
mod transactions;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

pub use self::acls::{Acl, AclFilter, AclNames, AclOperation, AclPattern, AclPermission, AclResource};
pub use self::cluster::{BrokerDescription, ClusterDescription};
pub use self::config::AdminConfig;
pub use self::configs::{ConfigChange, ConfigEntry, ConfigOperation, ConfigResource, ConfigSource};
pub use self::elections::ElectionKind;
pub use self::groups::{
    GroupDescription, GroupFilter, GroupListing, GroupsListed, MemberDescription, PlannedReset, ResetTo,
};
pub use self::log_dirs::{LogDir, ReplicaSize};
pub use self::offsets::{Isolation, ListedOffset, OffsetSpec};
pub use self::producers::ActiveProducer;
pub use self::quorum::{Quorum, QuorumReplica};
pub use self::quotas::{QuotaEntity, QuotaFilter, QuotaMatch, Quotas};
pub use self::reassignments::Reassignment;
pub use self::topics::{
    CreatedTopic, NewPartitions, NewTopic, PartitionDescription, TopicDescription, TopicRef,
};
pub use self::transactions::{
    FencedProducer, TransactionDescription, TransactionFilter, TransactionListing, TransactionsListed,
};
pub use self::users::{ScramChange, ScramCredential, ScramMechanism};
use crate::Error;
use crate::cluster::Cluster;
use crate::consumer::TopicPartition;

/// An outcome for each item of a call.
pub type Results<K, V> = BTreeMap<K, Result<V, Error>>;

/// Whether a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make it.
    Apply,
    /// Only say whether it would be accepted.
    ValidateOnly,
}

/// An administration client. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Admin {
    config: Arc<AdminConfig>,
    cluster: Cluster,
}

impl Admin {
    /// Starts a client. Must be called within a tokio runtime. No connection is waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the configuration is not usable.
    pub fn new(config: AdminConfig) -> Result<Self, Error> {
        config.validate()?;
        let cluster = Cluster::start(config.common.clone());
        Ok(Self { config: Arc::new(config), cluster })
    }

    /// Waits until a broker has answered, for at most `limit`. Calls do so by themselves, for `default.api.timeout.ms`.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] with the last attempt's cause; [`Error::Authentication`] at once, if brokers do not accept this client.
    pub async fn ready(&self, limit: Duration) -> Result<(), Error> {
        let known = timeout(limit, self.cluster.known()).await;
        known.unwrap_or_else(|_| Err(self.cluster.unreachable()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[tokio::test]
    async fn calls_can_be_spawned() {
        let admin = Admin::new(AdminConfig::new("127.0.0.1:1").unwrap()).unwrap();
        is_send(&admin.create_topics([NewTopic::new("t")], Change::Apply));
        is_send(&admin.describe_topics(["t"]));
        is_send(&admin.list_groups(&GroupFilter::default()));
        is_send(&admin.list_offsets([], Isolation::ReadCommitted));
        is_send(&admin.plan_reset("g", [], ResetTo::Earliest));
        is_send(&admin.describe_log_dirs());
        is_send(&admin.elect_all_leaders(ElectionKind::Preferred));
    }
}
