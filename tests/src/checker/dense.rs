//! A partition's offsets are dense: there are no transactions, no compaction and no retention in a round, so that each offset
//! from 0 to the end has its record.

use super::log::{FinalLogs, Reading};
use super::{Rule, Violation};

pub(super) fn check(finals: &FinalLogs<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (place, Reading { entry, log, .. }) in finals.all() {
        if let Some((due, seen)) = (0..).zip(log.iter()).find(|(due, seen)| seen.offset != *due) {
            let (offset, who) = (seen.offset, &entry.client);
            let evidence = format!("{place}: offset {offset} comes where {due} is due, to {who}");
            found.push(Violation::new(Rule::Hole, evidence));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Scene, rules};
    use super::Rule;

    #[test]
    fn a_hole_in_the_log() {
        let scene = Scene::default().acked(0, 0, 5).acked(0, 2, 6).log_at(&[(0, 5), (2, 6)]);
        assert_eq!(rules(&scene), [Rule::Hole]);
    }

    #[test]
    fn a_log_that_does_not_begin_at_its_beginning() {
        let scene = Scene::default().acked(0, 1, 5).log_at(&[(1, 5)]);
        assert_eq!(rules(&scene), [Rule::Hole]);
    }
}
