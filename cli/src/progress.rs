//! One line on a terminal that says how far a command is.

use std::time::{Duration, Instant};

/// How often the line is written.
const EVERY: Duration = Duration::from_millis(200);

/// The line, or nothing where no person looks.
#[derive(Debug)]
pub(crate) struct Progress {
    is_watched: bool,
    last: Option<Instant>,
}

impl Progress {
    pub(crate) const fn new(is_watched: bool) -> Self {
        Self { is_watched, last: None }
    }

    /// Writes the line again, if it is time.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if self.is_watched && self.last.is_none_or(|last| last.elapsed() >= EVERY) {
            self.last = Some(Instant::now());
            eprint!("\r\x1b[K{}", line());
        }
    }

    /// Removes the line.
    pub(crate) fn end(&mut self) {
        if self.last.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    /// A message about a failure has a line of its own.
    fn drop(&mut self) {
        self.end();
    }
}

/// A number of bytes for people.
pub(crate) fn bytes_in_words(bytes: u64) -> String {
    let number = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", number / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", number / 1e6),
        _ => format!("{:.1} GB", number / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_a_unit_that_suits_them() {
        let words = [0, 999, 1_500, 2_000_000, 3_100_000_000].map(bytes_in_words);
        assert_eq!(words, ["0 B", "999 B", "1.5 kB", "2.0 MB", "3.1 GB"]);
    }
}
