//! Golden scripts as files: blocks of commands and their output, and how a file is rewritten. What the commands are is
//! the affair of the room whose behaviour a script tells.
//!
//! A script is comments, commands, a line `----`, and what the commands said, up to an empty line. What differs from what
//! is written fails the test. `REWRITE_GOLDEN=1 cargo test -p trilog-cluster golden` writes what was played into the
//! files; a rewritten script is reviewed like code: the test proves that nothing changed, only the reader that it is
//! right.

mod words;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use self::words::Words;

/// Between commands and their output.
const RULE: &str = "----";

/// The variable that rewrites the scripts' output instead of comparing it.
const REWRITE: &str = "REWRITE_GOLDEN";

/// Plays a script of a room: hands each command to `run`, in order, and compares what it says with what is written.
pub(crate) fn play(room: &str, name: &str, mut run: impl FnMut(&str) -> Vec<String>) {
    let path = directory(room).join(format!("{name}.txt"));
    let written = fs::read_to_string(&path).unwrap();
    let mut played = String::new();
    let mut lines = written.lines().enumerate();
    let mut output = Vec::new();
    while let Some((number, line)) = lines.next() {
        writeln!(played, "{line}").unwrap();
        if line == RULE {
            let expected: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| !line.is_empty()).collect();
            if output.is_empty() {
                output.push("ok".into());
            }
            if std::env::var_os(REWRITE).is_none() {
                compare(name, number, &expected, &output);
            }
            writeln!(played, "{}\n", output.join("\n")).unwrap();
            output.clear();
        } else if !line.is_empty() && !line.starts_with('#') {
            output.extend(run(line));
        }
    }
    assert!(output.is_empty(), "{name}.txt: the last commands have no output; end them with {RULE}");
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, format!("{}\n", played.trim_end())).unwrap();
    }
}

fn compare(name: &str, line: usize, expected: &[&str], output: &[String]) {
    assert!(
        expected == output,
        "{name}.txt, the block whose output begins in line {}:\n\nwritten:\n{}\n\nplayed:\n{}\n\n\
         If that is as it should be, run the test again with {REWRITE}=1 and review the change.",
        line + 2,
        expected.join("\n"),
        output.join("\n")
    );
}

/// The names of all scripts of a room.
pub(crate) fn names(room: &str) -> Vec<String> {
    let files = fs::read_dir(directory(room)).unwrap();
    let mut names: Vec<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Where the scripts of a room are, which is a path below `src`.
fn directory(room: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room).join("golden/scripts")
}
