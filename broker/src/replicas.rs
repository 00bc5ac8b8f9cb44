//! The cautions about an even number of nodes or replicas.
//!
//! A Raft group needs a majority, and the majority of two is two. Kafka with `min.insync.replicas=1` goes on with one replica of
//! two. A partition of Trilog stops until both are there.

/// What is to be said of `count` nodes or replicas, which `things` names, if it is an even number.
pub(crate) fn caution(count: usize, things: &str) -> Option<String> {
    if count == 0 || !count.is_multiple_of(2) {
        return None;
    }
    let (majority, odd) = (count / 2 + 1, count + 1);
    let survive = match count - majority {
        0 => "the loss of none".to_owned(),
        lost => format!("the loss of {lost}, as {} do", count - 1),
    };
    Some(format!("{count} {things} survive {survive}, as a majority of {count} is {majority}; use {odd}"))
}

/// Warns of a topic that was made with an even number of replicas.
pub(crate) fn warn_of_topic(topic: &str, replication_factor: usize) {
    if let Some(caution) = caution(replication_factor, "replicas") {
        tracing::warn!(topic, replication_factor, "created: {caution}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_numbers_are_told_what_they_survive() {
        assert_eq!([0, 1, 3, 5].map(|count| caution(count, "nodes")), [None, None, None, None]);
        let two = caution(2, "replicas").unwrap();
        assert_eq!(two, "2 replicas survive the loss of none, as a majority of 2 is 2; use 3");
        let four = caution(4, "nodes").unwrap();
        assert_eq!(four, "4 nodes survive the loss of 1, as 3 do, as a majority of 4 is 3; use 5");
    }
}
