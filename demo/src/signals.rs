//! Signals that end the demo.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves on Ctrl-C, SIGTERM or a closed terminal.
pub(crate) async fn shutdown() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
