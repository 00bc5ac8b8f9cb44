//! A figure: samples of one thing over many rounds, and what is wanted of them.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// What samples count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Megabytes (10⁶ bytes) a second.
    MegabytesPerSecond,
    /// Parts of a hundred.
    Percent,
    /// Mebibytes (2²⁰ bytes).
    Mebibytes,
    /// Partitions.
    Partitions,
    /// Elections.
    Elections,
}

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    /// Nothing: it explains another one.
    Nothing,
    /// No more than this, in half of the rounds and in all of them.
    AtMost {
        /// The bound on the median, if there is one.
        p50: Option<f64>,
        /// The bound on every sample.
        worst: f64,
    },
    /// No less than this in any round.
    AtLeast(f64),
}

/// Samples of one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    name: String,
    unit: Unit,
    wanted: Wanted,
    samples: Vec<f64>,
}

impl Figure {
    /// A figure without samples.
    pub fn new(name: impl Into<String>, unit: Unit, wanted: Wanted) -> Self {
        Self { name: name.into(), unit, wanted, samples: Vec::new() }
    }

    /// A time in milliseconds of which this much is wanted at most.
    pub fn at_most_ms(name: impl Into<String>, p50: Option<f64>, worst: f64) -> Self {
        Self::new(name, Unit::Milliseconds, Wanted::AtMost { p50, worst })
    }

    /// A time in milliseconds that explains another figure.
    pub fn explaining_ms(name: impl Into<String>) -> Self {
        Self::new(name, Unit::Milliseconds, Wanted::Nothing)
    }

    /// One more sample.
    pub fn add(&mut self, sample: f64) {
        self.samples.push(sample);
    }

    /// One more sample of a time.
    pub fn add_time(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1000.0);
    }

    /// The last sample, in words for whoever watches.
    pub fn last(&self) -> String {
        format!("{} {}", self.samples.last().map_or_else(String::new, |last| show(*last)), self.unit)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The median: of an even number of samples the lower one in the middle. NaN without samples.
    fn p50(&self) -> f64 {
        let sorted = self.sorted();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
    }

    /// The sample that one likes least. NaN without samples.
    fn worst(&self) -> f64 {
        let sorted = self.sorted();
        let worst = match self.wanted {
            Wanted::AtLeast(_) => sorted.first(),
            Wanted::Nothing | Wanted::AtMost { .. } => sorted.last(),
        };
        worst.copied().unwrap_or(f64::NAN)
    }

    /// Whether it is as wanted.
    pub fn is_reached(&self) -> bool {
        match self.wanted {
            Wanted::Nothing => true,
            Wanted::AtMost { p50, worst } => {
                p50.is_none_or(|bound| self.p50() <= bound) && self.worst() <= worst
            }
            Wanted::AtLeast(bound) => self.worst() >= bound,
        }
    }

    /// The head of the table that [`Figure::row`] makes a row of.
    pub const HEAD: &str = "| figure | rounds | p50 | worst | wanted |\n| --- | ---: | ---: | ---: | --- |";

    /// A row of a Markdown table.
    pub fn row(&self) -> String {
        let Self { name, samples, .. } = self;
        let (p50, worst, wanted) = (show(self.p50()), show(self.worst()), self.wanted_text());
        let missed = if self.is_reached() { "" } else { ", **missed**" };
        format!("| {name}, {} | {} | {p50} | {worst} | {wanted}{missed} |", self.unit, samples.len())
    }

    /// The same as one line of JSON, samples and all.
    pub fn json(&self) -> String {
        let samples: Vec<String> = self.samples.iter().map(|sample| format!("{sample:.2}")).collect();
        format!(
            r#"{{"figure":"{}","unit":"{}","p50":{:.2},"worst":{:.2},"reached":{},"samples":[{}]}}"#,
            self.name,
            self.unit,
            self.p50(),
            self.worst(),
            self.is_reached(),
            samples.join(",")
        )
    }

    fn wanted_text(&self) -> String {
        match self.wanted {
            Wanted::Nothing => String::new(),
            Wanted::AtMost { p50: Some(p50), worst } => format!("at most {}, {}", show(p50), show(worst)),
            Wanted::AtMost { p50: None, worst } => format!("at most {}", show(worst)),
            Wanted::AtLeast(bound) => format!("at least {}", show(bound)),
        }
    }
}

impl Display for Unit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "ms",
            Self::MegabytesPerSecond => "MB/s",
            Self::Percent => "%",
            Self::Mebibytes => "MiB",
            Self::Partitions => "partitions",
            Self::Elections => "elections",
        })
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let reached = match self.wanted {
            Wanted::Nothing => String::new(),
            _ if self.is_reached() => format!("  ({})", self.wanted_text()),
            _ => format!("  MISSED: {}", self.wanted_text()),
        };
        let (p50, worst) = (show(self.p50()), show(self.worst()));
        write!(f, "{}: p50 {p50} {unit}, worst {worst} {unit}{reached}", self.name, unit = self.unit)
    }
}

/// As many digits as tell something.
fn show(number: f64) -> String {
    if number.abs() < 10.0 { format!("{number:.1}") } else { format!("{number:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_worst_are_held_against_what_is_wanted() {
        let mut gap = Figure::at_most_ms("gap", Some(250.0), 1500.0);
        for sample in [100.0, 240.0, 1600.0, 20.0] {
            gap.add(sample);
        }
        assert_eq!(gap.row(), "| gap, ms | 4 | 100 | 1600 | at most 250, 1500, **missed** |");
        let mut rate = Figure::new("rate", Unit::MegabytesPerSecond, Wanted::AtLeast(5.0));
        rate.add(7.0);
        rate.add_time(Duration::from_millis(6));
        assert!(rate.is_reached());
        assert_eq!(rate.to_string(), "rate: p50 6.0 MB/s, worst 6.0 MB/s  (at least 5.0)");
        rate.add(4.0);
        assert!(!rate.is_reached());
    }

    #[test]
    fn a_figure_without_samples_is_not_reached() {
        assert!(!Figure::at_most_ms("gap", None, 1.0).is_reached());
        assert!(Figure::explaining_ms("election").is_reached());
    }
}
