//! A round-robin TCP load balancer. As with a Service, open connections stay with their server when the set of servers
//! changes.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A load balancer on loopback. Runs until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    servers: watch::Sender<Vec<SocketAddr>>,
    cuts: watch::Sender<u64>,
    open: watch::Sender<Open>,
    _task: JoinSet<()>,
}

/// Number of open connections, by the number of cuts before each was accepted.
type Open = BTreeMap<u64, usize>;

impl Balancer {
    /// Listens on a loopback port. Without servers, new connections are closed at once.
    pub async fn start(servers: Vec<SocketAddr>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (servers, cuts, open) = (watch::Sender::new(servers), watch::Sender::new(0), watch::Sender::default());
        let mut task = JoinSet::new();
        task.spawn(run(listener, servers.subscribe(), cuts.clone(), open.clone()));
        Ok(Self { address, servers, cuts, open, _task: task })
    }

    /// Sets the servers for new connections.
    pub fn set_servers(&self, servers: &[SocketAddr]) {
        self.servers.send_replace(servers.to_vec());
    }

    /// Address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections and waits until their clients have closed them too, so that no request uses one of them.
    /// Clients may open others meanwhile.
    pub async fn cut(&self) -> Result<()> {
        self.cuts.send_modify(|cuts| *cuts += 1);
        let cuts = *self.cuts.borrow();
        let mut open = self.open.subscribe();
        let closed = open.wait_for(|open| open.range(..cuts).next().is_none());
        timeout(PATIENCE, closed).await.context("connections are closed")??;
        Ok(())
    }
}

async fn run(
    listener: TcpListener,
    servers: watch::Receiver<Vec<SocketAddr>>,
    cuts: watch::Sender<u64>,
    open: watch::Sender<Open>,
) {
    let mut connections = JoinSet::new();
    let mut count: usize = 0;
    loop {
        let (client, _) = tokio::select! {
            Some(_) = connections.join_next() => continue,
            Ok(accepted) = listener.accept() => accepted,
        };
        let server = {
            let servers = servers.borrow();
            let Some(next) = count.checked_rem(servers.len()) else { continue };
            servers[next]
        };
        count += 1;
        let (mut cuts, open) = (cuts.subscribe(), open.clone());
        let before = *cuts.borrow_and_update();
        open.send_modify(|open| *open.entry(before).or_default() += 1);
        connections.spawn(async move {
            let _ = carry(client, server, cuts).await;
            open.send_modify(|open| {
                open.entry(before).and_modify(|open| *open -= 1);
                open.retain(|_, open| *open > 0);
            });
        });
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut cuts: watch::Receiver<u64>) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::select! {
        ended = copy_bidirectional(&mut client, &mut server) => return ended.map(drop),
        _ = cuts.changed() => {}
    }
    client.shutdown().await?;
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.map(drop)
}
