//! Recent patches of this process, to recognize reinvocations.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use uuid::Uuid;

/// Maximum number of patches, 24 KiB in total. A reinvocation follows the first call within milliseconds, so this is
/// more than are ever in progress. Beyond it the oldest is dropped.
const CAPACITY: usize = 1_024;

/// The most recent patches.
///
/// The API server gives each call its own uid, even a reinvocation, so the review alone does not distinguish a pod that
/// this program annotated from one whose user copied the annotations. A pod that is not found here (another replica
/// handled it, or it is old) is annotated again, which is correct too.
#[derive(Debug, Default)]
pub(crate) struct RecentPatches {
    last: Mutex<VecDeque<(Uuid, i64)>>,
}

impl RecentPatches {
    /// Records that a pod was annotated with this review's uid at this time.
    pub(crate) fn remember(&self, uid: &str, at: Timestamp) {
        let Ok(uid) = Uuid::try_parse(uid) else { return };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == CAPACITY {
            last.pop_front();
        }
        last.push_back((uid, at.as_second()));
    }

    /// Time at which a pod was annotated with this uid, if it was.
    pub(crate) fn at(&self, uid: &str) -> Option<Timestamp> {
        let uid = Uuid::try_parse(uid).ok()?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, second) = last.iter().rev().find(|(recent, _)| *recent == uid)?;
        Timestamp::from_second(*second).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_dropped_when_full() {
        let recent = RecentPatches::default();
        let uid = |n: u128| Uuid::from_u128(n).to_string();
        for n in 0..=CAPACITY as u128 {
            recent.remember(&uid(n), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(recent.at(&uid(0)), None);
        assert_eq!(recent.at(&uid(1)), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(recent.at(&uid(CAPACITY as u128)), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(recent.at("no uuid"), None);
    }
}
