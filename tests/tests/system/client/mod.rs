//! The bundled client against real nodes, beside librdkafka.

mod admin;
mod consumer;
mod deleted_topic;
mod errors;
mod producer;
mod read_back;
