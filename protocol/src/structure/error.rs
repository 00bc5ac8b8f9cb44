//! What can be wrong with the structure of a message, and where.

use thiserror::Error;

/// A message whose bytes do not have the shape of its API and version.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{path} at byte {offset}: {fault}")]
pub struct StructureError {
    /// The field, with the structures and elements around it: `topics[2].partitions`.
    pub(super) path: String,
    /// What is wrong with it.
    pub(super) fault: Fault,
    /// Where the fault was seen, in bytes from the start of what was checked.
    pub(super) offset: usize,
}

/// What is wrong with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The value needs more bytes than the frame still has.
    #[error("{needed} bytes needed, {remaining} left")]
    Truncated {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that the frame still has.
        remaining: usize,
    },
    /// A length or count below -1.
    #[error("length {0}")]
    NegativeLength(i32),
    /// The byte before a nullable structure says neither present (1) nor null (-1).
    #[error("presence byte {0}")]
    Presence(i8),
    /// Null where the API has none.
    #[error("null is not allowed here")]
    Null,
    /// A count of elements that could not fit into the rest of the frame even if each were as short as
    /// possible.
    #[error("{count} elements cannot fit into {remaining} bytes")]
    CountBeyondFrame {
        /// Elements announced.
        count: usize,
        /// Bytes that the frame still has.
        remaining: usize,
    },
    /// More elements in one message than anybody has reason to send.
    #[error("more than {0} elements in one message")]
    TooManyElements(usize),
    /// A string that is longer than any string may be.
    #[error("string of {0} bytes")]
    StringTooLong(usize),
    /// An unsigned varint of more than 32 bits.
    #[error("varint of more than 32 bits")]
    VarintTooLong,
    /// A tagged field whose content is shorter than its announced size.
    #[error("tagged field of {announced} bytes ends after {actual}")]
    TagSize {
        /// The size that stands before the content.
        announced: usize,
        /// The size of the content itself.
        actual: usize,
    },
}

impl StructureError {
    /// The same fault, told from one level further out: `name` is the field or `[index]` that holds it.
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        if !self.path.is_empty() && !self.path.starts_with('[') {
            self.path.insert(0, '.');
        }
        self.path.insert_str(0, name);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_from_the_outside_in() {
        let fault = StructureError { path: String::new(), fault: Fault::Null, offset: 7 };
        let told =
            fault.within("records").within("[1]").within("partition_data").within("[0]").within("topic_data");
        assert_eq!(
            told.to_string(),
            "topic_data[0].partition_data[1].records at byte 7: null is not allowed here"
        );
    }
}
