//! Which partition a record goes to.

use trilog_protocol::murmur2::partition_of_key;

use super::record::Record;

/// An application's own choice of partitions. It is asked for every record that names no partition itself.
pub trait Partitioner: Send + Sync + std::fmt::Debug {
    /// A partition below `partitions`, or `None` to leave the record to the default: by its key, or sticky without one.
    /// A partition that does not exist fails the record with [`Error::NoSuchPartition`](crate::Error::NoSuchPartition).
    fn partition(&self, record: &Record, partitions: u32) -> Option<i32>;
}

/// Where a record has to go, before the sticky partition is considered.
pub(super) fn destination(
    record: &Record,
    partitions: u32,
    custom: Option<&dyn Partitioner>,
    ignores_keys: bool,
) -> Option<i32> {
    if record.partition.is_some() {
        return record.partition;
    }
    if let Some(chosen) = custom.and_then(|custom| custom.partition(record, partitions)) {
        return Some(chosen);
    }
    let key = record.key.as_deref().filter(|_| !ignores_keys)?;
    i32::try_from(partition_of_key(key, partitions)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Last;

    impl Partitioner for Last {
        fn partition(&self, record: &Record, partitions: u32) -> Option<i32> {
            record.headers.is_empty().then(|| i32::try_from(partitions - 1).unwrap())
        }
    }

    #[test]
    fn the_record_s_own_choice_comes_first_then_the_application_s_then_the_key() {
        let keyed = Record::to("t").key("foobar");
        assert_eq!(destination(&keyed.clone().partition(5), 8, Some(&Last), false), Some(5));
        assert_eq!(destination(&keyed, 8, Some(&Last), false), Some(7));
        // murmur2("foobar") is -790332482 in Java.
        assert_eq!(destination(&keyed.clone().header("h", ""), 1000, Some(&Last), false), Some(166));
        assert_eq!(destination(&keyed, 8, None, true), None);
        assert_eq!(destination(&Record::to("t"), 8, None, false), None);
    }

    #[test]
    fn an_empty_key_is_a_key() {
        assert!(destination(&Record::to("t").key(""), 8, None, false).is_some());
    }
}
