//! What no correct client and no careful operator sends. Each gets Kafka's error code, a closed connection or one clear
//! line; no node dies of it, and none grows without bound.

mod batches;
mod command_line;
mod connections;
mod frames;
mod peers;
mod start;
