//! What is printed: lines, paths and command lines a person can copy, and spinners for long work.

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// Prints one line to standard output. A reader that went away is no reason to stop.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($argument)*);
    }};
}

/// Prints one line to standard error.
macro_rules! complain {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), $($argument)*);
    }};
}

pub(crate) use {complain, say};

/// A spinner on a terminal, nothing in a pipe. It disappears when it is dropped.
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    /// Starts spinning beside `message`.
    pub(crate) fn start(message: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner().with_message(message.into());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar over the steps of long work, and a line for each that is done.
pub(crate) struct Steps {
    bar: ProgressBar,
    done: u64,
}

impl Steps {
    /// Nothing of so many steps is done yet.
    pub(crate) fn new(all: u64) -> Self {
        let bar = ProgressBar::new(all);
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {pos}/{len} {msg} ({elapsed})")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, done: 0 }
    }

    /// Does a step.
    ///
    /// # Errors
    ///
    /// What went wrong, below the step's name.
    pub(crate) fn take<T>(&mut self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let since = Instant::now();
        self.bar.set_message(what.to_owned());
        let made = work().with_context(|| format!("{what} cannot be made"))?;
        self.done += 1;
        self.bar.set_position(self.done);
        let (done, all) = (self.done, self.bar.length().unwrap_or_default());
        self.bar
            .suspend(|| say!("[{done}/{all}] {what}: {}", duration(since.elapsed())));
        Ok(made)
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A path as a person would type it from here: relative where it lies below the working directory.
pub(crate) fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    quoted(&below(path, &here).to_string_lossy())
}

/// The command line as a person would type it into a shell.
pub(crate) fn command_line<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let words: Vec<String> = words
        .into_iter()
        .map(|word| quoted(word.as_ref()))
        .collect();
    words.join(" ")
}

/// A duration with the precision a person wants: `0.42 s`, `12.3 s`, `3 min 07 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

fn below(path: &Path, here: &Path) -> PathBuf {
    match path.strip_prefix(here) {
        Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from("."),
        Ok(rest) => rest.to_owned(),
        Err(_) => path.to_owned(),
    }
}

/// The word, in single quotes if a shell would read it as anything but itself.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@=+,%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_here_are_shown_relative() {
        let here = Path::new("/home/ada/strongroom");
        assert_eq!(
            below(&here.join("strongroom-data"), here),
            Path::new("strongroom-data")
        );
        assert_eq!(below(here, here), Path::new("."));
        assert_eq!(below(Path::new("/srv/data"), here), Path::new("/srv/data"));
    }

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(
            command_line(["strongroom", "login", "alice@example.com"]),
            "strongroom login alice@example.com"
        );
        assert_eq!(
            command_line(["cat", "my report.pdf", "", "it's"]),
            r"cat 'my report.pdf' '' 'it'\''s'"
        );
        assert_eq!(command_line(["cryptography>=50"]), "'cryptography>=50'");
    }

    #[test]
    fn durations_are_read_at_a_glance() {
        assert_eq!(duration(Duration::from_millis(420)), "0.42 s");
        assert_eq!(duration(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(187)), "3 min 07 s");
    }
}
