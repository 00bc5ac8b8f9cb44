//! "Did you mean …?": the known name that is nearest to a mistyped one.

/// The most changes between a name and the one suggested for it.
const MAX_DISTANCE: usize = 4;

/// The nearest of `known`, if it is near at all. Of several equally near ones the first.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let within = MAX_DISTANCE.min(name.len() / 3);
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(far, _)| *far <= within)
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be inserted, deleted or replaced to turn one into the other (Levenshtein's distance).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // What it costs to make each beginning of `to` out of the characters of `from` seen so far.
    let mut costs: Vec<usize> = (0..=to.len()).collect();
    for (seen, character) in from.chars().enumerate() {
        let mut diagonal = costs[0];
        costs[0] = seen + 1;
        for (at, wanted) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *wanted);
            diagonal = costs[at + 1];
            costs[at + 1] = replaced.min(costs[at] + 1).min(diagonal + 1);
        }
    }
    costs[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, far) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!(distance(from, to), far, "{from} {to}");
            assert_eq!(distance(to, from), far, "{to} {from}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["num.partitions", "message.max.bytes"];
        let suggest = |name| nearest(name, known.into_iter());
        assert_eq!(suggest("num.partition"), Some("num.partitions"));
        assert_eq!(suggest("message.max.byte"), Some("message.max.bytes"));
        assert_eq!(suggest("num-partitions"), Some("num.partitions"));
        assert_eq!(suggest("x"), None);
        assert_eq!(suggest("zookeeper.connect"), None);
    }
}
