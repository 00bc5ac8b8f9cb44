//! Input in pieces: lines, or what another delimiter ends.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::thread;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::notation::Separator;

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// The longest piece. No broker takes a record as long.
const MAX_PIECE: usize = 128 << 20;

/// Chunks that are read ahead.
const AHEAD: usize = 8;

/// Why the input ended before its end.
#[derive(Debug, Error)]
pub(super) enum InputError {
    /// It cannot be read.
    #[error("cannot read the input: {0}")]
    Io(#[from] io::Error),
    /// A piece has no end.
    #[error("line {0}: it is longer than 128 MiB")]
    TooLong(u64),
}

/// Cuts bytes at a delimiter.
#[derive(Debug)]
struct Splitter {
    delimiter: Separator,
    buffer: BytesMut,
    /// How much of the buffer has no delimiter, for sure.
    searched: usize,
}

impl Splitter {
    fn new(delimiter: Separator) -> Self {
        Self { delimiter, buffer: BytesMut::new(), searched: 0 }
    }

    fn next(&mut self) -> Option<Bytes> {
        if let Some(at) = self.delimiter.find(&self.buffer[self.searched..]) {
            let length = self.delimiter.0.len();
            let mut piece = self.buffer.split_to(self.searched + at + length);
            piece.truncate(self.searched + at);
            self.searched = 0;
            return Some(piece.freeze());
        }
        // A delimiter may have begun at the end.
        self.searched = self.buffer.len().saturating_sub(self.delimiter.0.len() - 1);
        None
    }

    /// What has no delimiter behind it, at the end of the input.
    fn rest(self) -> Option<Bytes> {
        (!self.buffer.is_empty()).then(|| self.buffer.freeze())
    }
}

/// What is read, as it comes: a few pieces at a time.
pub(super) type Pieces = mpsc::Receiver<Result<Vec<Bytes>, InputError>>;

/// Reads a file, or standard input, on a thread of its own: a read of a terminal cannot be ended.
pub(super) fn read(file: Option<&Path>, delimiter: Separator) -> io::Result<Pieces> {
    let input: Box<dyn Read + Send> = match file {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::stdin()),
    };
    let (sender, pieces) = mpsc::channel(AHEAD);
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        if let Err(error) = pass_on(input, delimiter, &sender) {
            // Nobody to be told: the command has ended.
            let _ = sender.blocking_send(Err(error));
        }
    })?;
    Ok(pieces)
}

fn pass_on(
    mut input: impl Read,
    delimiter: Separator,
    sender: &mpsc::Sender<Result<Vec<Bytes>, InputError>>,
) -> Result<(), InputError> {
    let mut splitter = Splitter::new(delimiter);
    let mut chunk = vec![0; CHUNK];
    let mut number = 0;
    loop {
        if splitter.buffer.len() > MAX_PIECE {
            return Err(InputError::TooLong(number + 1));
        }
        let length = match input.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        splitter.buffer.extend_from_slice(&chunk[..length]);
        if length == 0 {
            if let Some(rest) = splitter.rest() {
                // Nobody to be told: the command has ended.
                let _ = sender.blocking_send(Ok(vec![rest]));
            }
            return Ok(());
        }
        let pieces: Vec<Bytes> = std::iter::from_fn(|| splitter.next()).collect();
        number += pieces.len() as u64;
        if !pieces.is_empty() && sender.blocking_send(Ok(pieces)).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(self.1).min(into.len());
            let (now, later) = self.0.split_at(length);
            into[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    fn pieces(text: &[u8], delimiter: &str, step: usize) -> Vec<Bytes> {
        let (sender, mut receiver) = mpsc::channel(1000);
        pass_on(Slow(text, step), delimiter.parse().unwrap(), &sender).unwrap();
        let mut all = Vec::new();
        while let Ok(some) = receiver.try_recv() {
            all.extend(some.unwrap());
        }
        all
    }

    #[test]
    fn empty_lines_count_and_the_last_one_may_lack_its_end() {
        assert_eq!(pieces(b"a\n\nb", "\\n", 64), ["a", "", "b"]);
        assert_eq!(pieces(b"a\n", "\\n", 64), ["a"]);
        assert_eq!(pieces(b"", "\\n", 64), Vec::<Bytes>::new());
    }

    proptest! {
        #[test]
        fn pieces_are_the_same_however_the_bytes_come(text in "[ab;]{0,40}", step in 1..7_usize) {
            let mut expected: Vec<&str> = text.split(";;").collect();
            if expected.last() == Some(&"") {
                expected.pop();
            }
            prop_assert_eq!(pieces(text.as_bytes(), ";;", step), expected);
        }
    }
}
