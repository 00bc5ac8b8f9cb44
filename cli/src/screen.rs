//! Standard output: results as text or JSON, colours where a person looks, and pipes that close.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::failure::Failure;
use crate::table::Table;

/// Bytes of output that are collected before they are written.
const BUFFER: usize = 64 << 10;

/// How results look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people: aligned columns.
    #[default]
    Table,
    /// For programs: JSON.
    Json,
}

/// The option of commands that list or describe.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArgs {
    /// How the result looks.
    #[arg(long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: OutputFormat,
}

/// Where results go. What is written is collected; [`flush`](Self::flush) writes it out.
#[derive(Debug)]
pub struct Screen {
    out: BufWriter<Stdout>,
    is_terminal: bool,
    paint: Paint,
}

impl Screen {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        Self {
            out: BufWriter::with_capacity(BUFFER, out),
            is_terminal,
            paint: Paint { on: is_terminal && wants_colours() },
        }
    }

    /// Whether a person looks at it.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The colours that suit it.
    #[must_use]
    pub const fn paint(&self) -> Paint {
        self.paint
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// [`Failure::OutputClosed`] if nobody reads any more, [`Failure::Failed`] if it cannot be written.
    pub fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line).
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(bytes)?)
    }

    /// Writes a table.
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line).
    pub fn table(&mut self, table: &Table) -> Result<(), Failure> {
        let paint = self.paint;
        Ok(table.write(&mut self.out, paint)?)
    }

    /// Writes a value as JSON that people can read, too.
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line).
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.out, value).map_err(io::Error::from)?;
        self.line("")
    }

    /// Writes a value as one line of JSON.
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line).
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        self.line("")
    }

    /// Writes out what was collected.
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line).
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether the environment allows colours (<https://no-color.org>).
fn wants_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Colours, or none of them.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// No colours.
    pub const NONE: Self = Self { on: false };

    /// Headings.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What is right.
    #[must_use]
    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What needs a look.
    #[must_use]
    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What is wrong.
    #[must_use]
    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
