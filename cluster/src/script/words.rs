//! A command taken apart: what it is called, plain words, and options such as `session=10s`.

use std::str::FromStr;
use std::time::Duration;

/// The words of a command after the first.
pub(crate) struct Words<'a> {
    line: &'a str,
    /// Those without a `=`.
    pub(crate) plain: Vec<&'a str>,
    /// Those with one, parted there.
    pub(crate) named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    /// The command's name, and what follows it.
    pub(crate) fn of(line: &'a str) -> (&'a str, Self) {
        let mut words = line.split_whitespace();
        let command = words.next().unwrap_or_default();
        let (named, plain): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('='));
        let named = named.into_iter().filter_map(|word| word.split_once('=')).collect();
        (command, Self { line, plain, named })
    }

    /// Ends the test: the script is wrong.
    pub(crate) fn refuse(&self) -> ! {
        panic!("cannot make sense of `{}`", self.line)
    }

    /// The plain word at a place.
    pub(crate) fn word(&self, at: usize) -> &'a str {
        self.plain.get(at).copied().unwrap_or_else(|| self.refuse())
    }

    /// A word, read as a number or whatever else is wanted.
    pub(crate) fn number<T: FromStr>(&self, word: &str) -> T {
        word.parse().unwrap_or_else(|_| self.refuse())
    }

    /// The value of an option.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.named.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The value of an option, read as a number or whatever else is wanted.
    pub(crate) fn option<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).map(|value| self.number(value))
    }

    /// A word such as `500ms`, `10s`, `5m`, `7h` or `7d`, read as a length of time.
    pub(crate) fn duration(&self, word: &str) -> Duration {
        let unit = word.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let count: u64 = self.number(&word[..word.len() - unit.len()]);
        match unit {
            "ms" => Duration::from_millis(count),
            "s" => Duration::from_secs(count),
            "m" => Duration::from_secs(60 * count),
            "h" => Duration::from_secs(3600 * count),
            "d" => Duration::from_secs(24 * 3600 * count),
            _ => self.refuse(),
        }
    }

    /// Refuses options other than `known`.
    pub(crate) fn only(&self, known: &[&str]) {
        if self.named.iter().any(|(name, _)| !known.contains(name)) {
            self.refuse();
        }
    }
}
