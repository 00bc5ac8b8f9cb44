//! What an answer means for a batch.

use trilog_protocol::ErrorCode;

use crate::Error;

/// What became of a batch that was sent.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It is in the log, now or since an earlier attempt.
    Appended {
        /// The offset of its first record, if the broker tells.
        base_offset: Option<i64>,
        /// The broker's timestamp for all its records, where the topic has `LogAppendTime`.
        append_time: Option<i64>,
    },
    /// It may be sent again.
    Again {
        /// Why it has to be.
        error: Error,
        /// How much is known.
        fate: Fate,
        /// Where to.
        remedy: Remedy,
    },
    /// It is not in the log, since a batch before it is not, or since the broker has forgotten the producer.
    OutOfSequence(Error),
    /// The producer's id or epoch is not valid any more.
    Fenced(Error),
    /// It will never be appended.
    Refused(Error),
}

/// Whether a batch that has to be sent again may be in the log already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is not.
    NotAppended,
    /// Nobody knows.
    Unknown,
}

/// What helps a batch that has to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Time.
    Wait,
    /// To learn who leads the partition.
    Refresh,
    /// Nothing more: the next leader is known already.
    Moved,
}

/// The meaning of a partition's error code in a Produce answer, other than none. `hinted` tells whether the answer named a
/// leader that was not known before.
pub(super) fn judge(code: ErrorCode, message: Option<String>, hinted: bool) -> Verdict {
    let error = Error::Broker { code, message };
    let remedy = match code {
        _ if hinted => Remedy::Moved,
        ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::THROTTLING_QUOTA_EXCEEDED => Remedy::Wait,
        _ => Remedy::Refresh,
    };
    match code {
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::Appended { base_offset: None, append_time: None },
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID => {
            Verdict::OutOfSequence(error)
        }
        ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED => Verdict::Fenced(error),
        // Kafka refuses with these before it appends. A leader that has lost its partition may have appended.
        ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::THROTTLING_QUOTA_EXCEEDED
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::CORRUPT_MESSAGE => Verdict::Again { error, fate: Fate::NotAppended, remedy },
        code if code.is_retriable() => Verdict::Again { error, fate: Fate::Unknown, remedy },
        _ => Verdict::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: ErrorCode) -> Verdict {
        judge(code, None, false)
    }

    #[test]
    fn a_leader_that_is_none_may_have_appended() {
        let verdict = verdict(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        assert!(matches!(verdict, Verdict::Again { fate: Fate::Unknown, remedy: Remedy::Refresh, .. }));
        let hinted = judge(ErrorCode::NOT_LEADER_OR_FOLLOWER, None, true);
        assert!(matches!(hinted, Verdict::Again { remedy: Remedy::Moved, .. }));
    }

    #[test]
    fn too_few_replicas_are_waited_for() {
        let before = verdict(ErrorCode::NOT_ENOUGH_REPLICAS);
        assert!(matches!(before, Verdict::Again { fate: Fate::NotAppended, remedy: Remedy::Wait, .. }));
        let after = verdict(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
        assert!(matches!(after, Verdict::Again { fate: Fate::Unknown, remedy: Remedy::Wait, .. }));
    }

    #[test]
    fn the_end_of_the_last_transaction_is_waited_for() {
        let verdict = verdict(ErrorCode::CONCURRENT_TRANSACTIONS);
        assert!(matches!(verdict, Verdict::Again { fate: Fate::NotAppended, remedy: Remedy::Wait, .. }));
    }

    #[test]
    fn a_duplicate_is_a_success_without_an_offset() {
        let verdict = verdict(ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
        assert!(matches!(verdict, Verdict::Appended { base_offset: None, .. }));
    }

    #[test]
    fn unknown_codes_and_lasting_ones_refuse() {
        for code in [ErrorCode(999), ErrorCode::MESSAGE_TOO_LARGE, ErrorCode::UNKNOWN_SERVER_ERROR] {
            assert!(matches!(verdict(code), Verdict::Refused(_)), "{code}");
        }
    }
}
