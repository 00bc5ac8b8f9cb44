//! What happens when: decided by a seed before anything happens, so that a round can be played again.
//!
//! The same seed gives the same faults at the same times. It does not give the same outcome: processes, sockets and clients run
//! as the machine lets them. A failure is found again by playing its seed some times over; the simulation, in which a seed
//! decides everything, is the place for what must come back each time.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use fastrand::Rng;

use super::cut::Cut;
use super::{Family, Fault, Left, PowerCut};
use crate::faulty_disk::{Part, Trouble};

/// What befalls a round, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The faults; none that is on when another of its family strikes.
    pub strikes: Vec<Strike>,
    /// When a member joins each group, and the one that joined first leaves it.
    pub changes: Vec<Duration>,
    /// Whether nodes acknowledge before their disks have synced.
    pub relaxed: bool,
}

/// A fault at its time, from the beginning of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// When it strikes.
    pub at: Duration,
    /// When it is healed.
    pub until: Duration,
    /// What it is.
    pub fault: Fault,
}

/// How long a round goes before anything happens, so that there is something to lose.
pub const WARM_UP: Duration = Duration::from_millis(800);

/// How long a disk may take to sync what has piled up while it was in trouble.
const SYNCED_AGAIN: Duration = Duration::from_secs(3);

/// How long a fault lasts, in ms: from what nobody may notice to what has everybody give up.
const MILLIS: std::ops::Range<u64> = 300..3_500;

impl Plan {
    /// One fault that lasts for so long, and a member that comes and goes meanwhile.
    pub fn one(fault: Fault, lasts: Duration) -> Self {
        let strike = Strike { at: WARM_UP, until: WARM_UP + lasts, fault };
        Self { strikes: vec![strike], changes: vec![WARM_UP + lasts / 2], relaxed: false }
    }

    /// Another fault behind those there are, after a pause.
    #[must_use]
    pub fn then(mut self, fault: Fault, pause: Duration, lasts: Duration) -> Self {
        let end = self.strikes.iter().map(|strike| strike.until).max().unwrap_or(WARM_UP);
        self.strikes.push(Strike { at: end + pause, until: end + pause + lasts, fault });
        self
    }

    /// A random plan for nodes with these ids and about so much time, with faults of these families.
    pub fn random(seed: u64, nodes: &[i32], length: Duration, families: &[Family]) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut plan = Self::default();
        // Nodes reach each other through links or a network of their own, and have small disks or faulty ones.
        let families = without_one_of(&[Family::Links], &[Family::Network], families, &mut rng);
        let families =
            without_one_of(&[Family::Disks], &[Family::Power, Family::Devices], &families, &mut rng);
        for family in &families {
            // A family without faults now and then, so that the others are seen alone.
            if rng.u8(0..4) == 0 && families.len() > 1 {
                continue;
            }
            let mut at = WARM_UP + Duration::from_millis(rng.u64(0..1_500));
            while at < length {
                let mut strikes = draw(*family, nodes, at, &mut rng);
                if plan.wipes() {
                    strikes.iter_mut().for_each(|strike| strike.fault.spare_the_disk());
                }
                let end = strikes.iter().map(|strike| strike.until).max().unwrap_or(at);
                plan.strikes.extend(strikes);
                at = end + Duration::from_millis(rng.u64(50..2_500));
            }
        }
        plan.strikes.sort_by_key(|strike| strike.at);
        let millis = u64::try_from(length.as_millis()).expect("a round is short");
        plan.changes = (0..rng.u8(0..3)).map(|_| Duration::from_millis(rng.u64(0..millis))).collect();
        plan.changes.sort();
        if rng.u8(0..3) == 0 { plan.relaxed() } else { plan }
    }

    /// The same with nodes that acknowledge before their disks have synced. Where a disk is in trouble, nobody knows how much is
    /// not synced; then the power of one node at a time is cut, which loses nothing.
    #[must_use]
    pub fn relaxed(mut self) -> Self {
        let devices = self.strikes.iter().filter(|strike| strike.fault.family() == Family::Devices);
        let troubled = devices.map(|strike| (strike.at, strike.until)).collect::<Vec<_>>();
        for Strike { at, fault, .. } in &mut self.strikes {
            let is_troubled =
                |(from, until): &(Duration, Duration)| *from <= *at && *at <= *until + SYNCED_AGAIN;
            if let Fault::Power(cut) = fault
                && troubled.iter().any(is_troubled)
            {
                cut.nodes.truncate(1);
            }
        }
        self.relaxed = true;
        self
    }

    /// The nodes that forget something when a fault strikes, and whether that is everything.
    pub fn forgetful(&self, fault: &Fault) -> Option<(Vec<i32>, bool)> {
        match fault {
            Fault::Power(cut) if self.relaxed => Some((cut.nodes.clone(), false)),
            Fault::Wipe(node) if self.relaxed => Some((vec![*node], true)),
            _ => None,
        }
    }

    /// The node whose machine starts anew when a fault is healed, so that it forgets what it did not sync since.
    pub fn forgetful_when_healed(&self, fault: &Fault) -> Option<i32> {
        match fault {
            Fault::Device { node, trouble: Trouble::Fail, .. } if self.relaxed => Some(*node),
            _ => None,
        }
    }

    /// Whether a disk is lost.
    fn wipes(&self) -> bool {
        self.strikes.iter().any(|strike| matches!(strike.fault, Fault::Wipe(_)))
    }

    /// Whether there is a fault of this family.
    pub fn has(&self, family: Family) -> bool {
        self.strikes.iter().any(|strike| strike.fault.family() == family)
    }

    /// When the last fault is healed.
    pub fn end(&self) -> Duration {
        let healed = self.strikes.iter().map(|strike| strike.until);
        healed.chain(self.changes.iter().copied()).max().unwrap_or(WARM_UP)
    }
}

/// These families; if there are some of both sides, without those of one side.
fn without_one_of(one: &[Family], other: &[Family], families: &[Family], rng: &mut Rng) -> Vec<Family> {
    let absent = if rng.bool() { one } else { other };
    let both = [one, other].iter().all(|side| side.iter().any(|family| families.contains(family)));
    families.iter().filter(|family| !both || !absent.contains(family)).copied().collect()
}

/// One fault of a family, or several short ones that make one.
fn draw(family: Family, nodes: &[i32], at: Duration, rng: &mut Rng) -> Vec<Strike> {
    let mut shuffled = nodes.to_vec();
    rng.shuffle(&mut shuffled);
    let &[node, other, ..] = &shuffled[..] else { panic!("a cluster of several nodes") };
    let until = at + Duration::from_millis(rng.u64(MILLIS));
    let fault = match family {
        Family::Processes => match rng.u8(0..11) {
            0..3 => Fault::Kill(node),
            3..6 => Fault::Pause(node),
            6..9 => Fault::Terminate(node),
            9 => Fault::Wipe(node),
            _ => Fault::KillAll,
        },
        Family::Links => match rng.u8(0..9) {
            0..6 => Fault::Cut(draw_cut(node, other, rng)),
            6 => return resets(node, at, until, rng),
            _ => {
                let (delay_ms, bytes_per_second) = (rng.u64(5..400), rng.u64(20_000..2_000_000));
                Fault::Slow { node, delay_ms, bytes_per_second }
            }
        },
        Family::Clocks => {
            let day = 86_400;
            let seconds = match rng.u8(0..3) {
                0 => rng.i64(-60..60),
                1 => rng.i64(-day..day),
                _ => rng.i64(-400 * day..400 * day),
            };
            Fault::Clock { node, seconds }
        }
        Family::Disks => {
            Fault::Full { node, left: if rng.bool() { Left::Nothing } else { Left::HalfTheReserve } }
        }
        Family::Power => return power_cuts(&shuffled, at, until, rng),
        Family::Devices => {
            let part = [Part::All, Part::File("db"), Part::File("durable")][rng.usize(0..3)];
            let trouble = match rng.u8(0..6) {
                0 | 1 => Trouble::Slow(Duration::from_millis(rng.u64(5..1_500))),
                2..5 => Trouble::Hang,
                _ => Trouble::Fail,
            };
            // A hang that is noticed takes longer than others need to be.
            let lasts = until - at;
            let lasts = if trouble == Trouble::Hang { lasts * rng.u32(1..4) } else { lasts };
            return vec![Strike { at, until: at + lasts, fault: Fault::Device { node, part, trouble } }];
        }
        Family::Network => match rng.u8(0..9) {
            0..4 => Fault::Drop(draw_cut(node, other, rng)),
            4..6 => Fault::Lossy { node, percent: rng.u8(1..40) },
            _ => Fault::Unplug(node),
        },
    };
    vec![Strike { at, until, fault }]
}

/// One of those cuts that concern two nodes.
fn draw_cut(node: i32, other: i32, rng: &mut Rng) -> Cut {
    match rng.u8(0..6) {
        0 | 1 => Cut::Off(node),
        2 => Cut::Between(node, other),
        3 => Cut::OneWay(node, other),
        4 => Cut::Mute(node),
        _ => Cut::Deaf(node),
    }
}

/// A power cut of one node, two or all, or several of the same nodes while they start.
fn power_cuts(shuffled: &[i32], mut at: Duration, until: Duration, rng: &mut Rng) -> Vec<Strike> {
    let nodes = shuffled[..rng.usize(1..=shuffled.len())].to_vec();
    let again = if rng.u8(0..3) == 0 { rng.u8(1..4) } else { 0 };
    let cut = |at, until, rng: &mut Rng| {
        let restarted = (rng.u8(0..4) == 0).then(|| Duration::from_millis(rng.u64(5..400)));
        let sync_takes = Duration::from_millis(if rng.bool() { rng.u64(1..20) } else { 0 });
        let nodes = nodes.clone();
        let fault =
            Fault::Power(PowerCut { nodes, restarted_before: restarted, sync_takes, seed: rng.u64(..) });
        Strike { at, until, fault }
    };
    let mut strikes = vec![cut(at, until, rng)];
    at = until;
    for _ in 0..again {
        at += Duration::from_millis(rng.u64(5..600));
        let until = at + Duration::from_millis(rng.u64(1..50));
        strikes.push(cut(at, until, rng));
        at = until;
    }
    strikes
}

/// Short breaks of a node's connections, one after the other.
fn resets(node: i32, mut at: Duration, end: Duration, rng: &mut Rng) -> Vec<Strike> {
    let mut strikes = Vec::new();
    while at < end {
        let until = at + Duration::from_millis(rng.u64(5..60));
        strikes.push(Strike { at, until, fault: Fault::Resets(node) });
        at = until + Duration::from_millis(rng.u64(50..400));
    }
    strikes
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.relaxed {
            writeln!(f, "  nodes acknowledge before their disks have synced")?;
        }
        for Strike { at, until, fault } in &self.strikes {
            writeln!(f, "  {:5} to {:5} ms: {fault}", at.as_millis(), until.as_millis())?;
        }
        for change in &self.changes {
            writeln!(f, "  {:5} ms: a member joins each group, the first one leaves", change.as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: [Family; 7] = [
        Family::Processes,
        Family::Links,
        Family::Clocks,
        Family::Disks,
        Family::Power,
        Family::Devices,
        Family::Network,
    ];

    fn plan(seed: u64) -> Plan {
        Plan::random(seed, &[1, 2, 3], Duration::from_secs(10), &FAMILIES)
    }

    #[test]
    fn a_seed_gives_the_same_plan_each_time() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn faults_of_one_family_do_not_overlap() {
        for seed in 0..200 {
            let plan = plan(seed);
            for family in FAMILIES {
                let ours = plan.strikes.iter().filter(|strike| strike.fault.family() == family);
                let ours = ours.collect::<Vec<_>>();
                assert!(ours.windows(2).all(|pair| pair[0].until <= pair[1].at), "seed {seed}:\n{plan}");
            }
        }
    }

    #[test]
    fn one_disk_is_lost_at_most_and_nodes_reach_each_other_in_one_way() {
        let mut seen = [0; 3];
        for seed in 0..200 {
            let plan = plan(seed);
            let wiped = plan.strikes.iter().filter(|strike| matches!(strike.fault, Fault::Wipe(_))).count();
            let ways = [plan.has(Family::Links), plan.has(Family::Network)];
            assert!(wiped <= 1 && ways != [true, true], "seed {seed}:\n{plan}");
            seen = [seen[0] + wiped, seen[1] + usize::from(ways[0]), seen[2] + usize::from(ways[1])];
        }
        assert!(seen.iter().all(|seen| *seen > 20), "each comes now and then: {seen:?}");
    }

    #[test]
    fn disks_are_small_or_faulty() {
        let plans = (0..200).map(plan);
        let small = plans.map(|plan| {
            let (small, faulty) =
                (plan.has(Family::Disks), plan.has(Family::Power) || plan.has(Family::Devices));
            assert!(!small || !faulty, "{plan}");
            [small, faulty]
        });
        let seen = small.collect::<std::collections::BTreeSet<_>>();
        assert!(seen.contains(&[true, false]) && seen.contains(&[false, true]));
    }

    #[test]
    fn relaxed_nodes_come_now_and_then_and_lose_power_together() {
        let plans = (0..200).map(plan).filter(|plan| plan.relaxed).collect::<Vec<_>>();
        let cuts = plans.iter().flat_map(|plan| &plan.strikes).filter_map(|strike| match &strike.fault {
            Fault::Power(cut) => Some(cut.nodes.len()),
            _ => None,
        });
        assert!(plans.len() > 40 && cuts.filter(|nodes| *nodes > 1).count() > 20);
    }

    #[test]
    fn where_a_disk_hangs_relaxed_nodes_lose_power_one_at_a_time() {
        let hang = Fault::Device { node: 1, part: Part::All, trouble: Trouble::Hang };
        let (nodes, restarted_before, sync_takes) = (vec![1, 2], None, Duration::ZERO);
        let cut = Fault::Power(PowerCut { nodes, restarted_before, sync_takes, seed: 1 });
        let second = Duration::from_secs(1);
        let plan = Plan::one(hang, second).then(cut.clone(), second, second).then(cut, 5 * second, second);
        let plan = plan.relaxed();
        let cuts = plan.strikes[1..].iter().map(|strike| plan.forgetful(&strike.fault).unwrap().0.len());
        assert_eq!(cuts.collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn every_fault_has_its_end() {
        for seed in 0..200 {
            let plan = plan(seed);
            assert!(plan.strikes.iter().all(|strike| strike.at < strike.until && strike.until <= plan.end()));
        }
    }
}
