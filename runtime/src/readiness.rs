//! Readiness: all named checks pass.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Reason of a failing check: a short phrase without secrets.
pub type Reason = Cow<'static, str>;

/// All checks of the process. It is ready if there is a check and all of them pass.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Mutex<Vec<Registered>>>,
}

struct Registered {
    name: Cow<'static, str>,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Held(Arc<Mutex<Result<(), Reason>>>),
    Asked(Arc<dyn Fn() -> Result<(), Reason> + Send + Sync>),
}

impl Readiness {
    /// Creates a readiness without checks, which is not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check that the holder of the handle passes and fails. It starts as failed ("has not started") and fails
    /// forever once the handle is dropped. A second check with the same name replaces the first.
    pub fn check(&self, name: impl Into<Cow<'static, str>>) -> Check {
        let name = name.into();
        let state = Arc::new(Mutex::new(Err(Reason::Borrowed("has not started"))));
        self.register(name.clone(), Source::Held(Arc::clone(&state)));
        Check { name, state }
    }

    /// Adds a check that is evaluated each time readiness is read. `ask` must not block.
    pub fn probe<F>(&self, name: impl Into<Cow<'static, str>>, ask: F)
    where
        F: Fn() -> Result<(), Reason> + Send + Sync + 'static,
    {
        self.register(name.into(), Source::Asked(Arc::new(ask)));
    }

    /// Adds a check `shutdown` that fails once `token` is cancelled, so that no new traffic arrives during the drain.
    pub fn fail_when_cancelled(&self, token: CancellationToken) {
        self.probe(
            "shutdown",
            move || {
                if token.is_cancelled() { Err(Reason::Borrowed("is shutting down")) } else { Ok(()) }
            },
        );
    }

    /// Current state of each check, in order of registration.
    pub fn snapshot(&self) -> Snapshot {
        // Copied first, because a probe is the caller's code and may call this type again.
        let sources: Vec<_> =
            self.lock().iter().map(|registered| (registered.name.clone(), registered.source.clone())).collect();
        let checks = sources.into_iter().map(|(name, source)| Checked { name, state: source.state() }).collect();
        Snapshot { checks }
    }

    fn register(&self, name: Cow<'static, str>, source: Source) {
        let mut checks = self.lock();
        match checks.iter_mut().find(|registered| registered.name == name) {
            Some(registered) => registered.source = source,
            None => checks.push(Registered { name, source }),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Registered>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.lock().iter().map(|registered| &registered.name)).finish()
    }
}

impl Source {
    fn state(&self) -> Result<(), Reason> {
        match self {
            Self::Held(state) => state.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Self::Asked(ask) => ask(),
        }
    }
}

/// The handle of one check. Each change between passing and failing is logged once.
#[derive(Debug)]
pub struct Check {
    name: Cow<'static, str>,
    state: Arc<Mutex<Result<(), Reason>>>,
}

impl Check {
    /// Passes the check.
    pub fn ready(&self) {
        self.set(Ok(()));
    }

    /// Fails the check with a reason.
    pub fn not_ready(&self, reason: impl Into<Reason>) {
        self.set(Err(reason.into()));
    }

    fn set(&self, new: Result<(), Reason>) {
        let old = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), new.clone());
        match new {
            Ok(()) if old.is_err() => tracing::info!(check = %self.name, "check passes"),
            Err(reason) if old.is_ok() => tracing::warn!(check = %self.name, %reason, "check fails"),
            _ => {}
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        // Not with `set`: at a regular shutdown every check is dropped, and a warning for each would be noise.
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Err(Reason::Borrowed("has ended"));
    }
}

/// A snapshot of all checks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// Checks in the order of registration.
    pub checks: Vec<Checked>,
}

/// One check's name and state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checked {
    /// The name.
    pub name: Cow<'static, str>,
    /// Passing, or the reason of its failure.
    pub state: Result<(), Reason>,
}

impl Snapshot {
    /// True if there is a check and all checks pass.
    pub fn is_ready(&self) -> bool {
        !self.checks.is_empty() && self.failing().next().is_none()
    }

    /// Names of failing checks.
    pub fn failing(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().filter(|checked| checked.state.is_err()).map(|checked| checked.name.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(readiness: &Readiness) -> Vec<String> {
        readiness.snapshot().failing().map(str::to_owned).collect()
    }

    #[test]
    fn without_any_check_it_is_not_ready() {
        assert!(!Readiness::new().snapshot().is_ready());
    }

    #[test]
    fn it_is_ready_once_every_check_passes() {
        let readiness = Readiness::new();
        let (pods, events) = (readiness.check("pods"), readiness.check("events"));
        assert_eq!(failing(&readiness), ["pods", "events"]);
        pods.ready();
        assert_eq!(failing(&readiness), ["events"]);
        events.ready();
        assert!(readiness.snapshot().is_ready());
    }

    #[test]
    fn a_check_that_fails_later_gives_its_reason() {
        let readiness = Readiness::new();
        let check = readiness.check("pods");
        check.ready();
        check.not_ready("the list is 40 s old");
        assert_eq!(readiness.snapshot().checks[0].state, Err("the list is 40 s old".into()));
    }

    #[test]
    fn a_dropped_handle_fails_its_check() {
        let readiness = Readiness::new();
        let check = readiness.check("pods");
        check.ready();
        drop(check);
        assert_eq!(readiness.snapshot().checks[0].state, Err("has ended".into()));
    }

    #[test]
    fn a_name_registered_again_replaces_the_first() {
        let readiness = Readiness::new();
        drop(readiness.check("pods"));
        readiness.check("pods").ready();
        let again = readiness.check("pods");
        again.ready();
        assert_eq!(readiness.snapshot().checks.len(), 1);
        assert!(readiness.snapshot().is_ready());
    }

    #[test]
    fn a_probe_is_asked_at_each_read_and_may_read_itself() {
        let readiness = Readiness::new();
        let token = CancellationToken::new();
        readiness.fail_when_cancelled(token.clone());
        let inner = readiness.clone();
        readiness.probe("itself", move || {
            let _names = format!("{inner:?}");
            Ok(())
        });
        assert!(readiness.snapshot().is_ready());
        token.cancel();
        assert_eq!(failing(&readiness), ["shutdown"]);
    }
}
