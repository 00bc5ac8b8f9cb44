//! What breaks. Each simulation has a climate, in which some kinds of faults occur and others do not: a storm of
//! everything at once would hide what one kind alone brings about.

use std::time::Duration;

use super::network::{Link, Weather};
use super::random::Random;
use crate::ids::NodeId;

/// Something that breaks, and may mend after a while.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The process is gone, with all that it had not synced; its peers' connections are reset.
    Kill(NodeId),
    /// The machine is gone, and with it what its kernel had not written; its peers hear nothing.
    PowerCut(NodeId),
    /// All machines but one are gone at once.
    PowerCutTwo(NodeId),
    /// All machines are gone at once.
    Blackout,
    /// The process is gone, and so is its disk; another one takes its place.
    Wipe(NodeId),
    /// The process is told to end.
    Stop(NodeId),
    /// The process stands still.
    Pause(NodeId),
    /// The clock jumps ahead, as when a machine was suspended.
    Jump(NodeId),
    /// The wall clock is put somewhere else.
    SetWallClock(NodeId),
    /// Nothing arrives on one link.
    CutLink(Link),
    /// Nothing arrives at or from a node.
    CutOff(NodeId),
    /// Connections are reset and made anew.
    Reset(Link),
    /// Syncs take long, and in some simulations the node's driver waits for them.
    SlowDisk(NodeId),
    /// The next sync fails.
    FailSync(NodeId),
    /// The disk runs full.
    FillDisk(NodeId),
    /// Frames are lost, late, doubled or out of order.
    Storm(Weather),
}

/// The kinds of faults, for a climate to choose from.
#[derive(Clone, Copy)]
enum Kind {
    Kill,
    PowerCut,
    PowerCutTwo,
    Blackout,
    Wipe,
    Stop,
    Pause,
    Jump,
    SetWallClock,
    CutLink,
    CutOff,
    Reset,
    SlowDisk,
    FailSync,
    FillDisk,
    Storm,
}

const KINDS: [Kind; 16] = [
    Kind::Kill,
    Kind::PowerCut,
    Kind::PowerCutTwo,
    Kind::Blackout,
    Kind::Wipe,
    Kind::Stop,
    Kind::Pause,
    Kind::Jump,
    Kind::SetWallClock,
    Kind::CutLink,
    Kind::CutOff,
    Kind::Reset,
    Kind::SlowDisk,
    Kind::FailSync,
    Kind::FillDisk,
    Kind::Storm,
];

/// What breaks in one simulation, and how often.
pub(super) struct Climate {
    kinds: Vec<Kind>,
    /// The longest time between two faults, in milliseconds.
    calm: u64,
    /// The longest time that a request or an answer is on its way between a client and a node, in microseconds.
    pub(super) client_delay: u64,
}

impl Climate {
    pub(super) fn new(random: &mut Random) -> Self {
        let kinds: Vec<Kind> = KINDS.into_iter().filter(|_| random.chance(400)).collect();
        let kinds = if kinds.is_empty() { KINDS.to_vec() } else { kinds };
        let client_delay = random.pick(&[2_000, 2_000, 30_000, 150_000]).unwrap_or(2_000);
        Self { kinds, calm: random.between(300, 2_000), client_delay }
    }

    /// The time until the next fault.
    pub(super) fn pause(&self, random: &mut Random) -> Duration {
        random.millis(20, self.calm)
    }

    /// The next fault.
    pub(super) fn next(&self, nodes: &[NodeId], random: &mut Random) -> Fault {
        let node = random.pick(nodes).expect("there are nodes");
        let others: Vec<NodeId> = nodes.iter().copied().filter(|other| *other != node).collect();
        let link = (node, random.pick(&others).expect("there are several nodes"));
        match random.pick(&self.kinds).expect("a climate has kinds of faults") {
            Kind::Kill => Fault::Kill(node),
            Kind::PowerCut => Fault::PowerCut(node),
            Kind::PowerCutTwo => Fault::PowerCutTwo(node),
            Kind::Blackout => Fault::Blackout,
            Kind::Wipe => Fault::Wipe(node),
            Kind::Stop => Fault::Stop(node),
            Kind::Pause => Fault::Pause(node),
            Kind::Jump => Fault::Jump(node),
            Kind::SetWallClock => Fault::SetWallClock(node),
            Kind::CutLink => Fault::CutLink(link),
            Kind::CutOff => Fault::CutOff(node),
            Kind::Reset => Fault::Reset(link),
            Kind::SlowDisk => Fault::SlowDisk(node),
            Kind::FailSync => Fault::FailSync(node),
            Kind::FillDisk => Fault::FillDisk(node),
            Kind::Storm => Fault::Storm(storm(random)),
        }
    }
}

fn storm(random: &mut Random) -> Weather {
    Weather {
        loss: random.pick(&[0, 10, 100, 300]).unwrap_or(0),
        doubles: random.pick(&[0, 20, 200]).unwrap_or(0),
        reorders: random.chance(500),
        delay: random.pick(&[2_000, 20_000, 200_000]).unwrap_or(2_000),
    }
}
