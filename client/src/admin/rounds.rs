//! Which items of a call still need an answer: a pure machine of attempts.
//!
//! A call names items: topics, partitions, groups, brokers. Each round asks the brokers about the items that are still open, and
//! [`Rounds::take`] settles them, or keeps those whose error another attempt may mend. Errors of some items never touch the others.

use std::collections::BTreeMap;

use trilog_protocol::{ErrorCode, Meaning};

use super::Results;
use crate::Error;

/// How often "there is no such topic" is not believed yet: a topic that was just created is known to some brokers earlier than to
/// others.
const ABSENCES: u32 = 3;

/// How an operation may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// Whether it may be sent again when an earlier attempt may have been carried out.
    pub(super) repeatable: bool,
    /// Whether the first answer that an item does not exist is final.
    pub(super) absence_is_final: bool,
}

impl Policy {
    /// Repeated freely. A topic that is missing may have been created just now.
    pub(super) const FREE: Self = Self { repeatable: true, absence_is_final: false };
    /// Changes something through the controller or a coordinator, so that a second time makes no difference.
    pub(super) const IDEMPOTENT: Self = Self { repeatable: true, absence_is_final: true };
    /// A second time could undo a later change. A topic that is missing may have been created just now.
    pub(super) const OVERWRITES: Self = Self { repeatable: false, absence_is_final: false };
    /// A second time could hit what somebody else has made meanwhile.
    pub(super) const ONCE: Self = Self { repeatable: false, absence_is_final: true };

    /// Whether an attempt that failed like this is worth another one. `absences` counts how often the item was missing.
    fn repeats(self, error: &Error, absences: u32) -> bool {
        match error {
            Error::Unreachable { .. } => true,
            Error::Disconnected { .. } | Error::Timeout { .. } => self.repeatable,
            Error::Broker { code, .. } => match *code {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => {
                    !self.absence_is_final && absences < ABSENCES
                }
                // The broker may have carried it out.
                ErrorCode::REQUEST_TIMED_OUT | ErrorCode::NETWORK_EXCEPTION => self.repeatable,
                // Outcomes of an election, which another one would not change.
                ErrorCode::ELECTION_NOT_NEEDED
                | ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE
                | ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE => false,
                code => {
                    matches!(code.meaning(), Meaning::Retry | Meaning::Refresh | Meaning::RefreshCoordinator)
                }
            },
            _ => false,
        }
    }
}

/// An item that is not settled.
#[derive(Debug, Default)]
struct Open {
    absences: u32,
    /// Why the last attempt did not settle it.
    failure: Option<Error>,
}

/// The items of one call.
#[derive(Debug)]
pub(super) struct Rounds<K, V> {
    policy: Policy,
    open: BTreeMap<K, Open>,
    settled: Results<K, V>,
}

impl<K: Ord + Clone, V> Rounds<K, V> {
    pub(super) fn new(keys: impl IntoIterator<Item = K>, policy: Policy) -> Self {
        let open = keys.into_iter().map(|key| (key, Open::default())).collect();
        Self { policy, open, settled: Results::new() }
    }

    /// The items without a final answer.
    pub(super) fn open(&self) -> Vec<K> {
        self.open.keys().cloned().collect()
    }

    /// An item's outcome of one attempt. An item that was not asked for, or is settled, changes nothing.
    pub(super) fn settle(&mut self, key: K, outcome: Result<V, Error>) {
        let Some(mut open) = self.open.remove(&key) else { return };
        if let Err(error) = &outcome {
            open.absences += u32::from(is_absence(error));
            if self.policy.repeats(error, open.absences) {
                open.failure = outcome.err();
                self.open.insert(key, open);
                return;
            }
        }
        self.settled.insert(key, outcome);
    }

    /// What one request about `asked` brought. Items that the answer leaves out get an error; items that nobody asked for are dropped.
    pub(super) fn take(&mut self, asked: Vec<K>, outcome: Result<Results<K, V>, Error>) {
        match outcome {
            Ok(mut rows) => {
                for key in asked {
                    let missing =
                        || Err(Error::Malformed { cause: "the answer leaves an item out".to_owned() });
                    let row = rows.remove(&key).unwrap_or_else(missing);
                    self.settle(key, row);
                }
            }
            Err(error) => {
                for key in asked {
                    self.settle(key, Err(error.clone()));
                }
            }
        }
    }

    /// Ends the call: items that are still open have the error of their last attempt, or `late` if there was none.
    pub(super) fn finish(mut self, late: &Error) -> Results<K, V> {
        for (key, open) in self.open {
            self.settled.insert(key, Err(open.failure.unwrap_or_else(|| late.clone())));
        }
        self.settled
    }
}

fn is_absence(error: &Error) -> bool {
    matches!(
        error,
        Error::Broker { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: ErrorCode) -> Result<u8, Error> {
        Err(Error::code(code))
    }

    fn lost() -> Error {
        Error::Disconnected { cause: "reset".to_owned() }
    }

    fn late() -> Error {
        Error::Closed
    }

    #[test]
    fn an_item_that_may_yet_succeed_stays_open_and_others_do_not_wait_for_it() {
        let mut rounds = Rounds::new(["a", "b", "c"], Policy::FREE);
        let rows = [
            ("a", Ok(1)),
            ("b", code(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
            ("c", code(ErrorCode::INVALID_REQUEST)),
        ];
        rounds.take(vec!["a", "b", "c"], Ok(rows.into()));
        assert_eq!(rounds.open(), ["b"]);
        rounds.settle("b", Ok(2));
        assert!(rounds.open().is_empty());
        let results = rounds.finish(&late());
        assert!(matches!(results["a"], Ok(1)) && matches!(results["b"], Ok(2)) && results["c"].is_err());
    }

    #[test]
    fn what_a_broker_says_unasked_is_dropped_and_what_it_leaves_out_is_an_error() {
        let mut rounds = Rounds::new(["a"], Policy::FREE);
        rounds.take(vec!["a"], Ok([("z", Ok(1))].into()));
        let results = rounds.finish(&late());
        assert!(matches!(results["a"], Err(Error::Malformed { .. })) && results.len() == 1);
    }

    #[test]
    fn a_change_is_not_sent_again_when_it_may_have_been_carried_out() {
        for (policy, again) in
            [(Policy::ONCE, false), (Policy::OVERWRITES, false), (Policy::IDEMPOTENT, true)]
        {
            for error in [lost(), Error::code(ErrorCode::REQUEST_TIMED_OUT)] {
                assert_eq!(policy.repeats(&error, 0), again, "{policy:?}: {error}");
            }
            let not_sent = Error::Unreachable { cause: "refused".to_owned() };
            assert!(policy.repeats(&not_sent, 0), "it never left");
            assert!(policy.repeats(&Error::code(ErrorCode::NOT_CONTROLLER), 0), "it was refused");
        }
    }

    #[test]
    fn a_missing_topic_is_asked_for_a_few_times_unless_the_controller_says_so() {
        let mut rounds = Rounds::new(["a"], Policy::FREE);
        for _ in 1..ABSENCES {
            rounds.settle("a", code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
            assert_eq!(rounds.open(), ["a"]);
        }
        rounds.settle("a", code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        assert!(rounds.open().is_empty());

        let mut rounds = Rounds::new(["a"], Policy::ONCE);
        rounds.settle("a", code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        assert!(rounds.open().is_empty());
    }

    #[test]
    fn an_election_s_outcome_is_final() {
        let outcomes = [
            ErrorCode::ELECTION_NOT_NEEDED,
            ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE,
            ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE,
        ];
        for outcome in outcomes {
            assert!(!Policy::IDEMPOTENT.repeats(&Error::code(outcome), 0), "{outcome}");
        }
    }

    #[test]
    fn what_is_open_at_the_end_has_its_last_error() {
        let mut rounds = Rounds::<_, u8>::new(["a", "b"], Policy::FREE);
        rounds.settle("a", code(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
        let results = rounds.finish(&late());
        let Err(Error::Broker { code, .. }) = results["a"] else { panic!("{results:?}") };
        assert_eq!(code, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        assert!(matches!(results["b"], Err(Error::Closed)));
    }
}
