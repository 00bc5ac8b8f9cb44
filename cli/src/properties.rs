//! Files of settings in the format of Java's properties, as Kafka's own tools read them.
//!
//! A line is `name=value`, with `=`, `:` or blanks between. `#` and `!` begin a comment. A backslash at the end of a line joins it with
//! the next one. `\t`, `\n`, `\r`, `\f` and `\u` with four hexadecimal digits are escapes; any other backslash is dropped.

use thiserror::Error;

/// A setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The line that it begins in, from 1.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Its value, which may be empty.
    pub value: String,
}

/// A line that cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub struct PropertyError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Reads a file's text, in its order.
///
/// # Errors
///
/// [`PropertyError`] of the first line that is wrong.
///
/// ```
/// let text = "# where\nbootstrap.servers = one:9092,\\\n  two:9092\n";
/// let read = trilog_cli::properties::parse(text)?;
/// assert_eq!((read[0].name.as_str(), read[0].value.as_str()), ("bootstrap.servers", "one:9092,two:9092"));
/// # Ok::<(), trilog_cli::properties::PropertyError>(())
/// ```
pub fn parse(text: &str) -> Result<Vec<Property>, PropertyError> {
    let mut lines = text.lines().enumerate();
    let mut properties = Vec::new();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = first.to_owned();
        while is_continued(&whole) {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start());
        }
        let line = index + 1;
        let wrong = |problem| PropertyError { line, problem };
        let (name, value) = split(&whole);
        let (name, value) = (unescape(name).map_err(wrong)?, unescape(value).map_err(wrong)?);
        if name.is_empty() {
            return Err(wrong("no name before the value"));
        }
        properties.push(Property { line, name, value });
    }
    Ok(properties)
}

/// Whether a line ends in a backslash that no backslash before it takes the meaning from.
fn is_continued(line: &str) -> bool {
    let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 1
}

/// The name and the value of a line, both still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|c: char| {
        let ends = !is_escaped && (matches!(c, '=' | ':') || c.is_whitespace());
        is_escaped = !is_escaped && c == '\\';
        ends
    });
    let Some(end) = end else { return (line, "") };
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (name, value.trim_start())
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\x0c'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                let code = code.filter(|_| !digits.starts_with('+'));
                let unit = code.and_then(char::from_u32);
                plain.push(unit.ok_or("\\u is not followed by the four hexadecimal digits of a character")?);
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let read = parse(text).unwrap_or_else(|error| panic!("{error}"));
        read.into_iter().map(|property| (property.name, property.value)).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn names_and_values_are_separated_in_three_ways() {
        for line in ["a=b c", "a = b c", "a: b c", "a b c", "  a\t=\tb c"] {
            assert_eq!(pairs(line), [pair("a", "b c")], "{line:?}");
        }
        assert_eq!(pairs("a=b=c:d"), [pair("a", "b=c:d")]);
        assert_eq!(pairs("a"), [pair("a", "")]);
    }

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        assert_eq!(pairs("# a=b\n ! c=d\n\n   \ne=f\r\n"), [pair("e", "f")]);
    }

    #[test]
    fn a_backslash_goes_on_with_the_next_line() {
        assert_eq!(
            pairs("a=b,\\\n   c\nd=e\\\\\nf=g\\"),
            [pair("a", "b,c"), pair("d", "e\\"), pair("f", "g")]
        );
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert_eq!(pairs(r"a\=b\:c=\t\u00e9\q"), [pair("a=b:c", "\té\u{71}")]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = parse("a=b\n\n=c").unwrap_err();
        assert_eq!(error.to_string(), "line 3: no name before the value");
        assert_eq!(parse(r"a=\u12").unwrap_err().line, 1);
        assert_eq!(parse("# x\na=\\u+123").unwrap_err().line, 2);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ -~\\n\\\\=:#]{0,80}") {
            let _ = parse(&text);
        }
    }
}
