//! Error codes in answers, by API. One answer may hold many: each partition, topic or group that was refused counts, as
//! in Kafka's `ErrorsPerSec`.

use kafka_protocol::error::ParseResponseErrorCode;
use kafka_protocol::messages::ApiKey;
use prometheus::{IntCounterVec, Opts, Registry};

use super::registered;

/// Counters by API and error. Clones count together. They are looked up by name, which takes a lock that readers share:
/// an answer without an error does not come here.
#[derive(Clone, Debug)]
pub(crate) struct ErrorMetrics {
    errors: IntCounterVec,
}

impl ErrorMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let options = Opts::new("trilog_request_errors_total", "Errors in answers, by Kafka's names.");
        Self { errors: registered(registry, IntCounterVec::new(options, &["api", "error"])) }
    }

    /// Counts the codes in `codes` that stand for errors.
    pub(crate) fn count(&self, api_key: ApiKey, codes: impl IntoIterator<Item = i16>) {
        for error in codes.into_iter().filter_map(ParseResponseErrorCode::err) {
            let labels = [format!("{api_key:?}"), kafka_name(&format!("{error:?}"))];
            self.errors.with_label_values(&labels).inc();
        }
    }
}

/// `NotLeaderOrFollower` as Kafka writes it: `NOT_LEADER_OR_FOLLOWER`.
fn kafka_name(variant: &str) -> String {
    let mut name = String::with_capacity(2 * variant.len());
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use kafka_protocol::error::ResponseError;

    use super::*;

    #[test]
    fn errors_are_counted_by_name_and_success_is_not() {
        let metrics = ErrorMetrics::new(&Registry::new());
        let refused = ResponseError::NotLeaderOrFollower.code();
        metrics.count(ApiKey::Produce, [0, refused, 0, refused]);
        let counted = metrics.errors.with_label_values(&["Produce", "NOT_LEADER_OR_FOLLOWER"]);
        assert_eq!(counted.get(), 2);
        let of_success = metrics.errors.get_metric_with_label_values(&["Produce", "NONE"]).unwrap();
        assert_eq!(of_success.get(), 0);
    }
}
