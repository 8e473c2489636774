//! A kernel without IPv6.

use std::{fs, net::Ipv4Addr, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use logstream_testing::{Product, pki::ServingCertificate, poll, ports};
use tempfile::TempDir;

use crate::support::PROGRAM;

const START: Duration = Duration::from_secs(20);

/// Makes `socket(AF_INET6, …)` fail as in such a kernel.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol) {
    int (*next)(int, int, int) = dlsym(RTLD_NEXT, "socket");
    if (domain == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return next(domain, type, protocol);
}
"#;

#[test]
fn every_port_falls_back_to_ipv4_without_ipv6() -> Result<()> {
    let scratch = TempDir::new()?;
    let path = |name: &str| scratch.path().join(name).display().to_string();
    fs::write(path("shim.c"), SHIM)?;
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", &path("shim.so"), &path("shim.c"), "-ldl"])
        .status()
        .context("a C compiler is needed")?;
    ensure!(compiled.success(), "the shim does not compile");
    ServingCertificate::generate(&[])?.write(scratch.path())?;
    let kubeconfig = r#"{"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}],
        "current-context": "c"}"#;
    fs::write(path("kubeconfig"), kubeconfig)?;

    let free = || ports::free().port();
    let (webhook, health, metrics) = (free(), free(), free());
    let product = Product::builder(PROGRAM)
        .env("LD_PRELOAD", path("shim.so"))
        .args(["--coder-url", "http://127.0.0.1:9", "--kubeconfig", &path("kubeconfig")])
        .args(["--webhook-addr", &format!("[::]:{webhook}"), "--webhook-cert-dir", &path("")])
        .args(["--health-addr", &format!(":{health}"), "--metrics-addr", &format!("[::]:{metrics}")])
        .start()?;
    for port in [webhook, health, metrics] {
        poll::until(&format!("port {port} answers"), START, || {
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        })
        .with_context(|| product.output())?;
    }
    Ok(())
}
