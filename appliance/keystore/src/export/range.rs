//! Which leaves an export shows, and the earlier checkpoint that it continues.

use std::ops::Range;

use strongroom_audit::bundle::Earlier;
use strongroom_audit::keys::verify_by;
use strongroom_audit::leaf::outside;
use strongroom_audit::{LogKey, tree};
use strongroom_wire::audit::ExportQuery;
use strongroom_wire::encoding::Timestamp;

use crate::act::View;
use crate::audit::WHAT;
use crate::error::Error;

/// How many envelopes are read at once where a period is looked for.
const CHUNK: u64 = 8192;

/// The checkpoint of an earlier export, and the proof that the log continues it.
pub(super) fn earlier(
    view: &View<'_>,
    old: u64,
    size: u64,
    keys: &[LogKey],
) -> Result<Earlier, Error> {
    let number = view.domain.number;
    let unknown = || {
        Error::Invalid(format!(
            "This log has no checkpoint of {old} leaves: the export before is of another log, or of another history of this one."
        ))
    };
    let note = view
        .snapshot
        .checkpoint(number, old)?
        .filter(|_| old <= size)
        .ok_or_else(unknown)?;
    verify_by(&note, keys).map_err(|_| Error::Integrity(WHAT))?;
    let hashes = tree::prove_consistency(old, size, &*view.snapshot.nodes(number))
        .map_err(|_| Error::Integrity(WHAT))?;
    Ok(Earlier {
        note,
        hashes: hashes.iter().map(|hash| hash.0.as_slice().into()).collect(),
    })
}

/// The range that has every leaf of a period, and the last before and the first after it.
pub(super) fn period(view: &View<'_>, query: &ExportQuery, size: u64) -> Result<Range<u64>, Error> {
    let chunks = 0..size.div_ceil(CHUNK);
    let first = match query.from {
        None => 0,
        Some(from) => {
            let mut first = None;
            for chunk in chunks.clone() {
                let mut times = times(view, chunk, size)?;
                first = times.find(|(_, time)| *time >= from);
                if first.is_some() {
                    break;
                }
            }
            // Where there is none, the last leaf shows it.
            first.map_or(size, |(index, _)| index).saturating_sub(1)
        }
    };
    let end = match query.to {
        None => size,
        Some(to) => {
            let mut last = None;
            for chunk in chunks.rev() {
                last = times(view, chunk, size)?.rfind(|(_, time)| *time < to);
                if last.is_some() {
                    break;
                }
            }
            last.map_or(1, |(index, _)| index + 2).min(size)
        }
    };
    Ok(first..end.max(first))
}

/// The times of the leaves of a chunk of the log. An envelope that is none has no time, and is found in whatever range it stands.
fn times(
    view: &View<'_>,
    chunk: u64,
    size: u64,
) -> Result<impl DoubleEndedIterator<Item = (u64, Timestamp)>, Error> {
    let leaves = chunk * CHUNK..(chunk * CHUNK + CHUNK).min(size);
    let envelopes = view.snapshot.envelopes(view.domain.number, leaves)?;
    Ok(envelopes.into_iter().filter_map(|(index, envelope)| {
        let (time, ..) = outside(&envelope).ok()?;
        Some((index, time))
    }))
}
