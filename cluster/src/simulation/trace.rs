//! What happened, line by line: all of it as a digest, the end of it to read.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How many lines are kept.
const KEPT: usize = 80;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Trace {
    digest: u32,
    lines: VecDeque<String>,
    all: bool,
}

impl Trace {
    /// A trace that keeps all lines, or only the last.
    pub(super) fn new(all: bool) -> Self {
        Self { all, ..Self::default() }
    }

    /// Adds a line.
    pub(super) fn tell(&mut self, at: Duration, what: impl fmt::Display) {
        let line = format!("{:>10.4} {what}", at.as_secs_f64() * 1000.0);
        self.digest = crc32c::crc32c_append(self.digest, line.as_bytes());
        if !self.all && self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// A number that two traces share only if they are the same.
    pub(super) const fn digest(&self) -> u32 {
        self.digest
    }

    /// The lines that were kept.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
