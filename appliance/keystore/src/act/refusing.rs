//! The leaves of what was refused.

use strongroom_audit::Detail;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use super::append;
use crate::error::Error;
use crate::hierarchy::Domain;
use crate::store::{SpentNonce, StoreError, Transaction};

/// Undoes what an act did, but that the request's nonce is spent.
pub(super) fn undo(tx: &mut dyn Transaction, nonce: Option<&SpentNonce>) -> Result<(), Error> {
    tx.start_over()?;
    if let Some(nonce) = nonce {
        tx.keep_nonce(nonce)?;
    }
    Ok(())
}

/// Appends the leaf of a refusal.
pub(super) fn append_refusal(
    tx: &mut dyn Transaction,
    domain: &Domain,
    now: Timestamp,
    act: Act,
    error: &Error,
    about: Option<&str>,
    detail: &mut Detail,
) -> Result<u64, Error> {
    if let (Some(key), None) = (detail.key, detail.owner) {
        // So that owners see who tried what with their keys, even when those who tried had nothing to do with them.
        // A record that cannot be read names nobody.
        let record = tx.key(key).ok().flatten();
        detail.owner = record
            .and_then(|key| domain.check_key(key).ok())
            .map(|key| key.owner);
    }
    detail.note = Some(match about {
        Some(about) => format!("{} {about}", error.note()),
        None => error.note(),
    });
    if error.is_tampering() {
        tracing::error!(%act, key = ?detail.key, actor = ?detail.actor, "{error}");
    }
    append(tx, domain, now, act, false, detail)
}

/// Whether an error is a refusal that leaves a leaf, rather than a failure after which nothing can be written or a request that has
/// nobody to be recorded against.
pub(super) const fn leaves_leaf(error: &Error, known: bool) -> bool {
    match error {
        Error::Store(StoreError::MalformedRow(_))
        | Error::Integrity(_)
        | Error::SessionElsewhere(..) => true,
        Error::Store(_)
        | Error::Hsm(_)
        | Error::Internal(_)
        | Error::NeedKeks(_)
        | Error::Domain(_) => false,
        _ => known,
    }
}
