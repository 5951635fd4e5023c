//! Deciding over submissions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_audit::cosignature::{self, WitnessKey};
use strongroom_audit::{RightEdge, checkpoint, tree};

use crate::key::SecretKey;
use crate::protocol::{Answer, Request};
use crate::state::{State, Tree};

/// A witness.
pub struct Witness {
    key: SecretKey,
    /// The keys of each log, by its origin.
    logs: BTreeMap<String, Vec<String>>,
    /// Held while a submission is decided and its tree is kept: one after another, so that none rolls another back.
    state: Mutex<State>,
}

impl Witness {
    /// A witness of these logs: their verifier keys, by their origins.
    #[must_use]
    pub const fn new(key: SecretKey, logs: BTreeMap<String, Vec<String>>, state: State) -> Self {
        Self {
            key,
            logs,
            state: Mutex::new(state),
        }
    }

    /// Its name and public key.
    #[must_use]
    pub const fn public(&self) -> &WitnessKey {
        self.key.public()
    }

    /// Decides over a submission at this time, in seconds since 1970. A cosignature is answered only once the tree that it is over is on the disk.
    #[must_use]
    pub fn add_checkpoint(&self, body: &str, now: u64) -> Answer {
        let Ok(request) = Request::parse(body) else {
            return Answer::BadRequest;
        };
        let origin = request.checkpoint.split('\n').next().unwrap_or_default();
        let Some(keys) = self.logs.get(origin) else {
            return Answer::UnknownLog;
        };
        let verified = keys
            .iter()
            .find_map(|key| checkpoint::verify(request.checkpoint, key).ok());
        let Some(new) = verified else {
            return Answer::Forbidden;
        };
        if request.old > new.size {
            return Answer::BadRequest;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = state.tree(origin).map_or_else(
            || Some((0, RightEdge::empty().root())),
            |tree| Some((tree.size, tree.root()?)),
        );
        let Some((old_size, old_root)) = seen else {
            tracing::error!(origin, "the state does not hold a root of this log");
            return Answer::NotKept;
        };
        if request.old != old_size {
            return Answer::Conflict(old_size);
        }
        let proved =
            tree::verify_consistency(old_size, new.size, &old_root, &new.root, &request.proof);
        if proved.is_err() {
            tracing::error!(
                origin,
                seen = old_size,
                submitted = new.size,
                "a log submitted a tree that does not continue the one seen before"
            );
            if let Err(error) = state.keep_evidence(origin, now, body) {
                tracing::error!(%error, "the evidence cannot be kept");
            }
            // The size is the same, and so is every proof: the roots differ.
            return if new.size == old_size {
                Answer::Conflict(old_size)
            } else {
                Answer::Unproved
            };
        }
        let Some((text, _)) = cosignature::split(request.checkpoint) else {
            return Answer::BadRequest;
        };
        let tree = Tree {
            size: new.size,
            root: STANDARD.encode(new.root.0),
            checkpoint: request.checkpoint.to_owned(),
            time: now,
        };
        if let Err(error) = state.keep(origin, tree) {
            tracing::error!(%error, "the new tree cannot be kept");
            return Answer::NotKept;
        }
        tracing::info!(origin, size = new.size, "cosigned");
        Answer::Cosigned(self.key.cosign(text, now))
    }

    /// What it has seen, for people: a line for each log.
    #[must_use]
    pub fn describe(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!("strongroom-witness\n{}\n", self.public());
        for origin in self.logs.keys() {
            let seen = state.tree(origin).map_or(0, |tree| tree.size);
            let _ = writeln!(text, "{seen} {origin}");
        }
        text
    }
}

#[cfg(test)]
mod tests;
