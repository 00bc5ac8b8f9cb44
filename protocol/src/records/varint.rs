//! Zigzag varints, as Protocol Buffers define them: seven bits a byte, the least significant first, and signs folded in so
//! that small negative numbers stay short.

use super::source::RecordSource;
use super::walk::WalkError;

/// The bits of an encoded byte that belong to the number; the eighth says that more follows.
const PAYLOAD_BITS: u32 = 7;
const MORE: u8 = 0x80;

/// Reads a varint of at most 32 bits.
///
/// # Errors
///
/// [`WalkError::VarintTooLong`] for more, and whatever the source meets.
#[inline]
pub(super) fn read_i32<S: RecordSource>(source: &mut S) -> Result<i32, WalkError> {
    let encoded = read_unsigned(source)?;
    let encoded = u32::try_from(encoded).map_err(|_| WalkError::VarintTooLong)?;
    Ok((encoded >> 1).cast_signed() ^ -(encoded & 1).cast_signed())
}

/// Reads a varint of at most 64 bits (a varlong in Kafka's words).
///
/// # Errors
///
/// [`WalkError::VarintTooLong`] for more, and whatever the source meets.
#[inline]
pub(super) fn read_i64<S: RecordSource>(source: &mut S) -> Result<i64, WalkError> {
    let encoded = read_unsigned(source)?;
    Ok((encoded >> 1).cast_signed() ^ -(encoded & 1).cast_signed())
}

#[inline]
fn read_unsigned<S: RecordSource>(source: &mut S) -> Result<u64, WalkError> {
    let first = source.next_byte()?;
    if first & MORE == 0 {
        return Ok(u64::from(first));
    }
    read_longer(source, first)
}

fn read_longer<S: RecordSource>(source: &mut S, first: u8) -> Result<u64, WalkError> {
    let mut number = u64::from(first & !MORE);
    let mut shift = PAYLOAD_BITS;
    loop {
        let byte = source.next_byte()?;
        let bits = u64::from(byte & !MORE);
        // The tenth byte has room for one bit only, and there is no eleventh.
        if shift >= u64::BITS || (bits << shift) >> shift != bits {
            return Err(WalkError::VarintTooLong);
        }
        number |= bits << shift;
        if byte & MORE == 0 {
            return Ok(number);
        }
        shift += PAYLOAD_BITS;
    }
}

/// Appends a number in as few bytes as it needs, one to ten.
pub(super) fn put(out: &mut Vec<u8>, number: i64) {
    let mut rest = zigzag(number);
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= PAYLOAD_BITS;
        if rest == 0 {
            out.push(low & !MORE);
            return;
        }
        out.push(low | MORE);
    }
}

/// How many bytes [`put`] writes.
pub(super) const fn len(number: i64) -> usize {
    let bits = u64::BITS - (zigzag(number) | 1).leading_zeros();
    bits.div_ceil(PAYLOAD_BITS) as usize
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}
