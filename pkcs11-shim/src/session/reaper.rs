//! Overwrites released keys at their end, whether anybody looks or not.
//!
//! A thread that is there only while there is something to wait for, and that `C_Finalize` ends and waits for. It takes no signals: those
//! are the application's.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::ffi;
use crate::handles::Handles;
use crate::object::Object;

pub(crate) struct Reaper {
    shared: Arc<Shared>,
    objects: Arc<Handles<Object>>,
    /// Whether the application lets threads be made. Where not, a key ends when it is next asked for.
    threads: bool,
}

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    next: Option<Instant>,
    over: bool,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    pub(crate) fn new(objects: Arc<Handles<Object>>, threads: bool) -> Self {
        let shared = Shared {
            waiting: Mutex::default(),
            changed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            objects,
            threads,
        }
    }

    /// Something ends then.
    pub(crate) fn at(&self, end: Instant) {
        let mut waiting = self
            .shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.over || !self.threads {
            return;
        }
        waiting.next = Some(waiting.next.map_or(end, |next| next.min(end)));
        if waiting.thread.is_none() {
            let (shared, objects) = (Arc::clone(&self.shared), Arc::clone(&self.objects));
            // Where the system gives no thread, a key ends when it is next asked for.
            waiting.thread =
                ffi::spawn_without_signals("strongroom-reaper", move || shared.run(&objects));
        }
        self.shared.changed.notify_one();
    }

    /// Ends the thread and waits for it.
    pub(crate) fn end(&self) {
        let thread = {
            let mut waiting = self
                .shared
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            waiting.over = true;
            waiting.thread.take()
        };
        self.shared.changed.notify_one();
        if let Some(thread) = thread {
            // It does not panic; and if it did, it is over all the same.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, objects: &Handles<Object>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while !waiting.over {
            let Some(next) = waiting.next else {
                waiting = self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let pause = next.saturating_duration_since(Instant::now());
            if !pause.is_zero() {
                waiting = self
                    .changed
                    .wait_timeout(waiting, pause)
                    .map_or_else(|error| error.into_inner().0, |(waiting, _)| waiting);
                continue;
            }
            waiting.next = None;
            drop(waiting);
            let work = ffi::fork::Work::begin();
            let mut next = None;
            for (_, object) in objects.all(|_| true) {
                object.forget_what_is_over();
                next = [next, object.end()].into_iter().flatten().min();
            }
            drop(work);
            waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.next = [next, waiting.next].into_iter().flatten().min();
        }
    }
}
