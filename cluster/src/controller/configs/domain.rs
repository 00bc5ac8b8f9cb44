//! What values a setting may have. Values are kept as the text they were given as; this is how they are read.

use std::collections::BTreeMap;
use std::net::IpAddr;

use thiserror::Error;

/// The values that a setting may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// `true` or `false`, in any case of letters.
    Boolean,
    /// A 32-bit number within bounds, both inclusive.
    Int {
        /// The least value.
        min: i32,
        /// The greatest value.
        max: i32,
    },
    /// As `Int`, or one value beside the range that means something special.
    IntOr {
        /// The special value.
        special: i32,
        /// The least value.
        min: i32,
        /// The greatest value.
        max: i32,
    },
    /// A 64-bit number that is not below a bound.
    Long {
        /// The least value.
        min: i64,
    },
    /// A fraction from 0 to 1.
    Ratio,
    /// One of these words, letter for letter.
    OneOf(&'static [&'static str]),
    /// Any of these words separated by commas, none of them twice; also none at all.
    ListOf(&'static [&'static str]),
    /// `*`, nothing, or a list of `partition:broker` pairs: which replicas' traffic a reassignment throttles (KIP-73).
    ThrottledReplicas,
    /// A list of `address:count` pairs, each address an IP address and no address twice; also none at all.
    CountsByAddress,
    /// Any text.
    Text,
}

/// Why a value is refused, in Kafka's words. The name of the setting is added by whoever knows it.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidValue {
    /// Not `true` or `false`.
    #[error("Expected value to be either true or false")]
    NotBoolean,
    /// Not a number of the kind.
    #[error("Not a number of type {0}")]
    NotNumber(&'static str),
    /// A number that is too low.
    #[error("Value must be at least {0}")]
    TooLow(i64),
    /// A number that is too high.
    #[error("Value must be no more than {0}")]
    TooHigh(i64),
    /// A number that is neither in the range nor the special one.
    #[error("Value must be between {min} and {max} or equal to {special}")]
    OutOfRange {
        /// The value allowed beside the range.
        special: i32,
        /// The least value.
        min: i32,
        /// The greatest value.
        max: i32,
    },
    /// A time of 0 where 1 is the least and -1 stands for no bound.
    #[error("Value must be at least 1, or -1 for no limit")]
    Zero,
    /// Not one of the words.
    #[error("String must be one of: {}", .0.join(", "))]
    NotOneOf(&'static [&'static str]),
    /// A list that names something twice.
    #[error("Values must not be duplicated")]
    Duplicate,
    /// A list without anything in it.
    #[error("List must not be empty")]
    Empty,
    /// A list without a word that it must have.
    #[error("List must contain {0}")]
    Lacks(&'static str),
    /// Not a list of throttled replicas.
    #[error(
        "Must be the literal '*' or a list of replicas in the form [partitionId]:[brokerId],[partitionId]:[brokerId]"
    )]
    NotReplicas,
    /// Not a list of counts by address.
    #[error(
        "Must be a list of [address]:[count],[address]:[count]; each address an IP address, each count a number from 0 \
         to 2147483647"
    )]
    NotCounts,
}

impl Domain {
    /// Any 32-bit number that is not below `min`.
    pub(super) const fn int_from(min: i32) -> Self {
        Self::Int { min, max: i32::MAX }
    }

    /// Whether values are lists, which can be appended to and subtracted from (KIP-339).
    pub fn is_list(self) -> bool {
        matches!(self, Self::ListOf(_) | Self::ThrottledReplicas)
    }

    /// Whether `value` is allowed.
    pub fn check(self, value: &str) -> Result<(), InvalidValue> {
        match self {
            Self::Boolean => boolean(value).map(|_| ()).ok_or(InvalidValue::NotBoolean),
            Self::Int { min, max } => check_int(value, min, max),
            Self::IntOr { special, min, max } => match check_int(value, min, max) {
                Err(InvalidValue::TooLow(_) | InvalidValue::TooHigh(_))
                    if integer(value) != Some(special.into()) =>
                {
                    Err(InvalidValue::OutOfRange { special, min, max })
                }
                Err(InvalidValue::TooLow(_) | InvalidValue::TooHigh(_)) => Ok(()),
                other => other,
            },
            Self::Long { min } => match integer(value) {
                None => Err(InvalidValue::NotNumber("LONG")),
                Some(number) if number < min => Err(InvalidValue::TooLow(min)),
                Some(_) => Ok(()),
            },
            Self::Ratio => check_ratio(value),
            Self::OneOf(words) => {
                if words.contains(&value.trim()) {
                    Ok(())
                } else {
                    Err(InvalidValue::NotOneOf(words))
                }
            }
            Self::ListOf(words) => check_list(value, words),
            Self::ThrottledReplicas => check_replicas(value),
            Self::CountsByAddress => counts_by_address(value).map(|_| ()),
            Self::Text => Ok(()),
        }
    }
}

/// The number that a value stands for, spaces around it aside.
pub(super) fn integer(value: &str) -> Option<i64> {
    value.trim().parse().ok()
}

/// The truth that a value stands for.
pub(super) fn boolean(value: &str) -> Option<bool> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The parts of a list's value. An empty value has none.
pub(in crate::controller) fn list_value(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// The counts that a list of `address:count` pairs gives to addresses. An IPv4 address in IPv6 form is the IPv4 address.
pub(super) fn counts_by_address(value: &str) -> Result<BTreeMap<IpAddr, usize>, InvalidValue> {
    let mut counts = BTreeMap::new();
    for pair in list_value(value) {
        let (address, count) = pair.rsplit_once(':').ok_or(InvalidValue::NotCounts)?;
        let address = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let address = address.map_err(|_| InvalidValue::NotCounts)?.to_canonical();
        let count = count.parse::<i32>().ok().and_then(|count| usize::try_from(count).ok());
        if counts.insert(address, count.ok_or(InvalidValue::NotCounts)?).is_some() {
            return Err(InvalidValue::Duplicate);
        }
    }
    Ok(counts)
}

fn check_int(value: &str, min: i32, max: i32) -> Result<(), InvalidValue> {
    let number: i32 = value.trim().parse().map_err(|_| InvalidValue::NotNumber("INT"))?;
    if number < min {
        Err(InvalidValue::TooLow(min.into()))
    } else if number > max {
        Err(InvalidValue::TooHigh(max.into()))
    } else {
        Ok(())
    }
}

fn check_ratio(value: &str) -> Result<(), InvalidValue> {
    match value.trim().parse::<f64>() {
        Ok(ratio) if ratio < 0.0 => Err(InvalidValue::TooLow(0)),
        Ok(ratio) if ratio > 1.0 => Err(InvalidValue::TooHigh(1)),
        Ok(ratio) if !ratio.is_nan() => Ok(()),
        _ => Err(InvalidValue::NotNumber("DOUBLE")),
    }
}

fn check_list(value: &str, words: &'static [&'static str]) -> Result<(), InvalidValue> {
    let parts: Vec<_> = list_value(value).collect();
    if parts.iter().any(|part| !words.contains(part)) {
        return Err(InvalidValue::NotOneOf(words));
    }
    let duplicate = parts.iter().enumerate().any(|(at, part)| parts[..at].contains(part));
    if duplicate { Err(InvalidValue::Duplicate) } else { Ok(()) }
}

fn check_replicas(value: &str) -> Result<(), InvalidValue> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let pair = |part: &str| part.split_once(':').is_some_and(|(a, b)| number(a) && number(b));
    if value.trim() == "*" || list_value(value).all(pair) { Ok(()) } else { Err(InvalidValue::NotReplicas) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(domain: Domain, values: &[&str]) {
        for value in values {
            assert_eq!(domain.check(value), Ok(()), "{value:?} for {domain:?}");
        }
    }

    fn refuses(domain: Domain, value: &str, why: &str) {
        assert_eq!(domain.check(value).unwrap_err().to_string(), why, "{value:?} for {domain:?}");
    }

    #[test]
    fn numbers_have_types_and_bounds() {
        let int = Domain::Int { min: -1, max: 9 };
        accepts(int, &["-1", "0", " 9 "]);
        refuses(int, "-2", "Value must be at least -1");
        refuses(int, "10", "Value must be no more than 9");
        refuses(int, "2147483648", "Not a number of type INT");
        let long = Domain::Long { min: 1 };
        accepts(long, &["1", "9223372036854775807"]);
        refuses(long, "0", "Value must be at least 1");
        refuses(long, "9223372036854775808", "Not a number of type LONG");
        refuses(long, "1.5", "Not a number of type LONG");
        let gzip = Domain::IntOr { special: -1, min: 1, max: 9 };
        accepts(gzip, &["-1", "1", "9"]);
        refuses(gzip, "0", "Value must be between 1 and 9 or equal to -1");
        refuses(gzip, "best", "Not a number of type INT");
        accepts(Domain::Ratio, &["0", "0.5", "1"]);
        refuses(Domain::Ratio, "-0.1", "Value must be at least 0");
        refuses(Domain::Ratio, "1.1", "Value must be no more than 1");
        refuses(Domain::Ratio, "NaN", "Not a number of type DOUBLE");
    }

    #[test]
    fn words_and_lists() {
        accepts(Domain::Boolean, &["true", "FALSE", " True "]);
        refuses(Domain::Boolean, "yes", "Expected value to be either true or false");
        let word = Domain::OneOf(&["CreateTime", "LogAppendTime"]);
        accepts(word, &["CreateTime"]);
        refuses(word, "createtime", "String must be one of: CreateTime, LogAppendTime");
        let list = Domain::ListOf(&["compact", "delete"]);
        accepts(list, &["", "compact", "delete, compact"]);
        refuses(list, "compact,keep", "String must be one of: compact, delete");
        refuses(list, "compact,compact", "Values must not be duplicated");
        accepts(Domain::ThrottledReplicas, &["", "*", "0:1,12:3"]);
        for value in ["0", "0:", "*,0:1", "a:1"] {
            assert_eq!(Domain::ThrottledReplicas.check(value), Err(InvalidValue::NotReplicas), "{value}");
        }
        accepts(Domain::CountsByAddress, &["", "127.0.0.1:0", "10.0.0.1:5, ::1:7,[fe80::1]:2147483647"]);
        for value in ["127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "host:5", "127.0.0.1:2147483648"] {
            assert_eq!(Domain::CountsByAddress.check(value), Err(InvalidValue::NotCounts), "{value}");
        }
        refuses(Domain::CountsByAddress, "::ffff:1.2.3.4:1,1.2.3.4:2", "Values must not be duplicated");
        accepts(Domain::Text, &["", "anything"]);
        assert!(list.is_list() && !word.is_list());
    }
}
