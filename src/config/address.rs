//! Addresses to listen on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Parses `IP:PORT`, `localhost:PORT`, or `:PORT` for all IPv4 and IPv6 addresses of the machine. Port 0 selects a free
/// port.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let Some((host, port)) = text.rsplit_once(':') else { return Err("which has no port".to_owned()) };
    let port: u16 = port.parse().map_err(|_| "where the port is not a number from 0 to 65535".to_owned())?;
    match host {
        "" => Ok(every_address(port)),
        "localhost" => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        _ => Err("which does not start with an IP address".to_owned()),
    }
}

/// All IPv4 and IPv6 addresses of the machine. In an IPv6 cluster a pod has no IPv4 address.
pub(crate) fn every_address(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// True if the process cannot listen on both addresses.
pub(crate) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && covers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_a_bare_port_and_localhost_are_accepted() {
        for (text, address) in [
            ("0.0.0.0:8081", "0.0.0.0:8081"),
            ("[::1]:9090", "[::1]:9090"),
            (":2112", "[::]:2112"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(parse(text), Ok(address.parse().unwrap()));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, problem) in [
            ("8081", "which has no port"),
            ("127.0.0.1", "which has no port"),
            (":http", "where the port is not a number from 0 to 65535"),
            ("0.0.0.0:70000", "where the port is not a number from 0 to 65535"),
            ("example.com:8081", "which does not start with an IP address"),
            ("::1:8081", "which does not start with an IP address"),
        ] {
            assert_eq!(parse(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn two_addresses_collide_when_one_covers_the_other() {
        let address = |text: &str| parse(text).unwrap();
        assert!(collide(address(":8081"), address("127.0.0.1:8081")));
        assert!(collide(address("127.0.0.1:8081"), address("127.0.0.1:8081")));
        assert!(!collide(address("127.0.0.1:8081"), address("127.0.0.2:8081")));
        assert!(!collide(address(":8081"), address(":8082")));
        assert!(!collide(address(":0"), address(":0")));
    }
}
