//! The addresses that a peer's host name has, of which some may be dead.
//!
//! Each is tried, for its own share of the time that a dial may take: packets to an address where no host is are lost without
//! an answer, and would otherwise use up all of it. The one that was reached last is tried first, as that is where a refusal
//! tells something. Among the others the start turns from dial to dial, so that none waits for ever behind the rest.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// How many addresses one dial tries. Further ones have their turn in the next one.
const MAX_TRIED: usize = 4;

/// What is remembered of a peer's addresses from dial to dial.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// The one of the last connection.
    reached: Option<SocketAddr>,
    /// How many addresses were tried in vain.
    turn: usize,
}

impl Addresses {
    /// Which of the addresses that the name has now are tried in this dial, in order.
    fn of_dial(&self, mut resolved: Vec<SocketAddr>) -> Vec<SocketAddr> {
        resolved.sort_unstable();
        resolved.dedup();
        let turn = self.turn % resolved.len().max(1);
        resolved.rotate_left(turn);
        if let Some(at) = resolved.iter().position(|address| Some(*address) == self.reached) {
            resolved[..=at].rotate_right(1);
        }
        resolved.truncate(MAX_TRIED);
        resolved
    }

    /// Dials one address after the other, for `within` in all.
    ///
    /// # Errors
    ///
    /// What happened at each of them; nothing if there are none.
    pub(super) async fn dial<T, E: From<Elapsed>, D: Future<Output = Result<T, E>>>(
        &mut self,
        resolved: Vec<SocketAddr>,
        within: Duration,
        dial: impl Fn(SocketAddr) -> D,
    ) -> Result<T, Failures<E>> {
        let addresses = self.of_dial(resolved);
        let share = within / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut failures = Vec::new();
        for address in addresses {
            match timeout(share, dial(address)).await {
                Ok(Ok(reached)) => {
                    self.reached = Some(address);
                    return Ok(reached);
                }
                Ok(Err(error)) => failures.push((address, error)),
                Err(elapsed) => failures.push((address, elapsed.into())),
            }
        }
        self.turn = self.turn.wrapping_add(failures.len().min(MAX_TRIED - 1));
        Err(Failures { reached: self.reached, failures })
    }
}

/// Why none of a peer's addresses was reached.
#[derive(Debug)]
pub(super) struct Failures<E> {
    reached: Option<SocketAddr>,
    failures: Vec<(SocketAddr, E)>,
}

impl<E> Failures<E> {
    /// The one that tells most: a refusal where the peer was reached last, as its process is gone then; or else anything
    /// but a refusal, as long as one address may yet be its own.
    pub(super) fn verdict(self, is_refusal: impl Fn(&E) -> bool) -> Option<E> {
        let tells = |(address, error): &(SocketAddr, E)| {
            let refused = is_refusal(error);
            (refused && Some(*address) == self.reached, !refused)
        };
        let best = self.failures.iter().map(tells).max()?;
        let at = self.failures.iter().position(|failure| tells(failure) == best)?;
        self.failures.into_iter().nth(at).map(|(_, error)| error)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Outcome {
        Refused,
        TimedOut,
    }

    impl From<Elapsed> for Outcome {
        fn from(_: Elapsed) -> Self {
            Self::TimedOut
        }
    }

    const fn address(last: u8) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, last)), 9)
    }

    fn all(count: u8) -> Vec<SocketAddr> {
        (1..=count).map(address).collect()
    }

    /// Dials while only this address answers; those below it are dead, those above refuse.
    async fn dial(addresses: &mut Addresses, count: u8, alive: u8) -> Result<SocketAddr, Failures<Outcome>> {
        let dialled = |at: SocketAddr| async move {
            match at.cmp(&address(alive)) {
                Ordering::Less => std::future::pending().await,
                Ordering::Equal => Ok(at),
                Ordering::Greater => Err(Outcome::Refused),
            }
        };
        addresses.dial(all(count), Duration::from_millis(20), dialled).await
    }

    #[tokio::test]
    async fn a_dead_first_address_leaves_time_for_the_others() {
        let mut addresses = Addresses::default();
        assert_eq!(dial(&mut addresses, 3, 3).await.unwrap(), address(3));
        assert_eq!(
            addresses.of_dial(all(3)),
            [address(3), address(1), address(2)],
            "it is tried first from now on"
        );
    }

    #[tokio::test]
    async fn with_many_addresses_each_has_its_turn() {
        let mut addresses = Addresses::default();
        for _ in 0..20 {
            if dial(&mut addresses, 9, 8).await.is_ok() {
                return;
            }
        }
        panic!("the last but one of nine is never tried");
    }

    #[tokio::test]
    async fn only_a_refusal_where_the_peer_was_is_proof_of_its_end() {
        let is_refusal = |outcome: &Outcome| *outcome == Outcome::Refused;
        let mut addresses = Addresses::default();
        let failed = dial(&mut addresses, 2, 9).await.unwrap_err();
        assert_eq!(failed.verdict(is_refusal), Some(Outcome::TimedOut));

        let failures = || vec![(address(1), Outcome::TimedOut), (address(2), Outcome::Refused)];
        let verdict = |reached| Failures { reached, failures: failures() }.verdict(is_refusal);
        assert_eq!(verdict(None), Some(Outcome::TimedOut));
        assert_eq!(verdict(Some(address(2))), Some(Outcome::Refused));
        let refused = vec![(address(1), Outcome::Refused), (address(2), Outcome::Refused)];
        assert_eq!(Failures { reached: None, failures: refused }.verdict(is_refusal), Some(Outcome::Refused));
        assert_eq!(Failures::<Outcome> { reached: None, failures: Vec::new() }.verdict(is_refusal), None);
    }
}
