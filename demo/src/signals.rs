//! Being asked to end.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when this process is asked to end: Ctrl-C, SIGTERM, or a closed terminal.
pub(crate) async fn asked_to_end() -> std::io::Result<()> {
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
