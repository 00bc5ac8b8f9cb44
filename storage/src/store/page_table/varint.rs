//! sled's integers of varying length.
//!
//! | first byte | value | bytes |
//! | --- | --- | --- |
//! | up to 240 | the byte itself | 1 |
//! | 241 to 248 | 240 + 256 × (first byte − 241) + second byte | 2 |
//! | 249 | 2288 + 256 × second byte + third byte | 3 |
//! | 250 to 255 | the next 3 to 8 bytes, little-endian | 4 to 9 |

/// The longest one.
pub(super) const MAX_BYTES: usize = 9;

/// The greatest value in one, two and three bytes.
const ONE: u64 = 240;
const TWO: u64 = 2287;
const THREE: u64 = 67823;

/// Takes an integer off the front of `bytes`; `None` when they are too short.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    let extra = match first {
        0..=240 => 0,
        241..=248 => 1,
        249 => 2,
        250..=255 => usize::from(first) - 247,
    };
    let (extra, rest) = rest.split_at_checked(extra)?;
    *bytes = rest;
    Some(match (first, extra) {
        (241..=248, [second]) => ONE + 256 * u64::from(first - 241) + u64::from(*second),
        (249, [second, third]) => TWO + 1 + 256 * u64::from(*second) + u64::from(*third),
        (250.., _) => {
            let mut value = [0; 8];
            value[..extra.len()].copy_from_slice(extra);
            u64::from_le_bytes(value)
        }
        _ => u64::from(first),
    })
}

/// Appends an integer.
pub(super) fn put(value: u64, to: &mut Vec<u8>) {
    // The bytes of a number below 2^16, most significant first.
    let pair = |value: u64| {
        let [low, high, ..] = value.to_le_bytes();
        [high, low]
    };
    let low = value.to_le_bytes()[0];
    if value <= ONE {
        to.push(low);
    } else if value <= TWO {
        let [high, low] = pair(value - ONE);
        to.extend([241 + high, low]);
    } else if value <= THREE {
        to.push(249);
        to.extend(pair(value - TWO - 1));
    } else {
        let len = (usize::try_from(u64::BITS - value.leading_zeros()).unwrap_or(MAX_BYTES)).div_ceil(8);
        let first = [250, 251, 252, 253, 254, 255][len - 3];
        to.push(first);
        to.extend(&value.to_le_bytes()[..len]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sled::Serialize;

    use super::*;

    fn is_as_sled_writes_it(value: u64) {
        let mut ours = Vec::new();
        put(value, &mut ours);
        assert_eq!(ours, value.serialize(), "{value}");
        assert!(ours.len() <= MAX_BYTES);
        for cut in 0..ours.len() {
            assert_eq!(take(&mut &ours[..cut]), None, "{value}");
        }
        ours.push(7);
        let mut left = &ours[..];
        assert_eq!(take(&mut left), Some(value));
        assert_eq!(left, [7]);
    }

    #[test]
    fn at_the_edges_they_are_as_sled_writes_them() {
        for edge in
            [0, ONE, TWO, THREE, (1 << 24) - 1, (1 << 32) - 1, (1 << 40) - 1, (1 << 48) - 1, (1 << 56) - 1]
        {
            is_as_sled_writes_it(edge);
            is_as_sled_writes_it(edge + 1);
        }
        is_as_sled_writes_it(u64::MAX);
    }

    proptest! {
        #[test]
        fn they_are_as_sled_writes_them(value: u64, bits in 0..64) {
            is_as_sled_writes_it(value >> bits);
        }
    }
}
