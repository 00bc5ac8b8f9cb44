//! What there is none of: transactions, quotas, credentials, ACLs, updates of features; and resources that have settings.

use std::rc::Rc;

use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    DescribeAclsRequest, DescribeClientQuotasRequest, DescribeTransactionsRequest,
    DescribeUserScramCredentialsRequest, ListConfigResourcesRequest, ListTransactionsRequest,
    UpdateFeaturesRequest,
};
use trilog_client::wire::Connection;
use trilog_tests::requests::{served, text};

use crate::stage::{Stage, asked};
use crate::told;

pub(crate) async fn bad(stage: Rc<Stage>) {
    let connection = stage.connect(2).await;
    transactions(&stage, &connection).await;
    quotas(&stage, &connection).await;
    credentials(&stage, &connection).await;
    acls(&stage, &connection).await;
    features(&stage, &connection).await;
    resources(&stage, &connection).await;
}

async fn transactions(stage: &Stage, connection: &Connection) {
    let none = ListTransactionsRequest::default;
    let states =
        |states: &[&str]| none().with_state_filters(states.iter().map(|state| text(state)).collect());
    let pattern = |pattern: &str| none().with_transactional_id_pattern(Some(text(pattern)));
    let cases: Vec<(&str, ListTransactionsRequest)> = vec![
        ("all", none()),
        ("states that are none", states(&["Odd", "ongoing", ""])),
        ("a state twice", states(&["Ongoing", "Ongoing", "Odd", "Odd"])),
        (
            "every state",
            states(&[
                "Empty",
                "Ongoing",
                "PrepareCommit",
                "PrepareAbort",
                "CompleteCommit",
                "CompleteAbort",
                "Dead",
                "PrepareEpochFence",
            ]),
        ),
        (
            "ids that are none",
            none().with_producer_id_filters([-1, i64::MIN, i64::MAX, 7, 7].map(Into::into).to_vec()),
        ),
        ("2,000 ids", none().with_producer_id_filters((0..2_000).map(Into::into).collect())),
        ("a negative duration", none().with_duration_filter(-5)),
        ("the longest duration", none().with_duration_filter(i64::MAX)),
        ("an expression that is none", pattern("(")),
        ("an empty expression", pattern("")),
        ("an expression", pattern("a.*")),
        ("an expression with a reference", pattern("(a)\\1")),
    ];
    for (what, request) in cases {
        let answer = asked(connection, request).await;
        let unknown = answer.unknown_state_filters.iter().map(|state| format!("{:?}", state.as_str()));
        stage.note(
            format!("transactions: {what}"),
            format!(
                "{}, {} transactions, unknown states [{}]",
                told::code(answer.error_code),
                answer.transaction_states.len(),
                told::sorted(unknown)
            ),
        );
    }
    let long = "x".repeat(30_000);
    for (what, ids) in [
        ("nothing", vec![]),
        ("no such one", vec!["none"]),
        ("one twice", vec!["none", "none"]),
        ("one without a name", vec![""]),
        ("30,000 letters", vec![long.as_str()]),
    ] {
        let mut answers = Vec::new();
        for node in stage.ids() {
            let request = DescribeTransactionsRequest::default()
                .with_transactional_ids(ids.iter().map(|id| text(id).into()).collect());
            let answer = asked(&stage.connect(node).await, request).await;
            let rows = answer.transaction_states.iter().map(|row| told::code(row.error_code));
            answers.push(told::list(rows));
        }
        // Which node coordinates is the cluster's own affair.
        answers.sort();
        answers.dedup();
        stage.note(format!("transactions described: {what}"), answers.join("; "));
    }
}

async fn quotas(stage: &Stage, connection: &Connection) {
    let component = |kind: &str, how, name: Option<&str>| {
        let mut component = ComponentData::default().with_entity_type(text(kind)).with_match_type(how);
        component._match = name.map(text);
        component
    };
    let cases: Vec<(&str, Vec<ComponentData>)> = vec![
        ("all", vec![]),
        ("a user", vec![component("user", 0, Some("alice"))]),
        ("the default user", vec![component("user", 1, None)]),
        ("any user", vec![component("user", 2, None)]),
        ("no user", vec![component("user", 0, None)]),
        ("a user without a name", vec![component("user", 0, Some(""))]),
        ("the default with a name", vec![component("user", 1, Some("alice"))]),
        ("any with a name", vec![component("user", 2, Some("alice"))]),
        ("match 3", vec![component("user", 3, None)]),
        ("match -1", vec![component("user", -1, Some("alice"))]),
        ("a kind that is none", vec![component("odd", 0, Some("alice"))]),
        ("no kind", vec![component("", 0, Some("alice"))]),
        ("a user twice", vec![component("user", 0, Some("alice")), component("user", 0, Some("bob"))]),
        ("user and client", vec![component("user", 0, Some("alice")), component("client-id", 2, None)]),
        ("user and address", vec![component("user", 0, Some("alice")), component("ip", 2, None)]),
        ("an address that is none", vec![component("ip", 0, Some("nowhere."))]),
        ("a kind twice, which is none", vec![component("odd", 0, Some("a")), component("odd", 0, Some("b"))]),
    ];
    for (what, components) in cases {
        for strict in [false, true] {
            let request = DescribeClientQuotasRequest::default()
                .with_components(components.clone())
                .with_strict(strict);
            let answer = asked(connection, request).await;
            let entries =
                answer.entries.map_or_else(|| "null".to_owned(), |entries| entries.len().to_string());
            let outcome = told::explained(answer.error_code, answer.error_message.as_ref());
            stage.note(format!("quotas, strict {strict}: {what}"), format!("{outcome}, {entries} entries"));
        }
    }
}

async fn credentials(stage: &Stage, connection: &Connection) {
    let many: Vec<String> = (0..2_000).map(|number| format!("user-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (what, users) in [
        ("all", None),
        ("nobody", Some(vec![])),
        ("a user", Some(vec!["alice"])),
        ("a user twice", Some(vec!["alice", "alice", "bob"])),
        ("no name", Some(vec![""])),
        ("no name, and a user", Some(vec!["", "alice"])),
        ("2,000 users", Some(many)),
    ] {
        let users = users
            .map(|users| users.into_iter().map(|user| UserName::default().with_name(text(user))).collect());
        let answer =
            asked(connection, DescribeUserScramCredentialsRequest::default().with_users(users)).await;
        let rows: Vec<_> = answer
            .results
            .iter()
            .map(|row| {
                format!(
                    "{:?} {}",
                    row.user.as_str(),
                    told::explained(row.error_code, row.error_message.as_ref())
                )
            })
            .collect();
        let rows = if rows.len() > 20 { format!("{} users", rows.len()) } else { told::sorted(rows) };
        let outcome = told::explained(answer.error_code, answer.error_message.as_ref());
        stage.note(format!("credentials of {what}"), format!("{outcome}, [{rows}]"));
    }
}

async fn acls(stage: &Stage, connection: &Connection) {
    let filter = |resource, pattern, operation, permission| {
        DescribeAclsRequest::default()
            .with_resource_type_filter(resource)
            .with_pattern_type_filter(pattern)
            .with_operation(operation)
            .with_permission_type(permission)
    };
    for (what, request) in [
        ("anything", filter(1, 1, 1, 1)),
        ("a topic", filter(2, 3, 3, 3).with_resource_name_filter(Some(text("t")))),
        (
            "a user's",
            filter(1, 1, 1, 1)
                .with_principal_filter(Some(text("User:alice")))
                .with_host_filter(Some(text("*"))),
        ),
    ] {
        for version in served::<DescribeAclsRequest>(connection) {
            let answer = connection.request_at_version(request.clone(), version).await;
            let answer = answer.expect("DescribeAcls is answered");
            let outcome = told::explained(answer.error_code, answer.error_message.as_ref());
            stage.note(
                format!("ACLs, version {version}: {what}"),
                format!("{outcome}, {} resources", answer.resources.len()),
            );
        }
    }
}

async fn features(stage: &Stage, connection: &Connection) {
    let update = |name: &str, level, kind| {
        FeatureUpdateKey::default()
            .with_feature(text(name))
            .with_max_version_level(level)
            .with_upgrade_type(kind)
    };
    let cases: Vec<(&str, Vec<FeatureUpdateKey>)> = vec![
        ("nothing", vec![]),
        ("a feature that is none", vec![update("odd", 1, 1)]),
        ("level 0 of a feature that is none", vec![update("odd", 0, 2)]),
        ("level -1", vec![update("odd", -1, 1)]),
        ("no name", vec![update("", 1, 1)]),
        ("kind 0", vec![update("odd", 1, 0)]),
        ("kind 9", vec![update("odd", 1, 9)]),
        ("the largest level", vec![update("odd", i16::MAX, 1)]),
        ("two features that are none", vec![update("odd", 1, 1), update("even", 1, 1)]),
        ("a feature twice", vec![update("odd", 1, 1), update("odd", 2, 1)]),
        ("1,000 features", (0..1_000).map(|number| update(&format!("f{number}"), 1, 1)).collect()),
    ];
    for (what, updates) in cases {
        for version in [1, 2] {
            for validate_only in [false, true] {
                let request = UpdateFeaturesRequest::default()
                    .with_timeout_ms(20_000)
                    .with_feature_updates(updates.clone())
                    .with_validate_only(validate_only);
                let answer = connection.request_at_version(request, version).await;
                let answer = answer.expect("UpdateFeatures is answered");
                let rows = answer
                    .results
                    .iter()
                    .map(|row| format!("{} {}", row.feature.as_str(), told::code(row.error_code)));
                let rows: Vec<_> = rows.collect();
                let rows =
                    if rows.len() > 20 { format!("{} features", rows.len()) } else { told::sorted(rows) };
                let outcome = told::explained(answer.error_code, answer.error_message.as_ref());
                stage.note(
                    format!("features, version {version}, only checked {validate_only}: {what}"),
                    format!("{outcome}, [{rows}]"),
                );
            }
        }
    }
}

async fn resources(stage: &Stage, connection: &Connection) {
    for (what, kinds) in [
        ("brokers", vec![4]),
        ("loggers", vec![8]),
        ("brokers twice", vec![4, 4]),
        ("client metrics", vec![16]),
        ("kind 0", vec![0]),
        ("kind 7", vec![7]),
        ("kind -1", vec![-1]),
        ("brokers and kind 7", vec![4, 7]),
        ("1,000 times brokers", vec![4; 1_000]),
    ] {
        for version in served::<ListConfigResourcesRequest>(connection) {
            let request = ListConfigResourcesRequest::default();
            let request = if version > 0 { request.with_resource_types(kinds.clone()) } else { request };
            let answer = connection.request_at_version(request, version).await;
            let answer = answer.expect("ListConfigResources is answered");
            // Another scenario may have made a subscription to clients' metrics.
            let rows = answer.config_resources.iter().filter(|row| row.resource_type != 16);
            let rows = rows.map(|row| format!("{} {}", row.resource_type, row.resource_name.as_str()));
            stage.note(
                format!("resources, version {version}: {what}"),
                format!("{}, [{}]", told::code(answer.error_code), told::sorted(rows)),
            );
        }
    }
}
