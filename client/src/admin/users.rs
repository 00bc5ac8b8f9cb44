//! DescribeUserScramCredentials and AlterUserScramCredentials: passwords of users (KIP-554).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use hmac::{Hmac, Mac};
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::{AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest};
use sha2::{Sha256, Sha512};

use super::requests::checked;
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Results};
use crate::Error;
use crate::messages::text;

/// Bytes of a salt.
const SALT: usize = 24;

/// How a user proves the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramMechanism {
    const fn number(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    const fn of(number: i8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The salted password, by which a broker knows a password without having it (RFC 5802, `Hi`).
    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => hi::<Hmac<Sha256>>(password, salt, iterations),
            Self::Sha512 => hi::<Hmac<Sha512>>(password, salt, iterations),
        }
    }
}

impl fmt::Display for ScramMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        })
    }
}

impl FromStr for ScramMechanism {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.to_ascii_uppercase().as_str() {
            "SCRAM-SHA-256" => Ok(Self::Sha256),
            "SCRAM-SHA-512" => Ok(Self::Sha512),
            _ => Err("it is SCRAM-SHA-256 or SCRAM-SHA-512".to_owned()),
        }
    }
}

/// `Hi` of RFC 5802: PBKDF2 for one block.
fn hi<M: Mac + hmac::digest::KeyInit + Clone>(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    // A key may have any length.
    let Ok(keyed) = <M as Mac>::new_from_slice(password) else { return Vec::new() };
    let step = |data: &[&[u8]]| {
        let mut mac = keyed.clone();
        data.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let mut block = step(&[salt, &1_u32.to_be_bytes()[..]]);
    let mut mixed = block.to_vec();
    for _ in 1..iterations {
        block = step(&[block.as_slice()]);
        mixed.iter_mut().zip(&block).for_each(|(mixed, byte)| *mixed ^= byte);
    }
    mixed
}

/// A password that a user has, without the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScramCredential {
    /// Kafka's number of a mechanism that is neither of the two, as an error.
    pub mechanism: Result<ScramMechanism, i8>,
    /// How often the password is hashed.
    pub iterations: i32,
}

/// A change of a user's passwords.
#[derive(Clone, PartialEq, Eq)]
pub enum ScramChange {
    /// Gives the user this password. Kafka takes 4,096 to 16,384 iterations.
    Set {
        /// The password.
        password: String,
        /// How often it is hashed.
        iterations: u32,
    },
    /// Takes the password away.
    Delete,
}

/// The password stays out of logs.
impl fmt::Debug for ScramChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { iterations, .. } => {
                f.debug_struct("Set").field("iterations", iterations).finish_non_exhaustive()
            }
            Self::Delete => f.write_str("Delete"),
        }
    }
}

impl Admin {
    /// Describes users with passwords: all of them, or those of these names. One without a password is `RESOURCE_NOT_FOUND`.
    ///
    /// # Errors
    ///
    /// [`Error::NotServed`] with brokers that have no users; if no broker answers in time.
    pub async fn describe_users(
        &self,
        users: Option<Vec<String>>,
    ) -> Result<Results<String, Vec<ScramCredential>>, Error> {
        self.run_one(DescribeUsers { users }, ()).await
    }

    /// Changes passwords, by user and mechanism. A user is changed as a whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Unencodable`] if the system gives no random numbers for a salt.
    pub async fn alter_users(
        &self,
        changes: impl IntoIterator<Item = ((String, ScramMechanism), ScramChange)>,
    ) -> Result<Results<String, ()>, Error> {
        let mut users = BTreeMap::<String, Vec<Prepared>>::new();
        for ((user, mechanism), change) in changes {
            users.entry(user).or_default().push(Prepared::new(mechanism, &change)?);
        }
        let names: Vec<_> = users.keys().cloned().collect();
        Ok(self.run(AlterUsers { users }, names).await)
    }
}

struct DescribeUsers {
    users: Option<Vec<String>>,
}

impl Operation for DescribeUsers {
    type Key = ();
    type Value = Results<String, Vec<ScramCredential>>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, (): &()) -> Route {
        Route::Any
    }

    async fn ask(&self, attempt: Attempt<'_>, _all: &[()]) -> Result<Results<(), Self::Value>, Error> {
        let name = |name: &String| UserName::default().with_name(text(name));
        let users = self.users.as_ref().map(|users| users.iter().map(name).collect());
        let request = DescribeUserScramCredentialsRequest::default().with_users(users);
        let answer = attempt.connection.request(request).await?;
        checked(answer.error_code, answer.error_message)?;
        let rows = answer.results.into_iter().map(|row| {
            let credentials = row.credential_infos.into_iter().map(|info| ScramCredential {
                mechanism: ScramMechanism::of(info.mechanism).ok_or(info.mechanism),
                iterations: info.iterations,
            });
            let outcome = checked(row.error_code, row.error_message).map(|()| credentials.collect());
            (row.user.to_string(), outcome)
        });
        Ok([((), Ok(rows.collect()))].into())
    }
}

/// A change as brokers take it.
enum Prepared {
    Set { mechanism: ScramMechanism, iterations: u32, salt: [u8; SALT], salted: Vec<u8> },
    Delete(ScramMechanism),
}

impl Prepared {
    fn new(mechanism: ScramMechanism, change: &ScramChange) -> Result<Self, Error> {
        let ScramChange::Set { password, iterations } = change else { return Ok(Self::Delete(mechanism)) };
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|error| Error::Unencodable { cause: error.to_string() })?;
        let salted = mechanism.salted(password.as_bytes(), &salt, *iterations);
        Ok(Self::Set { mechanism, iterations: *iterations, salt, salted })
    }
}

struct AlterUsers {
    users: BTreeMap<String, Vec<Prepared>>,
}

impl Operation for AlterUsers {
    type Key = String;
    type Value = ();
    const POLICY: Policy = Policy::OVERWRITES;

    fn route(&self, _user: &String) -> Route {
        Route::Controller
    }

    async fn ask(&self, attempt: Attempt<'_>, users: &[String]) -> Result<Results<String, ()>, Error> {
        let mut request = AlterUserScramCredentialsRequest::default();
        for user in users {
            for change in self.users.get(user).into_iter().flatten() {
                match change {
                    Prepared::Set { mechanism, iterations, salt, salted } => {
                        let set = ScramCredentialUpsertion::default()
                            .with_name(text(user))
                            .with_mechanism(mechanism.number())
                            .with_iterations(i32::try_from(*iterations).unwrap_or(i32::MAX))
                            .with_salt(Bytes::copy_from_slice(salt))
                            .with_salted_password(Bytes::copy_from_slice(salted));
                        request.upsertions.push(set);
                    }
                    Prepared::Delete(mechanism) => {
                        let gone = ScramCredentialDeletion::default().with_name(text(user));
                        request.deletions.push(gone.with_mechanism(mechanism.number()));
                    }
                }
            }
        }
        let answer = attempt.connection.request(request).await?;
        let rows = answer.results.into_iter();
        Ok(rows.map(|row| (row.user.to_string(), checked(row.error_code, row.error_message))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3: user "user", password "pencil".
    #[test]
    fn passwords_are_salted_as_the_standard_says() {
        let salt =
            [0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
        let salted = ScramMechanism::Sha256.salted(b"pencil", &salt, 4096);
        let expected = [
            0xc4, 0xa4, 0x95, 0x10, 0x32, 0x3a, 0xb4, 0xf9, 0x52, 0xca, 0xc1, 0xfa, 0x99, 0x44, 0x19, 0x39,
            0xe7, 0x8e, 0xa7, 0x4d, 0x6b, 0xe8, 0x1d, 0xdf, 0x70, 0x96, 0xe8, 0x75, 0x13, 0xdc, 0x61, 0x5d,
        ];
        assert_eq!(salted, expected);
        assert_eq!(ScramMechanism::Sha512.salted(b"pencil", &salt, 1).len(), 64);
    }

    #[test]
    fn a_password_is_not_printed() {
        let change = ScramChange::Set { password: "pencil".to_owned(), iterations: 4096 };
        assert!(!format!("{change:?}").contains("pencil"));
    }
}
