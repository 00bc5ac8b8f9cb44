//! The stage: a coordinator, its replicas, the clients and the time, moved by the script alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::describe;
use crate::controller::MetadataImage;
use crate::coordinator::{
    CoordinatorRecord, CoordinatorState, GroupCoordinator, GroupErrorCode, GroupRequest, GroupResponse,
    GroupSettings, InstanceId, MemberId, TopicPartitions, decode_entry, encode_record, entry_header,
};
use crate::ids::Ticket;

/// See the module's documentation.
pub(super) struct Stage {
    pub(super) coordinator: GroupCoordinator,
    pub(super) image: MetadataImage,
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) settings: GroupSettings,
    pub(super) now: Duration,
    /// What the replicas have applied.
    applied: CoordinatorState,
    /// Everything that was ever written down.
    log: Vec<CoordinatorRecord>,
    next_ticket: u64,
    /// What is to be answered: who asked, and what.
    questions: BTreeMap<Ticket, (String, String)>,
    members_named: u128,
    transcript: Vec<String>,
}

/// What a client remembers.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) member: MemberId,
    /// The generation, or the member epoch.
    pub(super) epoch: i32,
    /// The options that it joined with.
    pub(super) options: BTreeMap<String, String>,
    /// What it was told to own by the consumer protocol.
    pub(super) assigned: Vec<TopicPartitions>,
    /// Whether the coordinator has yet to hear that it owns just that.
    pub(super) has_news: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            member: MemberId::from(""),
            epoch: -1,
            options: BTreeMap::new(),
            assigned: Vec::new(),
            has_news: false,
        }
    }
}

impl Client {
    /// An option that the client joined with; `-` is none.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str).filter(|value| *value != "-")
    }

    pub(super) fn instance(&self) -> Option<InstanceId> {
        self.option("instance").map(InstanceId::from)
    }
}

impl Default for Stage {
    fn default() -> Self {
        let no_delay = GroupSettings { initial_rebalance_delay: Duration::ZERO, ..GroupSettings::default() };
        Self::with_settings(no_delay)
    }
}

impl Stage {
    pub(super) fn with_settings(settings: GroupSettings) -> Self {
        let state = CoordinatorState::default();
        let coordinator =
            GroupCoordinator::new(state.clone(), Arc::new(settings.clone()), Arc::default(), Duration::ZERO);
        Self {
            coordinator,
            image: MetadataImage::default(),
            clients: BTreeMap::new(),
            settings,
            now: Duration::ZERO,
            applied: state,
            log: Vec::new(),
            next_ticket: 0,
            questions: BTreeMap::new(),
            members_named: 0,
            transcript: Vec::new(),
        }
    }

    /// A client, as far as it is known.
    pub(super) fn client(&self, name: &str) -> Client {
        self.clients.get(name).cloned().unwrap_or_default()
    }

    /// Something fresh for the id of a member that has none.
    pub(super) fn fresh(&mut self) -> Uuid {
        self.members_named += 1;
        Uuid::from_u128(self.members_named)
    }

    /// A line of output.
    pub(super) fn say(&mut self, line: impl Into<String>) {
        self.transcript.push(line.into());
    }

    pub(super) fn take_transcript(&mut self) -> Vec<String> {
        std::mem::take(&mut self.transcript)
    }

    /// A client asks something. Who is empty asks from outside of any group.
    pub(super) fn ask(&mut self, client: &str, question: &str, request: GroupRequest) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.questions.insert(ticket, (client.to_owned(), question.to_owned()));
        self.act(|coordinator, now| coordinator.handle(now, ticket, request));
    }

    /// Does something with the coordinator, and takes what comes of it.
    pub(super) fn act(&mut self, act: impl FnOnce(&mut GroupCoordinator, Duration)) {
        act(&mut self.coordinator, self.now);
        let actions = self.coordinator.take_actions();
        for record in actions.records {
            self.commit(record);
        }
        assert!(self.applied == self.coordinator.state, "the replicas' state is the coordinator's");
        for (ticket, response) in actions.answers {
            self.hear(ticket, &response);
        }
    }

    fn commit(&mut self, record: CoordinatorRecord) {
        let mut entry = entry_header();
        encode_record(&record, &mut entry);
        assert_eq!(decode_entry(&entry).as_deref(), Ok([record.clone()].as_slice()));
        self.applied.replay(&record);
        self.say(describe::record(&record));
        self.log.push(record);
    }

    fn hear(&mut self, ticket: Ticket, response: &GroupResponse) {
        let (name, question) =
            self.questions.remove(&ticket).unwrap_or_else(|| panic!("{ticket:?} is answered twice"));
        if let Some(client) = self.clients.get_mut(&name) {
            client.hear(response);
        }
        for line in describe::response(response) {
            self.say(format!("{name} {question}: {line}").trim_start());
        }
    }

    /// Lets time pass until `end`, and what is due happen when it is due. What happens is told with the time since
    /// `beginning`.
    pub(super) fn advance(&mut self, beginning: Duration, end: Duration) {
        while let Some(deadline) = self.coordinator.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline.max(self.now);
            let before = self.transcript.len();
            self.act(GroupCoordinator::handle_timeout);
            let passed = describe::time(self.now - beginning);
            for line in &mut self.transcript[before..] {
                line.insert_str(0, &format!("after {passed}: "));
            }
        }
        self.now = end;
    }

    /// The metadata have changed.
    pub(super) fn publish_image(&mut self) {
        let image = Arc::new(self.image.clone());
        self.act(|coordinator, _| coordinator.set_image(image));
    }

    /// The coordinator is lost, and whoever waits is told so. The next one goes by what is applied.
    pub(super) fn failover(&mut self) {
        let restored = CoordinatorState::decode(&self.applied.encode()).unwrap();
        assert!(restored == self.applied, "a checkpoint holds the whole state");
        let mut replayed = CoordinatorState::default();
        for _ in 0..2 {
            self.log.iter().for_each(|record| replayed.replay(record));
            assert!(replayed == self.applied, "the records make the state, however often they are replayed");
        }
        let (settings, image) = (Arc::new(self.settings.clone()), Arc::new(self.image.clone()));
        let next = GroupCoordinator::new(restored, settings, image, self.now);
        for ticket in std::mem::replace(&mut self.coordinator, next).abandon() {
            let (name, question) = self.questions.remove(&ticket).unwrap();
            self.say(format!("{name} {question}: NOT_COORDINATOR"));
        }
        self.act(|_, _| ());
    }

    /// Who waits for an answer to what.
    pub(super) fn waiting(&self) -> Vec<String> {
        self.questions.values().map(|(name, question)| format!("{name} {question}")).collect()
    }
}

impl Client {
    /// What a client learns from an answer.
    fn hear(&mut self, response: &GroupResponse) {
        match response {
            GroupResponse::Join(joined) => match joined.error {
                None => {
                    self.member = joined.member.clone();
                    self.epoch = joined.generation.0;
                }
                Some(GroupErrorCode::MemberIdRequired) => self.member = joined.member.clone(),
                Some(_) => {}
            },
            GroupResponse::ConsumerHeartbeat(Ok(answer)) => {
                self.member = answer.member.clone();
                self.epoch = answer.epoch.0;
                if let Some(assigned) = &answer.assignment {
                    self.has_news = *assigned != self.assigned;
                    self.assigned.clone_from(assigned);
                }
            }
            _ => {}
        }
    }
}
