//! The program's counters as whole numbers.

use anyhow::{Context, Result};
use logstream_testing::{Installation, poll};

use crate::support::{PATIENCE, metric};

/// Reads a count by its name, as for [`metric`].
pub(crate) async fn metric_count(installation: &Installation, name: &str) -> Result<usize> {
    let value = metric(installation, name).await?;
    value.to_string().parse().with_context(|| format!("{name} is not a count: {value}"))
}

/// Waits until a count satisfies `wanted`.
pub(crate) async fn wait_for_count(
    installation: &Installation,
    name: &str,
    wanted: impl Fn(usize) -> bool,
) -> Result<usize> {
    poll::eventually(name, PATIENCE, || async {
        let value = metric_count(installation, name).await.map_err(|error| error.to_string())?;
        if wanted(value) { Ok(value) } else { Err(value.to_string()) }
    })
    .await
}
