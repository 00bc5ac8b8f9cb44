//! Topic patterns: regular expressions in the syntax of RE2, as KIP-848 has them.
//!
//! The coordinator of a group of the consumer protocol matches them, and a member of a classic group by itself: the same text
//! means the same topics to both. A pattern has to match a topic's whole name.
//!
//! A pattern is compiled to a deterministic automaton: one step a byte, whatever the pattern. Its construction is what may take
//! long (tens of milliseconds), so that three sizes bound it.
//!
//! The parser is the regex crate's, a relative of RE2's: no backreferences, no looking around. Where the two spell things
//! differently, `translate` turns RE2's spelling into the crate's: `\Q...\E`, `\C`, `\<` and `\>` (mere characters in RE2),
//! and classes, in which RE2 knows no nesting and no `&&`, `--` and `~~`. Names are ASCII, so that of a class of Unicode
//! only its ASCII characters are kept. The flag `x` and others that RE2 lacks are refused, as RE2 refuses them. What remains: octal
//! escapes are refused (no topic's name needs one), and a few spellings that RE2 refuses are accepted, such as `a**` and
//! `\u{61}`.

use std::fmt::Write;
use std::str::Chars;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The longest pattern, in bytes. It is kept with each member that subscribes to it.
const MAX_BYTES: usize = 64 * 1024;

/// How much memory the automaton may take before it is made deterministic.
const MAX_NFA_BYTES: usize = 1024 * 1024;

/// How much memory a compiled pattern may take.
const MAX_COMPILED_BYTES: usize = 2 * 1024 * 1024;

/// How much memory making it deterministic may take meanwhile, which bounds the time as well.
const MAX_COMPILING_BYTES: usize = 512 * 1024;

/// How many classes of Unicode a pattern may name: each is looked up.
const MAX_PROPERTIES: usize = 100;

/// A pattern, ready to be matched.
///
/// ```
/// use trilog_protocol::topic_pattern::TopicPattern;
///
/// let orders = TopicPattern::new("orders-(eu|us)")?;
/// assert!(orders.matches("orders-eu"));
/// assert!(!orders.matches("orders-eu-archive"), "the whole name has to match");
/// # Ok::<(), trilog_protocol::topic_pattern::InvalidPattern>(())
/// ```
#[derive(Clone, Debug)]
pub struct TopicPattern(dense::DFA<Vec<u32>>);

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// The text is too long.
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// The automaton is too large, or takes too much to make.
    #[error("it is too complex: write out fewer repetitions or alternatives")]
    TooLarge,
    /// RE2 has no such flag.
    #[error("the flag {0} is not supported")]
    Flag(char),
    /// The text is no regular expression.
    #[error("{0}")]
    Syntax(String),
}

impl TopicPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`] says what makes it no RE2 pattern, or that it is too large to be matched at ease.
    pub fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        if pattern.len() > MAX_BYTES {
            return Err(InvalidPattern::TooLong);
        }
        if [r"\p", r"\P"].iter().map(|escape| pattern.matches(escape).count()).sum::<usize>() > MAX_PROPERTIES
        {
            return Err(InvalidPattern::TooLarge);
        }
        let parsed = parse(&translate(pattern)?)?;
        let whole_name = Hir::concat(vec![parsed, Hir::look(Look::End)]);
        let limits = thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_NFA_BYTES));
        let nfa = thompson::Compiler::new().configure(limits.shrink(false)).build_from_hir(&whole_name);
        let limits = dense::Config::new()
            .dfa_size_limit(Some(MAX_COMPILED_BYTES))
            .determinize_size_limit(Some(MAX_COMPILING_BYTES))
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .accelerate(false);
        // What is wrong by itself was found by the parser: what fails here is too large.
        let nfa = nfa.map_err(|_| InvalidPattern::TooLarge)?;
        let dfa = dense::Builder::new().configure(limits).build_from_nfa(&nfa);
        dfa.map(Self).map_err(|_| InvalidPattern::TooLarge)
    }

    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.memory_usage()
    }

    /// Whether a topic's whole name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let whole = Input::new(name).anchored(Anchored::Yes).earliest(true);
        self.0.try_search_fwd(&whole).is_ok_and(|found| found.is_some())
    }
}

/// Reads a pattern in the crate's spelling.
fn parse(pattern: &str) -> Result<Hir, InvalidPattern> {
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    parsed.map_err(|error| syntax_error(&error))
}

/// What the parser says, without the lines that draw the place.
fn syntax_error(error: &regex_syntax::Error) -> InvalidPattern {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    InvalidPattern::Syntax(last.trim_start_matches("error: ").to_owned())
}

/// A character that no topic's name has, in the place of all those that are not ASCII.
const IN_NO_NAME: &str = r"\x7F";

/// The regex crate's spelling of an RE2 pattern, for names in ASCII. What it does not know it leaves as it is.
fn translate(pattern: &str) -> Result<String, InvalidPattern> {
    let mut translated = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => translate_escape(&mut rest, &mut translated)?,
            '[' => translate_class(&mut rest, &mut translated)?,
            '(' => {
                check_flags(rest.as_str())?;
                translated.push('(');
            }
            other => push_literal(other, &mut translated),
        }
    }
    Ok(translated)
}

fn push_literal(character: char, translated: &mut String) {
    if character.is_ascii() {
        translated.push(character);
    } else {
        translated.push_str(IN_NO_NAME);
    }
}

/// What follows a backslash outside of a class.
fn translate_escape(rest: &mut Chars<'_>, translated: &mut String) -> Result<(), InvalidPattern> {
    match rest.next() {
        Some(letter @ ('p' | 'P')) => {
            translated.push('[');
            translate_property(letter, rest, translated)?;
            translated.push(']');
        }
        Some('Q') => {
            let (literal, behind) = rest.as_str().split_once(r"\E").unwrap_or((rest.as_str(), ""));
            regex_syntax::escape(literal).chars().for_each(|character| push_literal(character, translated));
            *rest = behind.chars();
        }
        Some('C') => translated.push_str("(?s:.)"),
        Some(mere @ ('<' | '>')) => translated.push(mere),
        Some(other) => translated.extend(['\\', other]),
        None => translated.push('\\'),
    }
    Ok(())
}

/// A class of Unicode by its name, `\pL` or `\P{Greek}`, of which the letter has been read: its characters that are ASCII, to
/// stand in a class.
fn translate_property(
    letter: char,
    rest: &mut Chars<'_>,
    translated: &mut String,
) -> Result<(), InvalidPattern> {
    let text = rest.as_str();
    let length = match text.chars().next() {
        Some('{') => text.find('}').map_or(text.len(), |end| end + 1),
        other => other.map_or(0, char::len_utf8),
    };
    let (name, behind) = text.split_at(length);
    *rest = behind.chars();
    let property = regex_syntax::parse(&format!("\\{letter}{name}"));
    let HirKind::Class(Class::Unicode(class)) = property.map_err(|error| syntax_error(&error))?.into_kind()
    else {
        translated.push_str(IN_NO_NAME);
        return Ok(());
    };
    let before = translated.len();
    for range in class.ranges().iter().filter(|range| range.start().is_ascii()) {
        let (first, last) = (u32::from(range.start()), u32::from(range.end()).min(0x7f));
        let _ = write!(translated, r"\x{first:02X}-\x{last:02X}");
    }
    if translated.len() == before {
        translated.push_str(IN_NO_NAME);
    }
    Ok(())
}

/// A class, whose opening bracket has been read: atoms, and ranges of two of them.
fn translate_class(rest: &mut Chars<'_>, translated: &mut String) -> Result<(), InvalidPattern> {
    translated.push('[');
    if rest.as_str().starts_with('^') {
        rest.next();
        translated.push('^');
    }
    let mut first = true;
    loop {
        match rest.as_str().chars().next() {
            None => return Ok(()),
            Some(']') if !first => {
                rest.next();
                translated.push(']');
                return Ok(());
            }
            Some(_) => translate_atom(rest, translated)?,
        }
        first = false;
        let mut ahead = rest.clone();
        if ahead.next() == Some('-') && !matches!(ahead.next(), Some(']') | None) {
            rest.next();
            translated.push('-');
            translate_atom(rest, translated)?;
        }
    }
}

/// One character of a class, or what stands for several: `\d`, `[:alpha:]`.
fn translate_atom(rest: &mut Chars<'_>, translated: &mut String) -> Result<(), InvalidPattern> {
    if rest.as_str().starts_with("[:")
        && let Some(end) = rest.as_str().find(":]")
    {
        let (named, behind) = rest.as_str().split_at(end + 2);
        translated.push_str(named);
        *rest = behind.chars();
        return Ok(());
    }
    match rest.next() {
        Some('\\') => match rest.next() {
            Some(letter @ ('p' | 'P')) => translate_property(letter, rest, translated)?,
            other => {
                translated.push('\\');
                translated.extend(other);
            }
        },
        Some(special @ ('[' | ']' | '&' | '~' | '-' | '^')) => translated.extend(['\\', special]),
        Some(other) => push_literal(other, translated),
        None => {}
    }
    Ok(())
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
    fn spellings_of_re2_are_understood() {
        assert!(matches(r"\Qa.b\E-.", "a.b-c"));
        assert!(!matches(r"\Qa.b\E", "axb"));
        assert!(matches(r"\Qa.b", "a.b"));
        assert!(matches(r"a\Cb", "a-b"));
        assert!(matches(r"\pL+", "abc"));
        assert!(matches(r"(?P<part>x+)y", "xxy"));
        assert!(matches(r"[[:alpha:]_]+", "a_b"));
        assert!(matches(r"[\pL_]+", "a_b"));
        assert!(matches(r"\P{Lu}{3}", "a_b") && !matches(r"\P{Lu}{3}", "a_B"));
        assert!(matches(r"a[^\p{Greek}]", "ab") && !matches(r"a\p{Greek}", "ab"));
        assert!(matches(r"\bab\b", "ab") && matches(r"\d+", "17"));
    }

    #[test]
    fn what_is_not_ascii_matches_no_name() {
        assert!(!matches("é|x", "é") && matches("é|x", "x"));
        assert!(matches("[^é]+", "ab") && matches("[a-é]+", "ab") && !matches("[é-ü]", "a"));
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
        let unicode = [r"\py", r"\p{Zork}", r"\p{", r"\p"];
        for pattern in
            ["[a", "a(", "a)|(b", "*a", r"(a)\1", "(?=a)", "(?<!a)b", "a{2,1}", r"\"].iter().chain(&unicode)
        {
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
        for complex in [
            r"(\pL{1000}){1000}",
            "[ab]*a[ab]{30}",
            "(a{0,300}b{0,300}){300}",
            "(a?){65000}",
            &r"\pL".repeat(101),
        ] {
            assert_eq!(TopicPattern::new(complex).unwrap_err(), InvalidPattern::TooLarge, "{complex}");
        }
        let names: Vec<String> = (0..1_000).map(|number| format!("orders-{number}-events")).collect();
        let pattern = TopicPattern::new(&names.join("|")).unwrap();
        assert!(names.iter().all(|name| pattern.matches(name)) && !pattern.matches("orders-1000-events"));
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
