//! Tables of the documents that are generated from the code, and the test that compares them.
//!
//! A table stands between `<!-- generated: NAME -->` and `<!-- end -->`. `REWRITE_DOCS=1 cargo test -p trilog documents` writes
//! all of them again.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::Arg;
use kafka_protocol::messages::ApiKey;
use trilog_cluster::controller::configs::{
    BrokerLayers, BrokerSettings, Configs, TOPIC_CONFIGS, Unit, effective_broker_configs,
};

use crate::{api, cli};

/// Writes the tables instead of comparing them.
const REWRITE: &str = "REWRITE_DOCS";

/// Compares the generated parts of a document with the code.
fn check(document: &str, parts: &[(&str, String)]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document);
    let written = fs::read_to_string(&path).unwrap();
    let due = parts.iter().fold(written.clone(), |text, (name, table)| replaced(&text, name, table));
    if written == due {
        return;
    }
    assert!(
        std::env::var_os(REWRITE).is_some(),
        "docs/{document} is out of date: {REWRITE}=1 cargo test -p trilog documents"
    );
    fs::write(path, due).unwrap();
}

/// The text with another content of the part `name`.
fn replaced(text: &str, name: &str, content: &str) -> String {
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no part {name:?}"));
    let (_, after) =
        rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("the part {name:?} has no end"));
    format!("{before}{begin}{content}<!-- end -->{after}")
}

/// A table of Markdown. The alignment of a column is part of its `head`.
fn table(head: &str, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let columns = head.matches('|').count() - 1;
    let mut text = format!("{head}\n|{}\n", " --- |".repeat(columns));
    for row in rows {
        assert_eq!(row.len(), columns, "{row:?}");
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// The flags of a subcommand, in the order of its help.
fn flags(subcommand: &str) -> String {
    let mut command = cli::command();
    command.build();
    let command = command.find_subcommand(subcommand).unwrap();
    let shown = command.get_arguments().filter(|flag| {
        !flag.is_hide_set() && flag.get_long().is_some_and(|name| !["help", "version"].contains(&name))
    });
    table("| flag | variable | default | meaning |", shown.map(flag_row))
}

fn flag_row(flag: &Arg) -> Vec<String> {
    let variable = flag.get_env().and_then(|name| name.to_str()).unwrap_or_default();
    let defaults: Vec<_> = flag.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    let values = flag.get_possible_values();
    let names: Vec<String> = values.iter().map(|value| code(value.get_name())).collect();
    let allowed = if names.is_empty() { String::new() } else { format!(" One of {}.", names.join(", ")) };
    let name = flag.get_long().unwrap_or_default();
    vec![
        code(&format!("--{name}")),
        code(variable),
        code(&defaults.join(",")),
        format!("{}.{allowed}", help.trim_end_matches('.').replace('\n', " ")),
    ]
}

fn broker_settings() -> String {
    let topic_defaults: Vec<&str> =
        TOPIC_CONFIGS.iter().flat_map(|topic| topic.synonyms).map(|synonym| synonym.name).collect();
    let (started, cluster) = (BrokerSettings::default(), Configs::new());
    let own = effective_broker_configs(BrokerLayers::common(&started, &cluster));
    let rows = own.into_iter().filter(|config| !topic_defaults.contains(&config.name));
    let rows = rows.map(|config| {
        vec![code(config.name), code(&config.value.unwrap_or_default()), config.doc.to_owned()]
    });
    table("| setting | default | meaning |", rows)
}

fn topic_settings(honoured: bool) -> String {
    let rows = TOPIC_CONFIGS.iter().filter(|config| config.honoured == honoured).map(|config| {
        let same = config.synonyms.iter().filter(|synonym| synonym.unit == Unit::Same);
        let names: Vec<String> = same.map(|synonym| code(synonym.name)).collect();
        vec![code(config.name), code(config.default), config.doc.to_owned(), names.join(", ")]
    });
    if honoured {
        return table("| setting | default | meaning | broker's default |", rows);
    }
    let names: Vec<String> = rows.map(|row| row[0].clone()).collect();
    format!("{}.\n", names.join(",\n"))
}

fn apis() -> String {
    let rows = api::served().map(|(key, min, max)| {
        let name = ApiKey::try_from(key).unwrap();
        let versions = if min == max { min.to_string() } else { format!("{min}-{max}") };
        vec![key.to_string(), format!("{name:?}"), versions]
    });
    table("| key | API | versions |", rows)
}

#[test]
fn documents_have_every_flag_and_setting() {
    let of = |subcommand: &str| (format!("flags of {subcommand}"), flags(subcommand));
    let mut parts = vec![of("serve"), of("dev"), of("health")];
    parts.push(("broker settings".to_owned(), broker_settings()));
    parts.push(("topic settings".to_owned(), topic_settings(true)));
    parts.push(("topic settings without effect".to_owned(), topic_settings(false)));
    let parts: Vec<(&str, String)> =
        parts.iter().map(|(name, table)| (name.as_str(), table.clone())).collect();
    check("configuration.md", &parts);
}

#[test]
fn documents_have_every_api() {
    check("protocol.md", &[("apis", apis())]);
}

#[test]
fn a_part_of_a_document_is_replaced() {
    let text = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n";
    assert_eq!(replaced(text, "x", "new\n"), "a\n<!-- generated: x -->\nnew\n<!-- end -->\nb\n");
    assert_eq!(
        table("| a | b |", [vec!["1|2".to_owned(), String::new()]]),
        "| a | b |\n| --- | --- |\n| 1\\|2 |  |\n"
    );
}
