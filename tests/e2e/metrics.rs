//! The program's figures that count something, as whole numbers.

use anyhow::{Context, Result};
use logstream_testing::{Installation, poll};

use crate::support::{PATIENCE, metric};

/// A count; its name as [`metric`] takes it.
pub(crate) async fn metric_count(installation: &Installation, name: &str) -> Result<usize> {
    let value = metric(installation, name).await?;
    value.to_string().parse().with_context(|| format!("{name} counts nothing: {value}"))
}

/// Waits until a count is as wanted.
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
