//! What a witness remembers: the last tree of each log, in one file that is whole at any moment; and evidence against logs, in another.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use strongroom_audit::Hash;

/// The format of the file.
const FORMAT: &str = "strongroom-witness-state/1";
/// How much evidence is kept, in bytes. The first pieces say all that the later ones do.
const MOST_EVIDENCE: u64 = 1024 * 1024;

/// The last tree of a log that was cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// Its size.
    pub size: u64,
    /// Its root, in base64.
    pub root: String,
    /// Its checkpoint as the log signed it: with another one of the same log it can prove that the log has told two histories.
    pub checkpoint: String,
    /// When it was cosigned, in seconds since 1970.
    pub time: u64,
}

impl Tree {
    /// The root; none where the file was edited into something else.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        let bytes = STANDARD.decode(&self.root).ok()?;
        Some(Hash(bytes.try_into().ok()?))
    }
}

/// The file as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    /// The last tree of each log, by its origin.
    logs: BTreeMap<String, Tree>,
}

/// The state of a witness, held by one process at a time.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    logs: BTreeMap<String, Tree>,
    /// Held while the state is.
    _lock: File,
}

/// Why there is no state to go on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A witness without its state could be led to cosign another history of a log: it must not start.
    #[error(
        "there is no state at {0}: put it back where it was, or make a new witness with a new key (strongroom-witness init)"
    )]
    Missing(PathBuf),
    /// Made once.
    #[error("there is a state at {0} already")]
    Exists(PathBuf),
    /// Another process has it.
    #[error("another witness runs with the state {0}")]
    Held(PathBuf),
    /// Not what was written.
    #[error("the state {0} cannot be understood: {1}")]
    Malformed(PathBuf, String),
    /// The system's error.
    #[error("the state {0} cannot be used: {1}")]
    Io(PathBuf, #[source] io::Error),
}

impl State {
    /// Makes the state of a new witness, which has seen no log.
    ///
    /// # Errors
    ///
    /// When there is one already, or it cannot be written.
    pub fn create(path: &Path) -> Result<(), StateError> {
        if path.exists() {
            return Err(StateError::Exists(path.to_owned()));
        }
        write(path, &BTreeMap::new()).map_err(|error| StateError::Io(path.to_owned(), error))
    }

    /// Takes the state, for as long as the answer lives.
    ///
    /// # Errors
    ///
    /// When there is none, another process has it, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let io = |error| StateError::Io(path.to_owned(), error);
        if !path.exists() {
            return Err(StateError::Missing(path.to_owned()));
        }
        // The state itself is replaced again and again, so that the lock is beside it.
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.with_added_extension("lock"))
            .map_err(io)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StateError::Held(path.to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            logs: Self::read(path)?,
            _lock: lock,
        })
    }

    /// The last tree of each log, by its origin, beside a witness that may be running.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read(path: &Path) -> Result<BTreeMap<String, Tree>, StateError> {
        let text =
            fs::read_to_string(path).map_err(|error| StateError::Io(path.to_owned(), error))?;
        let document: Document = serde_json::from_str(&text)
            .map_err(|error| StateError::Malformed(path.to_owned(), error.to_string()))?;
        if document.format != FORMAT {
            let why = format!("its format is {:?}", document.format);
            return Err(StateError::Malformed(path.to_owned(), why));
        }
        Ok(document.logs)
    }

    /// The last tree of the log with this origin.
    #[must_use]
    pub fn tree(&self, origin: &str) -> Option<&Tree> {
        self.logs.get(origin)
    }

    /// Every log that was seen.
    #[must_use]
    pub const fn logs(&self) -> &BTreeMap<String, Tree> {
        &self.logs
    }

    /// Remembers a log's new tree. Once it answers, that is on the disk.
    ///
    /// # Errors
    ///
    /// The system's; then what was remembered before still is.
    pub fn keep(&mut self, origin: &str, tree: Tree) -> io::Result<()> {
        let mut logs = self.logs.clone();
        logs.insert(origin.to_owned(), tree);
        write(&self.path, &logs)?;
        self.logs = logs;
        Ok(())
    }

    /// Keeps a submission that a log's own key has signed and that does not follow from what the witness saw: it may prove what the log did.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn keep_evidence(&self, origin: &str, time: u64, submission: &str) -> io::Result<()> {
        let path = self.path.with_added_extension("evidence");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        if file.metadata()?.len() > MOST_EVIDENCE {
            return Ok(());
        }
        let seen = self.logs.get(origin).map(|tree| &tree.checkpoint);
        let evidence = serde_json::json!({
            "origin": origin,
            "time": time,
            "seen": seen,
            "submission": submission,
        });
        file.write_all(format!("{evidence}\n").as_bytes())?;
        file.sync_all()
    }
}

/// Puts the whole file in the place of the one before, and only then answers.
fn write(path: &Path, logs: &BTreeMap<String, Tree>) -> io::Result<()> {
    let document = Document {
        format: FORMAT.to_owned(),
        logs: logs.clone(),
    };
    let text = serde_json::to_string_pretty(&document)? + "\n";
    let new = path.with_added_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn tree(size: u64) -> Tree {
        Tree {
            size,
            root: "AAAA".to_owned(),
            checkpoint: format!("a checkpoint of {size} leaves"),
            time: 1,
        }
    }

    #[test]
    fn what_is_kept_is_there_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert!(matches!(State::open(&path), Err(StateError::Missing(_))));
        State::create(&path).unwrap();
        assert!(matches!(State::create(&path), Err(StateError::Exists(_))));
        let mut state = State::open(&path).unwrap();
        assert!(matches!(State::open(&path), Err(StateError::Held(_))));
        assert_eq!(state.tree("a"), None);
        state.keep("a", tree(5)).unwrap();
        state.keep("b", tree(7)).unwrap();
        state.keep("a", tree(6)).unwrap();
        drop(state);
        let state = State::open(&path).unwrap();
        assert_eq!(state.tree("a"), Some(&tree(6)));
        assert_eq!(state.tree("b"), Some(&tree(7)));
    }

    #[test]
    fn what_cannot_be_written_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        State::create(&path).unwrap();
        let mut state = State::open(&path).unwrap();
        state.keep("a", tree(5)).unwrap();
        // A folder where the new file would be written.
        let blocked = path.with_added_extension("new");
        fs::create_dir(&blocked).unwrap();
        state.keep("a", tree(6)).unwrap_err();
        assert_eq!(state.tree("a"), Some(&tree(5)));
        drop(state);
        assert_eq!(State::open(&path).unwrap().tree("a"), Some(&tree(5)));
    }

    #[test]
    fn another_file_is_no_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        for text in [
            "",
            "{}",
            r#"{"format":"strongroom-witness-state/2","logs":{}}"#,
        ] {
            fs::write(&path, text).unwrap();
            assert!(
                matches!(State::open(&path), Err(StateError::Malformed(..))),
                "{text}"
            );
        }
    }

    #[test]
    fn evidence_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        State::create(&path).unwrap();
        let state = State::open(&path).unwrap();
        let submission = "x".repeat(60_000);
        for _ in 0..40 {
            state.keep_evidence("a", 7, &submission).unwrap();
        }
        let kept = fs::read_to_string(path.with_added_extension("evidence")).unwrap();
        let kept: Vec<&str> = kept.lines().collect();
        assert!((17..20).contains(&kept.len()), "{}", kept.len());
        let first: serde_json::Value = serde_json::from_str(kept[0]).unwrap();
        assert_eq!(first["origin"], "a");
        assert_eq!(first["submission"], submission);
    }
}
