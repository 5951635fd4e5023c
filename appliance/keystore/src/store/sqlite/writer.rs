//! The one writer, with group commit.
//!
//! A thread owns the only connection that writes. It takes what has queued, runs each act in a savepoint of one transaction, stores the
//! new nodes of the audit trees, commits (which syncs once) and only then answers all. An act that fails is undone alone; when the
//! commit fails, none of the acts was done and all are told so.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use strongroom_audit::tree::RightEdge;

use super::audit;
use super::memo::Memo;
use super::rows::Rows;
use crate::store::{Abort, Act, DomainNumber, StoreError};

/// The most acts that share a commit: bounds how long the first of them waits.
const MOST_ACTS: usize = 512;

/// How the writer is told of acts.
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Queued>>>,
    queued: Arc<AtomicU64>,
    full: Arc<AtomicBool>,
    state: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

struct Queued {
    act: Box<dyn Act>,
    answer: Answer,
}

/// Where whoever asked for an act waits for its outcome.
type Answer = mpsc::SyncSender<Result<(), StoreError>>;

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (queue, acts) = mpsc::channel();
        let queued = Arc::new(AtomicU64::new(0));
        let full = Arc::new(AtomicBool::new(false));
        let state = Arc::new(AtomicU64::new(0));
        let edges = audit::load_edges(&connection)?;
        let data_version = data_version(&connection)?;
        let mut worker = Worker {
            connection,
            edges,
            memo: Memo::default(),
            unremembered: Cell::new(0),
            data_version,
            state: Arc::clone(&state),
            queued: Arc::clone(&queued),
            full: Arc::clone(&full),
        };
        let thread = std::thread::Builder::new()
            .name("keystore-writer".to_owned())
            .spawn(move || worker.run(&acts))
            .map_err(|error| {
                StoreError::File(format!("The writer thread did not start: {error}."))
            })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            queued,
            full,
            state,
            thread: Some(thread),
        })
    }

    pub(super) fn write(&self, act: Box<dyn Act>) -> Result<(), StoreError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(StoreError::Stopped)?;
        self.queued.fetch_add(1, Ordering::Relaxed);
        queue
            .send(Queued { act, answer })
            .map_err(|_| StoreError::Stopped)?;
        drop(queue);
        answered.recv().map_err(|_| StoreError::Stopped)?
    }

    pub(super) fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    /// The state that the database is in as far as acts were answered: another number after each commit that changed more than the log.
    pub(super) fn state(&self) -> u64 {
        self.state.load(Ordering::Acquire)
    }

    /// Whether the newest commit that wrote something failed because the disk is full.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    /// What has queued is still run.
    fn drop(&mut self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = self.thread.take() {
            // The thread catches the panics of acts; another one has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

struct Worker {
    connection: Connection,
    edges: BTreeMap<DomainNumber, RightEdge>,
    /// What acts have read. Exact: whatever may have changed it is seen by the number of changes, or makes it forget.
    memo: Memo,
    /// How many changes there were of rows that nobody remembers.
    unremembered: Cell<u64>,
    /// Changes when somebody else writes to the database, which nobody does while an appliance serves.
    data_version: i64,
    state: Arc<AtomicU64>,
    queued: Arc<AtomicU64>,
    full: Arc<AtomicBool>,
}

impl Worker {
    fn run(&mut self, acts: &mpsc::Receiver<Queued>) {
        while let Ok(first) = acts.recv() {
            let mut answers = Vec::new();
            let changed_before = self.connection.total_changes();
            let unremembered_before = self.unremembered.get();
            let outcome = self.commit_together(first, acts, &mut answers);
            let changed = self.connection.total_changes() - changed_before;
            if outcome.is_err() {
                self.memo.forget();
            }
            if changed > self.unremembered.get() - unremembered_before {
                // Before anybody is answered.
                self.state.fetch_add(1, Ordering::Release);
            }
            if let Err(error) = &outcome {
                // The transaction is over either way; the error below says why nothing was done.
                let _ = self.connection.execute_batch("ROLLBACK");
                let full_before = self
                    .full
                    .swap(matches!(error, StoreError::Full), Ordering::Relaxed);
                // Said once: everybody who tries meets it again.
                if !full_before {
                    tracing::error!(%error, acts = answers.len(), "a commit failed; none of its acts was done");
                }
            } else if changed > 0 && self.full.swap(false, Ordering::Relaxed) {
                tracing::warn!("there is room on the disk again");
            }
            for (answer, result) in answers {
                let result = match &outcome {
                    Ok(()) => result,
                    Err(StoreError::Full) => Err(StoreError::Full),
                    Err(error) => Err(StoreError::NotCommitted(error.to_string())),
                };
                // Whoever asked may have given up; the act stands.
                let _ = answer.send(result);
            }
        }
    }

    /// Begins the transaction in which acts share a commit.
    fn begin(&mut self) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])?;
        let data_version = data_version(&self.connection)?;
        if data_version != self.data_version {
            self.data_version = data_version;
            self.memo.forget();
            self.state.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    fn commit_together(
        &mut self,
        first: Queued,
        acts: &mpsc::Receiver<Queued>,
        answers: &mut Vec<(Answer, Result<(), StoreError>)>,
    ) -> Result<(), StoreError> {
        let mut next = Some(first);
        let begun = self.begin();
        let mut rows = Rows::writing(&self.connection, &self.memo, &self.unremembered);
        audit::set_tails(&mut rows, &self.edges);
        while let Some(Queued { act, answer }) = next.take() {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            let result = match &begun {
                Ok(()) => run_act(&mut rows, act),
                Err(_) => Err(StoreError::ActFailed),
            };
            answers.push((answer, result));
            if begun.is_ok() && self.connection.is_autocommit() {
                // What an act met made the engine give up the transaction, with all that was done in it. What came after would be committed
                // act by act, without the trees' nodes.
                return Err(StoreError::NotCommitted(
                    "the engine gave the transaction up".to_owned(),
                ));
            }
            if answers.len() < MOST_ACTS {
                next = acts.try_recv().ok();
            }
        }
        begun?;
        let tails = std::mem::take(&mut rows.tails);
        let edges =
            rows.unremembered(|connection| audit::store_nodes(connection, &self.edges, tails))?;
        drop(rows);
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        // Only now do the appended leaves exist.
        self.edges.extend(edges);
        Ok(())
    }
}

fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))?)
}

fn run_act(rows: &mut Rows<'_>, act: Box<dyn Act>) -> Result<(), StoreError> {
    rows.begin_act()?;
    match catch_unwind(AssertUnwindSafe(|| act(rows))) {
        Ok(Ok(())) => rows.keep_act(),
        Ok(Err(Abort)) => rows.undo_act(),
        Err(_) => {
            rows.undo_act()?;
            Err(StoreError::ActFailed)
        }
    }
}
