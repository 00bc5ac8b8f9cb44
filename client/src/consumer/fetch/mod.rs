//! Fetching, as pure machines: what a broker is asked for, and what waits for the application.

pub mod prefetch;
pub mod readable;
pub mod session;
