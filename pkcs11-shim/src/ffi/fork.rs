//! Forks. A child begins with its parent's memory as it was at that moment, and with one thread: what another thread had locked stays locked in it
//! for ever, be it of this module or of a library below, such as the random number generator of AWS-LC. So a fork waits until no thread of its
//! process works inside of the module; those that wait for the network hold nothing meanwhile, and are not waited for.
//!
//! The handlers are those of `pthread_atfork`. They run around each `fork` of the process from its first `C_Initialize` on.

use std::cell::Cell;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Threads share so many counters: one alone would be fought for.
const COUNTERS: usize = 64;
/// How long a fork waits at most. Nothing takes that long but making an RSA key pair in the process, which a child is free of.
const LONGEST: Duration = Duration::from_secs(1);
/// A look at the counters costs less than a microsecond.
const PAUSE: Duration = Duration::from_micros(20);

/// How many threads are inside, in a cache line of its own.
#[repr(align(64))]
struct Counter(AtomicU32);

static INSIDE: [Counter; COUNTERS] = [const { Counter(AtomicU32::new(0)) }; COUNTERS];
/// How many forks are under way.
static FORKS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// This thread's counter, and how deep inside it is.
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Whether it is counted: not while it waits.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
    /// Whether it was when it began to fork.
    static RESUMES: Cell<bool> = const { Cell::new(false) };
}

/// This thread works inside of the module until this is dropped.
pub(crate) struct Work(());

impl Work {
    pub(crate) fn begin() -> Self {
        if DEPTH.replace(DEPTH.get() + 1) == 0 {
            enter();
        }
        Self(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if DEPTH.get() == 0 {
            leave();
        }
    }
}

/// This thread, which works inside, waits until this is dropped. It holds no lock meanwhile.
pub(crate) struct Wait(());

impl Wait {
    pub(crate) fn begin() -> Self {
        waits(true);
        Self(())
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        waits(false);
    }
}

/// A thread that works inside begins to wait, or goes on. It holds no lock while it waits.
pub(crate) fn waits(waits: bool) {
    if DEPTH.get() == 0 {
        return;
    }
    if waits {
        leave();
    } else {
        enter();
    }
}

/// Sees to it that forks wait, from now on.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers are there as long as the module, which is never unloaded; they touch nothing but what is here. Where there is no
        // memory to register them, forks do not wait.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    });
}

fn mine() -> &'static AtomicU32 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut mine = MINE.get();
    if mine == usize::MAX {
        mine = NEXT.fetch_add(1, Ordering::Relaxed) % COUNTERS;
        MINE.set(mine);
    }
    &INSIDE[mine].0
}

fn enter() {
    let mine = mine();
    loop {
        // Sequentially consistent, as is the look at them in `before`: either this thread sees the fork, or the fork sees this thread.
        mine.fetch_add(1, Ordering::SeqCst);
        if FORKS.load(Ordering::SeqCst) == 0 {
            COUNTED.set(true);
            return;
        }
        mine.fetch_sub(1, Ordering::SeqCst);
        while FORKS.load(Ordering::SeqCst) != 0 {
            thread::sleep(PAUSE);
        }
    }
}

fn leave() {
    COUNTED.set(false);
    mine().fetch_sub(1, Ordering::SeqCst);
}

extern "C" fn before() {
    // A fork from inside, such as of a signal's handler: nobody waits for this thread.
    RESUMES.set(COUNTED.get());
    if COUNTED.get() {
        leave();
    }
    FORKS.fetch_add(1, Ordering::SeqCst);
    let began = Instant::now();
    while INSIDE
        .iter()
        .any(|counter| counter.0.load(Ordering::SeqCst) != 0)
        && began.elapsed() < LONGEST
    {
        thread::sleep(PAUSE);
    }
}

extern "C" fn after_in_parent() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
    again();
}

extern "C" fn after_in_child() {
    // There is no other thread any more, and no fork that another one makes.
    for counter in &INSIDE {
        counter.0.store(0, Ordering::SeqCst);
    }
    FORKS.store(0, Ordering::SeqCst);
    again();
}

/// The thread that forked from inside works on there.
fn again() {
    if RESUMES.replace(false) {
        COUNTED.set(true);
        mine().fetch_add(1, Ordering::SeqCst);
    }
}
