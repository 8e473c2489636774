//! The client for the API server, and the decoding of its responses.

use hyper_util::{
    client::legacy::{
        Client as HttpClient,
        connect::{
            HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
    },
    rt::{TokioExecutor, TokioIo},
};
use kube::{
    Client, Config,
    client::{AuthError, ConfigExt},
};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use crate::config::{Cluster, Proxy};

/// Maximum length of a credential plugin's own message, in characters.
const MAX_MESSAGE: usize = 400;

/// The client cannot be created: certificates or credentials are not usable.
#[derive(Debug, thiserror::Error)]
#[error("cannot create a Kubernetes client: {}", in_words(.0))]
pub struct ClientError(#[from] kube::Error);

/// Describes an error. For a credential plugin, this is the plugin's own message only: the command may have credentials
/// in its environment, and the output may be a token.
fn in_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Auth(AuthError::AuthExecStart(error)) => {
            format!("the credential plugin of the context's user cannot be started ({error})")
        }
        kube::Error::Auth(AuthError::AuthExecRun { out, .. }) => {
            let message: String = String::from_utf8_lossy(&out.stderr).trim().chars().take(MAX_MESSAGE).collect();
            let message = if message.is_empty() { message } else { format!(": {message}") };
            format!("the credential plugin of the context's user failed ({}){message}", out.status)
        }
        kube::Error::Auth(AuthError::AuthExecParse(_)) => {
            "the credential plugin of the context's user wrote no ExecCredential".to_owned()
        }
        other => other.to_string(),
    }
}

/// Creates a client, which does not connect yet.
///
/// # Errors
/// If the certificates or credentials of the configuration cannot be used.
pub fn client(cluster: Cluster) -> Result<Client, ClientError> {
    let Cluster { config, proxy } = cluster;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(config.connect_timeout);
    let connector = match proxy {
        None => return Ok(Client::try_from(config)?),
        Some(Proxy::Http { address, authorization }) => {
            tracing::info!(proxy = %address, "connecting to the API server through a proxy");
            let tunnel = Tunnel::new(address, http);
            boxed(match authorization {
                Some(authorization) => tunnel.with_auth(authorization),
                None => tunnel,
            })
        }
        Some(Proxy::Socks { address, login }) => {
            tracing::info!(proxy = %address, "connecting to the API server through a proxy");
            let socks = SocksV5::new(address, http);
            boxed(match login {
                Some((user, password)) => socks.with_auth(user, password),
                None => socks,
            })
        }
    };
    through(connector, config)
}

/// Makes connections through a proxy. One type for all proxies: the HTTP client is compiled for each.
type Connector = BoxCloneSyncService<http::Uri, TokioIo<TcpStream>, BoxError>;

fn boxed<C>(connector: C) -> Connector
where
    C: Service<http::Uri, Response = TokioIo<TcpStream>, Error: Into<BoxError>> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
{
    BoxCloneSyncService::new(connector.map_err(Into::into))
}

/// A client whose connections are made by `connector`. TLS, credentials and headers are those of the configuration.
fn through(connector: Connector, config: Config) -> Result<Client, ClientError> {
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

/// Decodes a response as JSON. There is no error: the decoder's message may quote the object.
///
/// It is decoded as text, as kube decodes lists and watches: from bytes, every type would be compiled twice.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_str(std::str::from_utf8(body).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process};

    use super::*;

    #[test]
    fn of_a_failed_credential_plugin_neither_environment_nor_output_is_shown() {
        let out = process::Output {
            status: process::ExitStatus::from_raw(256),
            stdout: b"hunter2".to_vec(),
            stderr: b"please log in\n".to_vec(),
        };
        let cmd = "SECRET=\"hunter2\" plugin".to_owned();
        let error = kube::Error::Auth(AuthError::AuthExecRun { cmd, out: Box::new(out) });
        let expected = "cannot create a Kubernetes client: the credential plugin of the context's user failed \
                        (exit status: 1): please log in";
        assert_eq!(ClientError(error).to_string(), expected);
    }
}
