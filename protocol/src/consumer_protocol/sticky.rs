//! What members of a group with the assignor `sticky` add to their subscription (Kafka's `StickyAssignorUserData`): their
//! last assignment, as an eager member owns nothing when it joins, and its generation.
//!
//! ```text
//! previous assignment => [STRING [INT32]]
//! generation          => INT32, version 1 only, -1 for none
//! ```

use super::{Fields, NamedPartitions, put_named_partitions};

/// The user data of a member that was assigned these partitions in this generation, in version 1.
///
/// # Panics
///
/// If a topic's name has more than 32,767 bytes, which no topic's has.
#[must_use]
pub fn encode_sticky_user_data(assigned: &[(String, Vec<i32>)], generation: Option<i32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_named_partitions(&mut bytes, assigned);
    bytes.extend(generation.unwrap_or(-1).to_be_bytes());
    bytes
}

/// The last assignment and its generation, which version 0 does not have. None if the bytes are no such user data.
#[must_use]
pub fn parse_sticky_user_data(user_data: &[u8]) -> Option<(NamedPartitions, Option<i32>)> {
    let mut fields = Fields(user_data);
    let assigned = fields.named_partitions()?;
    let generation = if fields.0.is_empty() { None } else { Some(fields.i32()?) };
    Some((assigned, generation.filter(|generation| *generation >= 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_laid_out_as_java_does() {
        let bytes =
            [&[0, 0, 0, 1, 0, 1, b't'][..], &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3], &[0, 0, 0, 9]].concat();
        let assigned = vec![("t".to_owned(), vec![0, 3])];
        assert_eq!(encode_sticky_user_data(&assigned, Some(9)), bytes);
        assert_eq!(parse_sticky_user_data(&bytes), Some((assigned.clone(), Some(9))));
        let version_0 = &bytes[..bytes.len() - 4];
        assert_eq!(parse_sticky_user_data(version_0), Some((assigned, None)));
        for length in (0..bytes.len()).filter(|length| *length != version_0.len()) {
            assert_eq!(parse_sticky_user_data(&bytes[..length]), None, "{length} bytes");
        }
    }
}
