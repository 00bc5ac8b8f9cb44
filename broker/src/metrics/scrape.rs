//! All figures as text, when somebody asks for them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;
use tokio::sync::Mutex;
use trilog_cluster::node::Node;

use super::families::{Families, Samples};
use super::{Metrics, disk, groups, partitions, process, raft, topics};

/// How long the driver may take to answer. It answers between two rounds, which take milliseconds; when it does not,
/// its figures are missing in this scrape, and `trilog_driver_silence_seconds` says why.
const SURVEY_PATIENCE: Duration = Duration::from_millis(500);

/// A scrape serves everybody who asks within this time, so that many who ask cost no more than one.
const FRESH: Duration = Duration::from_millis(500);

/// Puts scrapes together, one at a time.
#[derive(Debug)]
pub(crate) struct Scraper {
    metrics: Metrics,
    data_dir: PathBuf,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Scraper {
    /// For a node that keeps its data in `data_dir`.
    pub(crate) fn new(metrics: Metrics, data_dir: PathBuf) -> Self {
        process::begin();
        Self { metrics, data_dir, last: Mutex::new(None) }
    }

    /// All figures in Prometheus' text format; those of `node` once it has started.
    pub(crate) async fn scrape(&self, node: Option<&Node>) -> Bytes {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < FRESH
        {
            return text.clone();
        }
        let text = Bytes::from(self.gather(node).await);
        *last = Some((Instant::now(), text.clone()));
        text
    }

    async fn gather(&self, node: Option<&Node>) -> String {
        let mut families = Families::default();
        process::tell(&mut families);
        disk::tell(&self.data_dir, &mut families);
        if let Some(node) = node {
            let survey = node.survey(SURVEY_PATIENCE).await;
            let image = node.image();
            let mut left_out = Samples::default();
            raft::tell_driver(node.metrics().driver_silence(), &mut families);
            partitions::look_up(node, &image, &mut families);
            left_out.add(&[("of", "topics")], topics::look_up(node, &image, &mut families) as f64);
            if let Some(survey) = &survey {
                raft::tell(survey, &mut families);
                let without_room = groups::tell(node, &image, survey, &mut families);
                left_out.add(&[("of", "groups")], without_room.groups as f64);
                left_out.add(&[("of", "group_partitions")], without_room.partitions as f64);
            }
            let help = "Topics, groups and partitions of groups that have no series, as there are too many.";
            families.gauges("trilog_series_left_out", help, left_out);
        }
        text(self.counted(node), families)
    }

    /// What is counted where it happens.
    fn counted(&self, node: Option<&Node>) -> Vec<MetricFamily> {
        let of_clients = self.metrics.registry.gather();
        let of_node = node.map_or_else(Vec::new, |node| node.metrics().gather());
        of_clients.into_iter().chain(of_node).collect()
    }
}

fn text(counted: Vec<MetricFamily>, looked_up: Families) -> String {
    let mut families = counted;
    families.extend(looked_up.into_inner());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    let text = TextEncoder::new().encode_to_string(&families);
    text.expect("every family has a name and samples of its own kind")
}
