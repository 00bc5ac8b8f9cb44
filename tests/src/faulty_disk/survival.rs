//! How much of what was not synced a power cut leaves.

use fastrand::Rng;

/// A way to lose changes, drawn for each file and for the names of each disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survival {
    /// All of it is lost.
    Nothing,
    /// All of it was on its way in time.
    Everything,
    /// What came first, as with a journal.
    First,
    /// So many of a hundred, in no order.
    Some(u8),
}

impl Survival {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        match rng.u8(0..10) {
            0..3 => Self::Nothing,
            3 => Self::Everything,
            4..6 => Self::First,
            _ => Self::Some([3, 30, 50, 90][rng.usize(0..4)]),
        }
    }

    /// How many of the first changes survive for sure.
    pub(super) fn prefix(self, changes: usize, rng: &mut Rng) -> usize {
        match self {
            Self::Nothing | Self::Some(_) => 0,
            Self::Everything => changes,
            Self::First => rng.usize(0..=changes),
        }
    }

    /// Whether a change behind those survives.
    pub(super) fn keeps(self, rng: &mut Rng) -> bool {
        match self {
            Self::Some(percent) => rng.u8(0..100) < percent,
            Self::Nothing | Self::Everything | Self::First => false,
        }
    }
}
