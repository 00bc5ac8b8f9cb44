//! The process itself, under the names that Prometheus' own client libraries give such figures, so that ready-made
//! dashboards find them. Linux tells most of it under `/proc`; elsewhere it is left out.

use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};

use super::families::{Families, Samples};

/// When the process began, near enough: when this was first asked for.
static STARTED: LazyLock<(Instant, SystemTime)> = LazyLock::new(|| (Instant::now(), SystemTime::now()));

/// What `/proc/self/stat` tells.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: u64,
}

/// What is counted from the start begins now.
pub(super) fn begin() {
    LazyLock::force(&STARTED);
}

/// Version, age, memory, processor time, threads, open files.
pub(super) fn tell(families: &mut Families) {
    let (started, since) = *STARTED;
    let mut build = Samples::default();
    build.add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    families.gauges("trilog_build_info", "1, with the version as a label.", build);
    families.gauge("trilog_uptime_seconds", "How long the process runs.", started.elapsed().as_secs_f64());
    let since_epoch = since.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    families.gauge(
        "process_start_time_seconds",
        "When the process began, in seconds since the Unix epoch.",
        since_epoch.as_secs_f64(),
    );
    if let Some(bytes) = fs::read_to_string("/proc/self/statm").ok().as_deref().and_then(resident_bytes) {
        families.gauge("process_resident_memory_bytes", "Resident memory.", bytes);
    }
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse_stat) {
        let mut cpu = Samples::default();
        cpu.add(&[], stat.cpu_seconds);
        families.counters("process_cpu_seconds_total", "Processor time, user and system.", cpu);
        families.gauge("process_threads", "Threads.", stat.threads as f64);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        families.count("process_open_fds", "Open file descriptors.", open.count());
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        families.gauge("process_max_fds", "How many file descriptors may be open.", most as f64);
    }
}

/// The second field of `statm`, in pages.
fn resident_bytes(statm: &str) -> Option<f64> {
    let pages: f64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as f64)
}

/// The fields of `stat` behind the name, which is in parentheses and may hold anything: user and system time are the
/// 14th and 15th of all, threads the 20th (proc(5)).
fn parse_stat(stat: &str) -> Option<Stat> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let cpu_seconds = (ticks(11)? + ticks(12)?) / rustix::param::clock_ticks_per_second() as f64;
    Some(Stat { cpu_seconds, threads: fields.get(17)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_passed_over() {
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 100";
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(parse_stat(stat), Some(Stat { cpu_seconds: 300.0 / per_second, threads: 9 }));
        assert_eq!(parse_stat("nothing"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(resident_bytes("100 3 2 1 0 9 0"), Some(3.0 * rustix::param::page_size() as f64));
        assert_eq!(resident_bytes("100"), None);
    }
}
