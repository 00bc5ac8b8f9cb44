//! A group's committed offset never goes back: whoever asks for it gets what was acknowledged before the question, or
//! something that was committed later.
//!
//! Each group here has one consumer, which commits ever higher offsets. A commit that was given up may still arrive late
//! and be the newest then; what it commits is what may be found from then on.

use std::collections::BTreeMap;

use super::Invariant;
use super::losses::Lost;
use crate::coordinator::{CommitOffsets, FetchedTopic, GroupId, GroupRequest, GroupResponse, TopicResults};
use crate::ids::{Offset, Ticket};
use crate::simulation::call::{Answer, Call};
use crate::simulation::observation::Observation;

#[derive(Default)]
pub(super) struct CommittedOffsets {
    /// The lowest offset that may be found.
    floors: BTreeMap<GroupId, Offset>,
    asked: BTreeMap<Ticket, Offset>,
}

impl Invariant for CommittedOffsets {
    fn name(&self) -> &'static str {
        "committed offsets never go back"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Called { ticket, call: Call::Coordinate { request, .. }, .. } => {
                self.asked(*ticket, request);
            }
            Observation::Answered {
                node,
                ticket,
                call: Call::Coordinate { request, .. },
                answer: Answer::Coordinated(Ok(response)),
            } => match (&**request, response) {
                (GroupRequest::CommitOffsets(request), GroupResponse::CommitOffsets(results)) => {
                    self.committed(request, results);
                }
                (GroupRequest::FetchOffsets(request), GroupResponse::FetchOffsets(Ok(topics))) => {
                    let found = offset_in(topics);
                    let floor = self.asked.get(ticket).copied().unwrap_or_default();
                    // A late commit may have come in between.
                    let floor = floor.min(self.floors.get(&request.group).copied().unwrap_or_default());
                    if found < floor {
                        let group = &request.group;
                        return Err(format!(
                            "node {node} finds offset {found} of {group}, {floor} was committed"
                        ));
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn lose(&mut self, lost: Lost) {
        // Of a coordinator's group there are no offsets; which one holds a consumer group's does not matter.
        let _ = lost;
        self.floors.clear();
        self.asked.clear();
    }
}

impl CommittedOffsets {
    fn asked(&mut self, ticket: Ticket, request: &GroupRequest) {
        match request {
            GroupRequest::CommitOffsets(request) => {
                if let Some(floor) = self.floors.get_mut(&request.group) {
                    *floor = offset_of(request).min(*floor);
                }
            }
            GroupRequest::FetchOffsets(request) => {
                self.asked.insert(ticket, self.floors.get(&request.group).copied().unwrap_or_default());
            }
            _ => {}
        }
    }

    fn committed(&mut self, request: &CommitOffsets, results: &[TopicResults]) {
        let all_taken = results.iter().flat_map(|topic| &topic.partitions).all(|(_, result)| result.is_ok());
        if all_taken {
            let floor = self.floors.entry(request.group.clone()).or_default();
            *floor = offset_of(request).max(*floor);
        }
    }
}

fn offset_of(request: &CommitOffsets) -> Offset {
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.offset).next().unwrap_or_default()
}

fn offset_in(topics: &[FetchedTopic]) -> Offset {
    let found = topics.iter().flat_map(|topic| &topic.partitions).find_map(|(_, found)| found.as_ref());
    found.map_or(Offset(0), |found| found.offset)
}
