//! The questions of a prober, and what their answers say.
//!
//! A refusal says nothing and is not written down, but for a write's: that is where it must be known what a refusal means. So
//! says no answer at all. An answer that is none in the protocol, and records that nobody could read, are a client's end.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::Member as ConsumerMember;
use kafka_protocol::messages::describe_groups_response::DescribedGroupMember;
use kafka_protocol::messages::{FetchRequest, ProduceRequest};
use trilog_client::wire::{ClientError, CloseReason, Connection};

use super::Stage;
use super::member::GroupProtocol;
use super::payload::{payload, seen};
use crate::batch::{Batch, values};
use crate::group::Group;
use crate::group::embedded::read_assignment;
use crate::group::offsets::Commit;
use crate::history::{Deed, MemberView, Micros, Outcome, Place, Seen, Sending};
use crate::partition::LATEST;
use crate::requests::{FetchPlan, error, fetched, listed_offset, produced};

/// What is asked of a node.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// Take a record into this partition, as its leader.
    Produce(i32),
    /// Where does this partition end?
    ListOffsets(i32),
    /// What is at the end of this partition, and where is that?
    Fetch(i32),
    /// What has this group committed?
    Offsets(GroupProtocol),
    /// Who is in this group, and owns what?
    Members(GroupProtocol),
    /// Commit an offset of a group without members, for a partition that no other prober commits for.
    CommitAlone,
    /// Commit for that group as a member that it does not have, which no coordinator may do.
    CommitAsNobody,
    /// What has that group committed?
    OffsetsAlone,
}

/// Where the offsets begin that nobody may commit.
const NOBODYS: i64 = 1 << 40;

/// The offset that is committed with a value: what tells it from the client's others.
fn offset_of(value: u64) -> i64 {
    i64::from(u32::try_from(value & u64::from(u32::MAX)).expect("the lower half fits"))
}

/// Who asks, and where the answers go.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) stage: Stage,
    pub(super) client: String,
    /// The partition for which it commits by itself.
    pub(super) own: i32,
}

impl Probe {
    /// Asks one question and writes down what the answer says. `value` is for a record to write; it is used up.
    pub(super) async fn ask(&self, node: &Connection, question: Question, value: u64) {
        let invoked = self.stage.recorder.now();
        let told = match question {
            Question::Produce(partition) => Ok(vec![self.produce(node, partition, value).await]),
            Question::ListOffsets(partition) => self.list_offsets(node, partition).await,
            Question::Fetch(partition) => self.fetch(node, partition).await,
            Question::Offsets(protocol) => self.offsets(self.group(node, protocol)).await,
            Question::Members(protocol) => self.members(node, protocol).await,
            Question::CommitAlone => Ok(vec![self.commit(self.alone(node), value).await]),
            Question::CommitAsNobody => Ok(vec![self.commit_as_nobody(self.alone(node), value).await]),
            Question::OffsetsAlone => self.offsets(self.alone(node)).await,
        };
        match told {
            Ok(told) => told.into_iter().for_each(|deed| self.tell(invoked, deed)),
            Err(error) => self.complain(&error),
        }
    }

    /// Writes down what no client can make anything of.
    fn complain(&self, error: &ClientError) {
        if is_nonsense(error) {
            self.give_up(error.to_string());
        }
    }

    fn give_up(&self, why: String) {
        self.stage.recorder.happened(&self.client, Deed::GaveUp { why });
    }

    fn tell(&self, invoked: Micros, deed: Deed) {
        self.stage.recorder.ended(&self.client, invoked, deed);
    }

    async fn produce(&self, node: &Connection, partition: i32, value: u64) -> Deed {
        let sending = match self.try_produce(node, partition, value).await {
            Ok((None, offset)) => Sending::Acknowledged { offset: Some(offset) },
            Ok((Some(refusal), _)) if is_certain(refusal) => Sending::Failed,
            Ok(_) => Sending::Unknown,
            Err(error) => {
                self.complain(&error);
                Sending::Unknown
            }
        };
        Deed::Send { place: self.stage.place(partition), value, sending }
    }

    async fn try_produce(
        &self,
        node: &Connection,
        partition: i32,
        value: u64,
    ) -> Result<(Option<ResponseError>, i64), ClientError> {
        let version = node.versions().negotiate::<ProduceRequest>()?;
        let request = self.stage.target(partition).produce(version, -1, values(1, &[&payload(value)]));
        let answer = produced(node.request(request).await?);
        Ok((error(answer.error_code), answer.base_offset))
    }

    async fn list_offsets(&self, node: &Connection, partition: i32) -> Result<Vec<Deed>, ClientError> {
        let answer = listed_offset(node.request(self.stage.target(partition).list_offsets(LATEST)).await?);
        let end = Deed::End { place: self.stage.place(partition), offset: answer.offset };
        Ok(if answer.error_code == 0 { vec![end] } else { Vec::new() })
    }

    /// The end by ListOffsets first, then what lies before it.
    async fn fetch(&self, node: &Connection, partition: i32) -> Result<Vec<Deed>, ClientError> {
        let end = listed_offset(node.request(self.stage.target(partition).list_offsets(LATEST)).await?);
        if end.error_code != 0 {
            return Ok(Vec::new());
        }
        let invoked = self.stage.recorder.now();
        let from = (end.offset - 5).max(0);
        let plan = FetchPlan { max_bytes: 8 << 10, ..FetchPlan::from(from) };
        let version = node.versions().negotiate::<FetchRequest>()?;
        let answer = fetched(node.request(self.stage.target(partition).fetch(version, plan)).await?);
        let place = self.stage.place(partition);
        match error(answer.error_code) {
            None => {
                match records(&answer.records.unwrap_or_default()) {
                    Ok(records) => self.tell(invoked, Deed::Read { place: place.clone(), records }),
                    Err(why) => self.give_up(format!("{place} from offset {from} on: {why}")),
                }
                self.tell(invoked, Deed::End { place, offset: answer.high_watermark });
            }
            Some(refusal @ (ResponseError::OffsetOutOfRange | ResponseError::CorruptMessage)) => {
                self.give_up(format!(
                    "{place} ends at {}, and a fetch from {from} on is {refusal:?}",
                    end.offset
                ));
            }
            Some(_) => {}
        }
        Ok(Vec::new())
    }

    /// Commits a number that grows from one commit to the next.
    async fn commit(&self, group: Group, value: u64) -> Deed {
        let offset = offset_of(value);
        let outcome = match group.try_commit(&Commit::outside(&self.stage.topic, self.own, offset)).await {
            Ok(None) => Outcome::Acknowledged,
            // A coordinator that loses its place says so without knowing what becomes of what it has written (Kafka's, too).
            Ok(Some(_)) => Outcome::Unknown,
            Err(error) => {
                self.complain(&error);
                Outcome::Unknown
            }
        };
        Deed::Commit { group: group.name, offsets: vec![(self.stage.place(self.own), offset)], outcome }
    }

    async fn commit_as_nobody(&self, group: Group, value: u64) -> Deed {
        let offset = NOBODYS + offset_of(value);
        let commit = Commit::outside(&self.stage.topic, self.own, offset).by("nobody", 3);
        let outcome = match group.try_commit(&commit).await {
            Ok(None) => Outcome::Acknowledged,
            Ok(Some(_)) => Outcome::Failed,
            Err(error) => {
                self.complain(&error);
                Outcome::Failed
            }
        };
        Deed::Commit { group: group.name, offsets: vec![(self.stage.place(self.own), offset)], outcome }
    }

    async fn offsets(&self, group: Group) -> Result<Vec<Deed>, ClientError> {
        let answer = group.try_fetch_offsets(None).await?;
        let rows = answer.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|row| (Place::new(&topic.name, row.partition_index), row))
        });
        let rows = rows.filter(|(_, row)| row.error_code == 0 && row.committed_offset >= 0);
        let offsets = rows.map(|(place, row)| (place, row.committed_offset)).collect();
        let told = Deed::Committed { group: group.name, offsets };
        Ok(if answer.error_code == 0 { vec![told] } else { Vec::new() })
    }

    async fn members(&self, node: &Connection, protocol: GroupProtocol) -> Result<Vec<Deed>, ClientError> {
        let group = self.group(node, protocol);
        let (code, members) = match protocol {
            GroupProtocol::Classic => {
                let described = group.try_describe().await?;
                // In any other state the assignments are those of the generation that is over.
                let members =
                    if &*described.group_state == "Stable" { described.members } else { Vec::new() };
                (described.error_code, members.iter().map(classic_view).collect())
            }
            GroupProtocol::Consumer => {
                let described = group.try_describe_consumer().await?;
                (described.error_code, described.members.iter().map(consumer_view).collect())
            }
        };
        let told = Deed::Members { group: group.name, members };
        Ok(if code == 0 { vec![told] } else { Vec::new() })
    }

    fn alone(&self, node: &Connection) -> Group {
        Group { name: self.stage.alone(), node: -1, connection: node.clone() }
    }

    fn group(&self, node: &Connection, protocol: GroupProtocol) -> Group {
        // The node is asked as if it coordinated the group, which only one of them does.
        Group { name: protocol.group(&self.stage), node: -1, connection: node.clone() }
    }
}

/// Whether a refusal means that the record is not in the log and will not be.
fn is_certain(refusal: ResponseError) -> bool {
    matches!(
        refusal,
        ResponseError::NotLeaderOrFollower
            | ResponseError::NotEnoughReplicas
            | ResponseError::UnknownTopicOrPartition
            | ResponseError::UnknownTopicId
            | ResponseError::LeaderNotAvailable
    )
}

/// Whether an answer came that is none, or a question could not be asked. A connection that ends says nothing.
fn is_nonsense(error: &ClientError) -> bool {
    match error {
        ClientError::Timeout { .. } => false,
        ClientError::Closed { reason, .. } => {
            !matches!(reason, CloseReason::ByBroker | CloseReason::Io(_) | CloseReason::ByUs)
        }
        _ => true,
    }
}

fn records(bytes: &Bytes) -> Result<Vec<Seen>, String> {
    let mut read = Vec::new();
    for batch in Batch::split(bytes) {
        let offset = batch.base_offset();
        if !batch.crc_is_right() {
            return Err(format!("the batch at offset {offset} is damaged"));
        }
        for (offset, record) in (offset..).zip(batch.records()) {
            let record = seen(offset, record.value.as_deref());
            read.push(record.ok_or_else(|| format!("offset {offset} holds what nobody sent"))?);
        }
    }
    Ok(read)
}

fn classic_view(member: &DescribedGroupMember) -> MemberView {
    let owns = read_assignment(&member.member_assignment);
    let owns = owns.iter().map(|(topic, partition)| Place::new(topic, *partition)).collect();
    MemberView { id: member.member_id.to_string(), epoch: None, owns }
}

fn consumer_view(member: &ConsumerMember) -> MemberView {
    let owns =
        member.assignment.topic_partitions.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| Place::new(&topic.topic_name, *partition))
        });
    MemberView { id: member.member_id.to_string(), epoch: Some(member.member_epoch), owns: owns.collect() }
}
