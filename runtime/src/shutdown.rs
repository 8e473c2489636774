//! SIGTERM and SIGINT: the first starts a graceful shutdown, the second ends the process at once.

use std::fmt;
use std::io;

use tokio::signal::unix;
use tokio_util::sync::CancellationToken;

/// A termination signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGTERM, which kubelet sends.
    Terminate,
    /// SIGINT, which Ctrl-C sends.
    Interrupt,
}

impl Signal {
    /// The conventional exit code of a process ended by this signal: 143 or 130.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 128 + 15,
            Self::Interrupt => 128 + 2,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

/// A second signal arrived before the work had ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("ended at once by a second signal, {0}")]
pub struct Forced(pub Signal);

/// A source of signals.
pub trait SignalSource: Send {
    /// The next signal; pending forever if none can arrive.
    fn next(&mut self) -> impl Future<Output = Signal> + Send;
}

/// Signal handlers of the process. Install them before the work starts, so that no signal is missed.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    /// Installs the handlers. From then on neither signal ends the process by itself. Needs a tokio runtime.
    pub fn install() -> io::Result<Self> {
        let terminate = unix::signal(unix::SignalKind::terminate())?;
        let interrupt = unix::signal(unix::SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }
}

impl SignalSource for Signals {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.terminate.recv() => Signal::Terminate,
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            else => std::future::pending().await,
        }
    }
}

/// Runs `work` to its end. The first signal cancels `token`; the second drops `work` and returns at once, and the caller
/// exits with [`Signal::exit_code`].
pub async fn until_done<W: Future>(
    mut signals: impl SignalSource,
    token: &CancellationToken,
    work: W,
) -> Result<W::Output, Forced> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        output = &mut work => return Ok(output),
        signal = signals.next() => {
            tracing::info!(%signal, "shutting down, a second signal ends at once");
            token.cancel();
        }
    }
    tokio::select! {
        output = &mut work => Ok(output),
        signal = signals.next() => {
            tracing::warn!(%signal, "ended at once by a second signal");
            Err(Forced(signal))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    struct Sent(mpsc::UnboundedReceiver<Signal>);

    impl SignalSource for Sent {
        async fn next(&mut self) -> Signal {
            match self.0.recv().await {
                Some(signal) => signal,
                None => std::future::pending().await,
            }
        }
    }

    fn sent(signals: &[Signal]) -> Sent {
        let (sender, receiver) = mpsc::unbounded_channel();
        for signal in signals {
            sender.send(*signal).unwrap();
        }
        Sent(receiver)
    }

    #[tokio::test]
    async fn without_a_signal_the_work_ends_by_itself() {
        let token = CancellationToken::new();
        assert_eq!(until_done(sent(&[]), &token, async { 7 }).await, Ok(7));
        assert!(!token.is_cancelled());
    }

    #[tokio::test]
    async fn the_first_signal_cancels_and_the_work_ends_in_its_own_time() {
        let token = CancellationToken::new();
        let work = async {
            token.cancelled().await;
            tokio::task::yield_now().await;
            "drained"
        };
        assert_eq!(until_done(sent(&[Signal::Terminate]), &token, work).await, Ok("drained"));
    }

    #[tokio::test]
    async fn the_second_signal_ends_at_once_with_its_own_code() {
        let token = CancellationToken::new();
        let signals = sent(&[Signal::Terminate, Signal::Interrupt]);
        let ended = until_done(signals, &token, std::future::pending::<()>()).await;
        assert_eq!(ended, Err(Forced(Signal::Interrupt)));
        assert_eq!((Signal::Interrupt.exit_code(), Signal::Terminate.exit_code()), (130, 143));
    }

    #[tokio::test]
    async fn a_real_sigterm_arrives() {
        let mut signals = Signals::install().unwrap();
        let pid = std::process::id().to_string();
        let sent = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(sent.success());
        assert_eq!(signals.next().await, Signal::Terminate);
    }
}
