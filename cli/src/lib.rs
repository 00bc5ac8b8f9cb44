//! The commands of `trilog` that speak to a cluster: Trilog's, or any other of the Kafka protocol.
//!
//! A command is a type that clap fills ([`Command`]), and a function that does it. The binary adds these commands to its own and
//! hands what was chosen to [`run`]. Nothing here knows how a broker is made; everything goes through `trilog-client`.
//!
//! | room | what it tells |
//! | --- | --- |
//! | [`connection`] | where the cluster is: `-b`, `--config`, `-X`, and the check that it answers |
//! | [`properties`] | files of Kafka settings |
//! | [`failure`] | why a command failed: one sentence and the exit code |
//! | [`screen`] | standard output: text, JSON, colours, pipes that close |
//! | [`table`] | aligned columns |
//! | [`interrupt`] | Ctrl-C and SIGTERM |
//! | `notation`, `json_record`, `progress`, `pace` | separators, records as JSON, the line that says how far it is, records a second |
//! | `produce`, `consume` | records in and out |
//! | `bench` | throughput and latency |
//! | [`admin`] | topics, groups, configurations, records, the cluster |
//! | `completions`, `man` | what shells and manuals are told of the command line |
//!
//! # Rules for commands
//!
//! - Results go to standard output, everything else to standard error. Nothing is logged unless `--log` asks for it.
//! - Exit code 0: done. 1: failed, with one sentence. 2: the command line is wrong. 130: interrupted before it was done.
//! - A pipe that is closed by its reader ends a command without a word.
//! - JSON has a documented shape (`docs/cli.md`), which grows and does not change.

pub mod admin;
mod bench;
mod completions;
pub mod connection;
mod consume;
pub mod failure;
pub mod interrupt;
mod json_record;
mod man;
mod notation;
mod pace;
mod produce;
mod progress;
pub mod properties;
pub mod screen;
pub mod table;

use std::pin::Pin;
use std::process::ExitCode;

use clap::Subcommand;

use self::failure::Failure;
use self::screen::Screen;

/// What a command line can ask of a cluster.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Send records: each line of a file, or of standard input.
    Produce(Box<produce::ProduceArgs>),
    /// Print the records of topics.
    Consume(Box<consume::ConsumeArgs>),
    /// Measure the throughput and latency of a cluster.
    Bench(Box<bench::BenchArgs>),
    #[expect(missing_docs, reason = "clap takes no help for commands that are merged into this list")]
    #[command(flatten)]
    Admin(Box<admin::AdminCommand>),
    /// Print the script by which a shell completes this command line.
    Completions(completions::CompletionsArgs),
    /// Print a manual page, or write all of them.
    Man(man::ManArgs),
}

/// Gives each command a usage line by its definition alone. clap's own names the flags that were given, or that have a variable of the
/// environment, as if they were required. A negative number behind a flag is its value, so that the message says what is wrong with it.
#[must_use]
pub fn with_usage_lines(mut definition: clap::Command) -> clap::Command {
    definition.build();
    set_usage(&mut definition);
    definition
}

fn set_usage(command: &mut clap::Command) {
    command.get_subcommands_mut().for_each(set_usage);
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let takes_negative = |arg: clap::Arg| {
        let is_flag_with_value = arg.get_action().takes_values() && !arg.is_positional();
        if is_flag_with_value { arg.allow_negative_numbers(true) } else { arg }
    };
    *command = std::mem::take(command).override_usage(usage).mut_args(takes_negative);
}

/// Does a command, and says in one line why it failed. `definition` is the whole command line of the binary.
#[must_use]
pub fn run(command: Command, definition: clap::Command) -> ExitCode {
    let mut screen = Screen::stdout();
    let outcome = perform(command, definition, &mut screen).and_then(|()| screen.flush());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            failure.exit_code()
        }
    }
}

fn perform(command: Command, definition: clap::Command, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        Command::Produce(args) => block_on(produce::run(*args)),
        Command::Consume(args) => block_on(consume::run(*args, screen)),
        Command::Bench(args) => block_on(bench::run(*args, screen)),
        Command::Admin(command) => admin::perform(*command, screen),
        Command::Completions(args) => completions::print(&args, definition, screen),
        Command::Man(args) => man::print(&args, definition, screen),
    }
}

/// Runs a command that waits for sockets.
///
/// # Errors
///
/// Those of the command, and [`Failure::Failed`] if the system gives no runtime.
pub fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    block_on_boxed(Box::pin(work))
}

/// Compiled once, and not for each command: a runtime is a lot of code.
fn block_on_boxed(work: Pin<Box<dyn Future<Output = Result<(), Failure>> + '_>>) -> Result<(), Failure> {
    // The command itself runs on this thread, and may block it with its output; connections go on beside it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(work);
    // A read of standard input cannot be ended, and is not waited for.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "trilog")]
    struct Alone {
        #[command(subcommand)]
        _command: Command,
    }

    #[test]
    fn the_definition_is_sound() {
        Alone::command().debug_assert();
    }

    /// What clap prints for this line.
    fn printed(line: &[&str]) -> String {
        let line = [&["trilog"], line].concat();
        with_usage_lines(Alone::command()).try_get_matches_from(line).unwrap_err().to_string()
    }

    #[test]
    fn no_usage_line_shows_a_flag_that_was_given_as_required() {
        let usages = [
            (&["topic", "describe", "-b", "h:1", "--no-such"][..], "trilog topic describe [OPTIONS]"),
            (&["bench", "produce", "-b", "h:1"], "trilog bench produce [OPTIONS] <TOPIC>"),
            (&["consume", "-b", "h:1", "--follow"], "trilog consume [OPTIONS] <TOPICS>..."),
            (&["produce", "-b", "h:1"], "trilog produce [OPTIONS] [TOPIC]"),
            (&["group", "-b", "h:1", "--no-such"], "trilog group [OPTIONS] <COMMAND>"),
            (&["acl", "create", "-b", "h:1"], "trilog acl create [OPTIONS] --principal <PRINCIPAL>"),
        ];
        for (line, usage) in usages {
            let printed = printed(line);
            assert!(printed.contains(&format!("Usage: {usage}")), "{line:?}: {printed}");
            assert!(!printed.contains("--brokers <"), "{line:?}: {printed}");
        }
        let help = printed(&["topic", "describe", "-b", "h:1", "--help"]);
        assert!(help.contains("Usage: trilog topic describe [OPTIONS]"), "{help}");
    }
}
