//! A TCP proxy that breaks connections on demand. TLS passes through it untouched.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Current behaviour of the proxy.
#[derive(Debug, Clone, Copy, Default)]
struct Behaviour {
    refuse: bool,
    stall: bool,
    delay: Duration,
    /// Incremented by each cut: older connections end.
    cuts: u64,
    stopped: bool,
}

/// A proxy on loopback, in front of one server. Stops when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream`, with its own thread and runtime.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), upstream)
    }

    /// The same on this address.
    pub fn start_at(address: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (behaviour, current) = watch::channel(Behaviour::default());
        let accepted = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let server = Server { upstream, behaviour: current, accepted: Arc::clone(&accepted), open: Arc::clone(&open) };
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
                server.run(listener).await;
            });
        });
        Ok(Self { address, behaviour, accepted, open, thread: Some(thread) })
    }

    /// Address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all open connections; new ones are served.
    pub fn cut(&self) {
        self.behaviour.send_modify(|behaviour| behaviour.cuts += 1);
    }

    /// Resets new connections at once, or stops doing so. Open connections stay.
    pub fn refuse(&self, refuse: bool) {
        self.behaviour.send_modify(|behaviour| behaviour.refuse = refuse);
    }

    /// Holds all data in both directions, or releases it. No data is lost.
    pub fn stall(&self, stall: bool) {
        self.behaviour.send_modify(|behaviour| behaviour.stall = stall);
    }

    /// Delays each piece of data, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.behaviour.send_modify(|behaviour| behaviour.delay = delay);
    }

    /// Number of accepted connections so far, including refused ones.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Number of open connections.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.behaviour.send_modify(|behaviour| behaviour.stopped = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Server {
    upstream: SocketAddr,
    behaviour: watch::Receiver<Behaviour>,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut stop = self.behaviour.clone();
        loop {
            tokio::select! {
                stopped = stop.wait_for(|behaviour| behaviour.stopped) => {
                    drop(stopped);
                    return;
                }
                Some(_) = connections.join_next() => {}
                came = listener.accept() => {
                    let Ok((client, _)) = came else { continue };
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    if self.behaviour.borrow().refuse {
                        // A reset, as if no process listened.
                        let _ = client.set_zero_linger();
                        continue;
                    }
                    let open = Open::new(&self.open);
                    let (upstream, behaviour) = (self.upstream, self.behaviour.clone());
                    connections.spawn(async move {
                        let _ = carry(client, upstream, behaviour).await;
                        drop(open);
                    });
                }
            }
        }
    }
}

/// Counts a connection while it is open.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, mut behaviour: watch::Receiver<Behaviour>) -> io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let born = behaviour.borrow().cuts;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = (behaviour.clone(), behaviour.clone());
    tokio::select! {
        cut = behaviour.wait_for(|behaviour| behaviour.cuts != born) => drop(cut),
        both = async { tokio::try_join!(pass(from_client, to_server, up), pass(from_server, to_client, down)) } => {
            both?;
        }
    }
    Ok(())
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut behaviour: watch::Receiver<Behaviour>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        let delay = behaviour.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if behaviour.wait_for(|behaviour| !behaviour.stall).await.is_err() {
            return Ok(());
        }
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}
