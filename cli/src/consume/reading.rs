//! The loop of `trilog consume`: records in, lines out, until the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use trilog_client::Consumer;
use trilog_client::consumer::{Batch, TopicPartition};

use super::format::Format;
use super::group::Share;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::json_record::{Found, RecordOut};
use crate::screen::Screen;

/// How long a topic may take to be known everywhere.
pub(super) const NEWS: Duration = Duration::from_secs(3);

/// How soon what was printed is written out when nothing more comes.
const SOON: Duration = Duration::from_millis(1);

/// How often it is looked whether the end is reached.
const LOOK: Duration = Duration::from_millis(20);

/// How often a group is told what was printed.
const COMMIT: Duration = Duration::from_secs(5);

/// How long the cluster may be silent before a person is told, and then again.
const SILENCE: Duration = Duration::from_secs(5);

/// How long the cluster may be silent before a command that is to end gives up.
const GIVE_UP: Duration = Duration::from_secs(60);

/// How records are printed.
#[derive(Debug)]
pub(super) enum Printing {
    Text { format: Format, null: Vec<u8> },
    Json { base64: bool },
}

/// Where a partition ended when it came.
#[derive(Clone, Copy, Debug)]
struct End {
    offset: i64,
    is_reached: bool,
}

impl End {
    const fn at(offset: i64) -> Self {
        Self { offset, is_reached: false }
    }
}

/// A command that is at work.
#[derive(Debug)]
pub(super) struct Reading {
    consumer: Consumer,
    /// What a member of a group shares with its callbacks.
    share: Option<Share>,
    printing: Printing,
    /// Whether it goes on at the end.
    pub(super) follows: bool,
    /// How many records are still wanted.
    pub(super) left: Option<u64>,
    /// Where each partition ended when it came.
    ends: BTreeMap<TopicPartition, End>,
    /// The offsets behind what was printed, and not written out.
    printed: BTreeMap<TopicPartition, i64>,
    last_commit: Instant,
    /// When something came, or a person was told that nothing does.
    last_news: Instant,
    last_record: Instant,
}

impl Reading {
    pub(super) fn of_partitions(
        consumer: Consumer,
        ends: BTreeMap<TopicPartition, i64>,
        printing: Printing,
    ) -> Self {
        let now = Instant::now();
        Self {
            consumer,
            share: None,
            printing,
            follows: false,
            left: None,
            ends: ends.into_iter().map(|(place, offset)| (place, End::at(offset))).collect(),
            printed: BTreeMap::new(),
            last_commit: now,
            last_news: now,
            last_record: now,
        }
    }

    pub(super) fn of_group(consumer: Consumer, share: Share, printing: Printing) -> Self {
        Self { share: Some(share), ..Self::of_partitions(consumer, BTreeMap::new(), printing) }
    }

    /// Prints until the end, or until it is interrupted, and leaves the group in order.
    pub(super) async fn run(mut self, screen: &mut Screen) -> Result<(), Failure> {
        let mut interrupt = Interrupt::watch();
        let read = self.read(screen, &mut interrupt).await;
        let read = read.and_then(|()| self.write_out(screen));
        let committed = match &self.share {
            Some(share) => share.commit(&self.consumer.committer()).await,
            None => Ok(()),
        };
        let left = self.consumer.close().await;
        read?;
        committed?;
        Ok(left?)
    }

    async fn read(&mut self, screen: &mut Screen, interrupt: &mut Interrupt) -> Result<(), Failure> {
        let mut is_written = true;
        while self.left != Some(0) && !self.is_at_the_end() {
            let pause = if is_written { LOOK } else { SOON };
            tokio::select! {
                biased;
                () = interrupt.wait() => return Ok(()),
                batch = self.consumer.poll() => {
                    self.print(batch?, screen)?;
                    is_written = false;
                }
                () = sleep(pause) => {
                    self.write_out(screen)?;
                    is_written = true;
                    self.complain()?;
                }
            }
            self.look().await?;
            if self.last_commit.elapsed() >= COMMIT
                && let Some(share) = &self.share
            {
                self.last_commit = Instant::now();
                share.commit(&self.consumer.committer()).await?;
            }
        }
        Ok(())
    }

    /// Whether everything is printed that was there at the beginning.
    fn is_at_the_end(&self) -> bool {
        let is_settled = self.share.as_ref().is_none_or(|share| {
            let held = share.held();
            held.is_settled && held.news.is_empty()
        });
        !self.follows && is_settled && self.ends.values().all(|end| end.is_reached)
    }

    /// Learns of partitions that came, went or ended.
    async fn look(&mut self) -> Result<(), Failure> {
        if self.follows {
            return Ok(());
        }
        if let Some(share) = &self.share {
            let (news, gone) = {
                let mut held = share.held();
                (held.news.clone(), std::mem::take(&mut held.gone))
            };
            self.ends.retain(|place, _| !gone.contains(place));
            if !news.is_empty() {
                let marks = self.consumer.watermarks(news.iter().cloned()).await?;
                let mut held = share.held();
                // Those that went meanwhile are no longer among the news.
                let still = marks.into_iter().filter(|(place, _)| held.news.contains(place));
                self.ends.extend(still.map(|(place, (_, high))| (place, End::at(high))));
                held.news.retain(|place| !news.contains(place));
            }
        }
        for (place, end) in &mut self.ends {
            end.is_reached = end.is_reached
                || self.consumer.position(place).is_some_and(|position| position >= end.offset);
        }
        Ok(())
    }

    fn print(&mut self, batch: Batch, screen: &mut Screen) -> Result<(), Failure> {
        (self.last_news, self.last_record) = (Instant::now(), Instant::now());
        let end = if self.follows { None } else { self.ends.get(&batch.partition).copied() };
        let mut next = None;
        for record in &batch.records {
            let is_behind = end.is_some_and(|end| record.offset.0 >= end.offset);
            if self.left == Some(0) || is_behind {
                break;
            }
            self.left = self.left.map(|left| left - 1);
            next = Some(record.offset.0 + 1);
            let found = Found {
                topic: &batch.partition.topic,
                partition: batch.partition.partition,
                offset: record.offset.0,
                timestamp: record.timestamp.0,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &record.headers,
            };
            match &self.printing {
                Printing::Text { format, null } => format.write(screen, &found, null)?,
                Printing::Json { base64 } => screen.json_line(&RecordOut::of(found, *base64))?,
            }
        }
        if let Some(next) = next {
            self.printed.insert(batch.partition, next);
        }
        Ok(())
    }

    /// Writes out what was printed: from then on, it may be committed.
    fn write_out(&mut self, screen: &mut Screen) -> Result<(), Failure> {
        screen.flush()?;
        let printed = std::mem::take(&mut self.printed);
        if let Some(share) = &self.share {
            share.printed(printed);
        }
        Ok(())
    }

    /// Tells a person that the cluster is silent, and gives up where nobody said to wait.
    fn complain(&mut self) -> Result<(), Failure> {
        if self.last_news.elapsed() < SILENCE {
            return Ok(());
        }
        self.last_news = Instant::now();
        let Some(trouble) = self.consumer.trouble() else { return Ok(()) };
        if !self.follows && self.last_record.elapsed() > GIVE_UP {
            return Err(trouble.into());
        }
        eprintln!("trilog: {}; trying again", crate::failure::one_line(&trouble.to_string()));
        Ok(())
    }
}
