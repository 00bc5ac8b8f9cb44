//! The states of a transaction, by the names that ListTransactions filters by (KIP-664).

/// All of them, in Kafka's spelling. Brokers tell of other names that they do not know them.
pub const TRANSACTION_STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "PrepareEpochFence",
    "Dead",
];
