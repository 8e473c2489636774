//! The client for the API server.

use hyper_util::{
    client::legacy::{
        Client as HttpClient,
        connect::{
            Connection, HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
    },
    rt::{TokioExecutor, TokioIo},
};
use kube::{Client, Config, client::ConfigExt};
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceBuilder};

use crate::config::{Cluster, Proxy};

/// Creates a client, which does not connect yet.
///
/// # Errors
/// If the certificates or credentials of the configuration cannot be used.
pub fn client(cluster: Cluster) -> kube::Result<Client> {
    let Cluster { config, proxy } = cluster;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(config.connect_timeout);
    match proxy {
        None => Client::try_from(config),
        Some(Proxy::Http { address, authorization }) => {
            tracing::info!(proxy = %address, "connecting to the API server through a proxy");
            let tunnel = Tunnel::new(address, http);
            match authorization {
                Some(authorization) => through(tunnel.with_auth(authorization), config),
                None => through(tunnel, config),
            }
        }
        Some(Proxy::Socks { address, login }) => {
            tracing::info!(proxy = %address, "connecting to the API server through a proxy");
            let socks = SocksV5::new(address, http);
            match login {
                Some((user, password)) => through(socks.with_auth(user, password), config),
                None => through(socks, config),
            }
        }
    }
}

/// A client whose connections are made by `connector`. TLS, credentials and headers are those of the configuration.
fn through<C>(connector: C, config: Config) -> kube::Result<Client>
where
    C: Service<http::Uri, Response = TokioIo<TcpStream>> + Clone + Send + Sync + 'static,
    C::Future: Send + Unpin + 'static,
    C::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    C::Response: Connection,
{
    let https = config.rustls_https_connector_with_connector(connector)?;
    let http = HttpClient::builder(TokioExecutor::new()).build(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}
