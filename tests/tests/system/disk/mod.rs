//! Disks that are full, files that are lost, bytes that are not what was written.

mod damaged;
mod full;
mod lost;
