//! `trilog bench consume`: a topic, from its beginning to where it ends now.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::sleep;
use trilog_client::{Consumer, ConsumerConfig};

use super::ReadArgs;
use super::report::Report;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// How often it is looked whether the end is reached: the last offsets may be those of control records.
const LOOK: Duration = Duration::from_millis(20);

/// How long nothing may arrive.
const GIVE_UP: Duration = Duration::from_secs(60);

pub(super) async fn run(
    args: &ReadArgs,
    config: ConsumerConfig,
    patience: Duration,
) -> Result<Report, Failure> {
    let mut consumer = Consumer::new(config.auto_commit(None))?;
    let known = consumer.partitions(&args.topic, patience).await;
    let places = known.map_err(|error| Failure::topic(&args.topic, &error))?;
    let mut marks = consumer.watermarks(places.clone()).await?;
    let mut interrupt = Interrupt::watch();
    let mut progress = Progress::new(super::is_watched());
    let started = Instant::now();
    consumer.assign(places)?;
    for (place, (low, _)) in &marks {
        consumer.seek(place, *low);
    }
    marks.retain(|_, (low, high)| low < high);
    let (mut records, mut bytes, mut last) = (0_u64, 0_u64, started);
    while !marks.is_empty() && args.records.is_none_or(|wanted| records < wanted) {
        tokio::select! {
            biased;
            () = interrupt.wait() => break,
            batch = consumer.poll() => {
                let batch = batch?;
                records += batch.records.len() as u64;
                let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len) as u64;
                bytes += batch.records.iter().map(|record| size(&record.key) + size(&record.value)).sum::<u64>();
                last = Instant::now();
                if marks.get(&batch.partition).is_some_and(|(_, high)| batch.next_offset >= *high) {
                    marks.remove(&batch.partition);
                }
            }
            () = sleep(LOOK) => {
                if last.elapsed() > GIVE_UP {
                    let nothing = || Failure::Failed("the rest of the topic does not arrive".to_owned());
                    return Err(consumer.trouble().map_or_else(nothing, Failure::from));
                }
                marks.retain(|place, (_, high)| consumer.position(place).is_none_or(|position| position < *high));
            }
        }
        progress.show(|| format!("{records} records read"));
    }
    let took = last.duration_since(started);
    consumer.close().await?;
    Ok(Report::new("consume", &args.topic, records, bytes, took, None))
}
