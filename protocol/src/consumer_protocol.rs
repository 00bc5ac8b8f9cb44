//! What the members of a classic group of consumers tell each other: the embedded protocol "consumer".
//!
//! Each member says in JoinGroup what it wants; the leader among them assigns, and says in SyncGroup who has what. A
//! coordinator passes these bytes on without looking, as an assignor is the members' own affair. It has to read them in three cases: to know whether a group still consumes a topic whose offsets are to be deleted (KIP-496), to take a
//! live classic group over into the consumer protocol, and to speak to a classic member of such a group (KIP-848).
//!
//! ```text
//! Subscription => version topics user_data owned (v1) generation (v2) rack (v3)
//! Assignment   => version assigned user_data
//! version      => INT16
//! topics       => [STRING]
//! user_data    => NULLABLE_BYTES
//! owned, assigned => [STRING [INT32]]
//! generation   => INT32, -1 for none
//! rack         => NULLABLE_STRING
//! ```
//!
//! As in Kafka, a version that is higher than known is read as the highest known one, and what follows the last field is
//! left alone: later versions only append. User data belongs to the assignor and is skipped. The bytes are a client's,
//! so that every count is checked against the bytes that remain before anything is allocated for it.

mod sticky;

pub use self::sticky::{encode_sticky_user_data, parse_sticky_user_data};

/// The highest version of either message that is known, and read as itself.
pub const HIGHEST_VERSION: i16 = 3;

/// Partitions by topic name, in the order in which they were sent.
pub type NamedPartitions = Vec<(String, Vec<i32>)>;

/// What a member wants to consume, and what it has: the metadata of its JoinGroup
/// (Kafka's `ConsumerProtocolSubscription`, versions 0 to 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The topics it wants.
    pub topics: Vec<String>,
    /// What it owns while it joins, if it rebalances cooperatively (v1, KIP-429).
    pub owned: NamedPartitions,
    /// The generation in which it came to own that (v2, KIP-792).
    pub generation: Option<i32>,
    /// Its rack (v3, KIP-881).
    pub rack: Option<String>,
}

impl Subscription {
    /// The subscription in the metadata of a JoinGroup. None if it is none: the protocol type promises nothing.
    #[must_use]
    pub fn parse(metadata: &[u8]) -> Option<Self> {
        let mut fields = Fields(metadata);
        let version = fields.version()?;
        let topics = fields.array(STRING_SIZE, Fields::string)?;
        fields.skip_user_data()?;
        let mut subscription = Self { topics, ..Self::default() };
        if version >= 1 {
            subscription.owned = fields.named_partitions()?;
        }
        if version >= 2 {
            subscription.generation = Some(fields.i32()?).filter(|generation| *generation >= 0);
        }
        if version >= 3 {
            subscription.rack = fields.nullable_string()?;
        }
        Some(subscription)
    }

    /// The metadata of a JoinGroup in `version`, with what the assignor adds for itself. Fields that the version does not have
    /// are left out.
    ///
    /// # Panics
    ///
    /// If the name of a topic or of the rack has more than 32,767 bytes.
    #[must_use]
    pub fn encode(&self, version: i16, user_data: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = version.to_be_bytes().to_vec();
        put_count(&mut bytes, self.topics.len());
        for topic in &self.topics {
            put_string(&mut bytes, topic);
        }
        match user_data {
            Some(data) => {
                put_count(&mut bytes, data.len());
                bytes.extend(data);
            }
            None => bytes.extend((-1_i32).to_be_bytes()),
        }
        if version >= 1 {
            put_named_partitions(&mut bytes, &self.owned);
        }
        if version >= 2 {
            bytes.extend(self.generation.unwrap_or(-1).to_be_bytes());
        }
        if version >= 3 {
            match &self.rack {
                Some(rack) => put_string(&mut bytes, rack),
                None => bytes.extend((-1_i16).to_be_bytes()),
            }
        }
        bytes
    }
}

/// What an assignor has added to a subscription for itself, if it has.
#[must_use]
pub fn subscription_user_data(metadata: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields(metadata);
    fields.version()?;
    fields.array(STRING_SIZE, Fields::string)?;
    let length = usize::try_from(fields.i32()?).ok()?;
    fields.take(length)
}

/// The assignment in a SyncGroup (Kafka's `ConsumerProtocolAssignment`, versions 0 to 3). None if it is none.
#[must_use]
pub fn parse_assignment(assignment: &[u8]) -> Option<NamedPartitions> {
    let mut fields = Fields(assignment);
    fields.version()?;
    let assigned = fields.named_partitions()?;
    fields.skip_user_data()?;
    Some(assigned)
}

/// Whether an assignment carries something beyond partitions, for an assignor of the members' own.
#[must_use]
pub fn carries_user_data(assignment: &[u8]) -> bool {
    let mut fields = Fields(assignment);
    let behind_version = fields.version();
    let behind_partitions = behind_version.and_then(|_| fields.named_partitions());
    behind_partitions.and_then(|_| fields.i32()).is_some_and(|length| length > 0)
}

/// An assignment for a member that reads `version`, without user data. All versions look alike.
///
/// # Panics
///
/// If a topic's name has more than 32,767 bytes, which no topic's has.
#[must_use]
pub fn encode_assignment(assigned: &[(String, Vec<i32>)], version: i16) -> Vec<u8> {
    let mut bytes = version.to_be_bytes().to_vec();
    put_named_partitions(&mut bytes, assigned);
    bytes.extend((-1_i32).to_be_bytes());
    bytes
}

fn put_named_partitions(bytes: &mut Vec<u8>, topics: &[(String, Vec<i32>)]) {
    put_count(bytes, topics.len());
    for (topic, partitions) in topics {
        put_string(bytes, topic);
        put_count(bytes, partitions.len());
        bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
    }
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = i32::try_from(count).expect("there are fewer partitions than an INT32 counts");
    bytes.extend(count.to_be_bytes());
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).expect("a topic's name has at most 249 bytes");
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// The fewest bytes of a STRING: its length.
const STRING_SIZE: usize = 2;
/// The bytes of an INT32.
const INT32_SIZE: usize = 4;

/// The bytes that have not been read yet. Each method takes one field off their front, or gives None if they do not
/// begin with one.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i16::from_be_bytes(*bytes))
    }

    fn i32(&mut self) -> Option<i32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*bytes))
    }

    /// A version to read as: the one stated, or the highest known.
    fn version(&mut self) -> Option<i16> {
        let version = self.i16()?.min(HIGHEST_VERSION);
        (version >= 0).then_some(version)
    }

    fn string(&mut self) -> Option<String> {
        let length = usize::try_from(self.i16()?).ok()?;
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        Some(text.to_owned())
    }

    fn nullable_string(&mut self) -> Option<Option<String>> {
        if let Some(rest) = self.0.strip_prefix(&(-1_i16).to_be_bytes()) {
            self.0 = rest;
            return Some(None);
        }
        self.string().map(Some)
    }

    fn skip_user_data(&mut self) -> Option<()> {
        match self.i32()? {
            -1 => Some(()),
            length => self.take(usize::try_from(length).ok()?).map(|_| ()),
        }
    }

    fn named_partitions(&mut self) -> Option<NamedPartitions> {
        self.array(STRING_SIZE + INT32_SIZE, |fields| {
            Some((fields.string()?, fields.array(INT32_SIZE, Self::i32)?))
        })
    }

    /// An array whose elements have at least `element_size` bytes each, so that a count which the remaining bytes cannot
    /// hold is refused before it costs anything.
    fn array<T>(
        &mut self,
        element_size: usize,
        mut element: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::try_from(self.i32()?).ok()?;
        if count > self.0.len() / element_size {
            return None;
        }
        (0..count).map(|_| element(self)).collect()
    }
}

#[cfg(test)]
mod tests;
