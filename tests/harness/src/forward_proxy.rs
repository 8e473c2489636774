//! A real forward proxy: tinyproxy.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    poll, ports,
    process::{Output, Process, Start},
    scratch::Scratch,
};

const PROGRAM: &str = "tinyproxy";
/// The Debian package of the program alone, without a service.
const PACKAGE: &str = "tinyproxy-bin";
const START: Duration = Duration::from_secs(20);

/// A running proxy on loopback. Ends when dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    _process: Process,
    scratch: Scratch,
}

impl ForwardProxy {
    /// Starts a proxy that connects to any port of any host. A missing program is installed from Debian's packages if
    /// this process runs as root.
    pub fn start() -> Result<Self> {
        let program = program()?;
        let scratch = Scratch::create("proxy")?;
        let (address, log) = (ports::free(), scratch.path().join("proxy.log"));
        let config = scratch.path().join("tinyproxy.conf");
        let (ip, port, log) = (address.ip(), address.port(), log.display());
        fs::write(
            &config,
            format!(
                "Port {port}\nListen {ip}\nAllow {ip}\nTimeout 600\nMaxClients 200\nLogFile \"{log}\"\nLogLevel Connect\n"
            ),
        )?;
        let arguments = ["-d".to_owned(), "-c".to_owned(), config.display().to_string()];
        let start = Start { program: &program, arguments: &arguments, environment: &[], directory: scratch.path() };
        let process = Process::start(&start, &Output::File(&scratch.path().join("output.log")))?;
        poll::until("the proxy listens", START, || std::net::TcpStream::connect(address).ok())?;
        Ok(Self { address, _process: process, scratch })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The proxy's log, which includes each request.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("proxy.log")).unwrap_or_default()
    }
}

fn program() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let advice = format!("{PROGRAM} is needed: install it, on Debian with `apt-get install {PACKAGE}`");
    ensure!(rustix::process::geteuid().is_root() && Path::new("/usr/bin/apt-get").exists(), advice.clone());
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", PACKAGE]] {
        let output = Command::new("/usr/bin/apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .output()
            .with_context(|| advice.clone())?;
        ensure!(output.status.success(), "{advice}; apt-get: {}", String::from_utf8_lossy(&output.stderr));
    }
    find().context(advice)
}

fn find() -> Option<PathBuf> {
    let path = env::var("PATH").unwrap_or_default();
    path.split(':').map(|directory| Path::new(directory).join(PROGRAM)).find(|path| path.is_file())
}
