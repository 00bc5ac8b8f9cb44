//! The command line: what a user may say, checked, and handed on as plain values.
//!
//! Each flag has a `TRILOG_*` variable, shown by `--help`; a flag wins over its variable. A wrong value ends the
//! process with exit code 2 and a message that names the flag and what is allowed. What can only be found out by
//! trying, such as a port in use, is no business of this room: that ends with one line and exit code 1.
//!
//! | room | what it tells |
//! | --- | --- |
//! | `serve` | the flags of one node, and [`ServeOptions`] |
//! | `dev` | the flags of the local cluster, and [`DevOptions`] |
//! | `health` | the flags of the question whether a node can be used, and [`HealthOptions`] |
//! | `secret` | the file that a new secret goes to |
//! | `create_topics` | the topics that are to be there |
//! | `listener` | `NAME://host:port,…`, listened on and advertised |
//! | `peers` | `1@host:port,2@…`, the cluster's members |
//! | `byte_size`, `host_port`, `http_listener`, `setting`, `new_topic` | one notation each |

pub(crate) mod byte_size;
pub(crate) mod create_topics;
pub(crate) mod dev;
pub(crate) mod health;
pub(crate) mod host_port;
pub(crate) mod http_listener;
pub(crate) mod listener;
pub(crate) mod new_topic;
mod peers;
mod secret;
pub(crate) mod serve;
pub(crate) mod setting;

use std::fmt::Display;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
pub(crate) use dev::DevOptions;
pub(crate) use health::HealthOptions;
pub(crate) use serve::ServeOptions;

use crate::logging::{self, LogFormat};

/// What the processes that serve log unless they are told otherwise.
const DEFAULT_FILTER: &str = "info";

/// Nothing. Commands that end by themselves say what went wrong, and no more unless they are asked to.
const NO_LOG: &str = "off";

/// A small broker that speaks the Kafka protocol.
#[derive(Debug, Parser)]
#[command(name = "trilog", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What is logged, to standard error: a level (error, warn, info, debug, trace) or directives such as
    /// info,trilog_cluster=debug [default: info for nodes, off for commands that speak to a cluster].
    #[arg(long, global = true, env = "TRILOG_LOG", value_name = "FILTER", value_parser = filter)]
    log: Option<String>,
    /// How log lines look.
    #[arg(long, global = true, env = "TRILOG_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// What is logged at the start, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogOptions {
    /// A filter in the notation of `--log`.
    pub(crate) filter: String,
    /// How a line looks.
    pub(crate) format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a local cluster: several nodes on this machine, started, watched and stopped together.
    Dev(dev::DevArgs),
    /// Run one node.
    Serve(serve::ServeArgs),
    /// Ask a node whether it can be used: exit code 0 if it can, else 1 and a line that says what is missing.
    Health(health::HealthArgs),
    /// Make a file with a new secret for --cluster-secret-file, unless it is there already.
    Secret(secret::SecretArgs),
    /// What speaks to a cluster.
    #[command(flatten)]
    Cluster(trilog_cli::Command),
}

/// What the process was asked to do.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// `trilog dev`
    Dev(DevOptions),
    /// `trilog serve`
    Serve(Box<ServeOptions>),
    /// `trilog health`
    Health(HealthOptions),
    /// `trilog secret`, with the file to make
    Secret(PathBuf),
    /// A command that speaks to a cluster
    Cluster(Box<trilog_cli::Command>),
}

/// The command line and the environment of this process, or the end of it: with a message about what is wrong, or the
/// help that was asked for. What concerns the log comes beside it.
pub(crate) fn parse() -> (Invocation, LogOptions) {
    let matches = trilog_cli::with_usage_lines(Cli::command()).get_matches();
    Cli::from_arg_matches(&matches).and_then(read).unwrap_or_else(|error| error.exit())
}

fn read(cli: Cli) -> Result<(Invocation, LogOptions), clap::Error> {
    let quiet = matches!(cli.command, Command::Cluster(_));
    let unasked = if quiet { NO_LOG } else { DEFAULT_FILTER };
    let log = LogOptions { filter: cli.log.unwrap_or_else(|| unasked.to_owned()), format: cli.log_format };
    let invocation = match cli.command {
        Command::Dev(args) => {
            Invocation::Dev(args.into_options(log.clone()).map_err(|error| wrong("dev", &error))?)
        }
        Command::Serve(args) => {
            Invocation::Serve(Box::new(args.into_options().map_err(|error| wrong("serve", &error))?))
        }
        Command::Health(args) => Invocation::Health(args.into_options()),
        Command::Secret(args) => Invocation::Secret(args.file),
        Command::Cluster(command) => Invocation::Cluster(Box::new(command)),
    };
    Ok((invocation, log))
}

/// The whole command line, for completions, manual pages and documents.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// What is wrong with the flags of a sub-command, with its usage behind it.
fn wrong(subcommand: &str, error: &dyn Display) -> clap::Error {
    let mut command = Cli::command();
    command.build();
    match command.find_subcommand_mut(subcommand) {
        Some(subcommand) => subcommand.error(ErrorKind::ValueValidation, error),
        None => command.error(ErrorKind::ValueValidation, error),
    }
}

/// A log filter that can be used.
fn filter(text: &str) -> Result<String, logging::LogFilterError> {
    logging::check(text).map(|()| text.to_owned())
}

/// What a command line comes to, its error as text.
#[cfg(test)]
pub(crate) fn invoke(line: &[&str]) -> Result<Invocation, String> {
    let cli = Cli::try_parse_from([&["trilog"], line].concat()).map_err(|error| error.to_string())?;
    read(cli).map(|(invocation, _)| invocation).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_that_speak_to_a_cluster_log_when_they_are_asked_to() {
        let filter = |line: &[&str]| {
            let cli = Cli::try_parse_from([&["trilog"], line].concat()).unwrap();
            read(cli).unwrap().1.filter
        };
        assert_eq!(filter(&["serve"]), "info");
        assert_eq!(filter(&["man"]), "off");
        assert_eq!(filter(&["man", "--log", "debug"]), "debug");
    }

    #[test]
    fn the_usage_is_that_of_the_sub_command() {
        for line in [["serve", "--set=num.partition=1"], ["serve", "--peers=2@a:1"], ["dev", "--set=a.b=1"]] {
            let error = invoke(&line).unwrap_err();
            assert!(error.contains(&format!("Usage: trilog {}", line[0])), "{error}");
        }
    }

    #[test]
    fn a_wrong_log_filter_names_the_flag() {
        let error = invoke(&["serve", "--log", "trilog=loud"]).unwrap_err();
        assert!(error.contains("--log"), "{error}");
    }

    /// The variables of `packaging/trilog.example.env` with their values, whether commented out or not.
    fn example_variables() -> Vec<(&'static str, &'static str)> {
        let lines = include_str!("../../../packaging/trilog.example.env").lines();
        let assignments =
            lines.map(|line| line.trim_start_matches('#')).filter(|line| line.starts_with("TRILOG_"));
        assignments.map(|line| line.split_once('=').unwrap()).collect()
    }

    #[test]
    fn the_example_has_every_variable_and_no_other() {
        let mut command = Cli::command();
        command.build();
        let serve = command.find_subcommand("serve").unwrap();
        let shown_flags = serve.get_arguments().filter(|flag| !flag.is_hide_set());
        let mut variables: Vec<_> = shown_flags.filter_map(|flag| flag.get_env()?.to_str()).collect();
        variables.sort_unstable();
        let mut shown: Vec<_> = example_variables().into_iter().map(|(name, _)| name).collect();
        shown.sort_unstable();
        assert_eq!(shown, variables);
    }

    #[test]
    fn the_values_of_the_example_are_accepted() {
        let mut line = vec!["serve".to_owned()];
        for (name, value) in example_variables() {
            let flag = name.trim_start_matches("TRILOG_").to_lowercase().replace('_', "-");
            // The variable separates settings by semicolons, as the flag does.
            line.push(format!("--{flag}={}", value.trim_matches('"')));
        }
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let Ok(Invocation::Serve(options)) = invoke(&line) else { panic!("{line:?}: {:?}", invoke(&line)) };
        assert_eq!(options.members().len(), 3);
        assert_eq!((options.settings.num_partitions, options.topics.len()), (3, 2));
    }

    #[test]
    fn every_flag_has_its_variable() {
        let mut command = Cli::command();
        command.build();
        for subcommand in ["dev", "serve"] {
            let subcommand = command.find_subcommand(subcommand).unwrap();
            for flag in subcommand.get_arguments().filter(|flag| !flag.is_hide_set()) {
                let Some(long) = flag.get_long().filter(|long| !matches!(*long, "help" | "version")) else {
                    continue;
                };
                // Topics merge from flag and variable, which a single argument cannot do.
                if long == "create-topic" {
                    continue;
                }
                let variable = format!("TRILOG_{}", long.to_uppercase().replace('-', "_"));
                assert_eq!(flag.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
            }
        }
    }
}
