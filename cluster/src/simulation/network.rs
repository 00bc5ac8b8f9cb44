//! The network between nodes: what is lost, late, doubled or out of order, and which links are cut.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::random::Random;
use crate::ids::NodeId;

/// From whom, to whom.
pub(super) type Link = (NodeId, NodeId);

/// How well frames travel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// How many of a thousand frames are lost without a trace.
    pub(super) loss: u64,
    /// How many of a thousand arrive twice.
    pub(super) doubles: u64,
    /// Whether a frame may overtake those sent before it.
    pub(super) reorders: bool,
    /// The longest time on the way, in microseconds.
    pub(super) delay: u64,
}

impl Weather {
    /// As within one data centre.
    pub(super) const FAIR: Self = Self { loss: 0, doubles: 0, reorders: false, delay: 1_000 };
}

/// The links.
pub(super) struct Network {
    pub(super) weather: Weather,
    cut: BTreeSet<Link>,
    /// The links on which a connection stands, as its sender's transport knows.
    connected: BTreeSet<Link>,
    /// When the last frame of a link arrives.
    last_arrival: BTreeMap<Link, Duration>,
}

/// The shortest time that a frame is on its way, in microseconds.
const MIN_DELAY: u64 = 50;

impl Network {
    pub(super) const fn new() -> Self {
        Self {
            weather: Weather::FAIR,
            cut: BTreeSet::new(),
            connected: BTreeSet::new(),
            last_arrival: BTreeMap::new(),
        }
    }

    /// When a frame that is sent now arrives: never, once or twice.
    pub(super) fn arrivals(&mut self, link: Link, now: Duration, random: &mut Random) -> Vec<Duration> {
        if self.cut.contains(&link) || random.chance(self.weather.loss) {
            return Vec::new();
        }
        let copies = if random.chance(self.weather.doubles) { 2 } else { 1 };
        (0..copies).map(|_| self.arrival(link, now, random)).collect()
    }

    fn arrival(&mut self, link: Link, now: Duration, random: &mut Random) -> Duration {
        let at = now + random.micros(MIN_DELAY, self.weather.delay);
        let last = self.last_arrival.entry(link).or_default();
        if self.weather.reorders {
            return at;
        }
        *last = at.max(*last);
        *last
    }

    pub(super) fn cut(&mut self, link: Link) {
        self.cut.insert(link);
    }

    /// The link carries frames again. Returns whether it did not before.
    pub(super) fn mend(&mut self, link: Link) -> bool {
        self.cut.remove(&link)
    }

    pub(super) fn is_cut(&self, link: Link) -> bool {
        self.cut.contains(&link)
    }

    pub(super) fn connect(&mut self, link: Link) {
        self.connected.insert(link);
    }

    pub(super) fn disconnect(&mut self, link: Link) {
        self.connected.remove(&link);
    }

    pub(super) fn is_connected(&self, link: Link) -> bool {
        self.connected.contains(&link)
    }
}
