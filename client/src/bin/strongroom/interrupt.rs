//! What a Ctrl-C has to clean up: the file that is being written.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// From now on, a signal that ends this process removes the file first.
pub(crate) fn remove_on_signal(file: &Path) -> Result<(), Failure> {
    let previous = UNFINISHED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(file.to_owned());
    if previous.is_some() {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::local("signals cannot be waited for", &error))?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let file = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = file.as_ref() {
                // It is gone already where it was completed meanwhile.
                let _ = fs::remove_file(file);
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}
