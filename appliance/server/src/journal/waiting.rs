//! The entries that wait for a receiver: as many as there is room for. The oldest go first where there is none, and are counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::Entry;

/// How many entries wait at most.
const MOST: usize = 20_000;
/// How many bytes they have at most.
const MOST_BYTES: usize = 8 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Waiting(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// How many entries came before the first that waits.
    before: u64,
    /// How many were lost and not yet told of.
    lost: u64,
}

/// What waits first.
pub(super) struct Batch {
    pub(super) entries: Vec<Arc<Entry>>,
    /// How many before these were lost.
    pub(super) lost: u64,
    /// The number of the one after these.
    next: u64,
}

impl Waiting {
    pub(super) fn push(&self, entry: Arc<Entry>) {
        let mut queue = self.lock();
        queue.bytes += entry.size();
        queue.entries.push_back(entry);
        while queue.entries.len() > MOST || queue.bytes > MOST_BYTES {
            queue.forget_first();
            queue.lost += 1;
        }
    }

    /// So many entries at most. They wait until they are [`Waiting::sent`].
    pub(super) fn first(&self, most: usize) -> Batch {
        let queue = self.lock();
        let entries: Vec<_> = queue.entries.iter().take(most).cloned().collect();
        Batch {
            next: queue.before + entries.len() as u64,
            entries,
            lost: queue.lost,
        }
    }

    /// The receiver has these.
    pub(super) fn sent(&self, batch: &Batch) {
        let mut queue = self.lock();
        queue.lost -= batch.lost;
        while queue.before < batch.next && !queue.entries.is_empty() {
            queue.forget_first();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn forget_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.size();
            self.before += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &str) -> Arc<Entry> {
        Arc::new(Entry {
            message: message.to_owned(),
            ..Entry::default()
        })
    }

    fn messages(batch: &Batch) -> Vec<&str> {
        batch
            .entries
            .iter()
            .map(|entry| entry.message.as_str())
            .collect()
    }

    #[test]
    fn what_was_not_sent_waits_on() {
        let waiting = Waiting::default();
        for message in ["a", "b", "c"] {
            waiting.push(entry(message));
        }
        let batch = waiting.first(2);
        assert_eq!((messages(&batch), batch.lost), (vec!["a", "b"], 0));
        assert_eq!(messages(&waiting.first(2)), ["a", "b"]);
        waiting.push(entry("d"));
        waiting.sent(&batch);
        assert_eq!(messages(&waiting.first(9)), ["c", "d"]);
    }

    #[test]
    fn the_oldest_are_lost_and_counted() {
        let waiting = Waiting::default();
        for number in 0..MOST + 3 {
            waiting.push(entry(&number.to_string()));
        }
        let batch = waiting.first(1);
        assert_eq!((messages(&batch), batch.lost), (vec!["3"], 3));
        // More are lost while these are on their way, the batch among them.
        for number in 0..2 {
            waiting.push(entry(&number.to_string()));
        }
        waiting.sent(&batch);
        let next = waiting.first(1);
        assert_eq!((messages(&next), next.lost), (vec!["5"], 2));

        // By their size, too.
        let large = "x".repeat(MOST_BYTES / 2);
        for _ in 0..3 {
            waiting.push(entry(&large));
        }
        assert!(waiting.lock().bytes <= MOST_BYTES);
        assert_eq!(waiting.first(9).entries.len(), 1);
    }
}
