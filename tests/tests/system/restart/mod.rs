//! Nodes that die, hang, come back, and what is left: every acknowledged write, once.

mod all_nodes;
mod converge;
mod deleted;
mod disk;
mod leaders;
mod leadership_lost;
mod long_state;
mod quorum;
mod relaxed;
mod stops;
mod too_early;
mod truncated;
mod wiped;
