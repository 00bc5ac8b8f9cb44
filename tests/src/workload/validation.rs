//! A fault of librdkafka's by which a member goes back: it takes its own progress for a truncation.
//!
//! When a partition's leader has changed, the member asks where the epoch of its position ends. librdkafka (2.12.1) may read on into the
//! next epoch before the answer comes, compares the answer with where it is by then, and goes back to the end of the old epoch:
//!
//! ```text
//!   member ── at offset 300 of epoch 4: where does epoch 4 end? ──▶ leader
//!   member ◀── records 300 to 563, of epochs 4 and 5 ── leader
//!   member ◀── at 305 ── leader             305 < 564: back to 305
//! ```
//!
//! A truncation would end the epoch *before* the position that was asked about. So the fault is the library's where the answer is not
//! below that position. It tells both in its log, and nowhere else.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::diary::lock;
use crate::history::Place;

/// What a member has asked about, by its log.
#[derive(Debug)]
pub(super) struct Validations {
    topic: String,
    /// The position that it asked about last, by partition.
    asked: Mutex<BTreeMap<i32, i64>>,
}

impl Validations {
    /// Of a member that reads this topic, and has asked about nothing yet.
    pub(super) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), asked: Mutex::default() }
    }

    /// A line of librdkafka's log. Where the member goes back to by its own fault, if the line says so.
    pub(super) fn said(&self, facility: &str, message: &str) -> Option<(Place, i64)> {
        match facility {
            "VALIDATE" => {
                let (partition, position) = position(message, "]: querying broker for epoch validation of ")?;
                lock(&self.asked).insert(partition, position);
                None
            }
            "CONSUMER" if message.contains("Seek ") => {
                let (partition, offset) = position(message, "] to ")?;
                let asked = lock(&self.asked).get(&partition).copied();
                asked
                    .is_some_and(|asked| asked <= offset)
                    .then(|| (Place::new(&self.topic, partition), offset))
            }
            _ => None,
        }
    }
}

/// The partition and the offset in a line such as `topic [3]: querying … of offset 17 (leader epoch 2): …`, with these words behind
/// the partition.
fn position(message: &str, words: &str) -> Option<(i32, i64)> {
    let (before, behind) = message.split_once(words)?;
    let (_, partition) = before.rsplit_once('[')?;
    let (offset, _) = behind.strip_prefix("offset ")?.split_once(' ')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKS: &str = "[thrd:main]: localhost:9092/1: round [2]: querying broker for epoch validation of offset 300 \
                        (leader epoch 4): epoch bump";

    fn seeks(offset: &str) -> String {
        format!("[thrd:main]: Seek round [2] to {offset} (leader epoch 4) (v7)")
    }

    #[test]
    fn progress_taken_for_a_truncation() {
        let validations = Validations::new("round");
        assert_eq!(validations.said("VALIDATE", ASKS), None);
        let back = Some((Place::new("round", 2), 305));
        assert_eq!(validations.said("CONSUMER", &seeks("offset 305")), back);
    }

    #[test]
    fn a_truncation() {
        let validations = Validations::new("round");
        assert_eq!(validations.said("VALIDATE", ASKS), None);
        assert_eq!(validations.said("CONSUMER", &seeks("offset 299")), None);
        assert_eq!(validations.said("CONSUMER", &seeks("offset BEGINNING")), None);
    }

    #[test]
    fn nothing_was_asked() {
        let validations = Validations::new("round");
        assert_eq!(validations.said("CONSUMER", &seeks("offset 305")), None);
        let other = ASKS.replace("[2]", "[1]");
        assert_eq!(validations.said("VALIDATE", &other), None);
        assert_eq!(validations.said("CONSUMER", &seeks("offset 305")), None, "of another partition");
    }
}
