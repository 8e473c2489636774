//! Starts a cluster for manual experiments and prints how to reach it. Ends with stdin or Ctrl-C.

use std::io::Read;
use std::time::Instant;

use logstream_testing::{Cluster, ClusterOptions, Tool};

#[allow(clippy::print_stdout, reason = "its purpose is to print")]
fn main() -> anyhow::Result<()> {
    let started = Instant::now();
    let cluster = Cluster::start(ClusterOptions::new())?;
    println!("ready after {:.1?}; it ends with Ctrl-C or Ctrl-D", started.elapsed());
    println!("export KUBECONFIG={}", cluster.admin_kubeconfig().display());
    println!("{}", cluster.tool(Tool::Kubectl).display());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
