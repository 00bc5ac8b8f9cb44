//! A big file of lines, and whether two of them are the same.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// Writes a file of `count` lines, all different, of 24 to 87 bytes, which compress about as text does.
///
/// # Panics
/// If the disk is full.
pub fn write(path: &Path, count: usize) {
    let mut file = BufWriter::new(File::create(path).expect("a file can be made"));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..count {
        // A linear congruential generator: the same file on every run.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let filler = "the quick brown fox jumps over the lazy dog and then some more";
        let cut = usize::try_from(state >> 58).expect("six bits");
        let cut = cut.min(filler.len());
        writeln!(file, "{number:07} {:012x} {} ", state >> 16, &filler[..cut]).expect("the disk has room");
    }
    file.flush().expect("the disk has room");
}

/// Compares two files line by line.
///
/// # Panics
/// At the first line that differs, and if one file ends early.
pub fn assert_same(expected: &Path, actual: &Path) {
    assert_eq!(first_difference(expected, actual), None);
}

/// The first line in which two files differ, in words.
fn first_difference(expected: &Path, actual: &Path) -> Option<String> {
    let open = |path: &Path| BufReader::new(File::open(path).expect("the file is there")).split(b'\n');
    let (mut left, mut right) = (open(expected), open(actual));
    let mut number = 0_u64;
    loop {
        number += 1;
        let wanted = left.next().map(|line| line.expect("the file can be read"));
        let got = right.next().map(|line| line.expect("the file can be read"));
        if wanted != got {
            let text = |line: Option<Vec<u8>>| line.map(|line| String::from_utf8_lossy(&line).into_owned());
            return Some(format!("line {number} is {:?} instead of {:?}", text(got), text(wanted)));
        }
        // Both files end here: there is no difference.
        wanted?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn lines_differ_and_are_the_same_every_time() {
        let scratch = Scratch::new("lines");
        let (one, two) = (scratch.join("one"), scratch.join("two"));
        write(&one, 1000);
        write(&two, 1000);
        assert_eq!(first_difference(&one, &two), None);
        let text = std::fs::read_to_string(&one).unwrap();
        let mut lines = text.lines().collect::<Vec<_>>();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 1000);
    }

    #[test]
    fn a_missing_line_is_noticed() {
        let scratch = Scratch::new("lines");
        let (one, two) = (scratch.join("one"), scratch.join("two"));
        write(&one, 1000);
        write(&two, 999);
        assert!(first_difference(&one, &two).unwrap().starts_with("line 1000 is None instead of "));
    }
}
