//! What the coordinator answers, and what becomes of the member.

use std::time::Duration;

use trilog_protocol::{ErrorCode, Meaning};

use super::{Coordinator, HeartbeatAnswer, JOINING, ModernMember, Phase};

impl ModernMember {
    /// The heartbeat was answered.
    pub fn heartbeat_answered(&mut self, answer: Result<HeartbeatAnswer, ErrorCode>, now: Duration) {
        let Some(request) = self.heartbeat.in_flight.take() else { return };
        let Some(epoch) = self.epoch() else { return };
        // The answer to what was sent in another life: the member was given up and has begun anew meanwhile.
        if request.epoch != epoch {
            return;
        }
        match answer {
            Ok(answer) => {
                let known = self.heartbeat.known.take();
                let (wanted, owned) =
                    known.map_or((None, None), |(wanted, owned)| (Some(wanted), Some(owned)));
                if let (Some(wanted), Some(owned)) = (request.wanted.or(wanted), request.owned.or(owned)) {
                    self.heartbeat.known = Some((wanted, owned));
                }
                self.options.member_id = answer.member_id;
                self.enter(answer.epoch);
                // A member that leaves takes nothing more.
                if answer.assignment.is_some() && matches!(self.phase, Phase::In { .. }) {
                    self.target = answer.assignment;
                }
                // What has changed since the request left is told at once.
                let told = self.heartbeat.known.as_ref() == Some(&(self.wanted.clone(), self.owned_by_id()));
                let settled = !self.holding.is_settled() || told;
                self.heartbeat.next = if settled { now + answer.interval } else { now };
            }
            Err(code) => self.refused(code, now),
        }
    }

    /// The heartbeat has no answer: the connection ended, or time did. The next one tells everything again.
    pub fn heartbeat_failed(&mut self, now: Duration) {
        self.heartbeat.in_flight = None;
        self.heartbeat.known = None;
        self.coordinator = Coordinator::Unknown;
        self.heartbeat.next = now + self.options.retry_backoff;
    }

    /// A commit of this epoch was refused with this code, which may say that the member is out of the group, or that its
    /// epoch is an old one, which the next heartbeat puts right.
    pub fn commit_refused(&mut self, epoch: i32, code: ErrorCode, now: Duration) {
        if self.epoch() != Some(epoch) {
            return;
        }
        match code {
            ErrorCode::STALE_MEMBER_EPOCH => self.heartbeat.next = self.heartbeat.next.min(now),
            code if code.meaning() == Meaning::Rejoin || code.meaning() == Meaning::Fenced => {
                self.refused(code, now)
            }
            _ => {}
        }
    }

    fn refused(&mut self, code: ErrorCode, now: Duration) {
        self.heartbeat.known = None;
        self.heartbeat.next = now + self.options.retry_backoff;
        match code.meaning() {
            Meaning::RefreshCoordinator => self.coordinator = Coordinator::Unknown,
            Meaning::Success | Meaning::Retry | Meaning::Refresh => {}
            Meaning::Rejoin => {
                self.lose_all();
                self.enter(JOINING);
            }
            Meaning::Fenced | Meaning::Abort | Meaning::Fatal | Meaning::Refused => {
                self.lose_all();
                self.failure = Some(code);
            }
        }
    }
}
