//! The proxy breaks connections as told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use logstream_testing::FaultProxy;

const PATIENCE: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(100);

/// Sends back what it gets, for ever.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    address
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn echoes(mut stream: &TcpStream) -> bool {
    let mut back = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut back).is_ok() && &back == b"ping"
}

#[test]
fn bytes_pass_until_the_connections_are_cut() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let stream = connect(&proxy);
    assert!(echoes(&stream));
    proxy.cut();
    assert!(!echoes(&stream));
    assert!(echoes(&connect(&proxy)), "a new connection is served");
    assert_eq!(proxy.accepted(), 2);
}

#[test]
fn refused_connections_carry_nothing_and_open_ones_stay() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let before = connect(&proxy);
    assert!(echoes(&before));
    proxy.refuse(true);
    assert!(!TcpStream::connect(proxy.address()).is_ok_and(|stream| echoes(&stream)));
    assert!(echoes(&before));
    proxy.refuse(false);
    assert!(echoes(&connect(&proxy)));
}

#[test]
fn a_stall_holds_bytes_and_loses_none() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert!(echoes(&stream));
    proxy.stall(true);
    stream.write_all(b"held").unwrap();
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let mut back = [0; 4];
    let kind = stream.read_exact(&mut back).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind:?}");
    proxy.stall(false);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"held");
}

#[test]
fn a_delay_is_felt_both_ways() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let stream = connect(&proxy);
    proxy.delay(MOMENT);
    let begun = std::time::Instant::now();
    assert!(echoes(&stream));
    assert!(begun.elapsed() >= 2 * MOMENT);
}
