//! Annotations that this process wrote a moment ago, so that a reinvocation is recognized.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use uuid::Uuid;

/// How many registrations are remembered, 24 KiB in all. A reinvocation follows the first call by milliseconds, so
/// these are more than are ever under way; the oldest goes.
const CAPACITY: usize = 1_024;

/// The registrations written last.
///
/// The API server gives each call a uid of its own, a reinvocation too, so the review alone does not tell a pod that
/// we annotated from one whose user copied our annotations. What is not remembered (it went to another replica, or
/// is old) is written anew, which is right as well, only not as quiet.
#[derive(Debug, Default)]
pub(crate) struct Issued {
    last: Mutex<VecDeque<(Uuid, i64)>>,
}

impl Issued {
    /// Remembers that a pod was marked with this review's uid at this time.
    pub(crate) fn remember(&self, uid: &str, at: Timestamp) {
        let Ok(uid) = Uuid::try_parse(uid) else { return };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == CAPACITY {
            last.pop_front();
        }
        last.push_back((uid, at.as_second()));
    }

    /// Whether a pod was marked so, and when.
    pub(crate) fn at(&self, uid: &str) -> Option<Timestamp> {
        let uid = Uuid::try_parse(uid).ok()?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, second) = last.iter().rev().find(|(issued, _)| *issued == uid)?;
        Timestamp::from_second(*second).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let issued = Issued::default();
        let uid = |n: u128| Uuid::from_u128(n).to_string();
        for n in 0..=CAPACITY as u128 {
            issued.remember(&uid(n), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(issued.at(&uid(0)), None);
        assert_eq!(issued.at(&uid(1)), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(issued.at(&uid(CAPACITY as u128)), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(issued.at("no uuid"), None);
    }
}
