//! DescribeAcls, CreateAcls and DeleteAcls: who may do what.

mod kinds;

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::DeleteAclsMatchingAcl;
use kafka_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};
use kafka_protocol::protocol::StrBytes;

use self::kinds::{ANY, Word};
pub use self::kinds::{AclOperation, AclPattern, AclPermission, AclResource};
use super::requests::checked;
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results};
use crate::Error;
use crate::messages::text;

/// The number of a pattern filter that matches what a resource of the name is affected by: the name itself, `*` and prefixes.
const MATCH: i8 = 2;

/// An access rule.
///
/// ```
/// use trilog_client::admin::{Acl, AclOperation, AclResource};
///
/// let rule = Acl::allow("User:billing", AclOperation::Read, AclResource::Topic, "orders");
/// assert_eq!(rule.to_string(), "User:billing from * is allowed read of topic orders (literal)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// What it is about.
    pub resource: AclResource,
    /// The name, as [`pattern`](Self::pattern) has it.
    pub name: String,
    /// How the name is meant.
    pub pattern: AclPattern,
    /// Whom it is about, as `User:billing`; `User:*` is everybody.
    pub principal: String,
    /// The address that clients come from; `*` is any.
    pub host: String,
    /// What it allows or denies.
    pub operation: AclOperation,
    /// Which of both.
    pub permission: AclPermission,
}

impl Acl {
    /// Allows an operation on the resource of this name, from any address.
    pub fn allow(
        principal: impl Into<String>,
        operation: AclOperation,
        resource: AclResource,
        name: impl Into<String>,
    ) -> Self {
        Self {
            resource,
            name: name.into(),
            pattern: AclPattern::Literal,
            principal: principal.into(),
            host: "*".to_owned(),
            operation,
            permission: AclPermission::Allow,
        }
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, name, pattern, principal, host, operation, permission } = self;
        let verb = match permission {
            AclPermission::Allow => "is allowed".to_owned(),
            AclPermission::Deny => "is denied".to_owned(),
            AclPermission::Other(_) => format!("has {permission} for"),
        };
        write!(f, "{principal} from {host} {verb} {operation} of {resource} {name} ({pattern})")
    }
}

/// Which rules: those that agree with everything that is set. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclFilter {
    /// What they are about.
    pub resource: Option<AclResource>,
    /// The name in them.
    pub name: Option<String>,
    /// How the name is compared.
    pub names: AclNames,
    /// Whom they are about.
    pub principal: Option<String>,
    /// The address in them.
    pub host: Option<String>,
    /// What they allow or deny.
    pub operation: Option<AclOperation>,
    /// Which of both.
    pub permission: Option<AclPermission>,
}

/// How a filter compares names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AclNames {
    /// Rules with this name and any pattern type.
    #[default]
    Same,
    /// Rules with this name and this pattern.
    Pattern(AclPattern),
    /// Rules that apply to a resource of this name: by the name itself, by `*` and by prefixes.
    Applying,
}

impl AclFilter {
    fn pattern(&self) -> i8 {
        match self.names {
            AclNames::Same => ANY,
            AclNames::Pattern(pattern) => pattern.number(),
            AclNames::Applying => MATCH,
        }
    }
}

impl fmt::Display for AclFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = |value: Option<String>| value.unwrap_or_else(|| "any".to_owned());
        let words = |value: Option<&dyn fmt::Display>| any(value.map(ToString::to_string));
        let operation = words(self.operation.as_ref().map(|word| word as _));
        let resource = words(self.resource.as_ref().map(|word| word as _));
        let (principal, name) = (any(self.principal.clone()), any(self.name.clone()));
        write!(f, "{operation} of {resource} {name} by {principal}")
    }
}

impl Admin {
    /// Lists access rules.
    ///
    /// # Errors
    ///
    /// `SECURITY_DISABLED` from a cluster without an authorizer; [`Error::NotServed`] from brokers that have no rules at all; if no
    /// broker answers in time.
    pub async fn describe_acls(&self, filter: AclFilter) -> Result<Vec<Acl>, Error> {
        self.run_one(DescribeAcls, filter).await
    }

    /// Creates access rules. One that exists already stays as it is.
    pub async fn create_acls(&self, rules: impl IntoIterator<Item = Acl>) -> Results<Acl, ()> {
        self.run(CreateAcls, rules).await
    }

    /// Deletes the access rules that match any of these filters, and gives those that each filter has deleted.
    pub async fn delete_acls(
        &self,
        filters: impl IntoIterator<Item = AclFilter>,
    ) -> Results<AclFilter, Results<Acl, ()>> {
        self.run(DeleteAcls, filters).await
    }
}

struct DescribeAcls;

impl Operation for DescribeAcls {
    type Key = AclFilter;
    type Value = Vec<Acl>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, _filter: &AclFilter) -> Route {
        Route::Any
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        filters: &[AclFilter],
    ) -> Result<Results<AclFilter, Vec<Acl>>, Error> {
        let mut found = Results::new();
        for filter in filters {
            let request = DescribeAclsRequest::default()
                .with_resource_type_filter(number_or_any(filter.resource))
                .with_resource_name_filter(filter.name.as_deref().map(text))
                .with_pattern_type_filter(filter.pattern())
                .with_principal_filter(filter.principal.as_deref().map(text))
                .with_host_filter(filter.host.as_deref().map(text))
                .with_operation(number_or_any(filter.operation))
                .with_permission_type(number_or_any(filter.permission));
            let answer = attempt.connection.request(request).await?;
            checked(answer.error_code, answer.error_message)?;
            let mut rules = Vec::new();
            for resource in answer.resources {
                let (name, pattern) = (resource.resource_name, resource.pattern_type);
                rules.extend(resource.acls.into_iter().map(|acl| Acl {
                    resource: AclResource::of(resource.resource_type),
                    name: name.to_string(),
                    pattern: AclPattern::of(pattern),
                    principal: acl.principal.to_string(),
                    host: acl.host.to_string(),
                    operation: AclOperation::of(acl.operation),
                    permission: AclPermission::of(acl.permission_type),
                }));
            }
            rules.sort_unstable();
            found.insert(filter.clone(), Ok(rules));
        }
        Ok(found)
    }
}

struct CreateAcls;

impl Operation for CreateAcls {
    type Key = Acl;
    type Value = ();
    const POLICY: Policy = Policy::IDEMPOTENT;

    fn route(&self, _rule: &Acl) -> Route {
        Route::Controller
    }

    async fn ask(&self, attempt: Attempt<'_>, rules: &[Acl]) -> Result<Results<Acl, ()>, Error> {
        let creation = |rule: &Acl| {
            AclCreation::default()
                .with_resource_type(rule.resource.number())
                .with_resource_name(text(&rule.name))
                .with_resource_pattern_type(rule.pattern.number())
                .with_principal(text(&rule.principal))
                .with_host(text(&rule.host))
                .with_operation(rule.operation.number())
                .with_permission_type(rule.permission.number())
        };
        let request = CreateAclsRequest::default().with_creations(rules.iter().map(creation).collect());
        let answer = attempt.connection.request(request).await?;
        let outcomes = answer.results.into_iter().map(|row| checked(row.error_code, row.error_message));
        Ok(rules.iter().cloned().zip(outcomes).collect())
    }
}

struct DeleteAcls;

impl Operation for DeleteAcls {
    type Key = AclFilter;
    type Value = Results<Acl, ()>;
    const POLICY: Policy = Policy::ONCE;

    fn route(&self, _filter: &AclFilter) -> Route {
        Route::Controller
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        filters: &[AclFilter],
    ) -> Result<Results<AclFilter, Results<Acl, ()>>, Error> {
        let message = |filter: &AclFilter| {
            DeleteAclsFilter::default()
                .with_resource_type_filter(number_or_any(filter.resource))
                .with_resource_name_filter(filter.name.as_deref().map(text))
                .with_pattern_type_filter(filter.pattern())
                .with_principal_filter(filter.principal.as_deref().map(text))
                .with_host_filter(filter.host.as_deref().map(text))
                .with_operation(number_or_any(filter.operation))
                .with_permission_type(number_or_any(filter.permission))
        };
        let request = DeleteAclsRequest::default().with_filters(filters.iter().map(message).collect());
        let answer = attempt.connection.request(request).await?;
        let outcomes = answer.filter_results.into_iter().map(|row| {
            checked(row.error_code, row.error_message)?;
            Ok(row.matching_acls.into_iter().map(deleted).collect::<BTreeMap<_, _>>())
        });
        Ok(filters.iter().cloned().zip(outcomes).collect())
    }
}

fn deleted(row: DeleteAclsMatchingAcl) -> (Acl, Result<(), Error>) {
    let owned = |text: &StrBytes| text.to_string();
    let rule = Acl {
        resource: AclResource::of(row.resource_type),
        name: owned(&row.resource_name),
        pattern: AclPattern::of(row.pattern_type),
        principal: owned(&row.principal),
        host: owned(&row.host),
        operation: AclOperation::of(row.operation),
        permission: AclPermission::of(row.permission_type),
    };
    (rule, checked(row.error_code, row.error_message))
}

fn number_or_any(word: Option<impl Word>) -> i8 {
    word.map_or(ANY, Word::number)
}
