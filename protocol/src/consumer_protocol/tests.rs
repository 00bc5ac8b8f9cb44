use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn sample() -> Subscription {
    Subscription {
        topics: vec!["orders".into(), "users".into()],
        owned: vec![("orders".into(), vec![0, 2])],
        generation: Some(7),
        rack: Some("b".into()),
    }
}

/// What is left of the subscription in an older version.
fn in_version(subscription: &Subscription, version: i16) -> Subscription {
    let Subscription { topics, owned, generation, rack } = subscription.clone();
    Subscription {
        topics,
        owned: if version >= 1 { owned } else { Vec::new() },
        generation: generation.filter(|_| version >= 2),
        rack: rack.filter(|_| version >= 3),
    }
}

fn named_partitions() -> impl Strategy<Value = NamedPartitions> {
    vec(("[a-z.]{0,12}", vec(any::<i32>(), 0..6)), 0..6)
}

fn subscription() -> impl Strategy<Value = Subscription> {
    let rack = option::of("[a-zé]{0,8}");
    (vec("[a-z.]{0,12}", 0..6), named_partitions(), option::of(0..i32::MAX), rack)
        .prop_map(|(topics, owned, generation, rack)| Subscription { topics, owned, generation, rack })
}

#[test]
fn a_subscription_is_laid_out_as_kafka_does() {
    let bytes = [
        &[0, 1][..],                                       // version 1
        &[0, 0, 0, 1, 0, 1, b't'],                         // topics: t
        &[0, 0, 0, 2, 0xca, 0xfe],                         // user data
        &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5], // owned: t-5
    ]
    .concat();
    let expected = Subscription {
        topics: vec!["t".into()],
        owned: vec![("t".into(), vec![5])],
        generation: None,
        rack: None,
    };
    assert_eq!(Subscription::parse(&bytes), Some(expected.clone()));
    assert_eq!(expected.encode(1, Some(&[0xca, 0xfe])), bytes);
}

#[test]
fn an_assignment_is_laid_out_as_kafka_does() {
    let bytes = [
        &[0, 3][..],
        &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xff, 0xff, 0xff, 0xff],
    ]
    .concat();
    let assigned = vec![("t".to_owned(), vec![0, 1])];
    assert_eq!(encode_assignment(&assigned, 3), bytes);
    assert_eq!(parse_assignment(&bytes), Some(assigned));
}

#[test]
fn user_data_is_found_behind_the_rest() {
    let subscription = sample().encode(2, Some(b"state"));
    assert_eq!(subscription_user_data(&subscription), Some(&b"state"[..]));
    assert_eq!(subscription_user_data(&sample().encode(2, None)), None);
    assert_eq!(subscription_user_data(&subscription[..3]), None);
    let assignment = encode_assignment(&sample().owned, 1);
    assert!(!carries_user_data(&assignment));
}

#[test]
fn later_versions_and_trailing_bytes_are_read_as_far_as_known() {
    let mut bytes = sample().encode(3, None);
    bytes[1] = 9;
    bytes.extend([1, 2, 3]);
    assert_eq!(Subscription::parse(&bytes), Some(sample()));
    let assignment = [encode_assignment(&sample().owned, 9), vec![1, 2, 3]].concat();
    assert_eq!(parse_assignment(&assignment), Some(sample().owned));
}

#[test]
fn what_is_cut_short_is_nothing() {
    for version in 0..=3 {
        let bytes = sample().encode(version, Some(b"state"));
        for length in 0..bytes.len() {
            assert_eq!(Subscription::parse(&bytes[..length]), None, "version {version}, {length} bytes");
        }
    }
    let bytes = encode_assignment(&sample().owned, 0);
    for length in 0..bytes.len() {
        assert_eq!(parse_assignment(&bytes[..length]), None, "{length} bytes");
    }
}

#[test]
fn impossible_counts_and_lengths_are_refused() {
    let huge = [0x7f, 0xff, 0xff, 0xff];
    let negative = [0xff, 0xff, 0xff, 0xfe];
    for count in [huge, negative] {
        assert_eq!(Subscription::parse(&[&[0, 0][..], &count].concat()), None);
        assert_eq!(Subscription::parse(&[&[0, 0, 0, 0, 0, 0][..], &count].concat()), None);
        assert_eq!(parse_assignment(&[&[0, 0][..], &count].concat()), None);
        let partitions = [&[0, 0, 0, 0, 0, 1, 0, 1, b't'][..], &count].concat();
        assert_eq!(parse_assignment(&partitions), None);
    }
    let negative_version = [&[0xff, 0xff][..], &sample().encode(0, None)[2..]].concat();
    assert_eq!(Subscription::parse(&negative_version), None);
    let not_text = [0, 0, 0, 0, 0, 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(Subscription::parse(&not_text), None);
}

proptest! {
    #[test]
    fn a_subscription_comes_back(
        subscription in subscription(),
        version in 0..=3_i16,
        user_data in option::of(vec(any::<u8>(), 0..9)),
    ) {
        let bytes = subscription.encode(version, user_data.as_deref());
        prop_assert_eq!(Subscription::parse(&bytes), Some(in_version(&subscription, version)));
    }

    #[test]
    fn an_assignment_comes_back(assigned in named_partitions(), version in 0..=3_i16) {
        prop_assert_eq!(parse_assignment(&encode_assignment(&assigned, version)), Some(assigned));
    }

    #[test]
    fn no_bytes_do_harm(
        bytes in vec(any::<u8>(), 0..64),
        subscription in subscription(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let _ = (Subscription::parse(&bytes), parse_assignment(&bytes));
        let mut damaged = subscription.encode(3, None);
        let at = at.index(damaged.len());
        damaged[at] = value;
        let _ = (Subscription::parse(&damaged), parse_assignment(&damaged));
    }
}
