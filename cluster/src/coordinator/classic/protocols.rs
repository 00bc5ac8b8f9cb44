//! Which protocol a group uses: the members vote, among those that all of them support.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::record::ClassicMember;

/// How many members support each protocol, and how much they say about themselves. Kept up to date as members come and
/// go, so that a join costs as much as it names protocols, however many members there are.
#[derive(Debug, Default)]
pub(super) struct ProtocolTally {
    supporters: BTreeMap<String, usize>,
    /// The sum of all members' [sizes](ClassicMember::size).
    size: usize,
}

impl ProtocolTally {
    pub(super) fn add(&mut self, member: &ClassicMember) {
        self.size += member.size();
        for protocol in &member.protocols {
            *self.supporters.entry(protocol.name.clone()).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, member: &ClassicMember) {
        self.size -= member.size();
        for protocol in &member.protocols {
            if let Some(supporters) = self.supporters.get_mut(&protocol.name) {
                *supporters -= 1;
                if *supporters == 0 {
                    self.supporters.remove(&protocol.name);
                }
            }
        }
    }

    /// How many bytes all members bring into a record of the group.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether each of `members` members supports the protocol.
    pub(super) fn is_supported_by_all(&self, protocol: &str, members: usize) -> bool {
        self.supporters.get(protocol).copied().unwrap_or(0) == members
    }

    /// The protocol with the most votes, each member's vote being the best on its list that all support. Of several,
    /// the first by name. None only without members.
    pub(super) fn elect<'a>(
        &self,
        members: impl ExactSizeIterator<Item = &'a ClassicMember>,
    ) -> Option<&'a str> {
        let electorate = members.len();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in members {
            let names = member.protocols.iter().map(|protocol| protocol.name.as_str());
            if let Some(vote) = { names }.find(|name| self.is_supported_by_all(name, electorate)) {
                *votes.entry(vote).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(name, votes)| (*votes, Reverse(*name))).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::super::record::SupportedProtocol;
    use super::*;

    fn member(protocols: &[&str]) -> ClassicMember {
        let supported = |name: &&str| SupportedProtocol { name: (*name).to_owned(), metadata: Bytes::new() };
        ClassicMember {
            instance: None,
            client_id: String::new(),
            client_host: String::new(),
            session_timeout: Duration::ZERO,
            rebalance_timeout: Duration::ZERO,
            protocols: protocols.iter().map(supported).collect(),
            assignment: Bytes::new(),
        }
    }

    fn elected(members: &[ClassicMember]) -> Option<&str> {
        let mut tally = ProtocolTally::default();
        members.iter().for_each(|member| tally.add(member));
        tally.elect(members.iter())
    }

    #[test]
    fn most_votes_win_among_what_all_support() {
        assert_eq!(elected(&[]), None);
        assert_eq!(elected(&[member(&["range", "sticky"]), member(&["sticky", "range"])]), Some("range"));
        let majority = [member(&["a", "b"]), member(&["b", "a"]), member(&["b", "a"])];
        assert_eq!(elected(&majority), Some("b"));
        // The favourite of two is not supported by the third.
        let spoilt = [member(&["a", "b"]), member(&["a", "b"]), member(&["c", "b"])];
        assert_eq!(elected(&spoilt), Some("b"));
    }

    #[test]
    fn who_has_left_does_not_count() {
        let (stays, leaves) = (member(&["a", "b"]), member(&["b"]));
        let mut tally = ProtocolTally::default();
        tally.add(&stays);
        tally.add(&leaves);
        assert!(!tally.is_supported_by_all("a", 2));
        tally.remove(&leaves);
        assert!(tally.is_supported_by_all("a", 1));
        assert_eq!(tally.elect([&stays].into_iter()), Some("a"));
    }
}
