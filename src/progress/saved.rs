//! What is kept in the cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use logstream_core::{correlate::History, identity::Uid};
use serde::{Deserialize, Serialize};

use crate::watch;

/// The progress of an earlier process. UIDs are as Kubernetes writes them; scopes are named `events/ns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Saved {
    /// When it was saved, by the clock of the process that did.
    pub saved_at: Timestamp,
    /// Objects created before this were announced.
    pub since: Timestamp,
    /// What the status of pods says of the time before this was told.
    pub told_until: Timestamp,
    /// The resourceVersion that was reached in each scope: all until there was delivered or given up, but for what is
    /// pending.
    pub reached: BTreeMap<String, u64>,
    /// Objects created since `since` that were announced.
    pub announced: BTreeSet<String>,
    /// For each subject with undelivered Events, the resourceVersion of the first.
    pub pending_events: BTreeMap<String, u64>,
    /// Objects of whose own facts some are undelivered.
    pub pending_objects: BTreeSet<String>,
}

/// Saving lags behind telling by so much at most, and nodes' clocks may differ by a few seconds.
const LAG: SignedDuration = SignedDuration::from_secs(15);

impl Saved {
    /// Where the watch goes on.
    pub fn for_watch(&self, scopes: &watch::Scopes) -> watch::Saved {
        let of_scope = |(key, at): (&String, &u64)| Some((scopes.by_key(key)?, *at));
        let pending = |(uid, at): (&String, &u64)| Some((Uid::parse(uid)?, *at));
        watch::Saved {
            revisions: self.reached.iter().filter_map(of_scope).collect(),
            pending: self.pending_events.iter().filter_map(pending).collect::<HashMap<_, _>>(),
        }
    }

    /// Where the telling goes on.
    pub fn history(&self) -> History {
        let uids = |uids: &BTreeSet<String>| uids.iter().filter_map(|uid| Uid::parse(uid)).collect();
        History {
            since: self.since,
            told_until: self.told_until.saturating_sub(LAG).unwrap_or(self.told_until),
            announced: uids(&self.announced),
            pending: uids(&self.pending_objects),
        }
    }
}
