//! Two requests spoken by hand, in their oldest versions, because librdkafka's crate keeps to itself who coordinates a group
//! and what became of a commit that nobody waited for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long a node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Bytes of an answer's header.
const CORRELATION_ID: usize = 4;

const OFFSET_COMMIT: i16 = 8;
const FIND_COORDINATOR: i16 = 10;

/// A coordinator, and how to reach it.
#[derive(Clone, PartialEq, Eq)]
pub struct Coordinator {
    pub node: i32,
    pub address: String,
}

/// A connection to a broker.
pub struct Wire {
    stream: TcpStream,
}

impl Wire {
    pub fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self { stream })
    }

    /// Who coordinates a group; none while nobody does.
    pub fn find(&mut self, group: &str) -> Result<Option<Coordinator>> {
        let mut body = Vec::new();
        put_text(&mut body, group)?;
        self.send(FIND_COORDINATOR, 0, &body)?;
        let answer = self.receive()?;
        let mut answer = Fields(&answer);
        let error = answer.i16()?;
        let coordinator =
            Coordinator { node: answer.i32()?, address: format!("{}:{}", answer.text()?, answer.i32()?) };
        Ok((error == 0).then_some(coordinator))
    }

    /// Sends a commit of a group without members, and does not wait for the answer.
    pub fn send_commit(&mut self, group: &str, topic: &str, offset: i64) -> Result<()> {
        let mut body = Vec::new();
        put_text(&mut body, group)?;
        body.extend((-1_i32).to_be_bytes()); // no generation
        put_text(&mut body, "")?; // no member
        body.extend((-1_i64).to_be_bytes()); // kept as long as the broker thinks fit
        body.extend(1_u32.to_be_bytes()); // one topic
        put_text(&mut body, topic)?;
        body.extend(1_u32.to_be_bytes()); // one partition
        body.extend(0_i32.to_be_bytes());
        body.extend(offset.to_be_bytes());
        put_text(&mut body, "")?; // no metadata
        self.send(OFFSET_COMMIT, 2, &body)
    }

    /// The error of the oldest commit without an answer, 0 for none.
    pub fn receive_commit(&mut self) -> Result<i16> {
        let answer = self.receive()?;
        let mut answer = Fields(&answer);
        let topics = answer.i32()?;
        answer.text()?;
        let (partitions, _, error) = (answer.i32()?, answer.i32()?, answer.i16()?);
        if (topics, partitions) != (1, 1) {
            bail!("an answer about {topics} topics and {partitions} partitions");
        }
        Ok(error)
    }

    /// Waits until the broker ends the connection, on which nothing may be on its way.
    pub fn wait_closed(mut self) -> Result<()> {
        self.stream.set_read_timeout(None)?;
        // An error is an end, too.
        let _ = self.stream.read(&mut [0]);
        Ok(())
    }

    fn send(&mut self, key: i16, version: i16, body: &[u8]) -> Result<()> {
        // Key, version, correlation id, no client id.
        let length = 2 + 2 + 4 + 2 + body.len();
        let mut frame = Vec::with_capacity(4 + length);
        frame.extend(u32::try_from(length)?.to_be_bytes());
        frame.extend(key.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(0_i32.to_be_bytes());
        frame.extend((-1_i16).to_be_bytes());
        frame.extend(body);
        Ok(self.stream.write_all(&frame)?)
    }

    /// The next answer, without its header.
    fn receive(&mut self) -> Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length))?];
        self.stream.read_exact(&mut frame)?;
        // Answers come in order, so that the correlation id says nothing new.
        frame.drain(..CORRELATION_ID.min(frame.len()));
        Ok(frame)
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    bytes.extend(i16::try_from(text.len())?.to_be_bytes());
    bytes.extend(text.as_bytes());
    Ok(())
}

/// What is left to read of an answer.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(count).context("the answer is too short")?;
        self.0 = left;
        Ok(taken)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn text(&mut self) -> Result<String> {
        let length = usize::try_from(self.i16()?)?;
        Ok(String::from_utf8(self.take(length)?.to_vec())?)
    }
}
