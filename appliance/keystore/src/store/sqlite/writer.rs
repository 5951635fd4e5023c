//! The one writer, with group commit.
//!
//! A thread owns the only connection that writes. It takes what has queued, runs each act in a savepoint of one transaction, stores the
//! new nodes of the audit trees, commits (which syncs once) and only then answers all. An act that fails is undone alone; when the
//! commit fails, none of the acts was done and all are told so.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use strongroom_audit::tree::RightEdge;

use super::audit;
use super::rows::Rows;
use crate::store::{Abort, Act, DomainNumber, StoreError};

/// The most acts that share a commit: bounds how long the first of them waits.
const MOST_ACTS: usize = 512;

/// How the writer is told of acts.
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Queued>>>,
    queued: Arc<AtomicU64>,
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
        let edges = audit::load_edges(&connection)?;
        let mut worker = Worker {
            connection,
            edges,
            queued: Arc::clone(&queued),
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
    queued: Arc<AtomicU64>,
}

impl Worker {
    fn run(&mut self, acts: &mpsc::Receiver<Queued>) {
        while let Ok(first) = acts.recv() {
            let mut answers = Vec::new();
            let outcome = self.commit_together(first, acts, &mut answers);
            let failure = outcome.err().map(|error| {
                // The transaction is over either way; the error below says why nothing was done.
                let _ = self.connection.execute_batch("ROLLBACK");
                tracing::error!(%error, acts = answers.len(), "a commit failed; none of its acts was done");
                error.to_string()
            });
            for (answer, result) in answers {
                let result = match &failure {
                    None => result,
                    Some(failure) => Err(StoreError::NotCommitted(failure.clone())),
                };
                // Whoever asked may have given up; the act stands.
                let _ = answer.send(result);
            }
        }
    }

    fn commit_together(
        &mut self,
        first: Queued,
        acts: &mpsc::Receiver<Queued>,
        answers: &mut Vec<(Answer, Result<(), StoreError>)>,
    ) -> Result<(), StoreError> {
        let mut next = Some(first);
        let begun = self
            .connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]));
        let mut rows = Rows::writing(&self.connection);
        audit::set_tails(&mut rows, &self.edges);
        while let Some(Queued { act, answer }) = next.take() {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            let result = match &begun {
                Ok(_) => run_act(&mut rows, act),
                Err(_) => Err(StoreError::ActFailed),
            };
            answers.push((answer, result));
            if answers.len() < MOST_ACTS {
                next = acts.try_recv().ok();
            }
        }
        begun?;
        let tails = std::mem::take(&mut rows.tails);
        let edges = audit::store_nodes(&self.connection, &self.edges, tails)?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        // Only now do the appended leaves exist.
        self.edges.extend(edges);
        Ok(())
    }
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
