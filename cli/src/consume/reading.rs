//! The loop of `trilog consume`: records in, lines out, until the end.

use std::collections::{BTreeMap, BTreeSet};
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

/// How soon what was printed is written out while more comes.
const LATEST: Duration = Duration::from_millis(20);

/// How often it is looked whether the end is reached.
const LOOK: Duration = Duration::from_millis(20);

/// How often a group is told what was printed.
const COMMIT: Duration = Duration::from_secs(5);

/// How long the cluster may be silent before a person is told, and then again.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a command that is to end goes on without progress.
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
    /// How far the partition is read, as of the last look.
    position: Option<i64>,
}

impl End {
    const fn at(offset: i64) -> Self {
        Self { offset, is_reached: false, position: None }
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
    /// Partitions without a leader, of which nobody knows where they end.
    pub(super) endless: BTreeSet<TopicPartition>,
    /// The offsets behind what was printed, and not written out.
    printed: BTreeMap<TopicPartition, i64>,
    /// When the first record was printed that is not written out.
    unwritten_since: Option<Instant>,
    last_commit: Instant,
    /// When it was looked how far each partition is read.
    last_look: Option<Instant>,
    /// Whether all partitions were read to their ends, as of then.
    are_read: bool,
    /// When something came, or a person was told that nothing does.
    last_news: Instant,
    /// When a partition came, one was read further, or something was written: that may take as long as the reader likes.
    last_progress: Instant,
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
            endless: BTreeSet::new(),
            printed: BTreeMap::new(),
            unwritten_since: None,
            last_commit: now,
            last_look: None,
            are_read: false,
            last_news: now,
            last_progress: now,
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
            Some(share) => {
                if matches!(read, Err(Failure::OutputClosed)) {
                    // The last lines may be in a pipe that nobody reads.
                    share.disown();
                }
                share.commit(&self.consumer.committer()).await
            }
            None => Ok(()),
        };
        let left = self.consumer.close().await;
        read?;
        committed?;
        Ok(left?)
    }

    async fn read(&mut self, screen: &mut Screen, interrupt: &mut Interrupt) -> Result<(), Failure> {
        while self.left != Some(0) && !self.is_at_the_end() {
            tokio::select! {
                biased;
                () = interrupt.wait() => return Ok(()),
                turned = self.turn(screen) => turned?,
            }
        }
        Ok(())
    }

    /// Prints the next batch, or waits a little for one, and does what is due.
    ///
    /// Cancel safety: nothing is lost.
    async fn turn(&mut self, screen: &mut Screen) -> Result<(), Failure> {
        // Partitions may go while a member polls: what was printed of them has to be written by then, and is committed.
        if self.share.is_some() || self.unwritten_since.is_some_and(|since| since.elapsed() >= LATEST) {
            self.write_out(screen)?;
        }
        let pause = if self.unwritten_since.is_none() { LOOK } else { SOON };
        tokio::select! {
            biased;
            batch = self.consumer.poll() => self.print(batch?, screen)?,
            () = sleep(pause) => self.write_out(screen)?,
        }
        self.look().await?;
        self.complain()?;
        if self.last_commit.elapsed() >= COMMIT && self.share.is_some() {
            self.write_out(screen)?;
            self.last_commit = Instant::now();
            if let Some(share) = &self.share {
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
        !self.follows && is_settled && self.are_read
    }

    fn is_all_read(&self) -> bool {
        self.endless.is_empty() && self.ends.values().all(|end| end.is_reached)
    }

    /// Learns of partitions that came, went or ended. There may be thousands of them, so that this is not for every batch.
    async fn look(&mut self) -> Result<(), Failure> {
        if self.follows || self.last_look.is_some_and(|last| last.elapsed() < LOOK) {
            return Ok(());
        }
        self.last_look = Some(Instant::now());
        if let Some(share) = &self.share {
            let (news, gone) = {
                let mut held = share.held();
                (held.news.clone(), std::mem::take(&mut held.gone))
            };
            self.ends.retain(|place, _| !gone.contains(place));
            self.endless.retain(|place| !gone.contains(place));
            if !news.is_empty() {
                self.last_progress = Instant::now();
                let marks = self.consumer.watermarks_of_led(news.iter().cloned()).await?;
                let mut held = share.held();
                self.endless.extend(news.iter().filter(|place| !marks.contains_key(*place)).cloned());
                // Those that went meanwhile are no longer among the news.
                let still = marks.into_iter().filter(|(place, _)| held.news.contains(place));
                self.ends.extend(still.map(|(place, (_, high))| (place, End::at(high))));
                held.news.retain(|place| !news.contains(place));
            }
        }
        if !self.endless.is_empty() {
            let marks = self.consumer.watermarks_of_led(self.endless.iter().cloned()).await?;
            self.endless.retain(|place| !marks.contains_key(place));
            self.ends.extend(marks.into_iter().map(|(place, (_, high))| (place, End::at(high))));
        }
        for (place, end) in &mut self.ends {
            let position = self.consumer.position(place);
            if !end.is_reached && position != end.position {
                end.position = position;
                self.last_progress = Instant::now();
            }
            end.is_reached |= position.is_some_and(|position| position >= end.offset);
        }
        self.are_read = self.is_all_read();
        Ok(())
    }

    fn print(&mut self, batch: Batch, screen: &mut Screen) -> Result<(), Failure> {
        self.last_news = Instant::now();
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
        if let Some(end) = self.ends.get_mut(&batch.partition)
            && !end.is_reached
            && batch.next_offset >= end.offset
        {
            // It may be the last one: this is seen at once.
            end.is_reached = true;
            self.are_read = self.is_all_read();
        }
        if let Some(next) = next {
            self.last_progress = Instant::now();
            self.unwritten_since.get_or_insert(self.last_progress);
            self.printed.insert(batch.partition, next);
        }
        Ok(())
    }

    /// Writes out what was printed: from then on, it may be committed.
    fn write_out(&mut self, screen: &mut Screen) -> Result<(), Failure> {
        if self.unwritten_since.is_none() {
            return Ok(());
        }
        screen.flush()?;
        self.unwritten_since = None;
        self.last_progress = Instant::now();
        let printed = std::mem::take(&mut self.printed);
        if let Some(share) = &self.share {
            share.printed(printed);
        }
        Ok(())
    }

    /// Tells a person that the cluster is silent. A command that is to end gives up at last.
    fn complain(&mut self) -> Result<(), Failure> {
        let trouble =
            || self.consumer.trouble().map(|trouble| crate::failure::one_line(&trouble.to_string()));
        if !self.follows && self.last_progress.elapsed() > GIVE_UP {
            return Err(Failure::Failed(stall(&self.ends, &self.endless, trouble())));
        }
        if self.last_news.elapsed() >= SILENCE {
            if let Some(trouble) = trouble() {
                eprintln!("trilog: {trouble}; trying again");
            }
            self.last_news = Instant::now();
        }
        Ok(())
    }
}

/// What a command waited for in vain.
fn stall(
    ends: &BTreeMap<TopicPartition, End>,
    endless: &BTreeSet<TopicPartition>,
    trouble: Option<String>,
) -> String {
    let what = match ends.iter().find(|(_, end)| !end.is_reached) {
        Some((place, End { offset, position: Some(position), .. })) => {
            format!("{place} is read up to offset {position} of {offset}")
        }
        Some((place, _)) => format!("{place} cannot be read"),
        None if !endless.is_empty() => {
            format!("{} has no leader", endless.iter().next().map_or_else(String::new, ToString::to_string))
        }
        None => "the group has assigned nothing".to_owned(),
    };
    let cause = trouble.map(|trouble| format!(" ({trouble})")).unwrap_or_default();
    format!("no progress for {} s: {what}{cause}", GIVE_UP.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_names_the_partition_and_the_cause() {
        let place = |number| TopicPartition::new("t", number);
        let reached = End { is_reached: true, ..End::at(3) };
        let mut ends: BTreeMap<_, _> = [(place(0), reached)].into();
        assert_eq!(
            stall(&ends, &BTreeSet::new(), None),
            "no progress for 60 s: the group has assigned nothing"
        );
        ends.insert(place(1), End::at(9));
        let told = stall(&ends, &[place(2)].into(), Some("no broker answers".to_owned()));
        assert_eq!(told, format!("no progress for 60 s: {} cannot be read (no broker answers)", place(1)));
        ends.insert(place(1), End { position: Some(5), ..End::at(9) });
        let told = stall(&ends, &BTreeSet::new(), None);
        assert_eq!(told, format!("no progress for 60 s: {} is read up to offset 5 of 9", place(1)));
        ends.remove(&place(1));
        let told = stall(&ends, &[place(2)].into(), None);
        assert_eq!(told, format!("no progress for 60 s: {} has no leader", place(2)));
    }
}
