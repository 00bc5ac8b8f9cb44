//! Where each assigned partition is read, and how a lost place is found again.
//!
//! ```text
//!   assigned ──► Committed ──► (none) ──► Reset ──► Ready ◄──────────── seek
//!                    │                      ▲         │  ▲
//!                    └──────────────────────┼────────►│  │ still there
//!                                           │         ▼  │
//!                        out of range ──────┴────  Validate   (a new leader: is the log still the one that was read? KIP-320)
//! ```
//!
//! The machine says what it [wants](Positions::wants) of each partition: its committed offset, an offset by time, the end of a
//! leader epoch, or records. Each want has a [`Ticket`]. An answer brings the ticket back, so that one to a question of before
//! a seek or a rebalance is told from one to the question of now, and dropped.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::Committable;
use super::partition::TopicPartition;

/// `auto.offset.reset`: where a partition begins without a committed offset, or with one that the log does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetPolicy {
    /// With the first record that there is.
    Earliest,
    /// Behind the last.
    Latest,
    /// `by_duration:…`: with the first record that is at most so old (KIP-1106).
    ByDuration(Duration),
    /// Nowhere: it is an error.
    None,
}

/// A place in a partition, by other means than its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landmark {
    /// The first record that there is.
    Beginning,
    /// Behind the last record.
    End,
    /// The first record of this time or later, in milliseconds since 1970. The end if there is none.
    Time(i64),
    /// The first record that is at most so old when the question is asked.
    Age(Duration),
}

/// The next record to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its offset.
    pub offset: i64,
    /// The leader epoch of the record before it, if that is known.
    pub offset_epoch: Option<i32>,
    /// The epoch of the leader that is fetched from.
    pub leader_epoch: Option<i32>,
}

/// Tells the answer to the last question from one to an earlier question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What is needed of a partition next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The group's committed offset; answered by [`Positions::committed`].
    Committed,
    /// The offset of a landmark; answered by [`Positions::landmark_found`].
    Offset(Landmark),
    /// Where this leader epoch ends in the log of the leader (OffsetForLeaderEpoch); answered by
    /// [`Positions::epoch_ends`].
    EndOfEpoch {
        /// The epoch of the last record that was read.
        epoch: i32,
        /// The position that is checked.
        position: Position,
    },
    /// Records from here on; answered by [`Positions::advance`], [`Positions::out_of_range`] or [`Positions::epoch_ends`].
    Records(Position),
    /// Nothing: the application has to be told, and to seek.
    Nothing(Lost),
}

/// Why a partition cannot go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// There is no committed offset and no `auto.offset.reset`.
    #[error("there is no committed offset, and auto.offset.reset is none")]
    NoOffset,
    /// The log does not have the offset, and there is no `auto.offset.reset`.
    #[error("the log does not have offset {offset}, and auto.offset.reset is none")]
    OutOfRange {
        /// The offset.
        offset: i64,
    },
    /// Records that were read are no longer part of the log, and there is no `auto.offset.reset`: an unclean election has
    /// cut them off.
    #[error("the log was truncated to offset {end}, and records up to {offset} had been read")]
    Truncated {
        /// The next offset that would have been read.
        offset: i64,
        /// Where the log now differs from what was read.
        end: i64,
    },
    /// The topic was deleted and made again, and there is no `auto.offset.reset`.
    #[error("the log in which offset {offset} was to be read next is gone: its topic was made again")]
    Replaced {
        /// The next offset that would have been read in the former log.
        offset: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Committed,
    Reset(Landmark),
    Validate(Position),
    Ready(Position),
    Lost(Lost),
}

#[derive(Clone, Copy, Debug)]
struct Partition {
    state: State,
    ticket: Ticket,
}

/// The positions of all assigned partitions.
#[derive(Debug)]
pub struct Positions {
    policy: ResetPolicy,
    partitions: BTreeMap<TopicPartition, Partition>,
    next_ticket: u64,
}

impl Positions {
    /// No partitions yet.
    #[must_use]
    pub const fn new(policy: ResetPolicy) -> Self {
        Self { policy, partitions: BTreeMap::new(), next_ticket: 0 }
    }

    /// A partition is read from its committed offset on.
    pub fn assign(&mut self, partition: TopicPartition) {
        self.set(partition, State::Committed);
    }

    /// A partition is no longer read.
    pub fn remove(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// Whether the partition is assigned.
    #[must_use]
    pub fn contains(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    /// Reads an assigned partition from this offset on. False if it is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, to: Committable) -> bool {
        let position = Position { offset: to.offset, offset_epoch: to.leader_epoch, leader_epoch: None };
        self.change(partition, State::Ready(position))
    }

    /// Reads an assigned partition from this landmark on. False if it is not assigned.
    pub fn seek_to(&mut self, partition: &TopicPartition, landmark: Landmark) -> bool {
        self.change(partition, State::Reset(landmark))
    }

    /// Where an assigned partition is read next, if that is known.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<Position> {
        match self.partitions.get(partition)?.state {
            State::Ready(position) | State::Validate(position) => Some(position),
            State::Committed | State::Reset(_) | State::Lost(_) => None,
        }
    }

    /// What every partition needs next.
    pub fn wants(&self) -> impl Iterator<Item = (&TopicPartition, Ticket, Want)> {
        self.partitions.iter().map(|(partition, Partition { state, ticket })| {
            let want = match *state {
                State::Committed => Want::Committed,
                State::Reset(landmark) => Want::Offset(landmark),
                State::Validate(position) => match position.offset_epoch {
                    Some(epoch) => Want::EndOfEpoch { epoch, position },
                    None => Want::Records(position),
                },
                State::Ready(position) => Want::Records(position),
                State::Lost(lost) => Want::Nothing(lost),
            };
            (partition, *ticket, want)
        })
    }

    /// Whether an answer with this ticket still counts.
    #[must_use]
    pub fn is_current(&self, partition: &TopicPartition, ticket: Ticket) -> bool {
        self.partitions.get(partition).is_some_and(|known| known.ticket == ticket)
    }

    /// The group's committed offset, None if there is none.
    pub fn committed(&mut self, partition: &TopicPartition, ticket: Ticket, committed: Option<Committable>) {
        if !self.is_current(partition, ticket) {
            return;
        }
        let state = match committed {
            Some(Committable { offset, leader_epoch }) => {
                State::Ready(Position { offset, offset_epoch: leader_epoch, leader_epoch: None })
            }
            None => self.reset_or(Lost::NoOffset),
        };
        self.change(partition, state);
    }

    /// The offset of the landmark that was asked for.
    pub fn landmark_found(&mut self, partition: &TopicPartition, ticket: Ticket, found: Committable) {
        if self.is_current(partition, ticket) {
            let Committable { offset, leader_epoch } = found;
            self.change(
                partition,
                State::Ready(Position { offset, offset_epoch: leader_epoch, leader_epoch: None }),
            );
        }
    }

    /// There is no record at the landmark that was asked for: reading goes on behind the last one.
    pub fn landmark_missing(&mut self, partition: &TopicPartition, ticket: Ticket) {
        if self.is_current(partition, ticket) {
            self.change(partition, State::Reset(Landmark::End));
        }
    }

    /// The partition is led in this epoch now. If that is news, the position is checked against the new leader's log before
    /// anything more is read.
    ///
    /// Within one log, leader epochs do not fall. A lower one is that of a new log, as its topic was deleted and made again, or is
    /// out of date: the leader is asked, and refuses to answer in an epoch that is not its own.
    pub fn led_in(&mut self, partition: &TopicPartition, epoch: i32) {
        let Some(Partition { state: state @ (State::Ready(position) | State::Validate(position)), .. }) =
            self.partitions.get(partition).copied()
        else {
            return;
        };
        if position.leader_epoch == Some(epoch) {
            return;
        }
        let falls = position.leader_epoch.is_some_and(|known| known > epoch);
        let may_be_new = falls || matches!(state, State::Validate(_));
        let position = Position { leader_epoch: Some(epoch), ..position };
        // Without the epoch of the last record, and for one of the leader's own, there is nothing to compare.
        let comparable = position.offset_epoch.is_some_and(|last| last < epoch || may_be_new && last > epoch);
        self.change(partition, if comparable { State::Validate(position) } else { State::Ready(position) });
    }

    /// Whether the partition is read from where `auto.offset.reset` says, or from nowhere, as its log is another one.
    #[must_use]
    pub fn begins_anew(&self, partition: &TopicPartition) -> bool {
        let state = self.partitions.get(partition).map(|known| known.state);
        matches!(state, Some(State::Reset(_) | State::Lost(Lost::Replaced { .. })))
    }

    /// Records were fetched: the position moves behind them. The ticket stays, as the question does.
    pub fn advance(&mut self, partition: &TopicPartition, ticket: Ticket, to: Committable) {
        if let Some(known) = self.partitions.get_mut(partition)
            && known.ticket == ticket
            && let State::Ready(position) = &mut known.state
        {
            position.offset = to.offset;
            position.offset_epoch = to.leader_epoch.or(position.offset_epoch);
        }
    }

    /// The broker answered that the log does not have the offset.
    pub fn out_of_range(&mut self, partition: &TopicPartition, ticket: Ticket) {
        if self.is_current(partition, ticket)
            && let Some(Position { offset, .. }) = self.position(partition)
        {
            let state = self.reset_or(Lost::OutOfRange { offset });
            self.change(partition, state);
        }
    }

    /// In the leader's log, the largest epoch up to the one asked for ends at `end`; None if the log has none so old. It
    /// answers [`Want::EndOfEpoch`], or comes with a fetch (the diverging epoch of Fetch 12).
    pub fn epoch_ends(&mut self, partition: &TopicPartition, ticket: Ticket, end: Option<Committable>) {
        if !self.is_current(partition, ticket) {
            return;
        }
        let (position, is_new_log) = match self.partitions.get(partition).map(|known| known.state) {
            Some(State::Ready(position)) => (position, false),
            // No log has records of later epochs than that of its leader.
            Some(State::Validate(position)) => (position, position.leader_epoch < position.offset_epoch),
            _ => return,
        };
        let offset = position.offset;
        let state = match end {
            _ if is_new_log => self.reset_or(Lost::Replaced { offset }),
            // The leader may have none of the epoch of the last record: what it names instead is what it is asked by next.
            Some(end) if end.offset >= offset => {
                let offset_epoch = match (position.offset_epoch, end.leader_epoch) {
                    (Some(last), Some(found)) => Some(last.min(found)),
                    (last, _) => last,
                };
                State::Ready(Position { offset_epoch, ..position })
            }
            Some(end) if self.policy == ResetPolicy::None => {
                State::Lost(Lost::Truncated { offset, end: end.offset })
            }
            // What was read beyond this place is gone: reading goes on from where the logs agree.
            Some(end) => {
                let offset_epoch = end.leader_epoch;
                State::Ready(Position { offset: end.offset, offset_epoch, ..position })
            }
            None => self.reset_or(Lost::Truncated { offset, end: 0 }),
        };
        self.change(partition, state);
    }

    fn reset_or(&self, lost: Lost) -> State {
        match self.policy {
            ResetPolicy::Earliest => State::Reset(Landmark::Beginning),
            ResetPolicy::Latest => State::Reset(Landmark::End),
            ResetPolicy::ByDuration(age) => State::Reset(Landmark::Age(age)),
            ResetPolicy::None => State::Lost(lost),
        }
    }

    fn change(&mut self, partition: &TopicPartition, state: State) -> bool {
        let assigned = self.contains(partition);
        if assigned {
            self.set(partition.clone(), state);
        }
        assigned
    }

    fn set(&mut self, partition: TopicPartition, state: State) {
        self.next_ticket += 1;
        self.partitions.insert(partition, Partition { state, ticket: Ticket(self.next_ticket) });
    }
}
