//! Measures what faults cost clients; see [`trilog_tests::failover`].
//!
//! ```text
//! failover [--rounds N] [--fill-page-cache] [--gigabytes N] [--json FILE] [kill|pause|cut|terminate|rolling|coordinator|catch-up|start-up|balance ...]
//! ```
//!
//! Without a scenario it runs all of them but `start-up`, which writes so many gigabytes to each of three nodes.
//! `--fill-page-cache` is for machines that get memory from their host page by page: rounds that write gigabytes begin with
//! all memory in use. It takes as much space in the directory for temporary files. One line a figure, and a Markdown table
//! of all at the end. Exit code 1 if a figure is not as wanted.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use trilog_tests::failover::figure::Figure;
use trilog_tests::failover::{Means, Scenario};

const USAGE: &str = "failover [--rounds N] [--fill-page-cache] [--gigabytes N] [--json FILE] [kill|pause|cut|terminate|rolling|coordinator|catch-up|start-up|balance ...]";
const ROUNDS: usize = 30;
const MEANS: Means = Means { fill_page_cache: false, gigabytes: 1 };

struct Arguments {
    rounds: usize,
    means: Means,
    json: Option<PathBuf>,
    scenarios: Vec<Scenario>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self { rounds: ROUNDS, means: MEANS, json: None, scenarios: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--rounds" => {
                    let count = words.next().and_then(|count| count.parse().ok()).filter(|count| *count > 0);
                    arguments.rounds = count.ok_or("--rounds wants a number above 0")?;
                }
                "--fill-page-cache" => arguments.means.fill_page_cache = true,
                "--gigabytes" => {
                    let count = words.next().and_then(|count| count.parse().ok());
                    arguments.means.gigabytes = count.ok_or("--gigabytes wants a number")?;
                }
                "--json" => arguments.json = Some(words.next().ok_or("--json wants a file")?.into()),
                name => {
                    let scenario = name.parse()?;
                    if !arguments.scenarios.contains(&scenario) {
                        arguments.scenarios.push(scenario);
                    }
                }
            }
        }
        if arguments.scenarios.is_empty() {
            arguments.scenarios.extend(Scenario::ALL);
        }
        Ok(arguments)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut json = arguments.json.map(|path| File::create(path).expect("the file can be made"));
    let mut figures: Vec<Figure> = Vec::new();
    for scenario in arguments.scenarios {
        eprintln!("{scenario:?}: {} rounds", arguments.rounds);
        for figure in scenario.run(arguments.rounds, arguments.means).await {
            println!("{figure}");
            if let Some(json) = &mut json {
                writeln!(json, "{}", figure.json()).expect("the disk has room");
            }
            figures.push(figure);
        }
    }
    println!("\n{}", Figure::HEAD);
    for figure in &figures {
        println!("{}", figure.row());
    }
    if figures.iter().all(Figure::is_reached) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
