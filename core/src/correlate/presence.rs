//! Objects that the watch no longer shows: deleted, no longer selected, or hidden by a stale list.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    Arrival, Correlator, Counted, Effect, LookupFailed, Object, Presence,
    correlator::{fact_id_of, parts},
    events::give_up,
    fact::of_status,
    report::Report,
    tracked::{Missing, Tracked},
};
use crate::{
    fact_id::{FactId, ScopeId},
    finding::FindingKind,
    identity::{Subject, Uid},
    resource::Kind,
};

/// Interval between two presence checks without an answer.
const ASK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(30);

impl Correlator {
    /// Handles an object that the watch shows as deleted. The watch shows the same for a pod that left the selection,
    /// and for one deleted by force, which was never marked for deletion: those are checked at the API server.
    pub(super) fn gone(&mut self, now: Timestamp, scope: ScopeId, object: &Object, effects: &mut Vec<Effect>) {
        let (kind, meta) = parts(object);
        let Some(subject) = meta.subject(kind) else {
            return effects.push(Effect::Count(Counted::Malformed));
        };
        let uid = subject.uid;
        let fact_id = fact_id_of(Some(scope), meta, uid);
        self.non_workspaces.remove(&subject);
        if let Some(unconfirmed) = &mut self.unconfirmed {
            unconfirmed.remove(uid);
        }
        if !self.tracked.contains_key(&uid) {
            self.left.remove(&subject);
            return give_up(self.waiting.take(&subject), Counted::NonWorkspace, effects);
        }
        if kind == Kind::Pod && meta.deletion_timestamp.is_none() {
            return self.missing(now, uid, fact_id, effects);
        }
        // The last state of a pod may have a reason that no Event has.
        if let Object::Pod(pod) = object {
            self.status(now, uid, of_status(pod), (true, Arrival::Watched), fact_id, effects);
        }
        let was_missing = self.found(uid);
        self.end(now, uid, meta.deletion_timestamp, fact_id, effects);
        self.replay_waiting(now, &subject, effects);
        if was_missing {
            self.replay_dependencies(now, uid, effects);
        }
    }

    fn end(
        &mut self,
        now: Timestamp,
        uid: Uid,
        at: Option<Timestamp>,
        fact_id: Option<FactId>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        if tracked.gone_at.is_some() {
            return;
        }
        tracked.gone_at = Some(now);
        tracked.pulls.clear();
        tracked.trouble.forget_runs();
        forget_known(tracked, effects);
        let is_announced = tracked.subject.kind.is_announced();
        self.report_all_held(uid, effects);
        if is_announced {
            self.announce(now, uid, Report::new(FindingKind::Deleted, at.unwrap_or(now).min(now), fact_id), effects);
        }
        effects.extend(self.carriers.remove(uid).into_iter().map(Effect::Ended));
    }

    /// Handles a complete list: objects missing from it are gone. But a pod may have left the selection, and an API
    /// server with a stale cache may hide objects newer than the list.
    pub(super) fn synced(&mut self, now: Timestamp, scope: ScopeId, effects: &mut Vec<Effect>) {
        let listing = self.listings.get(&scope).copied().unwrap_or_default();
        let mut missing: Vec<(Uid, bool)> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| tracked.scope == Some(scope) && tracked.listing != listing.number)
            .filter(|(_, tracked)| tracked.gone_at.is_none() && tracked.missing.is_none())
            .map(|(uid, tracked)| (*uid, tracked.subject.kind != Kind::Pod && tracked.revision <= listing.highest))
            .collect();
        missing.sort_unstable();
        for (uid, certain) in missing {
            if certain {
                self.end(now, uid, None, None, effects);
            } else {
                self.missing(now, uid, None, effects);
            }
        }
        if let Some(unconfirmed) = &mut self.unconfirmed {
            unconfirmed.listed(scope, listing.number);
        }
        self.past.listed(scope);
    }

    /// Handles a missing object. Nothing is reported about it until its presence was checked.
    fn missing(&mut self, now: Timestamp, uid: Uid, fact_id: Option<FactId>, effects: &mut Vec<Effect>) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        if tracked.gone_at.is_some() || tracked.missing.is_some() {
            return;
        }
        tracked.missing = Some(Missing { since: now, fact_id });
        self.checking_presence.insert(uid, now);
        effects.push(Effect::CheckPresence(tracked.subject.clone()));
    }

    /// Handles an object that is shown again. Returns true if it was missing.
    pub(super) fn found(&mut self, uid: Uid) -> bool {
        self.checking_presence.remove(&uid);
        self.tracked.get_mut(&uid).is_some_and(|tracked| tracked.missing.take().is_some())
    }

    /// Repeats presence checks without an answer.
    pub(super) fn recheck_presence(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for (uid, asked) in &mut self.checking_presence {
            if now.duration_since(*asked) >= ASK_AGAIN_AFTER
                && let Some(tracked) = self.tracked.get(uid)
            {
                *asked = now;
                effects.push(Effect::CheckPresence(tracked.subject.clone()));
            }
        }
    }

    /// Handles the answer to [`Effect::CheckPresence`].
    pub(super) fn presence_checked(
        &mut self,
        now: Timestamp,
        subject: &Subject,
        presence: Result<Presence, LookupFailed>,
        effects: &mut Vec<Effect>,
    ) {
        let uid = subject.uid;
        let Ok(presence) = presence else { return };
        let Some(Missing { since, fact_id }) = self.tracked.get_mut(&uid).and_then(|tracked| tracked.missing.take())
        else {
            return;
        };
        self.checking_presence.remove(&uid);
        match presence {
            Presence::Absent => {
                self.end(now, uid, Some(since), fact_id, effects);
                self.replay_waiting(now, subject, effects);
                self.replay_dependencies(now, uid, effects);
            }
            Presence::Selected => {
                self.replay_waiting(now, subject, effects);
                self.replay_dependencies(now, uid, effects);
            }
            Presence::Unselected => {
                if let Some(tracked) = self.tracked.get_mut(&uid) {
                    tracked.left = true;
                    tracked.gone_at = Some(now);
                    tracked.dedup.drop_held();
                    forget_known(tracked, effects);
                }
                self.ack_released(uid, effects);
                give_up(self.waiting.take(subject), Counted::NonWorkspace, effects);
                effects.extend(self.carriers.remove(uid).into_iter().map(Effect::Ended));
            }
        }
    }
}

/// Drops the known facts of an object that is gone: a restart does not need them.
fn forget_known(tracked: &mut Tracked, effects: &mut Vec<Effect>) {
    if let Some(scope) = tracked.scope.filter(|_| !std::mem::take(&mut tracked.known).is_empty()) {
        effects.push(Effect::Known { scope, subject: tracked.subject.uid, facts: BTreeSet::new() });
    }
}
