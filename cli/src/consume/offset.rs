//! Where reading begins: `earliest`, `latest`, an offset, the last so many records, a time.

use std::str::FromStr;
use std::time::Duration;

/// A beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// The first record that there is.
    Earliest,
    /// Behind the last record.
    Latest,
    /// This offset.
    At(i64),
    /// So many records before the end.
    Last(i64),
    /// The first record of this time or later, in milliseconds since 1970.
    Time(i64),
    /// The first record that is at most so old.
    Age(Duration),
}

impl FromStr for Beginning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "earliest, latest, an offset, -N for the last N records, @MILLISECONDS, @2026-01-31T12:00:00Z and @-15m \
             (s, m, h, d) are allowed"
                .to_owned()
        };
        let digits = |text: &str| -> Option<i64> {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain)
        };
        let found = match text {
            "earliest" | "beginning" => Some(Self::Earliest),
            "latest" | "end" => Some(Self::Latest),
            _ => match (text.strip_prefix('-'), text.strip_prefix('@')) {
                (Some(last), _) => digits(last).map(Self::Last),
                (_, Some(time)) => match time.strip_prefix('-') {
                    Some(age) => duration(age).map(Self::Age),
                    None => digits(time).or_else(|| utc(time)).map(Self::Time),
                },
                _ => digits(text).map(Self::At),
            },
        };
        found.ok_or_else(wrong)
    }
}

/// `15m` and the like.
fn duration(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let number = number.parse::<u64>().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    number.checked_mul(unit).filter(|seconds| *seconds <= 1 << 40).map(Duration::from_secs)
}

/// `2026-01-31`, with `T12:00`, `:00`, `.000` and `Z` behind it or not: a time in UTC, in milliseconds since 1970.
fn utc(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00"));
    let mut date = date.split('-').map(|part| number(part, 4));
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time_parts = time.split(':').map(|part| number(part, 2));
    let (hour, minute) = (time_parts.next()??, time_parts.next()??);
    let second = time_parts.next().unwrap_or(Some(0))?;
    let millisecond = number(&format!("{fraction:0<3}"), 3)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let is_time = hour < 24 && minute < 60 && second < 60;
    if date.next().is_some()
        || time_parts.next().is_some()
        || !(1..=days_of).contains(&day)
        || !is_time
        || year < 1970
    {
        return None;
    }
    // Years begin in March here, so that the day of February that is there or not is their last.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day - 1;
    let seconds = (days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1000 + millisecond)
}

fn number(text: &str, most_digits: usize) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= most_digits;
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_notation_is_one_beginning() {
        for (text, beginning) in [
            ("earliest", Beginning::Earliest),
            ("beginning", Beginning::Earliest),
            ("latest", Beginning::Latest),
            ("0", Beginning::At(0)),
            ("-10", Beginning::Last(10)),
            ("@1767225600000", Beginning::Time(1_767_225_600_000)),
            ("@2026-01-01", Beginning::Time(1_767_225_600_000)),
            ("@2026-01-01T00:00:01.5Z", Beginning::Time(1_767_225_601_500)),
            ("@2024-02-29T23:59", Beginning::Time(1_709_251_140_000)),
            ("@1970-01-01", Beginning::Time(0)),
            ("@2026", Beginning::Time(2026)),
            ("@-15m", Beginning::Age(Duration::from_secs(900))),
        ] {
            assert_eq!(text.parse(), Ok(beginning), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "-",
            "@",
            "@-",
            "first",
            "+1",
            "1.5",
            "@2026-02-29",
            "@2026-13-01",
            "@2026-01-01T24:00",
            "@-15",
            "@-m",
            "@2026-01-01-01",
            "@1969-12-31",
            "99999999999999999999",
            "@-99999999999999999999d",
        ] {
            assert!(text.parse::<Beginning>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[@0-9TZ:.é-]{0,24}") {
            let _ = text.parse::<Beginning>();
        }
    }
}
