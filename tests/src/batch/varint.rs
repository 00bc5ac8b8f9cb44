//! Variable-length integers, zigzag-encoded as in Protocol Buffers.

use bytes::{Buf, BufMut};

/// Writes one, in one to ten bytes.
pub(super) fn put(buffer: &mut impl BufMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            buffer.put_u8(low);
            return;
        }
        buffer.put_u8(low | 0x80);
    }
}

/// Reads one; panics where the bytes end early, which fails the test that reads them.
pub(super) fn get(buffer: &mut impl Buf) -> i64 {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = buffer.get_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
