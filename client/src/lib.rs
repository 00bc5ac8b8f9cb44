//! A Kafka protocol client.
