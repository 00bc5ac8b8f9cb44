//! Frames that are nearly sound.

use fastrand::Rng;

/// Numbers at which decoders go wrong, in bytes of any width.
const NUMBERS: [&[u8]; 9] = [
    &[0xff],
    &[0x7f],
    &[0xff, 0xff],
    &[0x7f, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0, 0, 0, 0, 0, 0, 0],
];

/// The most bytes of a frame that is nothing but noise.
const NOISE: usize = 200;

/// A frame made from one of `sound`: mostly with a few changes, sometimes as it is, cut, lengthened, joined with another one, or noise.
pub(super) fn frame(random: &mut Rng, sound: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = random.choice(sound).cloned().unwrap_or_default();
    match random.u8(0..16) {
        0 => {}
        1 => return (0..random.usize(0..NOISE)).map(|_| random.u8(..)).collect(),
        2 => frame.truncate(random.usize(0..=frame.len())),
        3 => frame.extend((0..random.usize(0..NOISE)).map(|_| random.u8(..))),
        4 => {
            let other = random.choice(sound).cloned().unwrap_or_default();
            frame.truncate(random.usize(0..=frame.len()));
            frame.extend_from_slice(&other[random.usize(0..=other.len())..]);
        }
        5 | 6 => {
            let (at, number) = (random.usize(0..=frame.len()), random.choice(NUMBERS).unwrap_or_default());
            frame.splice(at..at, number.iter().copied());
        }
        _ => {
            for _ in 0..random.usize(1..4) {
                change(random, &mut frame);
            }
        }
    }
    frame
}

/// Changes a byte, or some that follow each other to a [number](NUMBERS).
fn change(random: &mut Rng, frame: &mut [u8]) {
    if frame.is_empty() {
        return;
    }
    let at = random.usize(0..frame.len());
    match random.u8(0..4) {
        0 => frame[at] = random.u8(..),
        1 => frame[at] ^= 1 << random.u8(0..8),
        2 => frame[at] = frame[at].wrapping_add(1),
        _ => {
            let number = random.choice(NUMBERS).unwrap_or_default();
            for (byte, new) in frame[at..].iter_mut().zip(number) {
                *byte = *new;
            }
        }
    }
}
