//! The shape of every command's JSON, as `shapes.txt` has it: programs stand on it, so that it grows and does not change.
//!
//! `REWRITE_GOLDEN=1` writes the file anew; a rewritten file is reviewed like code, beside `docs/cli.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use trilog_tests::cluster::{Cluster, ClusterOptions};

use super::printed;

/// The commands in their order, each of which must succeed. What one makes, those behind it show.
const COMMANDS: &[&str] = &[
    "topic create shapes --partitions 2 --replication-factor 3",
    "topic list",
    "topic describe shapes",
    "topic alter shapes --set retention.ms=3600000",
    "topic add-partitions shapes --total 3",
    "config describe --topic shapes",
    "config set --topic shapes retention.ms=7200000",
    "config unset --topic shapes retention.ms",
    "produce shapes --key-separator : --header-separator ; --quiet",
    "consume shapes",
    "consume shapes --group shapes-group",
    "group list",
    "group describe shapes-group",
    "group reset-offsets shapes-group --topic shapes --to-earliest --execute",
    "group delete-offsets shapes-group --topic shapes",
    "records delete shapes:0 --before 0",
    "cluster info",
    "cluster health",
    "cluster elect --topic shapes",
    "cluster quorum",
    "log-dirs --topic shapes --partitions",
    "txn list",
    "reassign list",
    "quota list",
    "user list",
    "group delete shapes-group",
    "topic delete shapes",
];

/// What a value is made of: names of fields and kinds of values.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Null,
    Bool,
    Number,
    Text,
    List(Box<Self>),
    /// A list without an element.
    Empty,
    Fields(BTreeMap<String, Self>),
    /// Null or another.
    Optional(Box<Self>),
}

impl Shape {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(items) => match items.iter().map(Self::of).reduce(Self::with) {
                Some(item) => Self::List(Box::new(item)),
                None => Self::Empty,
            },
            Value::Object(fields) => {
                Self::Fields(fields.iter().map(|(name, value)| (name.clone(), Self::of(value))).collect())
            }
        }
    }

    /// The shape of both, as elements of one list have it.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Null, Self::Optional(some)) | (Self::Optional(some), Self::Null) => Self::Optional(some),
            (Self::Null, some) | (some, Self::Null) => Self::Optional(Box::new(some)),
            (Self::Optional(one), other) | (other, Self::Optional(one)) => {
                Self::Optional(Box::new(one.with(other)))
            }
            (Self::Empty, list @ Self::List(_)) | (list @ Self::List(_), Self::Empty) => list,
            (Self::List(one), Self::List(other)) => Self::List(Box::new(one.with(*other))),
            (Self::Fields(mut one), Self::Fields(other)) => {
                for (name, shape) in other {
                    let merged = match one.remove(&name) {
                        Some(known) => known.with(shape),
                        None => shape,
                    };
                    one.insert(name, merged);
                }
                Self::Fields(one)
            }
            (one, other) => panic!("a list has {one:?} and {other:?}"),
        }
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool => out.push_str("bool"),
            Self::Number => out.push_str("number"),
            Self::Text => out.push_str("text"),
            Self::Empty => out.push_str("[]"),
            Self::List(item) => {
                out.push('[');
                item.write(out, depth);
                out.push(']');
            }
            Self::Optional(some) => {
                some.write(out, depth);
                out.push_str(" or null");
            }
            Self::Fields(fields) => {
                out.push_str("{\n");
                for (name, shape) in fields {
                    write!(out, "{:width$}{name}: ", "", width = 2 * (depth + 1)).expect("memory takes it");
                    shape.write(out, depth + 1);
                    out.push('\n');
                }
                write!(out, "{:width$}}}", "", width = 2 * depth).expect("memory takes it");
            }
        }
    }
}

/// The JSON that a command prints: one value, or one a line.
fn values(printed: &[u8]) -> Vec<Value> {
    let values = serde_json::Deserializer::from_slice(printed).into_iter();
    values.collect::<Result<_, _>>().expect("it prints JSON")
}

async fn shape_of(cluster: &Cluster, line: &str) -> String {
    let brokers = cluster.bootstrap();
    let mut arguments: Vec<&str> = line.split(' ').chain(["-b", &brokers]).collect();
    let is_input = line.starts_with("produce");
    if !is_input {
        arguments.extend(["--output", "json"]);
    }
    let printed = printed(&arguments, if is_input { b"a=1;key:value\n;k:\n" } else { b"" }).await;
    let mut text = format!("> trilog {line}\n");
    if let Some(shape) = values(&printed).iter().map(Shape::of).reduce(Shape::with) {
        shape.write(&mut text, 0);
        text.push('\n');
    }
    text
}

#[tokio::test]
async fn json_has_the_shape_that_programs_stand_on() {
    let cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let mut found = String::new();
    for line in COMMANDS {
        found.push_str(&shape_of(&cluster, line).await);
        found.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/cli/shapes.txt");
    if std::env::var_os("REWRITE_GOLDEN").is_some() {
        std::fs::write(&path, &found).expect("the file is written");
    }
    let golden = std::fs::read_to_string(&path).expect("the file is there");
    for (found, golden) in found.lines().zip(golden.lines()) {
        assert_eq!(found, golden);
    }
    assert_eq!(found, golden);
}
