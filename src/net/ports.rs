//! Ports for the servers of unit tests.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// How often a server is started at most.
const ATTEMPTS: usize = 3;

/// A port that is free on all addresses, for TCP and UDP, and that no other test of this process gets.
///
/// It lies outside the range that sockets get by themselves (`ip_local_port_range`, from 32768 on).
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let any = (Ipv4Addr::UNSPECIFIED, port);
        if TcpListener::bind(any).is_ok() && UdpSocket::bind(any).is_ok() {
            return port;
        }
    }
}

/// Starts a server, again on other ports where another program took one in between.
///
/// An attempt that fails gives the server's log.
pub(crate) fn started<T>(attempt: impl Fn() -> Result<T, String>) -> T {
    let mut log = String::new();
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(server) => return server,
            Err(said) => log = said,
        }
    }
    panic!("the server did not start:\n{log}");
}
