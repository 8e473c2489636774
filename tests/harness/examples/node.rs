//! Starts a cluster with a real node for manual experiments. Ends at the end of stdin.

use std::io::Read;

use logstream_testing::{Cluster, ClusterOptions, Node, Tool};

#[allow(clippy::print_stdout, reason = "this is what it is for")]
fn main() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::new())?;
    let node = Node::start(&cluster, "real-1")?;
    println!("{} is ready", node.name());
    println!("export KUBECONFIG={}", cluster.admin_kubeconfig().display());
    println!("{}", cluster.tool(Tool::Kubectl).display());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{}", node.logs());
    Ok(())
}
