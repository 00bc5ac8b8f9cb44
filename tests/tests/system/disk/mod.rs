//! Disks that are full or hang, files that are lost, bytes that are not what was written.

mod damaged;
mod full;
mod hanging;
mod lost;
