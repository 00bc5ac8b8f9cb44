//! Topic patterns: regular expressions in the syntax of RE2, as KIP-848 has them.
//!
//! A pattern has to match a topic's whole name. Topics of the broker itself, such as `__consumer_offsets`, match no
//! pattern: whoever wants them subscribes by name.
//!
//! The engine is the regex crate, a relative of RE2: linear in time, without backreferences and without looking
//! around. Where the two spell things differently, [`translate`] turns RE2's spelling into the crate's: `\Q...\E`,
//! `\C`, `\<` and `\>` (mere characters in RE2), and classes, in which RE2 knows no nesting and no `&&`, `--` and
//! `~~`. The flag `x` and others that RE2 lacks are refused, as RE2 refuses them. What remains: octal escapes are
//! refused (no topic's name needs one), and a few spellings that RE2 refuses are accepted, such as `a**` and
//! `\u{61}`; `\d`, `\w` and `\b` know all of Unicode, which makes no difference to a topic's name.

use std::collections::BTreeSet;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

use crate::controller::MetadataImage;
use crate::controller::topic_name::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::ids::TopicName;

/// The longest pattern, in bytes. It is kept with each member that subscribes to it.
const MAX_BYTES: usize = 64 * 1024;

/// How much memory a compiled pattern may take. It is thrown away after use.
const MAX_COMPILED_BYTES: usize = 4 * 1024 * 1024;

/// A pattern, ready to be matched.
#[derive(Debug)]
pub(super) struct TopicPattern(Regex);

/// Why a pattern is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPattern {
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("it needs more than {MAX_COMPILED_BYTES} bytes when compiled")]
    TooLarge,
    #[error("the flag {0} is not supported")]
    Flag(char),
    #[error("{0}")]
    Syntax(String),
}

impl TopicPattern {
    /// Fails on what is no RE2 pattern, or one too large to be matched at ease.
    pub(super) fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        if pattern.len() > MAX_BYTES {
            return Err(InvalidPattern::TooLong);
        }
        let translated = translate(pattern)?;
        // By itself first, or `a)|(b` would become valid between the parentheses that are put around it.
        compile(&translated)?;
        Ok(Self(compile(&format!(r"\A(?:{translated})\z"))?))
    }

    /// The topics of `image` that match.
    pub(super) fn topics(&self, image: &MetadataImage) -> BTreeSet<TopicName> {
        let names = image.topics().map(|topic| &topic.name);
        names.filter(|name| self.matches(name)).cloned().collect()
    }

    fn matches(&self, name: &str) -> bool {
        name != CONSUMER_OFFSETS && name != TRANSACTION_STATE && self.0.is_match(name)
    }
}

fn compile(pattern: &str) -> Result<Regex, InvalidPattern> {
    let compiled = RegexBuilder::new(pattern).size_limit(MAX_COMPILED_BYTES).build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => InvalidPattern::TooLarge,
        // Several lines that draw the place; the last one says what is wrong.
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            InvalidPattern::Syntax(last.trim_start_matches("error: ").to_owned())
        }
    })
}

/// The regex crate's spelling of an RE2 pattern. What it does not know it leaves as it is.
fn translate(pattern: &str) -> Result<String, InvalidPattern> {
    let mut translated = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => translate_escape(&mut rest, &mut translated),
            '[' => translate_class(&mut rest, &mut translated),
            '(' => {
                check_flags(rest.as_str())?;
                translated.push('(');
            }
            other => translated.push(other),
        }
    }
    Ok(translated)
}

/// What follows a backslash outside of a class.
fn translate_escape(rest: &mut Chars<'_>, translated: &mut String) {
    match rest.next() {
        Some('Q') => {
            let (literal, behind) = rest.as_str().split_once(r"\E").unwrap_or((rest.as_str(), ""));
            translated.push_str(&regex::escape(literal));
            *rest = behind.chars();
        }
        Some('C') => translated.push_str("(?s:.)"),
        Some(mere @ ('<' | '>')) => translated.push(mere),
        Some(other) => translated.extend(['\\', other]),
        None => translated.push('\\'),
    }
}

/// A class, whose opening bracket has been read: atoms, and ranges of two of them.
fn translate_class(rest: &mut Chars<'_>, translated: &mut String) {
    translated.push('[');
    if rest.as_str().starts_with('^') {
        rest.next();
        translated.push('^');
    }
    let mut first = true;
    loop {
        match rest.as_str().chars().next() {
            None => return,
            Some(']') if !first => {
                rest.next();
                translated.push(']');
                return;
            }
            Some(_) => translate_atom(rest, translated),
        }
        first = false;
        let mut ahead = rest.clone();
        if ahead.next() == Some('-') && !matches!(ahead.next(), Some(']') | None) {
            rest.next();
            translated.push('-');
            translate_atom(rest, translated);
        }
    }
}

/// One character of a class, or what stands for several: `\d`, `[:alpha:]`.
fn translate_atom(rest: &mut Chars<'_>, translated: &mut String) {
    if rest.as_str().starts_with("[:")
        && let Some(end) = rest.as_str().find(":]")
    {
        let (named, behind) = rest.as_str().split_at(end + 2);
        translated.push_str(named);
        *rest = behind.chars();
        return;
    }
    match rest.next() {
        Some('\\') => {
            translated.push('\\');
            translated.extend(rest.next());
        }
        Some(special @ ('[' | ']' | '&' | '~' | '-' | '^')) => translated.extend(['\\', special]),
        Some(other) => translated.push(other),
        None => {}
    }
}

/// Refuses a group that sets flags which RE2 does not have. `behind` follows its opening parenthesis.
fn check_flags(behind: &str) -> Result<(), InvalidPattern> {
    let flags = behind.strip_prefix('?').unwrap_or_default();
    let unknown = flags
        .chars()
        .take_while(|flag| flag.is_ascii_alphabetic() || *flag == '-')
        .find(|flag| matches!(flag, 'x' | 'u' | 'R'));
    match unknown {
        // The name of a capture, `(?P<name>...)`, begins with the one letter that is no flag.
        Some(flag) if !flags.starts_with('P') => Err(InvalidPattern::Flag(flag)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        TopicPattern::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn the_whole_name_has_to_match() {
        assert!(matches("a|ab", "ab"));
        assert!(!matches("a", "ab"));
        assert!(!matches("b", "ab"));
        assert!(matches("orders-.*", "orders-eu"));
        assert!(matches("(?i)ORDERS", "orders"));
        assert!(matches("^orders$", "orders"));
    }

    #[test]
    fn topics_of_the_broker_match_nothing() {
        assert!(!matches(".*", CONSUMER_OFFSETS));
        assert!(!matches(TRANSACTION_STATE, TRANSACTION_STATE));
        assert!(matches(".*", "__mine"));
    }

    #[test]
    fn spellings_of_re2_are_understood() {
        assert!(matches(r"\Qa.b\E-.", "a.b-c"));
        assert!(!matches(r"\Qa.b\E", "axb"));
        assert!(matches(r"\Qa.b", "a.b"));
        assert!(matches(r"a\Cb", "a-b"));
        assert!(matches(r"\pL+", "abc"));
        assert!(matches(r"(?P<part>x+)y", "xxy"));
        assert!(matches(r"[[:alpha:]_]+", "a_b"));
        assert!(matches(r"[\w.]+", "a.b"));
    }

    #[test]
    fn a_class_holds_characters_and_no_operators() {
        assert!(matches(r"[a-z&&[aeiou]]+", "b]"));
        assert!(matches("[+--]", "-"));
        assert!(matches("[--/]", "."));
        assert!(matches("[a-]", "-"));
        assert!(matches("[]a]", "a"));
        assert!(matches("[^]a]", "b"));
        assert!(!matches("[^]a]", "a"));
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        for pattern in ["[a", "a(", "a)|(b", "*a", r"(a)\1", "(?=a)", "(?<!a)b", "a{2,1}", r"\"] {
            assert!(TopicPattern::new(pattern).is_err(), "{pattern}");
        }
        assert_eq!(TopicPattern::new("(?x) a # b").unwrap_err(), InvalidPattern::Flag('x'));
        assert_eq!(
            TopicPattern::new("[a").unwrap_err(),
            InvalidPattern::Syntax("unclosed character class".into())
        );
    }

    #[test]
    fn a_pattern_is_bounded() {
        assert_eq!(TopicPattern::new(&"a".repeat(MAX_BYTES + 1)).unwrap_err(), InvalidPattern::TooLong);
        assert_eq!(TopicPattern::new(r"(\pL{1000}){1000}").unwrap_err(), InvalidPattern::TooLarge);
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_is_refused(pattern in ".{0,40}") {
            let _ = TopicPattern::new(&pattern);
        }

        #[test]
        fn a_quoted_name_matches_itself_alone(name in "[a-zA-Z0-9._-]{1,20}", other in "[a-zA-Z0-9._-]{1,20}") {
            let pattern = TopicPattern::new(&format!(r"\Q{name}\E")).unwrap();
            prop_assert!(pattern.matches(&name));
            prop_assert_eq!(pattern.matches(&other), name == other);
        }
    }
}
