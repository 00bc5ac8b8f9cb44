//! Texts that become values. Each error says what the value may be.

use std::time::Duration;

use trilog_protocol::batch::Codec;

/// The longest time that a setting has: 2^31 - 1 ms, which Kafka's types bound it to. Sums of several, and points in time that
/// lie so far ahead, stay within their types.
const LONGEST: Duration = Duration::from_millis(0x7fff_ffff);

/// A time of a setting: the longest one where it would be longer.
pub(crate) const fn bounded(time: Duration) -> Duration {
    if time.as_millis() > LONGEST.as_millis() { LONGEST } else { time }
}

/// A time in milliseconds, as Kafka's settings ending in `.ms` have it.
pub(crate) fn milliseconds(value: &str) -> Result<Duration, String> {
    // librdkafka takes fractions for linger.ms.
    let number = value.parse().ok().filter(|number| (0.0..=f64::from(i32::MAX)).contains(number));
    let number = number.ok_or_else(|| format!("a number of milliseconds from 0 to {}", i32::MAX))?;
    Ok(Duration::from_secs_f64(number / 1000.0))
}

/// A number of bytes.
pub(crate) fn bytes(value: &str) -> Result<usize, String> {
    value.parse().map_err(|_| "a number of bytes".to_owned())
}

/// A count of at least 1.
pub(crate) fn count(value: &str) -> Result<usize, String> {
    value.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a number of 1 or more".to_owned())
}

/// A truth value.
pub(crate) fn flag(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// A text that is not empty.
pub(crate) fn text(value: &str) -> Result<String, String> {
    if value.is_empty() { Err("a text that is not empty".to_owned()) } else { Ok(value.to_owned()) }
}

/// A codec by its name in `compression.type`.
pub(crate) fn codec(value: &str) -> Result<Codec, String> {
    value.parse().map_err(|_| "none, gzip, snappy, lz4 or zstd".to_owned())
}

/// A compression level.
pub(crate) fn level(value: &str) -> Result<i32, String> {
    value.parse().map_err(|_| "a whole number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_have_fractions_and_have_bounds() {
        assert_eq!(milliseconds("5"), Ok(Duration::from_millis(5)));
        assert_eq!(milliseconds("0.5"), Ok(Duration::from_micros(500)));
        for wrong in ["-1", "5s", "", "NaN", "inf", "1e300"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        assert!(bytes("-1").is_err());
        assert!(count("0").is_err());
        assert!(flag("yes").is_err());
        assert!(text("").is_err());
        assert_eq!(codec("brotli"), Err("none, gzip, snappy, lz4 or zstd".to_owned()));
    }
}
