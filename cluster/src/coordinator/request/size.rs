//! What a request may cost a coordinator, which decides on the driver's thread.

use super::{
    CommitOffsets, ConsumerHeartbeat, DeleteOffsets, FetchOffsets, GroupRequest, JoinGroup, SyncGroup,
};

/// What a partition, a topic or a member counts for beside its text.
const PART_BYTES: usize = 64;

/// What a description of a group, or of all its offsets, counts for: it may be large.
const GROUP_BYTES: usize = 64 << 10;

/// What a list of all groups counts for: there may be very many.
const LIST_BYTES: usize = 512 << 10;

impl GroupRequest {
    /// What it counts for, in bytes, roughly in proportion to the time that it takes.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Join(JoinGroup { protocols, .. }) => {
                protocols.iter().map(|protocol| PART_BYTES + protocol.metadata.len()).sum()
            }
            Self::Sync(SyncGroup { assignments, .. }) => {
                assignments.iter().map(|(_, assignment)| PART_BYTES + assignment.len()).sum()
            }
            Self::ConsumerHeartbeat(heartbeat) => heartbeat_bytes(heartbeat),
            Self::CommitOffsets(commit) => commit_bytes(commit),
            Self::FetchOffsets(FetchOffsets { topics: None, .. })
            | Self::DescribeClassic(_)
            | Self::DescribeConsumer(_)
            | Self::Delete(_) => GROUP_BYTES,
            Self::FetchOffsets(FetchOffsets { topics: Some(topics), .. }) => {
                topics.values().map(|partitions| (1 + partitions.len()) * PART_BYTES).sum()
            }
            Self::DeleteOffsets(DeleteOffsets { topics, .. }) => {
                topics.iter().map(|(_, partitions)| (1 + partitions.len()) * PART_BYTES).sum()
            }
            Self::Leave(leave) => leave.members.len() * PART_BYTES,
            Self::List(_) => LIST_BYTES,
            Self::Heartbeat(_) => 0,
        }
    }
}

fn heartbeat_bytes(heartbeat: &ConsumerHeartbeat) -> usize {
    let names = heartbeat.topic_names.iter().flatten().map(|name| PART_BYTES + name.len());
    let owned = heartbeat.owned.iter().flatten().map(|topic| (1 + topic.partitions.len()) * PART_BYTES);
    names.chain(owned).sum()
}

fn commit_bytes(commit: &CommitOffsets) -> usize {
    let topic = |partitions: &[super::CommitPartition]| {
        partitions.iter().map(|partition| PART_BYTES + partition.metadata.len()).sum::<usize>()
    };
    commit.topics.iter().map(|committed| PART_BYTES + topic(&committed.partitions)).sum()
}
