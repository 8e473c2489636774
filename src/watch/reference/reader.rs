//! One search: reads the references of a source until one of them has the token.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::{Client, api::GetParams, core::Request};
use logstream_core::{
    extract::{Holder, Reference, TokenSource},
    identity::Subject,
    token::{AgentToken, Sealed},
};
use logstream_runtime::Backoff;
use tokio::{sync::Semaphore, time::Instant};

use super::{contents::Contents, refusals::Refusals};
use crate::watch::{
    ask::ask,
    failure::{Failure, Reason},
    metrics::ReferenceOutcome,
    names::is_name,
};

/// Maximum number of concurrent requests of each [`Lane`](super::Lane).
const CONCURRENCY: usize = 2;
/// Maximum duration of a search while its object does not exist (or cannot be read just now). A pod with a Secret that
/// is created later waits as well, and starts once it exists.
pub(super) const PATIENCE_FOR_OBJECTS: Duration = Duration::from_hours(1);
/// The same for an object that is used as a whole (`envFrom`). Shorter, because it may not hold a token at all.
pub(super) const PATIENCE_FOR_WHOLE_OBJECTS: Duration = Duration::from_mins(10);
/// Maximum duration of a search while its objects exist without the key. Short, because an `envFrom` may not hold a
/// token at all: a cluster with other things than workspaces may have thousands without the key, which must not crowd
/// out the others.
pub(super) const PATIENCE_FOR_KEYS: Duration = Duration::from_mins(2);
/// Maximum duration of a search without the permission. An API server that has just started refuses everything for a
/// second or two.
pub(super) const PATIENCE_FOR_PERMISSION: Duration = Duration::from_secs(15);

/// Result of reading one reference.
enum Look {
    Token(AgentToken),
    /// The key exists, but its value is not a token.
    NotAToken,
    NoKey,
    NoObject,
    Forbidden,
    /// No object with this name can exist.
    Never,
    /// No usable response this time.
    Failed,
}

/// Result of reading all references of a source.
enum Round<'a> {
    Over(Option<AgentToken>, ReferenceOutcome),
    /// Read again until `patience` has passed since the start.
    Again {
        patience: Duration,
        /// A reference that may not be read, if there is one.
        forbidden: Option<&'a Reference>,
    },
}

/// Reads Secrets and ConfigMaps.
pub(super) struct Reader {
    client: Client,
    /// Permits for requests, by lane.
    turns: [Semaphore; 2],
    pub(super) refusals: Mutex<Refusals>,
}

impl Reader {
    pub(super) fn new(client: Client) -> Self {
        let turns = [Semaphore::new(CONCURRENCY), Semaphore::new(CONCURRENCY)];
        Self { client, turns, refusals: Mutex::default() }
    }

    /// Searches for the token until it is found or the patience ends.
    pub(super) async fn search(
        &self,
        subject: &Subject,
        source: &TokenSource,
    ) -> (Option<AgentToken>, ReferenceOutcome) {
        let references = match source {
            TokenSource::Value(token) => return (Some(*token), ReferenceOutcome::Found),
            TokenSource::Reference(references) => references,
        };
        let began = Instant::now();
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let mut is_logged = false;
        loop {
            let (patience, forbidden) = match self.round(subject, references).await {
                Round::Over(token, outcome) => return (token, outcome),
                Round::Again { patience, forbidden } => (patience, forbidden),
            };
            let waited = began.elapsed();
            if let Some(reference) = forbidden
                && waited >= PATIENCE_FOR_PERMISSION
                && !std::mem::replace(&mut is_logged, true)
            {
                self.log_refusal(subject, reference);
            }
            if waited >= patience {
                let is_forbidden = forbidden.is_some();
                return (None, if is_forbidden { ReferenceOutcome::Forbidden } else { ReferenceOutcome::Absent });
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Reads each reference in turn. The first one with its key decides; without one, the search lasts as long as the
    /// most patient of them.
    async fn round<'a>(&self, subject: &Subject, references: &'a [Reference]) -> Round<'a> {
        let (mut longest, mut forbidden) = (None, None);
        for reference in references {
            let patience = match self.look(subject, reference).await {
                Look::Token(token) => return Round::Over(Some(token), ReferenceOutcome::Found),
                Look::NotAToken => return Round::Over(None, ReferenceOutcome::NotAToken),
                // The pod starts without it as well, so there is nothing to wait for.
                Look::NoKey | Look::NoObject if reference.optional => continue,
                Look::Never => continue,
                Look::NoKey => PATIENCE_FOR_KEYS,
                Look::NoObject | Look::Failed if reference.whole => PATIENCE_FOR_WHOLE_OBJECTS,
                Look::NoObject | Look::Failed => PATIENCE_FOR_OBJECTS,
                Look::Forbidden => {
                    forbidden.get_or_insert(reference);
                    PATIENCE_FOR_PERMISSION
                }
            };
            longest = longest.max(Some(patience));
        }
        match longest {
            Some(patience) => Round::Again { patience, forbidden },
            None => Round::Over(None, ReferenceOutcome::Absent),
        }
    }

    async fn look(&self, subject: &Subject, reference: &Reference) -> Look {
        if !is_name(&reference.name) || !is_name(&subject.namespace) {
            return Look::Never;
        }
        match self.read(&subject.namespace, reference).await {
            Ok(Some(value)) => AgentToken::parse(value.expose()).map_or(Look::NotAToken, Look::Token),
            Ok(None) => Look::NoKey,
            Err(failure) => match failure.reason {
                Reason::NotFound => Look::NoObject,
                Reason::Forbidden => Look::Forbidden,
                Reason::Gone
                | Reason::Unauthorized
                | Reason::Refused
                | Reason::Overloaded
                | Reason::Unreachable
                | Reason::Undecodable => {
                    tracing::debug!(namespace = %subject.namespace, name = reference.name, error = %failure,
                        "reference not read");
                    Look::Failed
                }
            },
        }
    }

    /// Returns the value of the key; `None` if the object has no such key.
    async fn read(&self, namespace: &str, reference: &Reference) -> Result<Option<Sealed>, Failure> {
        // The semaphore is never closed. If it were, only the limit would be lost.
        let _turn = self.turns[usize::from(reference.whole)].acquire().await.ok();
        let plural = match reference.holder {
            Holder::Secret => "secrets",
            Holder::ConfigMap => "configmaps",
        };
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/{plural}"));
        let contents: Contents =
            ask(&self.client, request.get(&reference.name, &GetParams::default())).await?.decode()?;
        Ok(contents.value(reference))
    }

    fn log_refusal(&self, subject: &Subject, reference: &Reference) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).log(subject, reference);
    }
}
