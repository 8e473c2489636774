//! Serves `/readyz` and `/metrics` at the given address, like the product. Used by the test of `Product`.

use std::io::{Read, Write};
use std::net::TcpListener;

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the test reads it")]
fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_default();
    #[allow(clippy::disallowed_methods, reason = "the test reads it")]
    let variables: Vec<_> = std::env::vars().filter(|(name, _)| name != "PWD" && name != "_").collect();
    println!("environment {variables:?}");
    let listener = TcpListener::bind(address)?;
    for (number, stream) in listener.incoming().enumerate() {
        let mut stream = stream?;
        let mut request = [0; 1024];
        let count = stream.read(&mut request)?;
        let body =
            if request[..count].starts_with(b"GET /metrics") { "lines_total{reason=\"sent\"} 3\n" } else { "ok" };
        // Not ready at first.
        let status = if number == 0 { "503 Service Unavailable" } else { "200 OK" };
        eprintln!("answered {status}");
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")?;
    }
    Ok(())
}
