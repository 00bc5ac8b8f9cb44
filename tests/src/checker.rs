//! Judges a [history](crate::history): one rule a file, each a pure function of the entries.
//!
//! The rules are what a Kafka producer, consumer and group may rely on, in the field's words. They are one-sided on purpose:
//! an unknown outcome may have happened or not, an operation counts for another one only if it had ended before that one
//! began, and so a violation is one on every reading of the history. What a cluster may lose that acknowledges before its
//! disks have synced is told in [`forgiven`], and which commits come late in [`late`].
//!
//! | rule | file |
//! | --- | --- |
//! | no acknowledged, consumed or shown record is lost, on no replica | [`lost`] |
//! | a partition's offsets are dense | [`dense`] |
//! | no record is there twice, none that nobody sent | [`doubled`] |
//! | a record whose send failed for certain is never seen | [`aborted`] |
//! | one value per offset, whoever looks | [`agreement`] |
//! | polls neither skip nor go back within an assignment | [`polls`] |
//! | an assignment goes on from what was committed | [`resumed`] |
//! | the records of an idempotent producer are in its order | [`sequence`] |
//! | an acknowledged offset lies above every one acknowledged before that write began | [`order`] |
//! | no node shows an end that lies below what was known before it was asked | [`stale`] |
//! | committed offsets never go back | [`commits`] |
//! | a partition has one owner in a generation, and only the owner commits | [`owners`] |
//! | every group has read everything, every producer has sent everything, and no client gave up | [`complete`] |

mod aborted;
mod agreement;
mod commits;
mod complete;
mod dense;
mod doubled;
mod forgiven;
mod frontier;
mod late;
mod log;
mod lost;
mod order;
mod owners;
mod polls;
mod resumed;
#[cfg(test)]
mod scene;
mod sequence;
mod stale;

use std::fmt::{self, Display, Formatter};

use crate::history::History;
use forgiven::Forgiven;
use late::Late;
use log::FinalLogs;

/// Which rule was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A record that was acknowledged, consumed, or shown to be there, is not there in the end, or not on each replica.
    Lost,
    /// An offset below the end has no record.
    Hole,
    /// A record is there twice.
    Doubled,
    /// A record is there that nobody sent.
    Invented,
    /// A record was seen whose send failed for certain.
    AbortedRead,
    /// Two values were seen at one offset.
    TwoValues,
    /// A member was handed records with a gap, or again, or of a partition that it does not own.
    Poll,
    /// An assignment began elsewhere than at what was committed.
    Resumed,
    /// An acknowledged offset lies below one that was acknowledged before the write began.
    Order,
    /// The records of an idempotent producer are not in the order in which it sent them.
    Swapped,
    /// A node showed an end that was out of date when it was asked.
    Stale,
    /// A committed offset went back, or was never committed.
    Commit,
    /// A partition had two owners in one generation.
    TwoOwners,
    /// The commit of a member was accepted that had lost the partition.
    Zombie,
    /// A group never read a record.
    Unread,
    /// A client was told something that must not happen, or a partition could not be read to its end.
    GaveUp,
}

/// A rule that was broken, and how one can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// Which records, offsets and times show it.
    pub evidence: String,
}

impl Violation {
    fn new(rule: Rule, evidence: String) -> Self {
        Self { rule, evidence }
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.evidence)
    }
}

/// All violations in a history, rule by rule.
pub fn check(history: &History) -> Vec<Violation> {
    let (finals, forgiven, late) = (FinalLogs::of(history), Forgiven::of(history), Late::of(history));
    let found = [
        complete::check(history, &finals, &forgiven),
        lost::check(history, &finals, &forgiven),
        dense::check(&finals),
        doubled::check(history, &finals),
        aborted::check(history),
        agreement::check(history, &forgiven),
        polls::check(history, &forgiven),
        resumed::check(history, &forgiven, &late),
        sequence::check(history, &finals),
        order::check(history, &forgiven),
        stale::check(history, &forgiven),
        commits::check(history, &forgiven, &late),
        owners::check(history, &forgiven),
    ];
    found.concat()
}
