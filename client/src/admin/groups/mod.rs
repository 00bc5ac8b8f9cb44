//! Groups of both protocols: listed, described, deleted; their offsets listed, altered, deleted, reset.

mod delete;
mod describe;
mod list;
mod offsets;
mod reset;

pub use self::describe::{GroupDescription, MemberDescription};
pub use self::list::{GroupFilter, GroupListing, GroupsListed};
pub use self::reset::{PlannedReset, ResetTo};
