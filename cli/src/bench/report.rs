//! What a bench measured.

use std::time::Duration;

use serde::Serialize;

use super::histogram::Histogram;
use crate::failure::Failure;
use crate::screen::{OutputFormat, Screen};
use crate::table::Table;

/// The figures of a run. Its fields are the documented shape of its JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    bench: &'static str,
    topic: String,
    records: u64,
    bytes: u64,
    seconds: f64,
    records_per_second: f64,
    megabytes_per_second: f64,
    latency_ms: Option<Latency>,
}

/// Percentiles in milliseconds, to a microsecond and to a 64th.
#[derive(Clone, Copy, Debug, Serialize)]
struct Latency {
    samples: u64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

impl Report {
    pub(super) fn new(
        bench: &'static str,
        topic: &str,
        records: u64,
        bytes: u64,
        took: Duration,
        latency: Option<&Histogram>,
    ) -> Self {
        let seconds = took.as_secs_f64();
        // A run of no time has no rate, and JSON no infinity.
        let per_second = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let latency_ms = latency.map(|times| Latency {
            samples: times.len(),
            p50: ms(times.quantile(500_000)),
            p90: ms(times.quantile(900_000)),
            p99: ms(times.quantile(990_000)),
            p99_9: ms(times.quantile(999_000)),
            max: ms(times.max()),
        });
        Self {
            bench,
            topic: topic.to_owned(),
            records,
            bytes,
            seconds,
            records_per_second: per_second(records as f64),
            megabytes_per_second: per_second(bytes as f64 / 1e6),
            latency_ms,
        }
    }

    pub(super) fn print(&self, output: OutputFormat, screen: &mut Screen) -> Result<(), Failure> {
        if output == OutputFormat::Json {
            return screen.json(self);
        }
        let mut table = Table::new([">RECORDS", ">SECONDS", ">RECORDS/S", ">MB/S"]);
        let decimals = |number: f64| format!("{number:.1}");
        table.row([
            self.records.into(),
            decimals(self.seconds).into(),
            format!("{:.0}", self.records_per_second).into(),
            decimals(self.megabytes_per_second).into(),
        ]);
        screen.table(&table)?;
        let Some(latency) = self.latency_ms else { return Ok(()) };
        screen.line("")?;
        let mut table = Table::new(["LATENCY", ">P50", ">P90", ">P99", ">P99.9", ">MAX"]);
        let Latency { p50, p90, p99, p99_9, max, .. } = latency;
        let times = [p50, p90, p99, p99_9, max].map(|time| format!("{time:.2}").into());
        table.row(std::iter::once("ms".into()).chain(times));
        screen.table(&table)
    }
}
