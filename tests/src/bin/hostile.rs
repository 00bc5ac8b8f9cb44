//! Plays attacks on a cluster at full size; see [`trilog_tests::hostile`].
//!
//! ```text
//! hostile [--list] [--small] [--scenario NAME ...]
//! ```
//!
//! Without a scenario it plays all of them. One line a scenario, and a Markdown table at the end. Exit code 1 if the probe's
//! worst acknowledgement or a node's memory is above its bound, or memory is kept afterwards.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

use std::process::ExitCode;

use clap::Parser;
use trilog_tests::hostile::report::Report;
use trilog_tests::hostile::{self, Scenario, Size};

/// Plays attacks on a cluster and reports what honest clients and the nodes' memory notice of them.
#[derive(Parser)]
struct Arguments {
    /// Lists the scenarios and ends.
    #[arg(long)]
    list: bool,
    /// Plays the attacks at the size of the tests.
    #[arg(long)]
    small: bool,
    /// The scenario to play; may be given several times.
    #[arg(long = "scenario", value_name = "NAME", value_parser = scenario)]
    scenarios: Vec<&'static Scenario>,
}

fn scenario(name: &str) -> Result<&'static Scenario, String> {
    hostile::find(name).ok_or_else(|| format!("there is no scenario {name}; --list names them"))
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for scenario in hostile::ALL {
            println!("{}: {}", scenario.name, scenario.what);
        }
        return ExitCode::SUCCESS;
    }
    let scenarios = if arguments.scenarios.is_empty() { hostile::ALL } else { &arguments.scenarios };
    let size = if arguments.small { Size::Small } else { Size::Full };
    let mut reports = Vec::new();
    for scenario in scenarios {
        eprintln!("{}: {}", scenario.name, scenario.what);
        let report = hostile::play(scenario, size).await;
        println!("{report}");
        reports.push(report);
    }
    println!("\n{}", Report::HEAD);
    for report in &reports {
        println!("{}", report.row());
    }
    if reports.iter().all(|report| report.missed().is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
