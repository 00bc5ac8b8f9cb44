//! Ports for processes that must be told theirs.
//!
//! They are taken below the range from which the kernel picks the source ports of outgoing connections: there, a
//! killed node's port could be some client's source port by the time the node starts again.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const COUNT: u32 = 18_000;

/// One after the other through the range, from a place that differs between test processes, so that tests running at
/// the same time never ask for the same port.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port nobody listens on now.
pub fn free_port() -> u16 {
    free_block(1, &[0])
}

/// The first of `len` successive ports such that nobody listens on any of them, nor on the ports `distances` above
/// each.
///
/// # Panics
/// If the whole range is taken.
pub fn free_block(len: u16, distances: &[u16]) -> u16 {
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let position = NEXT.fetch_add(u32::from(len), Ordering::Relaxed).wrapping_add(offset) % COUNT;
        let first = u16::try_from(FIRST + position).expect("the range lies below 65536");
        let free = (first..first + len).all(|port| distances.iter().all(|distance| is_free(port + distance)));
        if free {
            return first;
        }
    }
    panic!("no {len} free ports in a row from {FIRST} on");
}

/// Whether somebody could listen on this port, on both loopback addresses (IPv6 may be missing altogether).
fn is_free(port: u16) -> bool {
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    let v6_taken = v6.is_err_and(|e| e.kind() == std::io::ErrorKind::AddrInUse);
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && !v6_taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let port = free_port();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        assert_ne!(free_port(), port);
    }

    #[test]
    fn blocks_do_not_overlap() {
        let first = free_block(3, &[0, 1000]);
        let second = free_block(3, &[0, 1000]);
        assert!(first.abs_diff(second) >= 3);
    }
}
