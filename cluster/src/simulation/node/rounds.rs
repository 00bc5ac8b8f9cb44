//! The driver's rounds: what a shard has gathered is written, sent and carried out.

use std::sync::Arc;

use trilog_storage::{EntryFetch, FetchedEntries};

use super::{Output, Process};
use crate::ids::{LeaderEpoch, RaftGroupId};
use crate::replica::Replica;
use crate::shard::effects::Effect;
use crate::simulation::call::Answer;
use crate::simulation::disk::Disk;
use crate::simulation::mutant::Mutant;

impl Process {
    /// The driver's rounds.
    pub(super) fn rounds(&mut self, disk: &mut Disk, outputs: &mut Vec<Output>) {
        loop {
            if let Some(round) = self.shard.collect().expect("a round is collected") {
                outputs.extend(round.sends.into_frames().map(|(peer, frame)| Output::Send(peer, frame)));
                disk.apply(&self.store, round.batch);
                self.shard.written().expect("a round is written");
                self.waiting.push_back(round.persist);
            }
            let mut effects = self.shard.take_effects();
            if self.mutant == Some(Mutant::LoseLastAnswers) {
                self.last_answers.lose(&mut effects);
            }
            let idle = effects.is_empty();
            for effect in effects {
                self.carry_out(effect, outputs);
            }
            if idle && !self.shard.has_work() {
                return;
            }
        }
    }

    /// What a mutant does to a leader that has just begun.
    fn begins_to_lead(&mut self, group: RaftGroupId) {
        match self.mutant {
            Some(Mutant::ConfirmAll) => self.shard.confirm_members(group),
            Some(Mutant::TrustWallClocks) => self.shard.be_ahead(group, self.clock.is_ahead_by()),
            _ => {}
        }
    }

    fn carry_out(&mut self, effect: Effect, outputs: &mut Vec<Output>) {
        match effect {
            Effect::ReplicaOpened(group) => {
                assert!(!self.store.is_deleted(group), "{group} was deleted here, and is opened again");
                let replica =
                    Replica::new(group, self.store.reader(&self.tail), self.tail.clone(), Arc::default());
                self.replicas.insert(group, Arc::new(replica));
            }
            Effect::ReplicaRemoved(group) => {
                self.replicas.remove(&group);
                self.leaders.remove(&group);
                self.tail.forget(group);
                self.purging = true;
            }
            Effect::LogCompacted => self.purging = true,
            Effect::ReplicaChanged { group, mut status, recent } => {
                let view = self.shard.group_view(group);
                if self.mutant == Some(Mutant::ServeAtOnce)
                    && let Some(view) = view.filter(|view| view.is_leader())
                {
                    status.leading = i32::try_from(view.term()).ok().map(LeaderEpoch);
                }
                if let Some(replica) = self.replicas.get(&group).map(Arc::clone) {
                    if status.leading.is_some() && replica.status().leading.is_none() {
                        self.begins_to_lead(group);
                    }
                    replica.publish(status.clone(), recent);
                }
                outputs.push(Output::Shows(group, status));
            }
            Effect::Image(image) => self.image = image,
            Effect::Leadership { group, leadership } => {
                if leadership.isr.is_empty() {
                    self.leaders.remove(&group);
                } else {
                    self.leaders.insert(group, leadership.leader);
                }
            }
            Effect::Peers { .. } | Effect::Standing(_) | Effect::Logged(_) => {}
            Effect::Refused => panic!("what an honest peer said was refused"),
            Effect::Fetch { group, fetch, .. } => outputs.push(Output::Fetch(group, fetch)),
            Effect::Appended { ticket, result } => {
                outputs.push(Output::Answer(ticket, Answer::Appended(result)));
            }
            Effect::RecordsDeleted { ticket, result } => {
                outputs.push(Output::Answer(ticket, Answer::RecordsDeleted(result)));
            }
            Effect::Answered { ticket, result } => {
                outputs.push(Output::Answer(ticket, Answer::Controlled(result)));
            }
            Effect::Confirmed { ticket, led } => {
                let read = self.unconfirmed.remove(&ticket);
                let (epoch, fetched) = read.expect("only reads are confirmed, and each once");
                let is_led = led.iter().any(|(_, confirmed)| *confirmed <= epoch);
                outputs.push(Output::Answer(ticket, Answer::Read(fetched.filter(|_| is_led))));
            }
            Effect::Coordinated { ticket, result } => {
                outputs.push(Output::Answer(ticket, Answer::Coordinated(result)));
            }
        }
    }

    /// Reads old entries, as the background thread does.
    pub(in crate::simulation) fn fetch(&self, fetch: EntryFetch) -> FetchedEntries {
        fetch.read(&self.store.reader(&self.tail)).expect("old entries are there")
    }
}
