//! Threads on which calls are made that may never come back.
//!
//! A caller waits for its deadline and no longer. A call that is then still in the module is abandoned with its thread, which ends when
//! the module lets go of it. How many threads there may be, at work and abandoned, is bounded.
//!
//! A module may keep something for each thread, which it takes down when the thread ends. A process that ends meanwhile takes down the same: so
//! threads are waited for, to their very end.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Why a call gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missed {
    /// The module has it, and did not answer in time.
    Deadline,
    /// No thread was free in time.
    Busy,
    /// So many calls never came back that none is made any more.
    Hanging { abandoned: usize },
    /// The call panicked.
    Panicked,
    /// The system gave no thread.
    NoThread,
}

#[derive(Clone)]
pub(super) struct Runner(Arc<Shared>);

struct Shared {
    name: String,
    max_threads: usize,
    max_abandoned: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads that are not abandoned, and of those the ones that wait for work.
    threads: usize,
    idle: usize,
    abandoned: usize,
    closed: bool,
    /// Of all threads that have not ended, and of some that have.
    handles: Vec<JoinHandle<()>>,
}

struct Job {
    phase: Arc<Mutex<Phase>>,
    run: Box<dyn FnOnce() + Send>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Queued,
    Running,
    Abandoned,
}

impl Runner {
    pub(super) fn new(name: String, max_threads: usize, max_abandoned: usize) -> Self {
        Self(Arc::new(Shared {
            name,
            max_threads: max_threads.max(1),
            max_abandoned: max_abandoned.max(1),
            state: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// Makes the call on a thread of its own and waits for it until the deadline. `reserve` of the threads that may be abandoned are not
    /// for this call.
    pub(super) fn run<T: Send + 'static>(
        &self,
        deadline: Duration,
        reserve: usize,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Missed> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let phase = Arc::new(Mutex::new(Phase::Queued));
        let job = Job {
            phase: Arc::clone(&phase),
            run: Box::new(move || {
                let outcome = catch_unwind(AssertUnwindSafe(call)).map_err(|_| Missed::Panicked);
                // Nobody may be waiting any more.
                let _ = sender.send(outcome);
            }),
        };
        self.submit(job, reserve)?;
        match receiver.recv_timeout(deadline) {
            Ok(outcome) => outcome,
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Missed::Panicked),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let mut state = self.0.lock();
                let mut phase = lock(&phase);
                // It may have come at the last moment.
                if let Ok(outcome) = receiver.try_recv() {
                    return outcome;
                }
                if *phase == Phase::Queued {
                    *phase = Phase::Abandoned;
                    return Err(Missed::Busy);
                }
                *phase = Phase::Abandoned;
                state.threads -= 1;
                state.abandoned += 1;
                Err(Missed::Deadline)
            }
        }
    }

    /// Calls at work, and calls that were abandoned and have not come back.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.threads - state.idle, state.abandoned)
    }

    fn submit(&self, job: Job, reserve: usize) -> Result<(), Missed> {
        let mut state = self.0.lock();
        let may_abandon = self.0.max_abandoned.saturating_sub(reserve).max(1);
        if state.abandoned >= may_abandon {
            return Err(Missed::Hanging {
                abandoned: state.abandoned,
            });
        }
        state.queue.push_back(job);
        if state.queue.len() > state.idle && state.threads < self.0.max_threads {
            let shared = Arc::clone(&self.0);
            let spawned = thread::Builder::new()
                .name(self.0.name.clone())
                .spawn(move || work(&shared));
            match spawned {
                Ok(handle) => {
                    state.threads += 1;
                    state.handles.retain(|handle| !handle.is_finished());
                    state.handles.push(handle);
                }
                Err(_) if state.threads == 0 => {
                    state.queue.pop_back();
                    return Err(Missed::NoThread);
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// Threads end when they have nothing more to do.
    pub(super) fn close(&self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }

    /// Waits until its threads have ended, with all that the module has kept for them: until the deadline for those that are in a call.
    pub(super) fn join(&self, deadline: Instant) {
        let mut handles = std::mem::take(&mut self.0.lock().handles);
        handles.retain(|handle| handle.thread().id() != thread::current().id());
        while !handles.is_empty() {
            for handle in handles.extract_if(.., |handle| handle.is_finished()) {
                // A thread catches the panics of its calls. It has nothing more to do but to end.
                let _ = handle.join();
            }
            if Instant::now() >= deadline {
                return;
            }
            if !handles.is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn work(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        let Some(job) = state.queue.pop_front() else {
            if state.closed {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            state = shared
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            continue;
        };
        {
            let mut phase = lock(&job.phase);
            if *phase == Phase::Abandoned {
                continue;
            }
            *phase = Phase::Running;
        }
        drop(state);
        (job.run)();
        state = shared.lock();
        if *lock(&job.phase) == Phase::Abandoned {
            state.abandoned -= 1;
            return;
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const SHORT: Duration = Duration::from_millis(40);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_hanging_call_is_abandoned_and_its_thread_comes_back() {
        let runner = Runner::new("test".to_owned(), 2, 3);
        let (release, held) = mpsc::channel::<()>();
        let started = Instant::now();
        let missed = runner.run(SHORT, 0, move || held.recv().is_ok());
        assert_eq!(missed, Err(Missed::Deadline));
        assert!(started.elapsed() < LONG / 4);
        assert_eq!(runner.counts(), (0, 1));
        // Others go on.
        assert_eq!(runner.run(LONG, 0, || 7), Ok(7));
        release.send(()).unwrap();
        let deadline = Instant::now() + LONG;
        while runner.counts().1 > 0 {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
    }

    /// What a module keeps for a thread is gone when the runner is.
    #[test]
    fn threads_are_waited_for_to_their_end() {
        static GONE: AtomicBool = AtomicBool::new(false);
        struct Kept;
        impl Drop for Kept {
            fn drop(&mut self) {
                thread::sleep(SHORT);
                GONE.store(true, Ordering::SeqCst);
            }
        }
        thread_local!(static KEPT: Kept = const { Kept });

        let runner = Runner::new("test".to_owned(), 2, 3);
        assert_eq!(runner.run(LONG, 0, || KEPT.with(|_| 7)), Ok(7));
        runner.close();
        runner.join(Instant::now() + LONG);
        assert!(GONE.load(Ordering::SeqCst));
    }

    #[test]
    fn a_thread_that_hangs_is_waited_for_until_the_deadline() {
        let runner = Runner::new("test".to_owned(), 2, 3);
        let (release, held) = mpsc::channel::<()>();
        let missed = runner.run(SHORT, 0, move || held.recv().is_ok());
        assert_eq!(missed, Err(Missed::Deadline));
        runner.close();
        let started = Instant::now();
        runner.join(started + SHORT);
        assert!(started.elapsed() < LONG);
        drop(release);
    }

    #[test]
    fn after_so_many_none_is_made() {
        let runner = Runner::new("test".to_owned(), 2, 3);
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let hang = || {
            let held = Arc::clone(&held);
            move || drop(held.lock().map(|held| held.recv()))
        };
        for _ in 0..2 {
            assert_eq!(runner.run(SHORT, 1, hang()), Err(Missed::Deadline));
        }
        let started = Instant::now();
        let missed = runner.run(LONG, 1, || ());
        assert_eq!(missed, Err(Missed::Hanging { abandoned: 2 }));
        assert!(started.elapsed() < LONG / 4);
        // The one that was kept back.
        assert_eq!(runner.run(LONG, 0, || 7), Ok(7));
        drop(release);
    }

    #[test]
    fn threads_are_bounded_and_panics_are_told() {
        let runner = Runner::new("test".to_owned(), 2, 8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..200 {
                        assert_eq!(runner.run(LONG, 0, move || number), Ok(number));
                    }
                });
            }
        });
        assert!(runner.0.lock().threads <= 2);
        let panicking = || -> u32 { panic!("on purpose") };
        assert_eq!(runner.run(LONG, 0, panicking), Err(Missed::Panicked));
        assert_eq!(runner.run(LONG, 0, || 7), Ok(7));
        runner.close();
    }

    #[test]
    fn a_call_that_finds_no_thread_is_not_made_later() {
        let runner = Runner::new("test".to_owned(), 1, 8);
        let (release, held) = mpsc::channel::<()>();
        let other = runner.clone();
        let first = thread::spawn(move || other.run(LONG, 0, move || held.recv().is_ok()));
        while runner.counts().0 == 0 {
            thread::yield_now();
        }
        let (made, calls) = mpsc::channel();
        let missed = runner.run(SHORT, 0, move || made.send(()).is_ok());
        assert_eq!(missed, Err(Missed::Busy));
        release.send(()).unwrap();
        assert_eq!(first.join().unwrap(), Ok(true));
        assert_eq!(runner.run(LONG, 0, || ()), Ok(()));
        assert!(calls.try_recv().is_err());
    }
}
