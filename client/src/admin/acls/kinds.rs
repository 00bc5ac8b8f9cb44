//! The words of access rules, with the numbers by which the protocol writes them.

use std::fmt;
use std::str::FromStr;

/// In a filter, this number matches any value.
pub(super) const ANY: i8 = 1;

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AclResource {
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
    /// The cluster itself, whose name is `kafka-cluster`.
    Cluster,
    /// A transactional id.
    TransactionalId,
    /// A delegation token.
    DelegationToken,
    /// A user, whose tokens others may make.
    User,
    /// One that this client does not know.
    Other(i8),
}

/// How the name in a rule is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AclPattern {
    /// The resource of this name; the name `*` matches all.
    Literal,
    /// All resources whose name begins like this.
    Prefixed,
    /// One that this client does not know.
    Other(i8),
}

/// What a rule allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "Kafka's documentation says which requests need which of them")]
pub enum AclOperation {
    All,
    Read,
    Write,
    Create,
    Delete,
    Alter,
    Describe,
    ClusterAction,
    DescribeConfigs,
    AlterConfigs,
    IdempotentWrite,
    CreateTokens,
    DescribeTokens,
    TwoPhaseCommit,
    /// One that this client does not know.
    Other(i8),
}

/// Whether a rule allows or denies. A rule that denies wins over all that allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AclPermission {
    /// It denies.
    Deny,
    /// It allows.
    Allow,
    /// One that this client does not know.
    Other(i8),
}

/// A word of access rules: its number in messages, and its name on command lines.
pub(super) trait Word: Copy + Eq + 'static {
    /// All words that are known.
    const WORDS: &'static [(Self, i8, &'static str)];

    /// A number that is not known.
    fn other(number: i8) -> Self;

    /// The number of [`other`](Self::other).
    fn unknown(self) -> Option<i8>;

    fn of(number: i8) -> Self {
        let known = Self::WORDS.iter().find(|(_, known, _)| *known == number);
        known.map_or_else(|| Self::other(number), |(word, _, _)| *word)
    }

    fn number(self) -> i8 {
        let known = Self::WORDS.iter().find(|(word, _, _)| *word == self).map(|(_, number, _)| *number);
        known.or_else(|| self.unknown()).unwrap_or_default()
    }

    fn print(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::WORDS.iter().find(|(word, _, _)| *word == self) {
            Some((_, _, name)) => f.write_str(name),
            None => write!(f, "unknown-{}", self.number()),
        }
    }

    /// The word of this name, in any case, with `_` or `-` or nothing between its parts.
    fn parse(name: &str) -> Result<Self, String> {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
        let found = Self::WORDS.iter().find(|(_, _, known)| plain(known) == plain(name));
        let names = || Self::WORDS.iter().map(|(_, _, name)| *name).collect::<Vec<_>>().join(", ");
        found.map(|(word, _, _)| *word).ok_or_else(|| format!("it is one of {}", names()))
    }
}

impl Word for AclResource {
    const WORDS: &'static [(Self, i8, &'static str)] = &[
        (Self::Topic, 2, "topic"),
        (Self::Group, 3, "group"),
        (Self::Cluster, 4, "cluster"),
        (Self::TransactionalId, 5, "transactional-id"),
        (Self::DelegationToken, 6, "delegation-token"),
        (Self::User, 7, "user"),
    ];

    fn other(number: i8) -> Self {
        Self::Other(number)
    }

    fn unknown(self) -> Option<i8> {
        if let Self::Other(number) = self { Some(number) } else { None }
    }
}

impl Word for AclPattern {
    const WORDS: &'static [(Self, i8, &'static str)] =
        &[(Self::Literal, 3, "literal"), (Self::Prefixed, 4, "prefixed")];

    fn other(number: i8) -> Self {
        Self::Other(number)
    }

    fn unknown(self) -> Option<i8> {
        if let Self::Other(number) = self { Some(number) } else { None }
    }
}

impl Word for AclOperation {
    const WORDS: &'static [(Self, i8, &'static str)] = &[
        (Self::All, 2, "all"),
        (Self::Read, 3, "read"),
        (Self::Write, 4, "write"),
        (Self::Create, 5, "create"),
        (Self::Delete, 6, "delete"),
        (Self::Alter, 7, "alter"),
        (Self::Describe, 8, "describe"),
        (Self::ClusterAction, 9, "cluster-action"),
        (Self::DescribeConfigs, 10, "describe-configs"),
        (Self::AlterConfigs, 11, "alter-configs"),
        (Self::IdempotentWrite, 12, "idempotent-write"),
        (Self::CreateTokens, 13, "create-tokens"),
        (Self::DescribeTokens, 14, "describe-tokens"),
        (Self::TwoPhaseCommit, 15, "two-phase-commit"),
    ];

    fn other(number: i8) -> Self {
        Self::Other(number)
    }

    fn unknown(self) -> Option<i8> {
        if let Self::Other(number) = self { Some(number) } else { None }
    }
}

impl Word for AclPermission {
    const WORDS: &'static [(Self, i8, &'static str)] = &[(Self::Deny, 2, "deny"), (Self::Allow, 3, "allow")];

    fn other(number: i8) -> Self {
        Self::Other(number)
    }

    fn unknown(self) -> Option<i8> {
        if let Self::Other(number) = self { Some(number) } else { None }
    }
}

impl fmt::Display for AclResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f)
    }
}

impl fmt::Display for AclPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f)
    }
}

impl fmt::Display for AclOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f)
    }
}

impl fmt::Display for AclPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f)
    }
}

impl FromStr for AclResource {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::parse(name)
    }
}

impl FromStr for AclPattern {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::parse(name)
    }
}

impl FromStr for AclOperation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::parse(name)
    }
}

impl FromStr for AclPermission {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::parse(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<W: Word + fmt::Display + FromStr<Err = String> + fmt::Debug>() {
        for (word, number, name) in W::WORDS {
            assert_eq!((W::of(*number), word.number()), (*word, *number));
            assert_eq!((word.to_string().as_str(), name.parse()), (*name, Ok(*word)));
        }
        let strange = W::of(77);
        assert_eq!((strange.number(), strange.to_string().as_str()), (77, "unknown-77"));
    }

    #[test]
    fn words_have_a_number_and_a_name() {
        there_and_back::<AclResource>();
        there_and_back::<AclPattern>();
        there_and_back::<AclOperation>();
        there_and_back::<AclPermission>();
    }

    #[test]
    fn names_are_taken_as_kafka_and_people_write_them() {
        for name in ["TransactionalId", "TRANSACTIONAL_ID", "transactional-id"] {
            assert_eq!(name.parse(), Ok(AclResource::TransactionalId));
        }
        assert_eq!("DescribeConfigs".parse(), Ok(AclOperation::DescribeConfigs));
        let error = "may".parse::<AclPermission>().unwrap_err();
        assert_eq!(error, "it is one of deny, allow");
    }
}
