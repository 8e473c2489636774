//! What the readers of one object were told, so that a repeat is a count and not a line.

use jiff::{SignedDuration, Timestamp};

use crate::{identity::Uid, notice::Repeat};

/// What makes two facts about one object the same to its reader: a hash of what they would read.
pub(super) type Key = u64;

/// The kinds of thing that are remembered for each object; the one that was told longest ago goes first, and costs
/// at most a line said twice.
const LIMIT: usize = 48;

/// A repeat is said when this long has passed since it was last said; the pause doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// A repeat is said at once when there are this many times as many as were last said.
const BURST: u32 = 8;

/// What was told about one object.
#[derive(Debug, Default)]
pub(super) struct Told {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    /// How often, over all Events that say the same.
    times: u32,
    /// The count last seen of each Event, for those Events that may still grow.
    events: Vec<(Uid, u32)>,
    since: Option<Timestamp>,
    said: Option<Said>,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    times: u32,
    at: Timestamp,
    pause: SignedDuration,
}

/// What to do with a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Say it for the first time, or as a repeat.
    Say(Option<Repeat>),
    /// It was said, and nothing is new.
    Known,
    /// It is one more, to be said later as a count.
    Collapsed,
}

impl Told {
    /// A fact of the object's status, which has no count: said once.
    pub(super) fn status(&mut self, key: Key) -> Verdict {
        if self.find(key).is_some() {
            return Verdict::Known;
        }
        self.insert(Entry { key, times: 0, events: Vec::new(), since: None, said: None });
        Verdict::Say(None)
    }

    /// One more of the same, at a time of its own, such as a container's end.
    pub(super) fn incident(&mut self, key: Key, at: Timestamp) -> Verdict {
        self.count(key, 1, at, at, None)
    }

    /// An Event: `times` is its count, from `since` to `at`. What its status said before counts as said.
    pub(super) fn event(&mut self, key: Key, event: Uid, times: u32, since: Timestamp, at: Timestamp) -> Verdict {
        let before = self
            .find(key)
            .map_or(0, |entry| entry.events.iter().find(|(uid, _)| *uid == event).map_or(0, |(_, times)| *times));
        // A count that shrank is an Event that began anew.
        let more = if times >= before { times - before } else { times };
        if more == 0 {
            return Verdict::Known;
        }
        self.count(key, more, since, at, Some((event, times)))
    }

    fn count(&mut self, key: Key, more: u32, since: Timestamp, at: Timestamp, event: Option<(Uid, u32)>) -> Verdict {
        let known = self.find(key).is_some();
        if !known {
            self.insert(Entry { key, times: 0, events: Vec::new(), since: None, said: None });
        }
        let Some(entry) = self.find(key) else { return Verdict::Known };
        entry.times = entry.times.saturating_add(more);
        let first = *entry.since.get_or_insert(since);
        if let Some((uid, times)) = event {
            if let Some(count) = entry.events.iter_mut().find(|(known, _)| *known == uid) {
                count.1 = times;
            } else {
                // Enough for the ten single Events that come before a combined one.
                if entry.events.len() >= 16 {
                    entry.events.remove(0);
                }
                entry.events.push((uid, times));
            }
        }
        let repeat = Repeat { times: entry.times, over: at.duration_since(first).max(SignedDuration::ZERO) };
        let verdict = match entry.said {
            // Status said it; this is the Event that says the same.
            None if known && entry.times == 1 => Verdict::Known,
            None => Verdict::Say((entry.times > 1).then_some(repeat)),
            Some(said)
                if entry.times >= said.times.saturating_mul(BURST) || at.duration_since(said.at) >= said.pause =>
            {
                Verdict::Say(Some(repeat))
            }
            Some(_) => return Verdict::Collapsed,
        };
        let pause = match (verdict, entry.said) {
            (Verdict::Say(Some(_)), Some(said)) => (said.pause * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        entry.said = Some(Said { times: entry.times, at, pause });
        verdict
    }

    fn find(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }

    fn insert(&mut self, entry: Entry) {
        if self.entries.len() >= LIMIT {
            self.entries.remove(0);
        }
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn uid(n: u32) -> Uid {
        Uid::parse(&n.to_string()).unwrap()
    }

    fn said(times: u32, over: i64) -> Verdict {
        Verdict::Say(Some(Repeat { times, over: SignedDuration::from_secs(over) }))
    }

    #[test]
    fn nine_refusals_and_a_combined_event_are_one_line_and_counts() {
        let mut told = Told::default();
        assert_eq!(told.event(1, uid(0), 1, at(0), at(0)), Verdict::Say(None));
        for n in 1..7 {
            assert_eq!(told.event(1, uid(n), 1, at(0), at(0)), Verdict::Collapsed);
        }
        assert_eq!(told.event(1, uid(7), 1, at(1), at(1)), said(8, 1));
        assert_eq!(told.event(1, uid(9), 1, at(2), at(2)), Verdict::Collapsed);
        assert_eq!(told.event(1, uid(9), 2, at(2), at(30)), said(10, 30));
    }

    #[test]
    fn a_count_that_grew_is_said_with_its_number() {
        let mut told = Told::default();
        assert_eq!(told.event(1, uid(0), 1, at(0), at(0)), Verdict::Say(None));
        assert_eq!(told.event(1, uid(0), 1, at(0), at(0)), Verdict::Known);
        assert_eq!(told.event(1, uid(0), 9, at(0), at(120)), said(9, 120));
        assert_eq!(told.event(1, uid(0), 10, at(0), at(130)), Verdict::Collapsed);
        assert_eq!(told.event(1, uid(0), 11, at(0), at(140)), said(11, 140));
    }

    #[test]
    fn status_and_event_say_the_same_once_whichever_comes_first() {
        let mut told = Told::default();
        assert_eq!(told.status(1), Verdict::Say(None));
        assert_eq!(told.event(1, uid(0), 1, at(0), at(0)), Verdict::Known);
        assert_eq!(told.event(1, uid(0), 2, at(0), at(20)), said(2, 20));

        let mut told = Told::default();
        assert_eq!(told.event(1, uid(0), 1, at(0), at(0)), Verdict::Say(None));
        assert_eq!(told.status(1), Verdict::Known);
        assert_eq!(told.event(1, uid(0), 2, at(0), at(20)), said(2, 20));
    }

    #[test]
    fn it_remembers_a_bounded_number_of_things() {
        let mut told = Told::default();
        for key in 0..1_000 {
            told.status(key);
        }
        assert_eq!(told.entries.len(), LIMIT);
    }
}
