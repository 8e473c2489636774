//! Identity of container terminations: a status shows the same one several times, and several at once.

use jiff::Timestamp;

use super::{dedup::Key, fact::hash};
use crate::object::{ContainerStatus, Terminated};

/// Maximum number of ends remembered for each container. A status shows two of them.
const REMEMBERED: usize = 4;

/// Maximum number of ends remembered for each pod: two each of 1,024 containers, far more than a pod has. Further ends
/// are not reported.
const OF_POD: usize = 2_048;

/// An end of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    container: Key,
    /// The runtime's id of this run; `None` if the status has none.
    id: Option<Key>,
    /// Number of earlier runs; `None` while the container waits, because its restart count may already be ahead.
    run: Option<u32>,
    at: Option<Timestamp>,
}

impl End {
    /// Returns the identity of this end, the same whether the status shows it as the current or as the last state.
    pub(super) fn identity(&self) -> Key {
        hash(&("end", self.container, self.id, self.at))
    }

    fn is(&self, other: &Self) -> bool {
        match (self.id, other.id, self.run, other.run) {
            (Some(id), Some(other), ..) => id == other,
            (_, _, Some(run), Some(other)) => run == other,
            _ => self.at == other.at,
        }
    }
}

/// Returns the ends that a container's status shows, the earlier one first.
pub(super) fn of(status: &ContainerStatus) -> impl Iterator<Item = (&Terminated, End)> {
    let waits = status.state.waiting.is_some();
    let before = status.restart_count.checked_sub(1).filter(|_| !waits);
    let ends = [(&status.last_state.terminated, before), (&status.state.terminated, Some(status.restart_count))];
    ends.into_iter().filter_map(|(terminated, run)| {
        let terminated = terminated.as_ref()?;
        let id = (!terminated.container_id.is_empty()).then(|| hash(&terminated.container_id));
        Some((terminated, End { container: hash(&status.name), id, run, at: terminated.finished_at }))
    })
}

/// Ends of one pod's containers seen so far.
#[derive(Debug, Default)]
pub(super) struct Ends(Vec<End>);

impl Ends {
    /// Records an end. Returns true the first time.
    pub(super) fn notes(&mut self, end: &End) -> bool {
        let of_container = |known: &&mut End| known.container == end.container;
        if let Some(known) = self.0.iter_mut().filter(of_container).find(|known| known.is(end)) {
            known.id = known.id.or(end.id);
            known.run = known.run.or(end.run);
            return false;
        }
        let mut places = self.0.iter().enumerate().filter(|(_, known)| known.container == end.container);
        let oldest = places.next().map(|(place, _)| place);
        if places.count() + usize::from(oldest.is_some()) >= REMEMBERED {
            oldest.map(|place| self.0.remove(place));
        } else if self.0.len() >= OF_POD {
            return false;
        }
        self.0.push(end.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn new_ends(ends: &mut Ends, status: Value) -> usize {
        let status: ContainerStatus = serde_json::from_value(status).unwrap();
        of(&status).filter(|(_, end)| ends.notes(end)).count()
    }

    fn end(second: u32, id: &str) -> Value {
        json!({"terminated": {"exitCode": 1, "finishedAt": format!("2026-11-22T12:00:{second:02}Z"), "containerID": id}})
    }

    #[test]
    fn an_end_is_counted_once_however_it_is_shown() {
        for ids in [["a", "b"], ["", ""]] {
            let (a, b) = (end(1, ids[0]), end(1, ids[1]));
            let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
            let mut ends = Ends::default();
            let shown = [
                (json!({"name": "dev", "restartCount": 0, "state": a}), 1),
                (json!({"name": "dev", "restartCount": 1, "state": {}, "lastState": a}), 0),
                // The second run ends within the same second.
                (json!({"name": "dev", "restartCount": 1, "state": b, "lastState": a}), 1),
                (json!({"name": "dev", "restartCount": 1, "state": waiting, "lastState": b}), 0),
                (json!({"name": "dev", "restartCount": 2, "state": {}, "lastState": b}), 0),
                // Not seen running or terminated before: it waits, and the restart count may or may not be ahead.
                (json!({"name": "dev", "restartCount": 2, "state": waiting, "lastState": end(9, "")}), 1),
                (json!({"name": "dev", "restartCount": 3, "state": {}, "lastState": end(9, "")}), 0),
                (json!({"name": "other", "restartCount": 3, "state": {}, "lastState": end(9, "")}), 1),
            ];
            for (status, expected) in shown {
                assert_eq!(new_ends(&mut ends, status.clone()), expected, "{status}");
            }
        }
    }

    #[test]
    fn many_containers_are_not_counted_again() {
        let mut ends = Ends::default();
        let status =
            |n: u32| json!({"name": format!("c{n}"), "restartCount": 1, "state": end(5, ""), "lastState": end(1, "")});
        let count = |ends: &mut Ends| (0..200).map(|n| new_ends(ends, status(n))).sum::<usize>();
        assert_eq!((count(&mut ends), count(&mut ends)), (400, 0));
    }
}
