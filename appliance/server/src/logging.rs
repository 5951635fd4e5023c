//! The log: to standard error, one line an event.
//!
//! Our own crates log at the configured level. All others log warnings only, whatever the configuration says: their
//! debug lines show headers and messages, which are secret here.
//!
//! The level can be changed while the appliance runs, for a time: then, and at a restart, it is the configured one again.

use std::any::Any;
use std::panic;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_wire::encoding::Timestamp;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::config::{Format, Level, Log};

const OUR_CRATES: [&str; 5] = [
    "strongroomd",
    "strongroom_keystore",
    "strongroom_hsm",
    "strongroom_audit",
    "strongroom_session",
];

/// The log that was started.
static LOG: Mutex<Option<Started>> = Mutex::new(None);
/// The level was set by somebody.
static CHANGED: Condvar = Condvar::new();

struct Started {
    filter: reload::Handle<Targets, Registry>,
    configured: Level,
    now: Level,
    /// Until when the level is another one than the configured one, for people and for the clock that it is set back by.
    until: Option<(Timestamp, Instant)>,
    /// Whether a thread waits to set it back.
    is_watched: bool,
}

/// Starts the log and sends panics to it.
pub(crate) fn start(config: Log) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match config.format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter(config.level));
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()?;
    *started() = Some(Started {
        filter: handle,
        configured: config.level,
        now: config.level,
        until: None,
        is_watched: false,
    });
    panic::set_hook(Box::new(|panicked| {
        let location = panicked.location().map(ToString::to_string);
        tracing::error!(
            location,
            message = literal(panicked.payload()),
            "a thread panicked"
        );
    }));
    Ok(())
}

/// The level, and until when, where it is not the configured one; none before the log was started.
pub(crate) fn level() -> Option<(Level, Option<Timestamp>)> {
    started()
        .as_ref()
        .map(|log| (log.now, log.until.map(|(until, _)| until)))
}

/// Sets the level for a time. The configured one ends what was set before it.
///
/// # Errors
/// When the log was not started, or the system gives no thread to set it back.
pub(crate) fn set(level: Level, lasts: Duration) -> anyhow::Result<()> {
    let mut held = started();
    let log = held.as_mut().context("the log was not started")?;
    let until = (level != log.configured).then(|| {
        let until = SystemClock.now().plus_seconds(lasts.as_secs());
        (until, Instant::now() + lasts)
    });
    if until.is_some() && !log.is_watched {
        thread::Builder::new()
            .name("log-level".to_owned())
            .spawn(set_back)
            .context("there is no thread to set the log level back")?;
        log.is_watched = true;
    }
    log.put(level, until)?;
    CHANGED.notify_all();
    Ok(())
}

/// Waits until the level's time is over, however often that is changed meanwhile, and sets it back.
fn set_back() {
    let mut held = started();
    loop {
        let Some(log) = held.as_mut() else { return };
        let left = log
            .until
            .map(|(_, ends)| ends.saturating_duration_since(Instant::now()));
        match left {
            Some(left) if !left.is_zero() => {
                let waited = CHANGED.wait_timeout(held, left);
                held = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            Some(_) => {
                if let Err(error) = log.put(log.configured, None) {
                    tracing::error!(%error, "the log level cannot be set back");
                }
            }
            // Somebody has set it back already.
            None => {}
        }
        log.is_watched = false;
        return;
    }
}

impl Started {
    fn put(&mut self, level: Level, until: Option<(Timestamp, Instant)>) -> anyhow::Result<()> {
        self.filter
            .reload(filter(level))
            .context("the log level cannot be changed")?;
        (self.now, self.until) = (level, until);
        tracing::warn!(level = level.as_str(), "the log level was changed");
        Ok(())
    }
}

fn started() -> MutexGuard<'static, Option<Started>> {
    // A panic while it was held leaves a whole value behind.
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

fn filter(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OUR_CRATES.map(|name| (name, level)))
        // It calls every vendor mechanism that it does not know an error. What matters of an HSM, strongroom_hsm says.
        .with_target("cryptoki", LevelFilter::OFF)
}

/// A panic's message where it is a literal of the program. A formatted one may hold anything, so it is not logged.
fn literal(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(a formatted message, left out)")
}

#[cfg(test)]
mod tests {
    use tracing::Level as TracingLevel;

    use super::*;

    #[test]
    fn others_never_log_more_than_warnings() {
        let debug = filter(Level::Debug);
        assert!(debug.would_enable("strongroomd::observe", &TracingLevel::DEBUG));
        assert!(debug.would_enable("rustls", &TracingLevel::WARN));
        assert!(!debug.would_enable("rustls", &TracingLevel::INFO));
        assert!(!debug.would_enable("cryptoki::mechanism", &TracingLevel::ERROR));
        assert!(!debug.would_enable("actix_http", &TracingLevel::DEBUG));
        let error = filter(Level::Error);
        assert!(!error.would_enable("strongroom_keystore", &TracingLevel::WARN));
        assert!(!error.would_enable("rustls", &TracingLevel::WARN));
    }

    #[test]
    fn formatted_panic_messages_are_left_out() {
        assert_eq!(literal(&"a literal"), "a literal");
        let formatted = format!("pin {}", 1234);
        assert!(!literal(&formatted).contains("1234"));
    }
}
