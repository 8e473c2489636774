//! Opens listening sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

/// The address cannot be listened on. Permanent: another address is needed, or the port must be freed.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot listen on {address}: {}", explain(source))]
pub struct ListenError {
    /// The setting of the address, such as `--health-addr`.
    pub setting: String,
    /// The address as configured.
    pub address: SocketAddr,
    /// Error of the operating system.
    pub source: io::Error,
}

/// Listens on `address`, as configured by `setting`. `[::]` means all addresses of both families; on a machine without
/// IPv6 it falls back to all IPv4 addresses.
///
/// # Errors
/// If the address is in use, not an address of this machine, or not permitted.
pub async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    let opened = match TcpListener::bind(address).await {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && lacks_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        opened => opened,
    };
    opened.map_err(|source| ListenError { setting: setting.to_owned(), address, source })
}

fn lacks_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT, for which io::ErrorKind has no stable name: the kernel was started without IPv6.
    const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED)
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "something else listens there already".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted, ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_named_with_its_setting() {
        let first = bind("--health-addr", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = bind("--metrics-addr", address).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("--metrics-addr: cannot listen on {address}: something else listens there already")
        );
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named_as_such() {
        let error = bind("--health-addr", "192.0.2.1:0".parse().unwrap()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "--health-addr: cannot listen on 192.0.2.1:0: this machine does not have that address"
        );
    }

    #[tokio::test]
    async fn every_address_includes_those_of_ipv4() {
        let listener = bind("--health-addr", "[::]:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    }
}
