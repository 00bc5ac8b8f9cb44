//! CreateTopics: topics come into being, by a client's request or because one was used that was not there.
//!
//! The cluster's own topics may be asked for by name like any other, and then are as they would be anyway: what is kept
//! in one belongs to a partition by the number of partitions, so that nobody may choose another.
//!
//! Each topic of a request stands for itself: some may be made and others refused. The order of the checks is
//! Kafka's, name before existence before settings before counts, as a client is told only of the first fault.

use std::collections::{BTreeSet, HashMap};

use super::draft::Draft;
use super::{
    ControllerError, Decision, DecisionContext, ErrorCode, assignment, check_config_bytes, check_room,
    repeated,
};
use crate::controller::configs::{
    BrokerLayers, Configs, Synonyms, canonical_topic_configs, check_topic_configs, effective_topic_configs,
};
use crate::controller::image::MetadataImage;
use crate::controller::records::ControllerRecord;
use crate::controller::requests::{
    ConfigEntry, ControllerResponse, CreateTopics, CreatedTopic, ItemResult, NewTopic, without_nulls,
};
use crate::controller::topic::config_bytes;
use crate::controller::topic_name;
use crate::ids::NodeId;

#[cfg(test)]
mod tests;

pub(super) fn decide(
    image: &MetadataImage,
    request: &CreateTopics,
    context: &mut DecisionContext<'_>,
) -> Decision {
    let mut draft = Draft::new(image, context);
    let repeated = repeated(request.topics.iter().map(|topic| &topic.name));
    let mut taken = Taken::default();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let outcome = check_name(&draft.image, topic, &repeated, &mut taken)
            .and_then(|()| create(&mut draft, topic, context))
            .inspect(|_| taken.add(&topic.name));
        results.push(ItemResult { item: topic.name.clone(), outcome });
    }
    Decision {
        records: draft.into_records(request.validate_only),
        response: ControllerResponse::CreateTopics(results),
    }
}

fn check_name(
    image: &MetadataImage,
    topic: &NewTopic,
    repeated: &BTreeSet<&String>,
    taken: &mut Taken,
) -> Result<(), ControllerError> {
    let name = topic.name.as_str();
    if repeated.contains(&topic.name) {
        return Err(ControllerError::new(ErrorCode::InvalidRequest, "Duplicate topic name."));
    }
    if name == topic_name::CLUSTER_METADATA {
        return Err(ControllerError::new(
            ErrorCode::TopicAuthorizationFailed,
            format!("Creation of internal topic {name} is prohibited."),
        ));
    }
    topic_name::check(name)
        .map_err(|error| ControllerError::new(ErrorCode::InvalidTopicException, error.to_string()))?;
    if image.topic(name).is_some() {
        return Err(ControllerError::new(
            ErrorCode::TopicAlreadyExists,
            format!("Topic '{name}' already exists."),
        ));
    }
    match taken.collision(image, name) {
        Some(taken) => Err(ControllerError::new(
            ErrorCode::InvalidTopicException,
            format!("Topic '{name}' collides with existing topic: {taken}"),
        )),
        None => Ok(()),
    }
}

/// The names that others may collide with, so that a request of ten thousand topics looks at those that exist only once.
#[derive(Default)]
struct Taken {
    /// By what is the same for names that collide. None until a name is looked for that may collide.
    names: Option<HashMap<String, String>>,
}

impl Taken {
    /// A topic of another name that a topic called `name` would collide with. `image` has all topics but those of [`Self::add`].
    fn collision(&mut self, image: &MetadataImage, name: &str) -> Option<&str> {
        if !topic_name::may_collide(name) {
            return None;
        }
        let names = self.names.get_or_insert_with(|| {
            // The cluster's own topics are there or will be: a name that collides with one would keep it from being made.
            let taken = image.topics().map(|topic| topic.name.as_ref()).chain(topic_name::INTERNAL);
            let taken = taken.filter(|taken| topic_name::may_collide(taken));
            taken.map(|taken| (topic_name::unified(taken), taken.to_owned())).collect()
        });
        names.get(&topic_name::unified(name)).map(String::as_str).filter(|taken| *taken != name)
    }

    /// Takes a topic that the request creates.
    fn add(&mut self, name: &str) {
        if let Some(names) = &mut self.names {
            names.insert(topic_name::unified(name), name.to_owned());
        }
    }
}

fn create(
    draft: &mut Draft,
    topic: &NewTopic,
    context: &mut DecisionContext<'_>,
) -> Result<CreatedTopic, ControllerError> {
    let configs = check_configs(&draft.image, topic, context)?;
    check_room(context)?;
    let placed = if topic.assignments.is_empty() {
        place(draft, topic, context)?
    } else {
        assign(draft, topic, context)?
    };
    let id = (context.new_topic_id)();
    assert!(id.0.as_u128() > 1, "0 and 1 are not ids of topics");
    assert!(draft.image.topic_by_id(id).is_none(), "a new topic's id is new");
    let created = CreatedTopic {
        id,
        partitions: placed.len(),
        replication_factor: placed.first().map_or(0, Vec::len),
        configs: config_entries(&draft.image, &configs, context),
    };
    let partitions = draft.partition_records(placed);
    draft.push(ControllerRecord::TopicCreated { name: topic.name.clone(), id, partitions, configs });
    Ok(created)
}

fn check_configs(
    image: &MetadataImage,
    topic: &NewTopic,
    context: &DecisionContext<'_>,
) -> Result<Configs, ControllerError> {
    let invalid = |message: String| ControllerError::new(ErrorCode::InvalidConfig, message);
    let configs = without_nulls(&topic.configs).map_err(|names| {
        invalid(format!("Null value not supported for topic configs: {}", names.join(",")))
    })?;
    check_topic_configs(BrokerLayers::common(context.defaults, image.cluster_configs()), &configs)
        .map_err(|error| invalid(error.to_string()))?;
    let configs = canonical_topic_configs(configs);
    check_config_bytes(image.topic_config_bytes(), 0, config_bytes(&configs))?;
    Ok(configs)
}

/// Replicas as the client wants them.
fn assign(
    draft: &mut Draft,
    topic: &NewTopic,
    context: &DecisionContext<'_>,
) -> Result<Vec<Vec<NodeId>>, ControllerError> {
    let both = |what: &str| {
        Err(ControllerError::new(
            ErrorCode::InvalidRequest,
            format!("A manual partition assignment was specified, but {what} was not set to -1."),
        ))
    };
    if topic.replication_factor != -1 {
        return both("replication factor");
    }
    if topic.num_partitions != -1 {
        return both("numPartitions");
    }
    check_internal(&topic.name, topic.assignments.len(), context)?;
    draft.check_limits(0, topic.assignments.len())?;
    let placed = assignment::of_topic(&draft.image, &topic.assignments, context)?;
    for replicas in &placed {
        draft.placer.placed(replicas);
    }
    Ok(placed)
}

/// What a topic gets where its creator leaves it open.
struct Defaults {
    partitions: usize,
    factor: usize,
}

impl Defaults {
    /// The cluster's own topics are wide enough to spread coordinators over the nodes.
    fn of(topic: &NewTopic, nodes: usize, context: &DecisionContext<'_>) -> Self {
        let settings = context.defaults;
        if topic_name::is_internal(&topic.name) {
            let partitions = settings.offsets.topic_num_partitions;
            return Self { partitions, factor: settings.offsets_replication_factor(nodes) };
        }
        Self { partitions: settings.num_partitions, factor: settings.replication_factor(nodes) }
    }
}

/// Replicas as the controller chooses them.
fn place(
    draft: &mut Draft,
    topic: &NewTopic,
    context: &DecisionContext<'_>,
) -> Result<Vec<Vec<NodeId>>, ControllerError> {
    let defaults = Defaults::of(topic, draft.placer.nodes(), context);
    let factor = match topic.replication_factor {
        -1 => defaults.factor,
        given => usize::try_from(given).unwrap_or(0),
    };
    if factor == 0 && topic.replication_factor != -1 {
        return Err(ControllerError::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    let partitions = match topic.num_partitions {
        -1 => defaults.partitions,
        given => usize::try_from(given).unwrap_or(0),
    };
    if partitions == 0 {
        return Err(ControllerError::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    check_internal(&topic.name, partitions, context)?;
    draft.check_limits(0, partitions)?;
    draft.check_factor(factor)?;
    Ok(draft.placer.place(&[], partitions, factor))
}

/// Whether one of the cluster's own topics, if it is one, would have the partitions that it has to have.
fn check_internal(
    name: &str,
    partitions: usize,
    context: &DecisionContext<'_>,
) -> Result<(), ControllerError> {
    let own = context.defaults.offsets.topic_num_partitions;
    if topic_name::is_internal(name) && partitions != own {
        return Err(ControllerError::new(
            ErrorCode::InvalidRequest,
            format!(
                "The internal topic {name} has {own} partition(s), and cannot be created with {partitions}."
            ),
        ));
    }
    Ok(())
}

fn config_entries(
    image: &MetadataImage,
    configs: &Configs,
    context: &DecisionContext<'_>,
) -> Vec<ConfigEntry> {
    let layers = BrokerLayers::common(context.defaults, image.cluster_configs());
    effective_topic_configs(layers, configs, Synonyms::LeftOut)
        .into_iter()
        .map(|config| ConfigEntry {
            name: config.name.to_owned(),
            value: config.value.unwrap_or_default(),
            source: config.source,
        })
        .collect()
}
