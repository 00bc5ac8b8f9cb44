//! What a control batch says: the one record that ends a transaction in a partition (KIP-98).

/// The record of a control batch, as its key names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRecord {
    /// The producer's transaction was aborted: its records before this one are not for `read_committed`.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// Another kind, of no meaning to a consumer (KRaft writes some).
    Other(i16),
}

impl ControlRecord {
    /// Reads the key of a control record: `version i16, type i16`. `None` if it is too short or null.
    #[must_use]
    pub fn parse(key: Option<&[u8]>) -> Option<Self> {
        let key = key?.first_chunk::<4>()?;
        Some(match i16::from_be_bytes([key[2], key[3]]) {
            0 => Self::Abort,
            1 => Self::Commit,
            other => Self::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_names_the_kind() {
        assert_eq!(ControlRecord::parse(Some(&[0, 0, 0, 0])), Some(ControlRecord::Abort));
        assert_eq!(ControlRecord::parse(Some(&[0, 9, 0, 1, 7])), Some(ControlRecord::Commit));
        assert_eq!(ControlRecord::parse(Some(&[0, 0, 0, 5])), Some(ControlRecord::Other(5)));
        assert_eq!(ControlRecord::parse(Some(&[0, 0, 0])), None);
        assert_eq!(ControlRecord::parse(None), None);
    }
}
