//! What a client said lately, so that a gap that is too wide can be explained by whoever made it.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many lines are kept: those of some seconds around a fault.
const KEPT: usize = 4_000;

/// What is said shortly after a moment still belongs to it: the last line is that of the cure.
const SLACK: Duration = Duration::from_millis(5);

/// The last lines, and when each was written.
#[derive(Debug, Default)]
pub(super) struct Diary(Mutex<VecDeque<(Instant, String)>>);

impl Diary {
    pub(super) fn write(&self, at: Instant, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back((at, line));
    }

    /// The lines between two moments, each with the time since the first of them in ms.
    pub(super) fn between(&self, from: Instant, to: Instant) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (at, line) in lines.iter().filter(|(at, _)| (from..=to + SLACK).contains(at)) {
            let ms = (*at - from).as_secs_f64() * 1000.0;
            let _ = writeln!(text, "  {ms:7.1} {line}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_gap() {
        let diary = Diary::default();
        let start = Instant::now();
        for ms in [0, 10, 20, 30] {
            diary.write(start + Duration::from_millis(ms), format!("at {ms}"));
        }
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(diary.between(at(10), at(20)), "      0.0 at 10\n     10.0 at 20\n");
        assert_eq!(diary.between(at(40), at(50)), "");
    }

    #[test]
    fn the_oldest_lines_give_way() {
        let diary = Diary::default();
        let start = Instant::now();
        for line in 0..=KEPT {
            diary.write(start, line.to_string());
        }
        let kept = diary.between(start, start);
        assert_eq!(kept.lines().count(), KEPT);
        assert!(kept.starts_with("      0.0 1\n"), "line 0 is gone");
    }
}
