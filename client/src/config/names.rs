//! Settings by name: one table a client, and the nearest name for one that does not exist.

use super::{COMMON, Common, ConfigError};
use crate::security::{SECURITY, is_secret};

/// A setting: its names, and how its text becomes part of a configuration `C`.
pub(crate) struct Setting<C> {
    /// Kafka's name first, then other clients' names for the same.
    pub(crate) names: &'static [&'static str],
    /// Sets it. The error says what the value may be.
    pub(crate) set: fn(&mut C, &str) -> Result<(), String>,
}

/// Sets each pair, in order, in a client's own table or the one that all clients share.
pub(crate) fn apply<C, N: AsRef<str>, V: AsRef<str>>(
    config: &mut C,
    own: &'static [Setting<C>],
    common: fn(&mut C) -> &mut Common,
    pairs: impl IntoIterator<Item = (N, V)>,
) -> Result<(), ConfigError> {
    for (name, value) in pairs {
        let (name, value) = (name.as_ref().trim(), value.as_ref());
        // A password may begin or end with blanks.
        let value = if is_secret(name) { value } else { value.trim() };
        let (known, outcome) = if let Some((known, setting)) = find(own, name) {
            (known, (setting.set)(config, value))
        } else if let Some((known, setting)) = find_common(name) {
            (known, (setting.set)(common(config), value))
        } else {
            let all = names(own).chain(names(COMMON)).chain(names(SECURITY));
            return Err(ConfigError::UnknownName { name: name.to_owned(), nearest: nearest(name, all) });
        };
        outcome.map_err(|expected| ConfigError::InvalidValue {
            name: known,
            value: if is_secret(known) { "[hidden]" } else { value }.to_owned(),
            expected,
        })?;
    }
    Ok(())
}

/// Whether a client's own table, or the one that all clients share, has a setting of this name.
pub(crate) fn is_known<C>(own: &'static [Setting<C>], name: &str) -> bool {
    find(own, name).is_some() || find_common(name).is_some()
}

/// A setting that all clients share.
fn find_common(name: &str) -> Option<(&'static str, &'static Setting<Common>)> {
    find(COMMON, name).or_else(|| find(SECURITY, name))
}

fn find<C>(table: &'static [Setting<C>], name: &str) -> Option<(&'static str, &'static Setting<C>)> {
    table
        .iter()
        .find_map(|setting| setting.names.iter().find(|known| **known == name).map(|known| (*known, setting)))
}

fn names<C>(table: &'static [Setting<C>]) -> impl Iterator<Item = &'static str> {
    table.iter().flat_map(|setting| setting.names.iter().copied())
}

/// The setting's name that is nearest, whatever separates its words.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    nearest_name(&name.to_ascii_lowercase().replace(['_', '-'], "."), known)
}

/// The longest name that is compared. Topics' names have at most 249 bytes.
const LONGEST: usize = 256;

/// The known name that takes the fewest changes to reach, if these are few for its length: for messages about misspelt names.
///
/// ```
/// use trilog_client::nearest_name;
///
/// let topics = ["orders", "payments"];
/// assert_eq!(nearest_name("ordrs", topics.into_iter()), Some("orders"));
/// assert_eq!(nearest_name("stock", topics.into_iter()), None);
/// ```
pub fn nearest_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let may_be = |known: &&str| known.len().max(name.len()) <= LONGEST;
    let ranked = known.filter(may_be).map(|known| (distance(name, known), known)).min()?;
    (ranked.0 <= ranked.1.len().div_ceil(3)).then_some(ranked.1)
}

/// Levenshtein's distance: the single bytes to insert, delete or replace.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, from_byte) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (left, to_byte) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(from_byte != to_byte);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(row[left] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_changes() {
        assert_eq!(distance("linger.ms", "linger.ms"), 0);
        assert_eq!(distance("linger", "linger.ms"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn the_nearest_name_is_one_that_looks_alike() {
        let known = ["linger.ms", "batch.size", "bootstrap.servers"];
        assert_eq!(nearest("lingr.ms", known.into_iter()), Some("linger.ms"));
        assert_eq!(nearest("BOOTSTRAP_SERVERS", known.into_iter()), Some("bootstrap.servers"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
