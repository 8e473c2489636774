//! Installs missing tools of the test cluster and the demo, and prints the path of each.
//!
//! With the argument `releases` it lists the official releases instead, for `tests/cluster/pin-checksums.sh`.

use logstream_testing::tools::published_files;
use logstream_testing::{Tool, Tools};

#[allow(clippy::print_stdout, reason = "its output is its purpose")]
fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("releases") {
        print!("{}", published_files());
        return Ok(());
    }
    let tools = Tools::ensure(&Tool::DEMO)?;
    for tool in Tool::DEMO {
        println!("{}", tools.path(tool).display());
    }
    Ok(())
}
