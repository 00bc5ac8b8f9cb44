//! A job that runs from time to time: it joins its group, looks where it has stopped, and leaves. It is away for less than the
//! retention of offsets, so that the offset that it has committed once is always there (KIP-211).

use std::time::Duration;

use super::offsets::TOPIC;
use super::{Client, Desk, offsets};
use crate::coordinator::{
    ConsumerHeartbeat, FetchedTopic, GroupId, GroupRequest, GroupResponse, MemberEpoch, MemberId,
};
use crate::ids::{Offset, Ticket};
use crate::simulation::call::{Answer, Call};

/// How fast, in tenths, the slowest clock goes for the fastest one to go as it is true.
const SLOWEST: u32 = 9;

/// How many of a thousand jobs that get no answer as they leave are gone all the same.
const GIVES_UP_LEAVING: u64 = 500;

/// What it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Join,
    Commit,
    Look,
    Leave,
}

/// A moment: the time, and by how much clocks have jumped until then.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Duration,
    jumped: Duration,
}

/// See the module's documentation.
pub(super) struct Job {
    group: GroupId,
    retention: Duration,
    member: MemberId,
    epoch: MemberEpoch,
    step: Step,
    asked: Option<(Ticket, Moment)>,
    /// When the group was last known to be in use, since there is an offset.
    used: Option<Moment>,
    /// How often its coordinator had lost something by then.
    losses: usize,
    ending: bool,
}

impl Job {
    pub(super) fn new(number: u32, retention: Duration) -> Self {
        Self {
            group: GroupId::from(format!("job-{number}").as_str()),
            retention,
            member: MemberId::from(""),
            epoch: MemberEpoch::JOIN,
            step: Step::Join,
            asked: None,
            used: None,
            losses: 0,
            ending: false,
        }
    }

    fn request(&mut self, desk: &mut Desk<'_>) -> GroupRequest {
        match self.step {
            Step::Join => {
                if self.member.as_str().is_empty() {
                    self.member = MemberId::from(format!("j-{}", desk.fresh_id()).as_str());
                }
                GroupRequest::ConsumerHeartbeat(self.heartbeat(MemberEpoch::JOIN))
            }
            Step::Leave => GroupRequest::ConsumerHeartbeat(self.heartbeat(MemberEpoch::LEAVE)),
            Step::Commit => offsets::commit(&self.group, &self.member, self.epoch, Offset(0)),
            Step::Look => offsets::fetch(&self.group),
        }
    }

    fn heartbeat(&self, epoch: MemberEpoch) -> ConsumerHeartbeat {
        let joins = epoch == MemberEpoch::JOIN;
        ConsumerHeartbeat {
            group: self.group.clone(),
            member: self.member.clone(),
            epoch,
            instance: None,
            rack: None,
            rebalance_timeout_ms: if joins { 5_000 } else { -1 },
            topic_names: joins.then(|| vec![TOPIC.to_owned()]),
            topic_regex: None,
            assignor: None,
            owned: joins.then(Vec::new),
            client_id: "job".into(),
            client_host: "/127.0.0.1".into(),
            fresh: uuid::Uuid::nil(),
        }
    }

    /// It begins again as somebody else, now or when it runs next.
    fn begin_anew(&mut self) {
        self.member = MemberId::from("");
        self.step = Step::Join;
    }

    /// What it asked at that moment has an answer from its coordinator.
    fn told(&mut self, asked: Moment, response: GroupResponse, desk: &Desk<'_>) {
        match (self.step, response) {
            (Step::Join, GroupResponse::ConsumerHeartbeat(Ok(answer))) => {
                self.epoch = answer.epoch;
                self.step = if self.used.is_some() { Step::Look } else { Step::Commit };
                if self.used.is_some_and(|used| self.is_kept(used, desk)) {
                    self.used = Some(asked);
                }
            }
            (Step::Commit, GroupResponse::CommitOffsets(results)) => {
                if results.iter().flat_map(|topic| &topic.partitions).all(|(_, outcome)| outcome.is_ok()) {
                    self.used = Some(asked);
                    self.step = Step::Leave;
                } else {
                    self.begin_anew();
                }
            }
            (Step::Look, GroupResponse::FetchOffsets(Ok(topics))) => {
                let is_there = is_there(&topics);
                if let Some(used) = self.used.filter(|used| !is_there && self.is_kept(*used, desk)) {
                    panic!("an offset of {} is gone that was in use at {:?}", self.group, used.at);
                }
                self.step = if is_there { Step::Leave } else { Step::Commit };
            }
            _ => self.begin_anew(),
        }
    }

    /// Whether an offset has to be there by any clock that was in use at that moment.
    fn is_kept(&self, used: Moment, desk: &Desk<'_>) -> bool {
        desk.now - used.at + (desk.jumped - used.jumped) < self.retention * SLOWEST / 10
    }
}

fn is_there(topics: &[FetchedTopic]) -> bool {
    topics.iter().flat_map(|topic| &topic.partitions).any(|(_, found)| found.is_some())
}

impl Client for Job {
    fn wake(&mut self, desk: &mut Desk<'_>) {
        self.ending |= desk.ending;
        if self.ending || self.asked.is_some() {
            return;
        }
        let Some(coordinator) = desk.coordinator_of(&self.group) else { return desk.wake_within(20, 150) };
        let losses = desk.lossy.get(&coordinator).copied().unwrap_or_default();
        if std::mem::replace(&mut self.losses, losses) != losses {
            self.used = None;
        }
        let request = Box::new(self.request(desk));
        let ticket = desk.ask_leader(coordinator, Call::Coordinate { coordinator, request });
        self.asked = Some((ticket, Moment { at: desk.now, jumped: desk.jumped }));
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, desk: &mut Desk<'_>) {
        let Some((_, asked)) = self.asked.take_if(|(asked, _)| *asked == ticket) else { return };
        let was_leaving = self.step == Step::Leave;
        match answer {
            Answer::Coordinated(Ok(response)) => self.told(asked, response, desk),
            _ if was_leaving && desk.random.chance(GIVES_UP_LEAVING) => self.begin_anew(),
            _ => {}
        }
        if was_leaving && self.step == Step::Join {
            let most = u64::try_from(self.retention.as_millis()).expect("a retention is short");
            desk.wake_within(100, most / 3);
        } else {
            desk.wake_within(5, 60);
        }
    }

    fn is_done(&self) -> bool {
        self.ending && self.asked.is_none()
    }
}
