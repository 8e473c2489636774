//! What a Service does: one address, behind which the ready pod changes.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Forwards connections until it is dropped. One that is open stays with its server, as with kube-proxy.
pub(crate) struct Service {
    address: SocketAddr,
    server: watch::Sender<Option<SocketAddr>>,
    _task: JoinSet<()>,
}

impl Service {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, server) = (listener.local_addr()?, watch::Sender::new(None));
        let mut task = JoinSet::new();
        task.spawn(run(listener, server.subscribe()));
        Ok(Self { address, server, _task: task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go there.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        self.server.send_replace(Some(server));
    }
}

async fn run(listener: TcpListener, server: watch::Receiver<Option<SocketAddr>>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = tokio::select! {
            Some(_) = connections.join_next() => continue,
            Ok(accepted) = listener.accept() => accepted,
        };
        let Some(server) = *server.borrow() else { continue };
        connections.spawn(async move {
            let mut server = TcpStream::connect(server).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        });
    }
}
