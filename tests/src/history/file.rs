//! A history as a file: one JSON object a line, in order.
//!
//! Lines, so that `grep '"partition":2'` and `jq` do for looking at one; JSON, so that anything can read it. It is written
//! when a round has failed, and `nemesis --check FILE` judges it again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use super::History;

impl History {
    /// Writes it, over whatever was there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for entry in &self.entries {
            serde_json::to_writer(&mut file, entry)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    }

    /// Reads one that was saved.
    ///
    /// # Errors
    /// What the file system says, or that a line is no entry.
    pub fn load(path: &Path) -> io::Result<Self> {
        let lines = BufReader::new(File::open(path)?).lines();
        let entries = lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect::<io::Result<_>>()?;
        Ok(Self { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Deed, Entry, MemberView, Outcome, Place, Seen, Sending};

    #[test]
    fn what_is_saved_is_read_back() {
        let place = Place::new("topic", 3);
        let members = vec![MemberView { id: "m".to_owned(), epoch: Some(4), owns: vec![place.clone()] }];
        let (group, offsets) = ("g".to_owned(), vec![(place.clone(), 7)]);
        let deeds = [
            Deed::Send { place: place.clone(), value: u64::MAX, sending: Sending::Failed },
            Deed::Send { place: place.clone(), value: 1, sending: Sending::Acknowledged { offset: Some(7) } },
            Deed::Read { place, records: vec![Seen { offset: 7, value: 1 }] },
            Deed::Commit { group: group.clone(), offsets, outcome: Outcome::Unknown },
            Deed::Members { group, members },
            Deed::GaveUp { why: "\"quoted\"\nand on".to_owned() },
        ];
        let entry = |deed| Entry { client: "c".to_owned(), invoked: 1, ended: 2, deed };
        let history = History { entries: deeds.map(entry).to_vec() };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        history.save(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 6);
        assert_eq!(History::load(&path).unwrap(), history);
    }

    #[test]
    fn a_line_that_is_no_entry_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        std::fs::write(&path, "{\"client\":\"c\"}\n").unwrap();
        assert_eq!(History::load(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
