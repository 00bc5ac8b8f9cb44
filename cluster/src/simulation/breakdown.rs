//! What faults do to the world, and how it is put right again.

use std::time::Duration;

use super::disk::{Disk, Space};
use super::event::Event;
use super::fault::Fault;
use super::hardship::STANDS_STILL;
use super::invariants::Violation;
use super::network::{Link, Weather};
use super::node::{Input, Node, Process};
use super::observation::Observation;
use super::world::World;
use crate::ids::NodeId;
use crate::transport::PeerEvent;

impl World {
    /// Plans the next fault and the one after it.
    pub(super) fn next_fault(&mut self) {
        if self.is_calm {
            return;
        }
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let fault = self.climate.next(&nodes, &mut self.random);
        self.schedule.at(self.now, Event::Break(fault));
        let pause = self.climate.pause(&mut self.random);
        self.schedule.at(self.now + pause, Event::NextFault);
    }

    /// Something breaks.
    pub(super) fn break_down(&mut self, fault: Fault) -> Result<(), Violation> {
        if self.is_calm {
            return Ok(());
        }
        self.trace.tell(self.now, format_args!("{fault:?}"));
        match fault {
            Fault::Kill(node) => self.crash(node, true),
            Fault::PowerCut(node) => self.lose_power(node),
            Fault::Blackout => {
                for node in self.nodes.keys().copied().collect::<Vec<_>>() {
                    self.lose_power(node);
                }
            }
            Fault::PowerCutTwo(node) => {
                for node in self.peers_of(node) {
                    self.lose_power(node);
                }
            }
            Fault::Wipe(node) => return self.wipe(node),
            Fault::Stop(node) => {
                let life = self.nodes[&node].life;
                self.schedule.at(self.now, Event::Input { node, life, input: Input::Stop });
            }
            Fault::Pause(node) => self.pause(node),
            Fault::Jump(node) => {
                let by = self.random.millis(100, 10_000);
                if let Some(process) = self.process(node) {
                    process.clock.jump(by);
                    self.jumped += by;
                }
            }
            Fault::SetWallClock(node) => {
                let day = 86_400_000;
                let to = i64::try_from(self.random.below(2 * day)).expect("a few days");
                if let Some(process) = self.process(node) {
                    process.clock.jump_wall(to - 86_400_000);
                }
            }
            Fault::CutLink(link) => self.cut(&[link], fault),
            Fault::CutOff(node) => self.cut(&self.links_of(node), fault),
            Fault::Reset(link) => self.reset(link),
            Fault::SlowDisk(node) => {
                let slow = self.random.between(20_000, 900_000);
                if self.drivers_wait {
                    self.hold_driver(node, STANDS_STILL);
                } else if let Some(node) = self.nodes.get_mut(&node) {
                    node.disk.lag = (slow / 2, slow);
                }
                self.mend_later(fault);
            }
            Fault::FailSync(node) => {
                if let Some(node) = self.nodes.get_mut(&node).filter(|node| node.process().is_some()) {
                    node.disk.failing = true;
                }
            }
            Fault::FillDisk(node) => {
                self.fill_disk(node);
                self.mend_later(fault);
            }
            Fault::Storm(weather) => {
                self.network.weather = weather;
                self.mend_later(fault);
            }
        }
        Ok(())
    }

    /// Ends a process without a word, and its disk is lost, unless somebody else's is not made up for yet, or it holds the
    /// only copy of something.
    fn wipe(&mut self, id: NodeId) -> Result<(), Violation> {
        let has_rejoined = |id: &NodeId| self.nodes[id].process().is_some_and(|p| p.shard.has_rejoined());
        self.bereft = self.bereft.filter(|bereft| !has_rejoined(bereft));
        let holds_only_copies_of_none = |process: &Process| {
            process.shard.has_rejoined() && process.shard.group_views().all(|view| view.voters().len() > 1)
        };
        let may_lose = self.nodes[&id].process().is_some_and(holds_only_copies_of_none);
        if self.bereft.is_some() || !may_lose {
            return Ok(());
        }
        let heard = self.random.chance(700);
        self.crash(id, heard);
        self.trace.tell(self.now, format_args!("{id} loses its disk"));
        self.bereft = Some(id);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.disk.wipe();
            node.forgot = true;
        }
        self.invariants.observe(&Observation::Wiped { node: id })
    }

    /// A disk has less room than its node wants, or none at all, which ends the process.
    fn fill_disk(&mut self, id: NodeId) {
        let is_full = self.random.chance(300);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.disk.space = if is_full { Space::Nothing } else { Space::Scarce };
        }
        if is_full {
            self.crash(id, true);
        }
    }

    fn process(&mut self, node: NodeId) -> Option<&mut Process> {
        self.nodes.get_mut(&node).and_then(Node::process_mut)
    }

    fn pause(&mut self, id: NodeId) {
        let end = self.now + self.random.millis(50, 3_000);
        self.pause_until(id, end);
    }

    /// The process stands still until `end`, or somebody lets it go on.
    pub(super) fn pause_until(&mut self, id: NodeId, end: Duration) {
        let life = self.nodes[&id].life;
        let Some(process) = self.process(id).filter(|process| process.paused.is_none()) else { return };
        process.paused = Some(Vec::new());
        self.schedule.at(end, Event::Resume { node: id, life });
    }

    fn mend_later(&mut self, fault: Fault) {
        let after = self.random.millis(50, 4_000);
        self.schedule.at(self.now + after, Event::Mend(fault));
    }

    fn links_of(&self, node: NodeId) -> Vec<Link> {
        self.peers_of(node).into_iter().flat_map(|peer| [(node, peer), (peer, node)]).collect()
    }

    fn cut(&mut self, links: &[Link], fault: Fault) {
        for link in links {
            self.network.cut(*link);
        }
        self.mend_later(fault);
    }

    /// Connections do not survive for ever what loses their frames: they are made anew.
    fn reset(&mut self, link: Link) {
        self.network.disconnect(link);
        self.peer_event(link, Duration::ZERO, PeerEvent::Disconnected);
        self.connect_soon(link);
    }

    /// Puts right what a fault did.
    pub(super) fn mend(&mut self, fault: Fault) {
        match fault {
            Fault::CutLink(link) => self.mend_links(&[link]),
            Fault::CutOff(node) => self.mend_links(&self.links_of(node)),
            Fault::SlowDisk(node) => {
                if let Some(node) = self.nodes.get_mut(&node) {
                    (node.disk.lag, node.disk.holds_driver) = (Disk::QUICK, false);
                }
            }
            Fault::FillDisk(node) => {
                if let Some(full) = self.nodes.get_mut(&node) {
                    full.disk.space = Space::Enough;
                }
                self.schedule.at(self.now, Event::Start { node });
            }
            Fault::Storm(_) => {
                self.network.weather = Weather::FAIR;
                for link in self.links() {
                    self.reset(link);
                }
            }
            _ => {}
        }
    }

    fn mend_links(&mut self, links: &[Link]) {
        for link in links {
            if self.network.mend(*link) {
                self.trace.tell(self.now, format_args!("{}->{} is mended", link.0, link.1));
                self.reset(*link);
            }
        }
    }

    fn links(&self) -> Vec<Link> {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        nodes.iter().flat_map(|from| self.peers_of(*from).into_iter().map(|to| (*from, to))).collect()
    }

    /// From now on nothing breaks, and everything that was broken is put right.
    pub(super) fn calm_down(&mut self) -> Result<(), Violation> {
        self.trace.tell(self.now, "all faults end");
        self.is_calm = true;
        self.network.weather = Weather::FAIR;
        for link in self.links() {
            self.network.mend(link);
            self.reset(link);
        }
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            if let Some(node) = self.nodes.get_mut(&id) {
                (node.disk.lag, node.disk.holds_driver) = (Disk::QUICK, false);
                node.disk.failing = false;
                node.disk.space = Space::Enough;
                let life = node.life;
                self.schedule.at(self.now, Event::Resume { node: id, life });
            }
            self.start(id)?;
        }
        Ok(())
    }
}
