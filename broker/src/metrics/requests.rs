//! Requests by API, from the moment that the last byte of one is there until its answer is handed to the socket.
//!
//! ```text
//!  arrived ──► handled ─────────────► answered ───────► left
//!     │ its turn  │ disk, majority,      │ answers of     │
//!     │           │ long poll            │ earlier ones   │
//!     └─ handling ┘                      └─ queue ────────┘
//!     └───────────────── duration ────────────────────────┘
//! ```
//!
//! Kafka's `RequestMetrics` have the same parts under other names: handling is LocalTimeMs, queue is
//! ResponseQueueTimeMs, duration is TotalTimeMs. There is no RequestQueueTimeMs, as requests have no queue here: a
//! connection's next request is read when its turn has come.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use kafka_protocol::messages::ApiKey;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use super::registered;

/// API keys below this one have a place in the table; Kafka's are below 100.
const API_KEYS: usize = 128;

/// The upper bounds of the histograms' buckets, in seconds: from an answer out of memory to the longest poll.
const SECONDS: [f64; 15] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Counters and histograms of all APIs. Those of an API are looked up by name once, with its first request.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    requests: IntCounterVec,
    request_bytes: IntCounterVec,
    response_bytes: IntCounterVec,
    handling: HistogramVec,
    queue: HistogramVec,
    duration: HistogramVec,
    in_flight: IntGauge,
    in_flight_bytes: IntGauge,
    by_key: Vec<OnceLock<OneApi>>,
}

/// One API's own.
#[derive(Debug)]
struct OneApi {
    requests: IntCounter,
    request_bytes: IntCounter,
    response_bytes: IntCounter,
    handling: Histogram,
    queue: Histogram,
    duration: Histogram,
}

/// A request on its way. Dropped unfinished when its client leaves first.
#[derive(Debug)]
pub(crate) struct RequestTimer {
    metrics: Arc<RequestMetrics>,
    api_key: ApiKey,
    bytes: i64,
    arrived: Instant,
    answered: Option<Instant>,
}

impl RequestMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counters = |name, help| registered(registry, IntCounterVec::new(Opts::new(name, help), &["api"]));
        let histograms = |name, help| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            registered(registry, HistogramVec::new(options, &["api"]))
        };
        let gauge = |name, help| registered(registry, IntGauge::new(name, help));
        Self {
            requests: counters("trilog_requests_total", "Requests that arrived."),
            request_bytes: counters("trilog_request_bytes_total", "Bytes of requests that arrived."),
            response_bytes: counters("trilog_response_bytes_total", "Bytes of answers handed to sockets."),
            handling: histograms(
                "trilog_request_handling_seconds",
                "The part of a request's time in which it had its connection's turn.",
            ),
            queue: histograms(
                "trilog_response_queue_seconds",
                "The part of a request's time in which its answer waited for those of earlier requests.",
            ),
            duration: histograms(
                "trilog_request_duration_seconds",
                "A request's time, from its last byte to its answer's turn on the socket, long polls included.",
            ),
            in_flight: gauge("trilog_requests_in_flight", "Requests whose answers have not left."),
            in_flight_bytes: gauge("trilog_request_bytes_in_flight", "Bytes of these requests."),
            by_key: (0..API_KEYS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// A request of `bytes` bytes is complete.
    pub(crate) fn arrived(self: &Arc<Self>, api_key: ApiKey, bytes: usize) -> RequestTimer {
        let api = self.api(api_key);
        api.requests.inc();
        api.request_bytes.inc_by(bytes as u64);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.in_flight.inc();
        self.in_flight_bytes.add(bytes);
        let metrics = Arc::clone(self);
        RequestTimer { metrics, api_key, bytes, arrived: Instant::now(), answered: None }
    }

    fn api(&self, api_key: ApiKey) -> &OneApi {
        let place = usize::try_from(api_key as i16).ok().and_then(|key| self.by_key.get(key));
        place.expect("Kafka's keys are small").get_or_init(|| {
            let api = [format!("{api_key:?}")];
            OneApi {
                requests: self.requests.with_label_values(&api),
                request_bytes: self.request_bytes.with_label_values(&api),
                response_bytes: self.response_bytes.with_label_values(&api),
                handling: self.handling.with_label_values(&api),
                queue: self.queue.with_label_values(&api),
                duration: self.duration.with_label_values(&api),
            }
        })
    }
}

impl RequestTimer {
    /// The request has had its turn.
    pub(crate) fn handled(&self) {
        self.api().handling.observe(self.arrived.elapsed().as_secs_f64());
    }

    /// Its answer is there.
    pub(crate) fn answered(&mut self) {
        self.answered = Some(Instant::now());
    }

    /// Its answer, of `bytes` bytes, is handed to the socket.
    pub(crate) fn left(self, bytes: usize) {
        let (api, now) = (self.api(), Instant::now());
        let answered = self.answered.unwrap_or(now);
        api.response_bytes.inc_by(bytes as u64);
        api.queue.observe(now.saturating_duration_since(answered).as_secs_f64());
        api.duration.observe(now.saturating_duration_since(self.arrived).as_secs_f64());
    }

    fn api(&self) -> &OneApi {
        self.metrics.api(self.api_key)
    }
}

impl Drop for RequestTimer {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        self.metrics.in_flight_bytes.sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_flight_until_its_answer_left_or_its_client_did() {
        let metrics = Arc::new(RequestMetrics::new(&Registry::new()));
        let mut answered = metrics.arrived(ApiKey::Produce, 100);
        let abandoned = metrics.arrived(ApiKey::Fetch, 20);
        assert_eq!((metrics.in_flight.get(), metrics.in_flight_bytes.get()), (2, 120));
        answered.handled();
        answered.answered();
        answered.left(7);
        drop(abandoned);
        assert_eq!((metrics.in_flight.get(), metrics.in_flight_bytes.get()), (0, 0));
        let produce = metrics.api(ApiKey::Produce);
        assert_eq!((produce.requests.get(), produce.response_bytes.get()), (1, 7));
        assert_eq!(produce.duration.get_sample_count(), 1);
        let fetch = metrics.api(ApiKey::Fetch);
        assert_eq!((fetch.requests.get(), fetch.duration.get_sample_count()), (1, 0));
    }

    #[test]
    fn every_key_of_the_protocol_has_a_place() {
        use kafka_protocol::messages::ApiKey;
        let keys = (0..i16::MAX).filter_map(|key| ApiKey::try_from(key).ok());
        assert!(keys.into_iter().all(|key| usize::try_from(key as i16).unwrap() < API_KEYS));
    }
}
