//! Times of a command line: `2026-03-01T12:30:00Z`, with milliseconds, another offset from UTC, or milliseconds since 1970.

/// Milliseconds since 1970 of a time. Without an offset it is UTC, as in Kafka's own tools.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let expected = || "a time like 2026-03-01T12:30:00Z, or milliseconds since 1970".to_owned();
    if let Ok(milliseconds) = text.parse::<i64>() {
        return (milliseconds >= 0).then_some(milliseconds).ok_or_else(expected);
    }
    instant(text).ok_or_else(expected)
}

fn instant(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, number(date.next()?, 2)?);
    let (clock, offset) = offset(time)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':');
    let (hour, minute) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let second = clock.next().map_or(Some(0), |second| number(second, 2))?;
    if day < 1 || day > days_of(year, month)? || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    Some(seconds * 1000 + milliseconds(fraction)?)
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn milliseconds(fraction: &str) -> Option<i64> {
    match fraction.len() {
        0 => Some(0),
        1..=9 => {
            let padded = format!("{fraction:0<3}");
            number(padded.get(..3)?, 3).filter(|_| fraction.bytes().all(|byte| byte.is_ascii_digit()))
        }
        _ => None,
    }
}

/// A time of day without its offset from UTC, and the offset in minutes.
fn offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (clock, offset) = time.split_at(at);
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let minutes = number(hours, 2)? * 60 + number(minutes, 2)?;
    Some((clock, if offset.starts_with('-') { -minutes } else { minutes }))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of(year: i64, month: i64) -> Option<i64> {
    match month {
        2 if is_leap(year) => Some(29),
        2 => Some(28),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Days from the first of January 1970, in the Gregorian calendar: the year begins in March, so that a leap day is its last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let months = (month + 9) % 12;
    let day_of_year = (153 * months + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(parse("2000-02-29T12:30:15.250Z"), Ok(951_827_415_250));
        assert_eq!(parse("2026-11-29"), Ok(1_795_910_400_000));
        assert_eq!(parse("2026-11-29T01:00:00+01:00"), Ok(1_795_910_400_000));
        assert_eq!(parse("2026-11-28 19:00-05:00"), Ok(1_795_910_400_000));
        assert_eq!(parse("1795910400000"), Ok(1_795_910_400_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in [
            "",
            "yesterday",
            "-5",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.x",
            "2026-01-01T00:00:00+1",
            "2026-01-01T00:00:00é",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
