//! Builds what the test cluster needs, unless it is there, and prints where each tool is.

use logstream_testing::{Tool, Tools};

#[allow(clippy::print_stdout, reason = "this is what it is for")]
fn main() -> anyhow::Result<()> {
    let tools = Tools::ensure(&Tool::CLUSTER)?;
    for tool in Tool::CLUSTER {
        println!("{}", tools.path(tool).display());
    }
    Ok(())
}
