//! What an attack cost.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::memory::Memory;
use super::probe::Felt;

/// What an acknowledgement of the probe may take at most, whatever the attack.
pub const WORST_ACKNOWLEDGEMENT: Duration = Duration::from_secs(1);

/// The outcome of a scenario.
#[derive(Debug, Clone)]
pub struct Report {
    /// The scenario's name.
    pub scenario: &'static str,
    /// What the probe felt.
    pub felt: Felt,
    /// What the nodes took.
    pub memory: Memory,
}

impl Report {
    /// The head of the table that [`Report::row`] makes a row of.
    pub const HEAD: &str = "| scenario | worst acknowledgement | worst delivery | failed attempts | a node's memory before, at its \
                            peak, after | |\n| --- | ---: | ---: | ---: | --- | --- |";

    /// A row of a Markdown table.
    pub fn row(&self) -> String {
        let Self { scenario, felt, .. } = self;
        let (acknowledged, delivered) =
            (felt.worst_acknowledgement.as_millis(), felt.worst_delivery.as_millis());
        let nodes: Vec<String> = self.memory_by_node().collect();
        let missed = self.missed().join(", ");
        let (failed, nodes) = (felt.failed_attempts, nodes.join("; "));
        format!("| {scenario} | {acknowledged} ms | {delivered} ms | {failed} | {nodes} | {missed} |")
    }

    fn memory_by_node(&self) -> impl Iterator<Item = String> {
        let mb = |bytes: u64| bytes / 1_000_000;
        self.memory.nodes.iter().map(move |(id, memory)| {
            format!("{id}: {}, {}, {} MB", mb(memory.before), mb(memory.peak), mb(memory.after))
        })
    }

    /// What is not as wanted, in words.
    pub fn missed(&self) -> Vec<&'static str> {
        let conditions = [
            (self.felt.worst_acknowledgement <= WORST_ACKNOWLEDGEMENT, "**slow**"),
            (self.memory.is_bounded(), "**too much memory**"),
            (self.memory.is_settled(), "**memory is kept**"),
        ];
        conditions.into_iter().filter(|(holds, _)| !holds).map(|(_, missed)| missed).collect()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { scenario, felt, .. } = self;
        let nodes: Vec<String> = self.memory_by_node().collect();
        write!(
            f,
            "{scenario}: {} records, {} failed attempts, worst acknowledgement {} ms, worst delivery {} ms; memory {} {}",
            felt.acknowledged,
            felt.failed_attempts,
            felt.worst_acknowledgement.as_millis(),
            felt.worst_delivery.as_millis(),
            nodes.join("; "),
            self.missed().join(", ")
        )
    }
}
