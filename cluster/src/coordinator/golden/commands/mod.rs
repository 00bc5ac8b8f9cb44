//! The language: one command a line, each kind in a file of its own. The table is in the [parent](super).

pub(super) mod classic;
mod cluster;
pub(super) mod consumer;
pub(super) mod inspection;
pub(super) mod offsets;

use super::describe;
use super::stage::{Client, Stage};
use crate::coordinator::GroupId;
use crate::script::Words;

/// Carries a command out, and says what came of it.
pub(super) fn run(stage: &mut Stage, line: &str) -> Vec<String> {
    let (command, words) = Words::of(line);
    let known = cluster::run(stage, command, &words)
        || classic::run(stage, command, &words)
        || consumer::run(stage, command, &words)
        || offsets::run(stage, command, &words)
        || inspection::run(stage, command, &words);
    if !known {
        words.refuse();
    }
    stage.take_transcript()
}

/// The client of that name, with what the command says it takes itself for.
fn speaker(stage: &Stage, words: &Words<'_>, name: &str) -> Client {
    let mut client = stage.client(name);
    if let Some(member) = words.text("member") {
        client.member = describe::member_id(member);
    }
    if let Some(epoch) = words.option("generation") {
        client.epoch = epoch;
    }
    if let Some(instance) = words.text("instance") {
        client.options.insert("instance".to_owned(), instance.to_owned());
    }
    client
}

/// The group that a command is about.
fn group(words: &Words<'_>) -> GroupId {
    or_empty(words.word(0)).into()
}

/// A name. `-` is the empty one.
fn or_empty(name: &str) -> &str {
    if name == "-" { "" } else { name }
}

/// `T-0`: a topic and one of its partitions.
fn partition<'a>(words: &Words<'_>, text: &'a str) -> (&'a str, i32) {
    let (topic, index) = text.rsplit_once('-').unwrap_or_else(|| words.refuse());
    (topic, words.number(index))
}
