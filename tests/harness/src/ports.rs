//! Loopback ports reserved for tests.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// First port. It is below the ephemeral ports of Linux (from 32768) and macOS (from 49152), so that a client socket
/// cannot take a port that is released for a while, as when a server restarts.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A loopback address that no process listens on. Unique within a process; processes start at different ports, so that
/// they rarely collide.
pub fn free() -> SocketAddr {
    let start = process::id().wrapping_mul(97) % COUNT;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + (start + step) % COUNT).expect("the range fits");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free loopback port from {FIRST} to {}", FIRST + COUNT);
}
