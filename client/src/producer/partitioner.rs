//! Which partition a record goes to.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use trilog_protocol::murmur2::partition_of_key;

use super::record::Record;
use crate::Error;

/// An application's own choice of partitions. It is asked for every record that names no partition itself.
pub trait Partitioner: Send + Sync + std::fmt::Debug {
    /// A partition below `partitions`, or `None` to leave the record to the default: by its key, or sticky without one.
    /// A partition that does not exist fails the record with [`Error::NoSuchPartition`](crate::Error::NoSuchPartition), a panic
    /// fails it with [`Error::Partitioner`](crate::Error::Partitioner).
    fn partition(&self, record: &Record, partitions: u32) -> Option<i32>;
}

/// Where a record has to go, before the sticky partition is considered.
///
/// # Errors
///
/// [`Error::Partitioner`], if the custom one panics: the record alone fails, and neither the caller's task nor the driver ends.
pub(super) fn destination(
    record: &Record,
    partitions: u32,
    custom: Option<&dyn Partitioner>,
    ignores_keys: bool,
) -> Result<Option<i32>, Error> {
    if record.partition.is_some() {
        return Ok(record.partition);
    }
    if let Some(custom) = custom {
        // What it left half-done is the application's own: nothing of ours is in its hands.
        let asked = catch_unwind(AssertUnwindSafe(|| custom.partition(record, partitions)));
        if let Some(chosen) = asked.map_err(|panic| Error::Partitioner { cause: text_of(&*panic) })? {
            return Ok(Some(chosen));
        }
    }
    let key = record.key.as_deref().filter(|_| !ignores_keys);
    Ok(key.and_then(|key| i32::try_from(partition_of_key(key, partitions)).ok()))
}

/// What a panic said.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
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
        let destination = |record: &Record, partitions, custom, ignores_keys| {
            destination(record, partitions, custom, ignores_keys).unwrap()
        };
        assert_eq!(destination(&keyed.clone().partition(5), 8, Some(&Last), false), Some(5));
        assert_eq!(destination(&keyed, 8, Some(&Last), false), Some(7));
        // murmur2("foobar") is -790332482 in Java.
        assert_eq!(destination(&keyed.clone().header("h", ""), 1000, Some(&Last), false), Some(166));
        assert_eq!(destination(&keyed, 8, None, true), None);
        assert_eq!(destination(&Record::to("t"), 8, None, false), None);
    }

    #[test]
    fn an_empty_key_is_a_key() {
        assert!(destination(&Record::to("t").key(""), 8, None, false).unwrap().is_some());
    }
}
