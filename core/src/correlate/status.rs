//! Facts of an object's status.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Arrival, Correlator, Counted, Effect,
    dedup::Decision,
    fact::{self, StatusFact},
    report::Report,
    tracked::Tracked,
};
use crate::{
    checkpoint::FactKey,
    fact_id::{FactId, ScopeId},
    finding::FindingKind,
    identity::Uid,
};

impl Correlator {
    /// Reports the facts of an object's status. `known` is true if the object was tracked before. The status of a new
    /// object may have been reported before a restart.
    pub(super) fn status(
        &mut self,
        now: Timestamp,
        uid: Uid,
        facts: Vec<StatusFact>,
        (known, how): (bool, Arrival),
        fact_id: Option<FactId>,
        effects: &mut Vec<Effect>,
    ) {
        let scope = fact_id.map(|fact_id| fact_id.scope);
        // A previous process may have reported it.
        let may_be_old = !known && how != Arrival::Watched;
        let mut keys = BTreeSet::new();
        for fact in facts {
            let fact_key = FactKey::of_status(fact.identity(), fact.at.is_some());
            let fact_id = fact_id.map(|fact_id| fact_id.of_fact(fact_key));
            keys.insert(fact_key);
            let Some(tracked) = self.tracked.get_mut(&uid) else { return };
            let identity = fact.identity();
            let StatusFact { cause, end, at, began, kind } = fact;
            let first = match &end {
                Some(end) => tracked.ends.notes(end),
                None => tracked.notes(identity),
            };
            if !first {
                continue;
            }
            effects.push(Effect::Count(Counted::Observed));
            let old = may_be_old && self.past.was_reported(scope, uid, fact_key, began);
            let Some(tracked) = self.tracked.get_mut(&uid) else { return };
            let key = cause.key;
            let decision = match (&kind, end) {
                (FindingKind::Terminated { container, .. }, Some(_)) => {
                    tracked.dedup.note(fact::ended(container));
                    if let Some(last) = fact::said_by_end(&kind) {
                        tracked.dedup.note(last);
                    }
                    if follows_eviction(tracked, &kind) {
                        effects.push(Effect::Count(Counted::Collapsed));
                        continue;
                    }
                    tracked.dedup.incident(cause, at.unwrap_or(now), now)
                }
                _ if old => {
                    tracked.dedup.history(cause);
                    Decision::Duplicate
                }
                _ => tracked.dedup.status(cause, at.unwrap_or(now), now),
            };
            // It stays marked as reported, so that the next one is a repeat.
            if how == Arrival::ListedKnown || old {
                effects.push(Effect::Count(Counted::Known));
            } else {
                let report = Report::new(kind, at.unwrap_or(now), fact_id);
                self.apply(now, uid, (key, decision), report, None, effects);
            }
        }
        self.note_known(scope, uid, keys, effects);
    }

    /// Updates the known facts of an object. A fact with a time never returns once it has left the status. Other facts
    /// may, so they stay known.
    fn note_known(
        &mut self,
        scope: Option<ScopeId>,
        uid: Uid,
        mut known: BTreeSet<FactKey>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let Some(scope) = scope else { return };
        if tracked.known.is_empty() {
            known.extend(self.past.known(scope, uid).into_iter().filter(|fact| !fact.has_time()));
        }
        known.extend(tracked.known.iter().copied().filter(|fact| !fact.has_time()));
        if tracked.known != known {
            tracked.known.clone_from(&known);
            effects.push(Effect::Known { scope, subject: uid, facts: known });
        }
    }
}

/// True if a container ended only because its pod is being removed.
fn follows_eviction(tracked: &Tracked, kind: &FindingKind) -> bool {
    let FindingKind::Terminated { reason, exit_code, .. } = kind else { return false };
    tracked.taken_away && reason != "OOMKilled" && matches!(exit_code, 0 | 137 | 143)
}
