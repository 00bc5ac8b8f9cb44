//! What an application sends.

use bytes::Bytes;
use trilog_protocol::records::Header;

/// A record on its way to a topic. Null, which [`Record::to`] starts with, is not the same as empty, neither for a key nor
/// for a value: a null value is a tombstone in a compacted topic.
///
/// ```
/// use trilog_client::Record;
///
/// let order = Record::to("orders").key("customer-7").value("three of them").header("trace", "4711");
/// let tombstone = Record::to("customers").key("customer-7");
/// assert!(order.value.is_some() && tombstone.value.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// The partition, where the application chooses it; else the partitioner does.
    pub partition: Option<i32>,
    /// The key: records of one key go to one partition. `None` is null.
    pub key: Option<Bytes>,
    /// The value. `None` is null.
    pub value: Option<Bytes>,
    /// The headers, in order. A key may repeat.
    pub headers: Vec<Header>,
    /// Milliseconds since 1970; the time of [`send`](crate::Producer::send) if there is none.
    pub timestamp: Option<i64>,
}

impl Record {
    /// A record with null as key and value.
    #[must_use]
    pub fn to(topic: impl Into<String>) -> Self {
        let topic = topic.into();
        Self { topic, partition: None, key: None, value: None, headers: Vec::new(), timestamp: None }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(key, value));
        self
    }

    /// Chooses the partition.
    #[must_use]
    pub const fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the timestamp, in milliseconds since 1970.
    #[must_use]
    pub const fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }
}
