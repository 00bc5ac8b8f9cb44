//! LZ4 as Kafka's clients write it: one frame whose blocks do not depend on each other (KIP-57).
//!
//! Kafka refuses dependent blocks, the legacy format and skippable frames, and so does this. It keeps memory at two
//! blocks.

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder;

const FRAME_MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
/// Where the frame's flags stand, right behind the magic.
const FLAGS_AT: usize = 4;
const INDEPENDENT_BLOCKS: u8 = 0x20;

/// The decompressed bytes of one LZ4 frame.
pub(crate) struct Lz4Reader<'a> {
    decoder: FrameDecoder<Input<'a>>,
}

impl<'a> Lz4Reader<'a> {
    pub(super) fn new(compressed: &'a [u8]) -> io::Result<Self> {
        let independent = compressed.get(FLAGS_AT).is_some_and(|flags| flags & INDEPENDENT_BLOCKS != 0);
        if !compressed.starts_with(&FRAME_MAGIC) || !independent {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not an LZ4 frame of independent blocks"));
        }
        Ok(Self { decoder: FrameDecoder::new(Input { rest: compressed, overrun: false }) })
    }

    /// Whether the frame had its end mark and nothing follows it.
    pub(super) fn ended_cleanly(&self) -> bool {
        let input = self.decoder.get_ref();
        input.rest.is_empty() && !input.overrun
    }
}

impl Read for Lz4Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer)
    }
}

/// The compressed bytes. The decoder takes a frame that breaks off between two blocks for complete; that it then asked for
/// more than there is tells the difference.
struct Input<'a> {
    rest: &'a [u8],
    overrun: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.overrun |= self.rest.is_empty() && !buffer.is_empty();
        self.rest.read(buffer)
    }
}
