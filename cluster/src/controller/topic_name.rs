//! Which names a topic may have, as Kafka decides it.

use thiserror::Error;

/// The longest name, in characters: with a partition's number behind it, it was once a directory's name.
pub const MAX_LENGTH: usize = 249;

/// The topic that holds consumer groups' offsets and memberships.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// The topic that holds the state of transactions.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// The topics that belong to the cluster itself.
pub const INTERNAL: [&str; 2] = [CONSUMER_OFFSETS, TRANSACTION_STATE];

/// The name under which Kafka keeps its own metadata log. No client may create a topic of that name.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Why a name is refused, in Kafka's words.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidTopicName {
    /// The name is empty.
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// The name is `.` or `..`.
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(String),
    /// The name is longer than [`MAX_LENGTH`]. It is not quoted, as it may be very long.
    #[error("Topic name is invalid: its length of {0} is longer than the max allowed length {MAX_LENGTH}")]
    TooLong(usize),
    /// The name has a character that is not allowed.
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Characters(String),
}

/// Whether a topic may be called `name`: 1 to 249 characters out of `[a-zA-Z0-9._-]`, and neither `.` nor `..`.
pub fn check(name: &str) -> Result<(), InvalidTopicName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => Err(InvalidTopicName::Empty),
        "." | ".." => Err(InvalidTopicName::Dots(name.to_owned())),
        _ if name.len() > MAX_LENGTH => Err(InvalidTopicName::TooLong(name.chars().count())),
        _ if !name.bytes().all(allowed) => Err(InvalidTopicName::Characters(name.to_owned())),
        _ => Ok(()),
    }
}

/// A name as metrics have it, which do not tell `.` and `_` apart. Two topics whose names are the same then collide.
pub fn unified(name: &str) -> String {
    name.replace('.', "_")
}

/// Whether another name may collide with this one.
pub fn may_collide(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// Whether the cluster itself owns the topic: clients are told so in Metadata.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_rules_hold() {
        for name in ["a", "A.b_c-9", "...", &"x".repeat(MAX_LENGTH)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        assert_eq!(check(""), Err(InvalidTopicName::Empty));
        assert_eq!(check("."), Err(InvalidTopicName::Dots(".".into())));
        assert_eq!(check(".."), Err(InvalidTopicName::Dots("..".into())));
        assert_eq!(check(&"x".repeat(MAX_LENGTH + 1)), Err(InvalidTopicName::TooLong(MAX_LENGTH + 1)));
        for name in ["a b", "a/b", "\u{e9}", "a\0", "a:b"] {
            assert_eq!(check(name), Err(InvalidTopicName::Characters(name.into())));
        }
    }

    #[test]
    fn dots_and_underscores_collide() {
        let collide = |a, b| unified(a) == unified(b);
        assert!(collide("a.b", "a_b") && may_collide("a.b") && may_collide("a_b"));
        assert!(collide("a.b", "a.b"));
        assert!(!collide("a.b", "a-b") && !may_collide("a-b"));
        assert!(!collide("a.b", "a.bc"));
    }
}
