//! Idempotent producers, which never give up on a record: librdkafka's here, that of `trilog-client` in [`own`](super::own).
//!
//! So each of its records has to be acknowledged in the end, once and in its place. What librdkafka reports as failed is not
//! known to have failed: a record that it sent, lost the answer to and then dropped may be in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::client_log::ClientLog;
use super::own::Sends;
use super::payload::{first_value, payload};
use super::{IMPATIENT, Library, Stage, end_of};
use crate::history::{Deed, Micros, Place, Recorder, Sending};
use crate::waiting::PATIENCE;

/// Different keys, which spread over the partitions.
pub(super) const KEYS: u64 = 97;

/// What is remembered of a record on its way.
#[derive(Debug)]
struct Sent {
    value: u64,
    invoked: Micros,
}

/// Writes down what becomes of the records.
struct Delivery {
    client: String,
    recorder: Recorder,
    log: ClientLog,
}

impl ClientContext for Delivery {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.log.write(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            let why = format!("{error}: {reason}");
            self.recorder.happened(&self.client, Deed::GaveUp { why });
        }
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let (message, sending) = match result {
            Ok(message) => {
                let offset = Some(message.offset()).filter(|offset| *offset >= 0);
                (message, Sending::Acknowledged { offset })
            }
            Err((error, message)) => {
                // At the very end, what could not be settled is thrown away; that has its own entry.
                let is_end = matches!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
                );
                if !is_end {
                    let why = format!("value {} in partition {}: {error}", sent.value, message.partition());
                    self.recorder.happened(&self.client, Deed::GaveUp { why });
                }
                (message, Sending::Unknown)
            }
        };
        let place = Place::new(message.topic(), message.partition());
        self.recorder.ended(&self.client, sent.invoked, Deed::Send { place, value: sent.value, sending });
    }
}

/// A producer that sends by itself until it is stopped.
#[derive(Debug)]
pub struct Producer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Producer {
    /// Starts one that sends so many records a second, with different keys. Its number tells it from others.
    ///
    /// # Panics
    /// If librdkafka refuses the settings.
    pub fn start(stage: &Stage, library: Library, number: u32, rate: u32) -> Self {
        let client = format!("producer-{number}-{}", library.name());
        match library {
            Library::Librdkafka => Self::of_librdkafka(stage, client, number, rate),
            Library::Own => Self::own(stage, client, number, rate),
        }
    }

    fn own(stage: &Stage, client: String, number: u32, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sends = Sends {
            client,
            topic: stage.topic.clone(),
            first: first_value(number),
            rate,
            recorder: stage.recorder.clone(),
            stop: Arc::clone(&stop),
        };
        let bootstrap = stage.bootstrap();
        let thread = std::thread::spawn(move || sends.run(&bootstrap));
        Self { stop, thread: Some(thread) }
    }

    fn of_librdkafka(stage: &Stage, client: String, number: u32, rate: u32) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", stage.bootstrap()).set("client.id", &client);
        for (name, value) in IMPATIENT {
            config.set(name, value);
        }
        config.set("enable.idempotence", "true").set("linger.ms", "2").set("request.timeout.ms", "1000");
        // Longer than anybody waits here: it is not for the client to give up.
        config.set("message.timeout.ms", (PATIENCE * 3).as_millis().to_string());
        let log = ClientLog::new(&stage.logs, &client, "eos,broker", &mut config);
        let delivery = Delivery { client: client.clone(), recorder: stage.recorder.clone(), log };
        let producer: ThreadedProducer<Delivery> =
            config.create_with_context(delivery).expect("librdkafka takes the settings");
        let stop = Arc::new(AtomicBool::new(false));
        let (stops, topic) = (Arc::clone(&stop), stage.topic.clone());
        let thread = std::thread::spawn(move || {
            let recorder = producer.context().recorder.clone();
            recorder.happened(&client, Deed::Produces);
            let end = produce(&producer, &topic, first_value(number), rate, &stops).and_then(|sent| {
                let not_settled =
                    |error| format!("records are not settled {PATIENCE:?} after all is well: {error}");
                producer.flush(PATIENCE).map(|()| sent).map_err(not_settled)
            });
            let deed = end.map_or_else(|why| Deed::GaveUp { why }, |sent| Deed::Settled { sent });
            recorder.happened(&client, deed);
        });
        Self { stop, thread: Some(thread) }
    }

    /// Stops sending and waits until every record is settled, or patience is at its end.
    ///
    /// # Panics
    /// If its thread panicked.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            end_of(thread).await;
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends until it is told to stop; how many records. An error is one after which librdkafka takes no records any more.
fn produce(
    producer: &ThreadedProducer<Delivery>,
    topic: &str,
    first: u64,
    rate: u32,
    stop: &AtomicBool,
) -> Result<u64, String> {
    let (began, interval) = (Instant::now(), Duration::from_secs(1) / rate);
    let (mut due, mut sent_so_far) = (began, 0);
    for value in first.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += interval;
        let (key, payload) = ((value % KEYS).to_string(), payload(value));
        let sent = Box::new(Sent { value, invoked: producer.context().recorder.now() });
        let mut record = BaseRecord::with_opaque_to(topic, sent).key(&key).payload(&payload);
        while let Err((error, refused)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(format!("value {value} was not taken: {error}"));
            }
            if stop.load(Ordering::Relaxed) {
                // It never left.
                return Ok(sent_so_far);
            }
            record = refused;
            std::thread::sleep(interval);
        }
        sent_so_far += 1;
    }
    Ok(sent_so_far)
}
