//! The one way in which a value is kept: as it is read, without spaces around it, zeros before it or empty parts in it.
//!
//! A value of all brokers is part of every topic's description. Padded to the longest text that is allowed, it would make a few
//! kilobytes of request gigabytes of answers. Kafka describes values as they were read, too.

use super::Configs;
use super::broker_table::broker_domain;
use super::domain::{Domain, boolean, integer, list_value};
use super::group_configs;
use super::topic_table::topic_config;

impl Domain {
    /// An allowed value as it is kept: only lists and texts may be long. A value that is not allowed stays as it is.
    fn canonical(self, value: &str) -> String {
        let read = match self {
            Self::Boolean => boolean(value).map(|value| value.to_string()),
            Self::Int { .. } | Self::IntOr { .. } | Self::Long { .. } => {
                integer(value).map(|value| value.to_string())
            }
            // With an exponent where it is short: `{}` writes out every zero of 1e-300.
            Self::Ratio => value.trim().parse::<f64>().ok().map(|value| format!("{value:?}")),
            Self::OneOf(_) => Some(value.trim().to_owned()),
            Self::ListOf(_) | Self::ThrottledReplicas | Self::CountsByAddress => {
                Some(list_value(value).collect::<Vec<_>>().join(","))
            }
            Self::Text => None,
        };
        read.unwrap_or_else(|| value.to_owned())
    }
}

/// The longest value that a number, a truth or a word may have, in bytes; a longer one is none that is allowed.
const LONGEST_WORD: usize = 64;

impl Domain {
    /// A value as a request brings it to the controller: as it is kept, or cut where no value that is allowed would be as long. What is
    /// cut is refused like the whole value.
    fn short(self, value: &str) -> String {
        if self == Self::Text || self.is_list() || self == Self::CountsByAddress {
            return self.canonical(value);
        }
        let value = self.canonical(value.trim());
        if value.len() <= LONGEST_WORD { value } else { cut(&value) }
    }
}

/// The beginning of a value that is not allowed, and a sign that is in none that is.
fn cut(value: &str) -> String {
    value.chars().take(LONGEST_WORD).chain(['\u{2026}']).collect()
}

fn short(domain: Option<Domain>, value: &str) -> String {
    match domain {
        Some(domain) => domain.short(value),
        // It is refused by its name.
        None if value.len() > LONGEST_WORD => cut(value),
        None => value.to_owned(),
    }
}

/// What a request that sets `name` of a topic to `value` brings to the controller.
pub(in crate::controller) fn short_topic_value(name: &str, value: &str) -> String {
    short(topic_config(name).map(|config| config.domain), value)
}

/// What a request that sets `name` of brokers to `value` brings to the controller.
pub(in crate::controller) fn short_broker_value(name: &str, value: &str) -> String {
    short(broker_domain(name).map(|(_, domain)| domain), value)
}

/// What a request that sets `name` of a group to `value` brings to the controller.
pub(in crate::controller) fn short_group_value(_: &str, value: &str) -> String {
    short(Some(group_configs::DOMAIN), value)
}

fn canonical(configs: Configs, domain: impl Fn(&str) -> Option<Domain>) -> Configs {
    let kept = |(name, value): (String, String)| {
        let value = domain(&name).map_or_else(|| value.clone(), |domain| domain.canonical(&value));
        (name, value)
    };
    configs.into_iter().map(kept).collect()
}

/// A topic's settings, which were checked, as they are kept.
pub(in crate::controller) fn canonical_topic_configs(configs: Configs) -> Configs {
    canonical(configs, |name| topic_config(name).map(|config| config.domain))
}

/// A broker's settings, which were checked, as they are kept.
pub(in crate::controller) fn canonical_broker_configs(configs: Configs) -> Configs {
    canonical(configs, |name| broker_domain(name).map(|(_, domain)| domain))
}

/// A group's settings, which were checked, as they are kept.
pub(in crate::controller) fn canonical_group_configs(configs: Configs) -> Configs {
    canonical(configs, |_| Some(group_configs::DOMAIN))
}

#[cfg(test)]
mod tests {
    use super::super::TOPIC_CONFIGS;
    use super::*;

    #[test]
    fn a_value_is_kept_as_it_is_read() {
        let number = Domain::Int { min: -1, max: 9 };
        assert_eq!(
            ["5", " 5 ", "+5", &"0".repeat(9_999), "-01"].map(|value| number.canonical(value)),
            ["5", "5", "5", "0", "-1"]
        );
        assert_eq!(Domain::Boolean.canonical(" TRUE "), "true");
        assert_eq!(Domain::OneOf(&["a"]).canonical(" a\n"), "a");
        assert_eq!(
            ["0.50", "1", "0.000000000001", &"0".repeat(99)].map(|value| Domain::Ratio.canonical(value)),
            ["0.5", "1.0", "1e-12", "0.0"]
        );
        assert_eq!(Domain::ListOf(&["a", "b"]).canonical(", a ,,b,"), "a,b");
        assert_eq!(Domain::ThrottledReplicas.canonical(" * "), "*");
        assert_eq!(Domain::Text.canonical(" as it is "), " as it is ");
        assert_eq!(number.canonical("many"), "many");
    }

    #[test]
    fn what_is_kept_is_allowed_and_stays() {
        for config in TOPIC_CONFIGS {
            let once = config.domain.canonical(config.default);
            assert_eq!(config.domain.check(&once), Ok(()), "{}", config.name);
            assert_eq!(config.domain.canonical(&once), once, "{}", config.name);
        }
    }

    #[test]
    fn a_value_is_cut_where_none_that_is_allowed_is_as_long() {
        let number = Domain::Int { min: -1, max: 9 };
        let long = |end: &str| format!("{}{end}", "0".repeat(9_999));
        assert_eq!(
            [" 5 ".into(), long("7"), " x ".into()].map(|value| number.short(&value)),
            ["5", "7", "x"]
        );
        for domain in [number, Domain::Boolean, Domain::Ratio, Domain::OneOf(&["a"])] {
            let cut = domain.short(&long("x"));
            assert!(cut.len() < 2 * LONGEST_WORD && domain.check(&cut).is_err(), "{domain:?}: {cut}");
        }
        let list = "0:1,".repeat(9_999);
        assert_eq!(Domain::ThrottledReplicas.short(&list).len(), list.len() - 1);
        assert_eq!(Domain::Text.short(&list), list);
        assert!(short_topic_value("no.such.setting", &list).len() < 2 * LONGEST_WORD);
    }

    #[test]
    fn settings_are_found_by_the_names_of_their_layer() {
        let one = |name: &str| Configs::from([(name.to_owned(), " 07 ".to_owned())]);
        let kept = |configs: Configs| configs.into_values().next().unwrap();
        assert_eq!(kept(canonical_topic_configs(one("retention.ms"))), "7");
        assert_eq!(kept(canonical_broker_configs(one("log.retention.ms"))), "7");
        assert_eq!(kept(canonical_group_configs(one("consumer.session.timeout.ms"))), "7");
    }
}
