//! Objects by kind, namespace and name, for Events without a UID.

use std::{collections::HashMap, sync::Arc};

use crate::{
    identity::{Subject, Uid},
    resource::Kind,
};

/// UIDs of each name, the newest last. Bounded by the number of tracked objects.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<(Kind, Arc<str>, Arc<str>), Vec<Uid>>);

impl Names {
    pub(super) fn add(&mut self, subject: &Subject) {
        let key = (subject.kind, subject.namespace.clone(), subject.name.clone());
        self.0.entry(key).or_default().push(subject.uid);
    }

    pub(super) fn remove(&mut self, subject: &Subject) {
        let key = (subject.kind, subject.namespace.clone(), subject.name.clone());
        if let Some(uids) = self.0.get_mut(&key) {
            uids.retain(|uid| *uid != subject.uid);
            if uids.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    /// Returns the UIDs of this name, the newest first.
    pub(super) fn of(&self, kind: Kind, namespace: &Arc<str>, name: &str) -> impl Iterator<Item = Uid> + use<'_> {
        let uids = self.0.get(&(kind, namespace.clone(), Arc::from(name)));
        uids.into_iter().flatten().rev().copied()
    }
}
