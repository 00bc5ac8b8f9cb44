//! Batches that a broker refuses as too large.
//!
//! `batch.size` counts bytes before compression, and a topic may allow less than the producer takes for granted. So a batch of
//! several records that is refused with MESSAGE_TOO_LARGE or RECORD_LIST_TOO_LARGE is sent again as two halves, and those again
//! as halves, until a single record is too large: that one fails.
//!
//! The broker has appended nothing of it, and the halves together have the same numbers. What was in flight behind it is
//! refused as out of sequence, and comes back to be sent behind the halves. Batches behind it move back by one place.
//!
//! Brokers check a batch's size before its sequence. So a batch behind a [gap](Chain::Gap), or in a [refuted](Chain::Refuted)
//! chain, is split as well. It is certainly not in the log, and its halves get their numbers as any batch that came back. A
//! batch that may be in the log keeps its numbers and its records together: it fails.
//!
//! Later batches of the partition get half of the size that was refused at most, so that not every one has to be split.

use trilog_protocol::ErrorCode;

use super::{Chain, Flight, Queue};
use crate::Error;
use crate::producer::batch::{Batch, Finished};

impl<T> Queue<T> {
    /// A broker will never append a batch as it is.
    pub(super) fn refused(&mut self, flight: Flight<T>, error: &Error) -> Vec<Finished<T>> {
        let Flight { batch, is_given_up, .. } = flight;
        if !is_too_large(error) || is_given_up || batch.is_uncertain || self.chain == Chain::Fenced {
            return self.give_up(batch, error);
        }
        let half = batch.len() / 2;
        match batch.split() {
            Ok((first, second)) => {
                self.most = self.most.min(half);
                self.insert_halves(first, second);
                Vec::new()
            }
            Err(batch) => self.give_up(*batch, error),
        }
    }

    fn insert_halves(&mut self, first: Batch<T>, second: Batch<T>) {
        self.is_recovering = true;
        let flying = self.in_flight.iter_mut().map(|flight| &mut flight.batch);
        for batch in flying.chain(&mut self.waiting).filter(|batch| batch.number > first.number) {
            batch.number += 1;
        }
        if let Chain::Gap(missing) = &mut self.chain
            && *missing > first.number
        {
            *missing += 1;
        }
        self.next_number += 1;
        let at = self.waiting.partition_point(|other| other.number < first.number);
        self.waiting.insert(at, second);
        self.waiting.insert(at, first);
    }
}

fn is_too_large(error: &Error) -> bool {
    let too_large = [ErrorCode::MESSAGE_TOO_LARGE, ErrorCode::RECORD_LIST_TOO_LARGE];
    matches!(error, Error::Broker { code, .. } if too_large.contains(code))
}
