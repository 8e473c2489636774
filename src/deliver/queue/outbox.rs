//! The outbox of one agent: lines to be sent, in order.

use std::{borrow::Cow, collections::VecDeque};

use jiff::Timestamp;
use logstream_core::line::{Level, LogLine};
use tokio::time::Instant;

use crate::coder::WireLine;
use crate::deliver::{
    queue::budget::{Budget, Charge, Grant},
    queue::text,
};

/// Maximum number of lines in an outbox. A start that fails in every known way has about thirty.
pub(crate) const MAX_LINES: usize = 256;
/// Maximum size of the texts in an outbox, in bytes.
pub(crate) const MAX_BYTES: usize = 128 * 1024;
/// Maximum number of lines in a request: a quarter of the outbox.
pub(crate) const BATCH_LINES: usize = 64;
/// Maximum size of the texts in a request, in bytes: a small fraction of Coder's limit.
const BATCH_BYTES: usize = 64 * 1024;

/// A line with the time of its receipt.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) line: LogLine,
    pub(crate) received: Instant,
}

impl Held {
    pub(crate) fn bytes(&self) -> usize {
        self.line.text.len()
    }
}

#[derive(Debug)]
enum Entry {
    Line(Held),
    /// Lines were dropped here.
    Gap(Gap),
    /// A note of this program.
    Note(Note),
}

/// Lines that the reader does not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    count: u32,
    why: Missing,
}

/// Reason for a gap, as the log states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Too many lines waited.
    TooMany,
    /// They could not be delivered in time.
    TooLate,
    /// Coder, or a proxy, rejects the line.
    Rejected,
    /// Several of these.
    Various,
}

impl Gap {
    fn join(&mut self, other: Self) {
        self.count += other.count;
        if self.why != other.why {
            self.why = Missing::Various;
        }
    }

    fn words(self) -> Box<str> {
        let Self { count, why } = self;
        let why = match why {
            Missing::TooMany => ": more were waiting than fit",
            Missing::TooLate => ": Coder accepted no lines in time",
            Missing::Rejected => ": Coder, or a proxy before it, rejects it",
            Missing::Various => "",
        };
        match count {
            1 => format!("(1 line from Kubernetes is missing here{why})").into(),
            _ => format!("({count} lines from Kubernetes are missing here{why})").into(),
        }
    }
}

/// A note of this program to the reader.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) at: Timestamp,
    pub(crate) level: Level,
    pub(crate) text: Box<str>,
}

impl Note {
    pub(crate) fn warning(at: Timestamp, text: impl Into<Box<str>>) -> Self {
        Self { at, level: Level::Warn, text: text.into() }
    }
}

/// The outbox of one agent, without the [`Batch`] in flight.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    lines: usize,
    fresh: usize,
    notes: usize,
    bytes: usize,
}

/// The entries of one request.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    parts: Vec<Part>,
    charge: Charge,
    /// The only entry is replaced by the note for a missing line.
    replaced: bool,
}

#[derive(Debug)]
struct Part {
    entry: Entry,
    /// The text to send, if it is not the line's own.
    output: Option<Box<str>>,
    at: Timestamp,
}

/// Entries taken out of an outbox.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// To be sent; empty if the budget refused all.
    pub(crate) batch: Batch,
    /// Refused by the budget.
    pub(crate) refused: Vec<Held>,
}

/// Lines that were never shown.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) lines: Vec<Held>,
    /// Including those dropped before.
    pub(crate) count: u32,
}

impl Remains {
    fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut remains = Self { lines: Vec::new(), count: 0 };
        for entry in entries {
            match entry {
                Entry::Line(held) => {
                    remains.lines.push(held);
                    remains.count += 1;
                }
                Entry::Gap(gap) => remains.count += gap.count,
                Entry::Note(_) => {}
            }
        }
        remains
    }
}

impl Outbox {
    /// Adds a line. Returns those dropped for it: the oldest repeats, then the oldest of the lowest level. Each leaves
    /// a gap.
    pub(crate) fn push(&mut self, held: Held) -> Vec<Held> {
        self.count_in(&held);
        self.entries.push_back(Entry::Line(held));
        let mut gone = Vec::new();
        while self.lines > MAX_LINES || (self.bytes > MAX_BYTES && self.lines > 1) {
            gone.extend(self.drop_least());
        }
        gone
    }

    /// Puts a note before all other entries.
    pub(crate) fn push_note_front(&mut self, note: Note) {
        self.notes += 1;
        self.entries.push_front(Entry::Note(note));
    }

    /// Drops lines until half of them are left.
    pub(crate) fn halve(&mut self) -> Vec<Held> {
        let keep = self.lines / 2;
        let mut gone = Vec::new();
        while self.lines > keep {
            gone.extend(self.drop_least());
        }
        gone
    }

    /// Drops all entries. Returns the lines, and the number of lines the reader did not see.
    pub(crate) fn clear(&mut self) -> Remains {
        Remains::of(std::mem::take(self).entries)
    }

    /// Adds a gap of lines that were not delivered in time before all entries.
    pub(crate) fn gap_front(&mut self, count: u32) {
        if count > 0 {
            self.join_front(Gap { count, why: Missing::TooLate });
        }
    }

    fn join_front(&mut self, gap: Gap) {
        match self.entries.front_mut() {
            Some(Entry::Gap(there)) => there.join(gap),
            _ => self.entries.push_front(Entry::Gap(gap)),
        }
    }

    /// True if it holds something worth a try of an agent that may not be valid.
    pub(crate) fn is_ready(&self) -> bool {
        self.lines + self.notes > 0
    }

    /// True if it holds nothing, not even a gap.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True if all lines are repeats.
    pub(crate) fn only_repeats(&self) -> bool {
        // All other entries are gaps, which are not repeats.
        self.fresh + self.notes == 0 && self.entries.len() == self.lines
    }

    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Takes the entries of the next request, at most `limit`, charged to the budget.
    pub(crate) fn take(&mut self, limit: usize, budget: &mut Budget, now: Timestamp) -> Taken {
        let mut taken = Taken::default();
        let batch = &mut taken.batch;
        while batch.parts.len() < limit.min(BATCH_LINES) {
            let Some(entry) = self.entries.pop_front() else { break };
            let part = Part::new(entry, now);
            let bytes = part.output().len();
            if batch.charge.bytes + bytes > BATCH_BYTES && !batch.parts.is_empty() {
                self.entries.push_front(part.entry);
                break;
            }
            match part.entry {
                Entry::Line(ref held) => {
                    self.count_out(held);
                    if let Grant::Refused(words) = budget.charge(held.line.level, held.line.repeat, bytes) {
                        taken.refused.extend(part.into_line());
                        if let Some(text) = words
                            && budget.charge_note(text.len())
                        {
                            batch.add(Part::new(Entry::Note(Note::warning(now, text)), now));
                        }
                        continue;
                    }
                }
                Entry::Gap(_) | Entry::Note(_) => {
                    self.notes -= usize::from(matches!(part.entry, Entry::Note(_)));
                    if !budget.charge_note(bytes) {
                        continue;
                    }
                }
            }
            batch.add(part);
        }
        if self.entries.is_empty() {
            // An idle agent keeps no buffer.
            self.entries = VecDeque::new();
        }
        taken
    }

    /// Takes the first entry alone, to be sent as the note for a missing line.
    pub(crate) fn take_replaced(&mut self, budget: &mut Budget, now: Timestamp) -> Taken {
        let mut taken = Taken::default();
        let Some(entry) = self.entries.pop_front() else { return taken };
        let gap = match &entry {
            Entry::Gap(gap) => *gap,
            Entry::Line(_) | Entry::Note(_) => Gap { count: 1, why: Missing::Rejected },
        };
        match &entry {
            Entry::Line(held) => self.count_out(held),
            Entry::Note(_) => self.notes -= 1,
            Entry::Gap(_) => {}
        }
        let part = Part { entry, output: Some(gap.words()), at: now };
        if budget.charge_note(part.output().len()) {
            taken.batch.replaced = true;
            taken.batch.add(part);
        } else {
            taken.refused.extend(part.into_line());
        }
        taken
    }

    /// Puts an unsent batch back at the head, in order.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        for part in batch.parts.into_iter().rev() {
            match &part.entry {
                Entry::Line(held) => self.count_in(held),
                Entry::Note(_) => self.notes += 1,
                Entry::Gap(gap) => {
                    self.join_front(*gap);
                    continue;
                }
            }
            self.entries.push_front(part.entry);
        }
    }

    fn count_in(&mut self, held: &Held) {
        self.lines += 1;
        self.bytes += held.bytes();
        self.fresh += usize::from(!held.line.repeat);
    }

    fn count_out(&mut self, held: &Held) {
        self.lines -= 1;
        self.bytes -= held.bytes();
        self.fresh -= usize::from(!held.line.repeat);
    }

    /// Drops the least important line, and leaves a gap that is joined with adjacent ones.
    fn drop_least(&mut self) -> Option<Held> {
        let rank = |entry: &Entry| match entry {
            Entry::Line(held) => Some((!held.line.repeat, held.line.level)),
            Entry::Gap(_) | Entry::Note(_) => None,
        };
        let ranked = self.entries.iter().enumerate().filter_map(|(index, entry)| Some((rank(entry)?, index)));
        // Among repeats the level does not matter: the reader knows them.
        let (_, index) = ranked.min_by_key(|((fresh, level), index)| (*fresh, fresh.then_some(*level), *index))?;
        let Some(Entry::Line(held)) = self
            .entries
            .get_mut(index)
            .map(|entry| std::mem::replace(entry, Entry::Gap(Gap { count: 1, why: Missing::TooMany })))
        else {
            return None;
        };
        self.count_out(&held);
        self.join(index + 1);
        self.join(index);
        Some(held)
    }

    /// Joins a gap with the previous one.
    fn join(&mut self, index: usize) {
        let Some(&Entry::Gap(gap)) = self.entries.get(index) else { return };
        let Some(Entry::Gap(before)) = index.checked_sub(1).and_then(|before| self.entries.get_mut(before)) else {
            return;
        };
        before.join(gap);
        self.entries.remove(index);
    }
}

impl Part {
    fn new(entry: Entry, now: Timestamp) -> Self {
        let owned = |output: Cow<'_, str>| match output {
            Cow::Borrowed(_) => None,
            Cow::Owned(output) => Some(output.into_boxed_str()),
        };
        let (output, at) = match &entry {
            Entry::Line(held) => (owned(text::output(&held.line.text, held.line.at, now)), held.line.at),
            Entry::Note(note) => (owned(text::output(&note.text, now, now)), note.at),
            Entry::Gap(gap) => (Some(gap.words()), now),
        };
        Self { entry, output, at }
    }

    fn output(&self) -> &str {
        match (&self.output, &self.entry) {
            (Some(output), _) => output,
            (None, Entry::Line(held)) => &held.line.text,
            (None, Entry::Note(note)) => &note.text,
            (None, Entry::Gap(_)) => "",
        }
    }

    fn into_line(self) -> Option<Held> {
        match self.entry {
            Entry::Line(held) => Some(held),
            Entry::Gap(_) | Entry::Note(_) => None,
        }
    }

    fn level(&self) -> Level {
        match &self.entry {
            Entry::Line(held) => held.line.level,
            Entry::Note(note) => note.level,
            Entry::Gap(_) => Level::Warn,
        }
    }
}

impl Batch {
    fn add(&mut self, part: Part) {
        let bytes = part.output().len();
        self.charge.bytes += bytes;
        if !self.replaced && matches!(&part.entry, Entry::Line(held) if held.line.repeat) {
            self.charge.repeats += bytes;
        }
        self.parts.push(part);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The amount charged for it.
    pub(crate) fn charge(&self) -> Charge {
        self.charge
    }

    /// Number of entries, including notes.
    pub(crate) fn entries(&self) -> usize {
        self.parts.len()
    }

    /// True if its only line is replaced by the note for a missing line.
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced
    }

    /// Number of lines, without notes.
    pub(crate) fn lines(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part.entry, Entry::Line(_))).count()
    }

    /// The lines in Coder's format.
    pub(crate) fn wire(&self) -> Vec<WireLine<'_>> {
        let level = |part: &Part| if self.replaced { Level::Warn } else { part.level() };
        let parts = self.parts.iter();
        parts.map(|part| WireLine { created_at: part.at, level: level(part), output: part.output().into() }).collect()
    }

    /// The lines, with the number that is missing if they are not shown.
    pub(crate) fn into_remains(self) -> Remains {
        Remains::of(self.parts.into_iter().map(|part| part.entry))
    }
}
