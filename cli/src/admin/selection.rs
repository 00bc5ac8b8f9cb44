//! Topics and partitions of a command line: `orders`, `orders:0` or `orders:0,3`.

use std::str::FromStr;

/// A topic, with some of its partitions or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The topic.
    pub(super) topic: String,
    /// Its partitions; None is all of them.
    pub(super) partitions: Option<Vec<i32>>,
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "it is not TOPIC or TOPIC:PARTITION,PARTITION".to_owned();
        let (topic, partitions) = match text.split_once(':') {
            Some((topic, partitions)) => (topic, Some(partitions)),
            None => (text, None),
        };
        if topic.is_empty() {
            return Err(expected());
        }
        let number = |text: &str| text.trim().parse().ok().filter(|number: &i32| *number >= 0);
        let partitions = partitions.map(|list| list.split(',').map(number).collect::<Option<_>>());
        let partitions = partitions.map(|list| list.ok_or_else(expected)).transpose()?;
        Ok(Self { topic: topic.to_owned(), partitions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_have_partitions_behind_it() {
        let selected = |text: &str| text.parse::<Selection>().unwrap().partitions;
        assert_eq!(selected("orders"), None);
        assert_eq!(selected("orders:0"), Some(vec![0]));
        assert_eq!(selected("orders:0, 3"), Some(vec![0, 3]));
        for wrong in ["", ":1", "orders:", "orders:x", "orders:-1", "orders:1,"] {
            assert!(wrong.parse::<Selection>().is_err(), "{wrong}");
        }
    }
}
