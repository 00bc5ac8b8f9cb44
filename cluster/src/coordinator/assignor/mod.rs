//! Assignors of the consumer protocol: who gets which partition, as pure functions (KIP-848).
