//! Whether what this node shows of its partitions may be answered: whether it leads them, as their other replicas say.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Node;
use crate::driver::inbox::Input;
use crate::ids::{LeaderEpoch, RaftGroupId};

impl Node {
    /// Asks the other replicas of these groups which of them this node leads: a message there and back for all of them
    /// together, and none for a group of one or two. The question is put at once; the future resolves with the answer, a
    /// second later at the most. Dropping it changes nothing.
    ///
    /// A leader that was cut off or stood still shows what it knew while another one has been elected and answers. So
    /// whatever is answered from a replica's [status](crate::replica::Replica::status) has to be covered by a
    /// confirmation that was asked for after the request came. The status may be read before or after that, as its epoch
    /// tells whether it is [covered](Confirmed::covers).
    pub fn confirm(&self, groups: Vec<RaftGroupId>) -> ConfirmFuture {
        if groups.is_empty() {
            return ConfirmFuture(None);
        }
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.push(Input::Confirm(groups, reply));
        ConfirmFuture(Some(answer))
    }
}

/// The leaderships that were confirmed.
#[derive(Clone, Debug, Default)]
pub struct Confirmed {
    /// In the order of the groups.
    led: Vec<(RaftGroupId, LeaderEpoch)>,
}

impl Confirmed {
    fn new(mut led: Vec<(RaftGroupId, LeaderEpoch)>) -> Self {
        led.sort_unstable_by_key(|(group, _)| *group);
        Self { led }
    }

    /// Whether what this node showed of a group while it led in `epoch` holds everything that anybody had acknowledged
    /// when the confirmation was asked for. It does in the epoch that was confirmed, and in any that followed, as a leader
    /// begins with everything that was acknowledged before it.
    #[must_use]
    pub fn covers(&self, group: RaftGroupId, epoch: LeaderEpoch) -> bool {
        let found = self.led.binary_search_by_key(&group, |(group, _)| *group);
        found.is_ok_and(|at| self.led[at].1 <= epoch)
    }
}

/// The answer to [`Node::confirm`].
#[derive(Debug)]
pub struct ConfirmFuture(Option<oneshot::Receiver<Vec<(RaftGroupId, LeaderEpoch)>>>);

impl Future for ConfirmFuture {
    type Output = Confirmed;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = &mut self.0 else { return Poll::Ready(Confirmed::default()) };
        // A node that has ended leads nothing.
        Pin::new(answer).poll(context).map(|led| Confirmed::new(led.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_covered_from_the_confirmed_one_on() {
        let confirmed =
            Confirmed::new(vec![(RaftGroupId(9), LeaderEpoch(4)), (RaftGroupId(2), LeaderEpoch(3))]);
        let covers = |group, epoch| confirmed.covers(RaftGroupId(group), LeaderEpoch(epoch));
        assert!(covers(2, 3) && covers(2, 4) && covers(9, 4));
        assert!(!covers(2, 2), "an older reign, after which somebody else may have led");
        assert!(!covers(3, 9), "never asked for, or not led");
    }
}
