//! `trilog user`.

use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::admin::{ScramChange, ScramCredential, ScramMechanism};

use super::Session;
use super::problems::Problems;
use crate::failure::Failure;
use crate::table::{Cell, Table};

/// What can be done with users.
#[derive(Clone, Debug, Subcommand)]
pub enum UserCommand {
    /// List the users that have a password.
    #[command(after_help = "Examples:
  trilog user list
  trilog user list billing")]
    List(ListArgs),
    /// Give a user a password, for SCRAM. It is read from standard input or a file, so that it is in no list of processes.
    #[command(after_help = "Examples:
  trilog user set billing < password.txt
  trilog user set billing --mechanism SCRAM-SHA-256 --password-file password.txt")]
    Set(SetArgs),
    /// Take a user's password away.
    #[command(after_help = "Example:
  trilog user delete billing")]
    Delete(DeleteArgs),
}

/// What `user list` is told.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// The users [default: all of them].
    #[arg(value_name = "USER")]
    users: Vec<String>,
}

/// What `user set` is told.
#[derive(Clone, Debug, Args)]
pub struct SetArgs {
    /// The user.
    user: String,
    /// How the user proves the password: SCRAM-SHA-256 or SCRAM-SHA-512.
    #[arg(long, default_value = "SCRAM-SHA-512", value_name = "MECHANISM")]
    mechanism: ScramMechanism,
    /// How often the password is hashed.
    #[arg(long, default_value_t = 8192, value_name = "N", value_parser = clap::value_parser!(u32).range(4096..=16_384))]
    iterations: u32,
    /// The file whose first line is the password [default: standard input].
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// What `user delete` is told.
#[derive(Clone, Debug, Args)]
pub struct DeleteArgs {
    /// The user.
    user: String,
    /// For which mechanism: SCRAM-SHA-256 or SCRAM-SHA-512.
    #[arg(long, default_value = "SCRAM-SHA-512", value_name = "MECHANISM")]
    mechanism: ScramMechanism,
}

#[derive(Serialize)]
struct Row {
    user: String,
    mechanism: String,
    iterations: i32,
}

#[derive(Serialize)]
struct Changed {
    user: String,
    mechanism: String,
}

pub(super) async fn perform(command: UserCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        UserCommand::List(args) => show_list(args, session).await,
        UserCommand::Set(args) => {
            let password = password(args.password_file.as_deref())?;
            let change = ScramChange::Set { password, iterations: args.iterations };
            alter(args.user, args.mechanism, change, "set", session).await
        }
        UserCommand::Delete(args) => {
            alter(args.user, args.mechanism, ScramChange::Delete, "deleted", session).await
        }
    }
}

/// The first line of a file or of standard input.
fn password(file: Option<&Path>) -> Result<String, Failure> {
    let text = match file {
        Some(path) => fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?,
        None => {
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            read.map_err(|error| Failure::file("read", "standard input".as_ref(), &error))?;
            line
        }
    };
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(Failure::Usage("the password is empty".to_owned()));
    }
    Ok(password.to_owned())
}

async fn show_list(args: ListArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let users = (!args.users.is_empty()).then_some(args.users);
    let found = session.admin.describe_users(users).await?;
    let mut problems = Problems::default();
    let mut rows = Vec::new();
    for (user, credentials) in problems.sort("user", found) {
        rows.extend(credentials.into_iter().map(|credential| row(&user, credential)));
    }
    if rows.is_empty() && problems.is_empty() && !session.is_json() {
        return session.screen.line("No user has a password.");
    }
    session.show(&rows, problems, |rows| {
        let mut table = Table::new(["USER", "MECHANISM", ">ITERATIONS"]);
        for row in rows {
            table.row([Cell::from(&row.user), Cell::from(&row.mechanism), row.iterations.into()]);
        }
        table
    })
}

fn row(user: &str, credential: ScramCredential) -> Row {
    let mechanism = match credential.mechanism {
        Ok(mechanism) => mechanism.to_string(),
        Err(number) => format!("unknown-{number}"),
    };
    Row { user: user.to_owned(), mechanism, iterations: credential.iterations }
}

async fn alter(
    user: String,
    mechanism: ScramMechanism,
    change: ScramChange,
    done: &str,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let outcomes = session.admin.alter_users([((user, mechanism), change)]).await?;
    let mut problems = Problems::default();
    let rows = problems.sort("user", outcomes).into_iter();
    let rows: Vec<_> = rows.map(|(user, ())| Changed { user, mechanism: mechanism.to_string() }).collect();
    session.report(&rows, problems, |row| format!("user {}: password for {} {done}", row.user, row.mechanism))
}
