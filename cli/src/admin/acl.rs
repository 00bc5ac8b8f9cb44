//! `trilog acl`.

use clap::{Args, Subcommand};
use serde::Serialize;
use trilog_client::admin::{Acl, AclFilter, AclNames, AclOperation, AclPattern, AclPermission, AclResource};

use super::Session;
use super::problems::Problems;
use crate::failure::Failure;
use crate::table::{Cell, Table, Tone};

/// The name of the one cluster that rules are about.
const CLUSTER: &str = "kafka-cluster";

/// What can be done with access rules.
#[derive(Clone, Debug, Subcommand)]
pub enum AclCommand {
    /// List access rules: all of them, or those that agree with every flag.
    #[command(after_help = "Examples:
  trilog acl list
  trilog acl list --topic orders --applying")]
    List(ListArgs),
    /// Create access rules: one for each principal and operation.
    #[command(after_help = "Examples:
  trilog acl create --principal User:billing --operation read --topic orders
  trilog acl create --principal User:etl --operation read --operation describe --group etl- --prefixed")]
    Create(CreateArgs),
    /// Delete the access rules that agree with every flag.
    #[command(after_help = "Examples:
  trilog acl delete --principal User:billing
  trilog acl delete --topic orders --operation write")]
    Delete(DeleteArgs),
}

/// What a rule is about.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
struct About {
    /// A topic; * is all of them.
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// A consumer group; * is all of them.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// A transactional id; * is all of them.
    #[arg(long, value_name = "NAME")]
    transactional_id: Option<String>,
    /// A delegation token; * is all of them.
    #[arg(long, value_name = "NAME")]
    delegation_token: Option<String>,
    /// The cluster itself.
    #[arg(long)]
    cluster: bool,
}

impl About {
    fn resource(&self) -> Option<(AclResource, String)> {
        let named = [
            (AclResource::Topic, &self.topic),
            (AclResource::Group, &self.group),
            (AclResource::TransactionalId, &self.transactional_id),
            (AclResource::DelegationToken, &self.delegation_token),
        ];
        let named = named.into_iter().find_map(|(kind, name)| Some((kind, name.clone()?)));
        named.or_else(|| self.cluster.then(|| (AclResource::Cluster, CLUSTER.to_owned())))
    }
}

/// Which rules.
#[derive(Clone, Debug, Args)]
struct Which {
    #[command(flatten)]
    about: About,
    /// Only rules whose name is meant as a prefix.
    #[arg(long)]
    prefixed: bool,
    /// Only rules about this principal, as User:billing.
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Only rules with this address; * is that of rules for any.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Only rules about this operation, as read.
    #[arg(long, value_name = "OPERATION")]
    operation: Option<AclOperation>,
    /// Only rules that allow, or deny.
    #[arg(long, value_name = "allow|deny")]
    permission: Option<AclPermission>,
}

impl Which {
    fn filter(&self) -> AclFilter {
        let (resource, name) = self.about.resource().unzip();
        AclFilter {
            resource,
            name,
            names: if self.prefixed { AclNames::Pattern(AclPattern::Prefixed) } else { AclNames::Same },
            principal: self.principal.clone(),
            host: self.host.clone(),
            operation: self.operation,
            permission: self.permission,
        }
    }
}

/// What `acl list` is told.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Also rules that apply to a resource of the name by * or by a prefix.
    #[arg(long, conflicts_with = "prefixed")]
    applying: bool,
}

/// What `acl create` is told.
#[derive(Clone, Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    about: About,
    /// The name is a prefix: the rule is about all resources whose name begins like this.
    #[arg(long)]
    prefixed: bool,
    /// Whom the rule is about, as User:billing; User:* is everybody. May be repeated.
    #[arg(long, required = true, value_name = "PRINCIPAL", value_parser = principal)]
    principal: Vec<String>,
    /// The address that clients come from; * is any.
    #[arg(long, default_value = "*", value_name = "HOST")]
    host: String,
    /// What is allowed, as read, write, describe or all. May be repeated.
    #[arg(long, required = true, value_name = "OPERATION")]
    operation: Vec<AclOperation>,
    /// Deny it instead. Kafka lets a denial win over all rules that allow.
    #[arg(long)]
    deny: bool,
}

/// What `acl delete` is told.
#[derive(Clone, Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    which: Which,
    /// Delete all rules.
    #[arg(long)]
    all: bool,
}

fn principal(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(text.to_owned()),
        _ => Err("it is not KIND:NAME, as User:billing".to_owned()),
    }
}

#[derive(Serialize)]
struct Row {
    principal: String,
    host: String,
    permission: String,
    operation: String,
    resource: String,
    name: String,
    pattern: String,
}

impl From<Acl> for Row {
    fn from(rule: Acl) -> Self {
        Self {
            principal: rule.principal,
            host: rule.host,
            permission: rule.permission.to_string(),
            operation: rule.operation.to_string(),
            resource: rule.resource.to_string(),
            name: rule.name,
            pattern: rule.pattern.to_string(),
        }
    }
}

pub(super) async fn perform(command: AclCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        AclCommand::List(args) => show_list(&args, session).await,
        AclCommand::Create(args) => create(&args, session).await,
        AclCommand::Delete(args) => delete(&args, session).await,
    }
}

async fn show_list(args: &ListArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut filter = args.which.filter();
    if args.applying {
        filter.names = AclNames::Applying;
    }
    let rules = session.admin.describe_acls(filter).await?;
    show(rules, Problems::default(), session)
}

async fn create(args: &CreateArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let Some((resource, name)) = args.about.resource() else {
        return Err(Failure::Usage("what is the rule about? --topic, --group or another".to_owned()));
    };
    let mut rules = Vec::new();
    for principal in &args.principal {
        for operation in &args.operation {
            rules.push(Acl {
                host: args.host.clone(),
                pattern: if args.prefixed { AclPattern::Prefixed } else { AclPattern::Literal },
                permission: if args.deny { AclPermission::Deny } else { AclPermission::Allow },
                ..Acl::allow(principal, *operation, resource, &name)
            });
        }
    }
    let mut problems = Problems::default();
    let made = problems.sort("rule", session.admin.create_acls(rules).await);
    show(made.into_iter().map(|(rule, ())| rule).collect(), problems, session)
}

async fn delete(args: &DeleteArgs, session: &mut Session<'_>) -> Result<(), Failure> {
    let filter = args.which.filter();
    if filter == AclFilter::default() && !args.all {
        return Err(Failure::Usage("no rule is named: give a filter, or --all for all rules".to_owned()));
    }
    let mut problems = Problems::default();
    let outcomes = problems.sort("rules", session.admin.delete_acls([filter]).await);
    let mut deleted = Vec::new();
    for (_, rules) in outcomes {
        deleted.extend(problems.sort("rule", rules).into_iter().map(|(rule, ())| rule));
    }
    show(deleted, problems, session)
}

fn show(rules: Vec<Acl>, problems: Problems, session: &mut Session<'_>) -> Result<(), Failure> {
    let rows: Vec<_> = rules.into_iter().map(Row::from).collect();
    if rows.is_empty() && problems.is_empty() && !session.is_json() {
        return session.screen.line("No rule.");
    }
    session.show(&rows, problems, |rows| {
        let columns = ["PRINCIPAL", "HOST", "PERMISSION", "OPERATION", "RESOURCE", "NAME", "PATTERN"];
        let mut table = Table::new(columns);
        for row in rows {
            let tone = if row.permission == "deny" { Tone::Odd } else { Tone::Plain };
            table.row([
                Cell::from(&row.principal),
                Cell::from(&row.host),
                Cell::toned(&row.permission, tone),
                Cell::from(&row.operation),
                Cell::from(&row.resource),
                Cell::from(&row.name),
                Cell::from(&row.pattern),
            ]);
        }
        table
    })
}
