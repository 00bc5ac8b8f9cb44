//! What librdkafka says about itself, in a file for each client: where a failed round is looked into first, once the nodes' logs
//! say that all was well.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// A client's log.
#[derive(Debug)]
pub(super) struct ClientLog {
    began: Instant,
    file: Mutex<File>,
}

impl ClientLog {
    /// Makes an empty one in a directory, and has a client tell these of librdkafka's `debug` contexts.
    ///
    /// # Panics
    /// If the file cannot be made.
    pub(super) fn new(dir: &Path, client: &str, contexts: &str, config: &mut ClientConfig) -> Self {
        config.set("debug", contexts).set_log_level(RDKafkaLogLevel::Debug);
        let file = File::create(dir.join(format!("{client}.log"))).expect("a client's log can be made");
        Self { began: Instant::now(), file: Mutex::new(file) }
    }

    /// Writes a line.
    pub(super) fn write(&self, facility: &str, message: &str) {
        let line = format!("{:10} {facility} {message}\n", self.began.elapsed().as_micros());
        // A log that cannot be written is no reason to end a round.
        let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}
