//! The bundled client against real nodes, read back by librdkafka.

mod errors;
mod producer;
mod read_back;
