//! `audit compare`: two checkpoints of one log.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use strongroom_audit::LogKey;
use strongroom_client::ClientError;
use strongroom_client::audit::verify_growth;

use super::trust;
use crate::Context;
use crate::failure::Failure;

/// `strongroom audit compare`.
#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// A checkpoint, or a bundle, which has one.
    #[arg(value_name = "CHECKPOINT")]
    one: PathBuf,
    /// Another.
    #[arg(value_name = "CHECKPOINT")]
    other: PathBuf,
    /// A key of the log, as with `audit verify`.
    #[arg(long, value_name = "KEY", value_parser = trust::log_key)]
    verifier_key: Vec<LogKey>,
}

impl Compare {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let keys = trust::keys(context, self.verifier_key)?;
        let mut old = trust::kept(&self.one, &keys)?.checkpoint;
        let mut new = trust::kept(&self.other, &keys)?.checkpoint;
        if old.size > new.size {
            std::mem::swap(&mut old, &mut new);
        }
        if old.size == new.size && old.origin == new.origin {
            // This needs nobody's help.
            if old.root != new.root {
                return Err(ClientError::NotProved(format!(
                    "there are two signed histories of its first {} leaves",
                    old.size
                ))
                .into());
            }
        } else {
            let proof = context.session()?.consistency_proof(old.size, new.size)?;
            verify_growth(&old, &new, &proof)?;
        }
        let answer =
            json!({ "origin": old.origin, "old": old.size, "new": new.size, "consistent": true });
        context.output.answer(&answer, || {
            if old.size == new.size {
                format!("Both are of the same {} leaves of {}.", old.size, old.origin)
            } else {
                format!(
                    "The log {} of {} leaves is the one of {} leaves, grown: nothing of it was changed.",
                    old.origin, new.size, old.size
                )
            }
        })
    }
}
