//! The bounds of this crate that operators are told of, in one place: `docs/bounds.md` lists them, and a test of the broker
//! compares that list with these constants.

pub use crate::controller::{
    MAX_PARTITIONS_PER_CLUSTER, MAX_PARTITIONS_PER_REQUEST, MAX_PARTITIONS_PER_TOPIC,
};
pub use crate::transport::MAX_STRANGERS;
