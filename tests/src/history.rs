//! What clients did to a cluster and what came of it: the evidence that the [checker](crate::checker) judges.
//!
//! A history knows nothing of the broker. It holds what clients asked, when they asked, and what they were told, with three
//! outcomes as in every work on the subject (Jepsen's, for one): *acknowledged*, *failed for certain*, and *unknown*, which
//! includes everything that was never answered. Times are microseconds since the history began, taken from one monotonic
//! clock in one process, so that "ended before that one began" means what it says.
//!
//! | room | what it tells |
//! | --- | --- |
//! | [`recorder`] | where many clients write it down at once |
//! | [`file`] | one line of JSON an entry, so that it can be kept, read by people, and judged again |
//!
//! Invariants of a history:
//!
//! * A record's value is a number that no other record of the history was sent with.
//! * `invoked <= ended` in each entry. Entries are in the order in which they ended.
//! * A client is one thread of control: its own entries are in the order of what it did.

pub mod file;
pub mod recorder;

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

pub use recorder::Recorder;

/// A moment: microseconds since the history began.
pub type Micros = u64;

/// A topic's partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

impl Place {
    /// A partition of a topic.
    pub fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.to_owned(), partition }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A record as somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its offset.
    pub offset: i64,
    /// Its value.
    pub value: u64,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The broker said yes.
    Acknowledged,
    /// The broker said no, in a way that means that nothing was or will be done.
    Failed,
    /// Nobody answered, or the answer leaves it open.
    Unknown,
}

/// What became of a record that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sending {
    /// Acknowledged. The offset is missing where the broker only says that it has the record already.
    Acknowledged {
        /// Where it is.
        offset: Option<i64>,
    },
    /// Refused for certain: nobody must ever see it.
    Failed,
    /// It may be there, once, or not.
    Unknown,
}

/// What a coordinator says about one member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// The id that the coordinator gave it.
    pub id: String,
    /// Its epoch; absent where the protocol does not show it.
    pub epoch: Option<i32>,
    /// What it owns.
    pub owns: Vec<Place>,
}

/// What a client did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// A producer begins that never gives up on a record and lets none overtake another: each is acknowledged in the end, and in
    /// its partition they are in the order of their values, which is that in which they were sent.
    Produces,
    /// Such a producer has sent its last record, and all are settled.
    Settled {
        /// How many records it has sent.
        sent: u64,
    },
    /// A record was sent.
    Send {
        /// Where to.
        place: Place,
        /// Its value.
        value: u64,
        /// What became of it.
        sending: Sending,
    },
    /// Records of one partition were handed out, in this order. A fetch without any is one, too.
    Read {
        /// Where from.
        place: Place,
        /// What they were.
        records: Vec<Seen>,
    },
    /// A node said, as the partition's leader, where its committed records end.
    End {
        /// Of which partition.
        place: Place,
        /// The high watermark.
        offset: i64,
    },
    /// The member was given these partitions on top of what it has. It reads each from its committed offset on.
    Assigned {
        /// The group.
        group: String,
        /// The partitions.
        places: Vec<Place>,
    },
    /// The member has given up these partitions, or lost them.
    Revoked {
        /// The group.
        group: String,
        /// The partitions.
        places: Vec<Place>,
    },
    /// The library of a member goes back in a partition by a fault of its own, and hands out again what comes from there.
    WentBack {
        /// The group.
        group: String,
        /// The partition.
        place: Place,
        /// The next offset.
        offset: i64,
    },
    /// A member committed offsets.
    Commit {
        /// The group.
        group: String,
        /// The offsets, each that of the next record to read.
        offsets: Vec<(Place, i64)>,
        /// What came of it.
        outcome: Outcome,
    },
    /// The coordinator said which offsets are committed.
    Committed {
        /// The group.
        group: String,
        /// Those that there are.
        offsets: Vec<(Place, i64)>,
    },
    /// The coordinator said who is in the group and has what.
    Members {
        /// The group.
        group: String,
        /// All members.
        members: Vec<MemberView>,
    },
    /// A client gave up for good, as it was told something that must not happen.
    GaveUp {
        /// What it was told.
        why: String,
    },
    /// The whole partition from its first record to its end, read from one of its replicas when all faults were over. Those that
    /// come first are read when nobody writes any more; who reads the next replica may write before.
    Final {
        /// Which partition.
        place: Place,
        /// All records.
        records: Vec<Seen>,
    },
    /// A node that acknowledges before its disk has synced has lost what it was told shortly before, as its power was cut, or all
    /// that it was ever told, as its disk is lost.
    Forgets {
        /// Which one.
        node: i32,
        /// How many nodes there are.
        nodes: usize,
        /// Whether the disk is lost.
        everything: bool,
    },
    /// What was done to the cluster meanwhile; for people, the checks do not look at it.
    Fault {
        /// In words.
        what: String,
    },
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who did it.
    pub client: String,
    /// When it was begun.
    pub invoked: Micros,
    /// When its outcome was known.
    pub ended: Micros,
    /// What it was.
    pub deed: Deed,
}

/// Everything that was done, in the order of the ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The entries.
    pub entries: Vec<Entry>,
}
