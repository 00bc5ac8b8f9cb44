//! The attribute bits of a batch: how it is compressed, whose time it bears, and what kind of batch it is.

use std::fmt;
use std::str::FromStr;

/// The 16 attribute bits of a batch header.
///
/// | bits | meaning |
/// | --- | --- |
/// | 0-2 | [`Codec`] |
/// | 3 | [`TimestampType`] |
/// | 4 | part of a transaction |
/// | 5 | control batch: written by a broker, not for consumers |
/// | 6 | `base_timestamp` is a delete horizon (KIP-534), which compaction writes |
/// | 7-15 | unused |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

/// How the records of a batch are compressed, by Kafka's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// One gzip member.
    Gzip,
    /// A raw Snappy block, or the frames of the Java library (xerial).
    Snappy,
    /// One LZ4 frame of independent blocks.
    Lz4,
    /// Zstandard (KIP-110); only in Produce from version 7 and Fetch from version 10.
    Zstd,
}

impl Codec {
    /// Its number in a batch's attributes.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Its name in `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = UnknownCodecName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let codecs = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];
        codecs.into_iter().find(|codec| codec.name() == name).ok_or_else(|| UnknownCodecName(name.to_owned()))
    }
}

/// A name that no codec has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no codec {0:?}")]
pub struct UnknownCodecName(pub String);

/// A codec number that Kafka does not define.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compression codec {0} is not known")]
pub struct UnknownCodec(pub i16);

/// Whose clock a batch's timestamps come from: the topic's `message.timestamp.type` (KIP-32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's: each record has its own.
    #[default]
    CreateTime,
    /// The leader's at append: every record has the batch's `max_timestamp`.
    LogAppendTime,
}

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

impl Attributes {
    /// How the records are compressed.
    ///
    /// # Errors
    ///
    /// [`UnknownCodec`] for the numbers 5 to 7.
    pub const fn codec(self) -> Result<Codec, UnknownCodec> {
        match self.0 & CODEC_MASK {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Gzip),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Lz4),
            4 => Ok(Codec::Zstd),
            unknown => Err(UnknownCodec(unknown)),
        }
    }

    /// Whose clock the timestamps come from.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the batch is part of a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Whether the batch holds a broker's markers instead of records.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// The attributes of a producer's batch: its codec, and whether it is part of a transaction.
    #[must_use]
    pub const fn of_producer(codec: Codec, transactional: bool) -> Self {
        Self(codec.number() | if transactional { TRANSACTIONAL } else { 0 })
    }

    /// The same attributes with the leader's time as the timestamps' source.
    #[must_use]
    pub const fn with_log_append_time(self) -> Self {
        Self(self.0 | LOG_APPEND_TIME)
    }
}
