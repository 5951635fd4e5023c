//! The log: to standard error, one line an event.
//!
//! Our own crates log at the configured level. All others log warnings only, whatever the configuration says: their
//! debug lines show headers and messages, which are secret here.

use std::any::Any;
use std::panic;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{Format, Level, Log};

const OUR_CRATES: [&str; 5] = [
    "strongroomd",
    "strongroom_keystore",
    "strongroom_hsm",
    "strongroom_audit",
    "strongroom_session",
];

/// Starts the log and sends panics to it.
pub(crate) fn start(config: Log) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match config.format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter(config.level)))
        .try_init()?;
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
