//! Names of states and types that lists are filtered by. Brokers answer a name that they do not know with an empty list, which looks
//! as if there were nothing: so it is refused here.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use trilog_client::TRANSACTION_STATES;

/// States of groups of all protocols.
const OF_GROUPS: [&str; 8] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "NotReady",
    "Assigning",
    "Reconciling",
    "Stable",
    "Empty",
    "Dead",
];

/// Types of groups.
const TYPES: [&str; 4] = ["Classic", "Consumer", "Share", "Streams"];

/// A group's state, in whichever case.
pub(super) fn of_group() -> impl TypedValueParser<Value = String> {
    one_of(&OF_GROUPS)
}

/// A group's type, in whichever case.
pub(super) fn type_of_group() -> impl TypedValueParser<Value = String> {
    one_of(&TYPES)
}

/// A transaction's state, in whichever case.
pub(super) fn of_transaction() -> impl TypedValueParser<Value = String> {
    one_of(&TRANSACTION_STATES)
}

/// One of `names`, which is written as brokers write it.
fn one_of(names: &'static [&'static str]) -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(names).map(|text| {
        let name = names.iter().find(|name| name.eq_ignore_ascii_case(&text));
        name.map_or(text, |name| (*name).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn a_name_has_its_usual_case_and_another_one_is_refused() {
        let state = Arg::new("state").long("state").ignore_case(true).value_parser(of_group());
        let command = Command::new("list").arg(state);
        let given = |text| command.clone().try_get_matches_from(["list", "--state", text]);
        assert_eq!(given("stable").unwrap().get_one::<String>("state").map(String::as_str), Some("Stable"));
        let refused = given("stabel").unwrap_err().to_string();
        assert!(refused.contains("invalid value 'stabel'") && refused.contains("Stable"), "{refused}");
    }
}
