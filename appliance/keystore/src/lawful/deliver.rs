//! Handing a delivery out: the package that goes to the agency.

use strongroom_disclosure::package::{Manifest, PackageWriter};
use strongroom_wire::audit::Act;
use strongroom_wire::id::DisclosureId;

use super::disclose::{about, find};
use super::states::stops_delivery;
use crate::act::{Presented, View};
use crate::audit::is_cosigned;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::store::DisclosureItemRecord;

const WHAT: &str = "delivery";

/// A delivery as it is handed out.
#[derive(Debug)]
pub struct Delivery {
    /// The package: `appliance/disclosure/FORMAT.md`.
    pub package: Vec<u8>,
    /// The index of the leaf that says that it was handed out.
    pub leaf: u64,
}

impl Keystore {
    /// The package of a released disclosure, for those who release. It is the same each time, and a leaf says that it was handed out. What has
    /// been suspended, cancelled, changed or become invalid since is not handed out any more.
    pub fn delivery(&self, caller: &Presented, id: DisclosureId) -> Answer<Delivery> {
        self.sign_checkpoint()?;
        let presented = caller.clone();
        // A package of thousands of items is put together beside the writer. What was released stays as it is, so its manifest says whether it is the one.
        let foreseen = self.core.foresee(caller, |view, caller| {
            caller.require(May::ReleaseDisclosures)?;
            let release = find(view, id)?.release.ok_or(Error::DisclosureNotFound)?;
            Ok((release.manifest, package(view, &release.manifest)?))
        });
        let ready = foreseen.as_ref().map(|(manifest, _)| *manifest);
        let (missing, leaf) = self
            .core
            .act(Act::DisclosureDeliver, caller.source, move |scope| {
                scope.about = Some(format!("disclosure {id}"));
                let caller = scope.authenticate(&presented)?;
                caller.require(May::ReleaseDisclosures)?;
                let view = scope.view();
                let disclosure = find(&view, id)?;
                scope.about = Some(about(&disclosure));
                let view = scope.view();
                let release = disclosure.release.as_ref().ok_or_else(|| {
                    Error::Conflict("This disclosure has not been released.".to_owned())
                })?;
                let row = view.authorisation(disclosure.authorisation)?;
                if stops_delivery(&row) {
                    return Err(Error::AuthorisationNotInEffect(row.state));
                }
                // Else a change of the order, approved for what it orders now, would let out what was stopped before.
                if row.generation != disclosure.generation {
                    return Err(Error::Conflict(
                        "The authorisation was changed since this was released: it has to be executed and released anew."
                            .to_owned(),
                    ));
                }
                if !is_covered(&view, release.leaf, caller.policy.witnesses)? {
                    return Err(Error::Conflict(
                        "No checkpoint with enough cosignatures covers this disclosure yet: try again later."
                            .to_owned(),
                    ));
                }
                let missing = if ready == Some(release.manifest) {
                    None
                } else {
                    Some(package(&view, &release.manifest)?)
                };
                scope.detail.note = Some(about(&disclosure));
                let leaf = scope.record(Act::DisclosureDeliver)?;
                Ok((missing, leaf))
            })?;
        let package = missing
            .or_else(|| foreseen.map(|(_, package)| package))
            .ok_or(Error::Internal("a delivery has no package"))?;
        Ok(Delivery { package, leaf })
    }
}

/// Whether a signed checkpoint covers a leaf, with at least `k` cosignatures of witnesses.
fn is_covered(view: &View<'_>, leaf: u64, k: u32) -> Result<bool, Error> {
    let newest = view.snapshot.newest_checkpoint(view.domain.number)?;
    Ok(newest.is_some_and(|(size, _)| leaf < size) && is_cosigned(view, leaf, k)?)
}

/// The bytes of a document of a delivery.
pub(super) fn document(view: &View<'_>, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
    view.document(sha256)?.ok_or(Error::Integrity(WHAT))
}

/// The package with this manifest.
fn package(view: &View<'_>, manifest: &[u8; 32]) -> Result<Vec<u8>, Error> {
    /// How many items are read at once.
    const PAGE: u32 = 256;
    let damaged = |_| Error::Integrity(WHAT);
    let manifest = Manifest::from_bytes(&document(view, manifest)?);
    let manifest = manifest.map_err(|_| Error::Integrity(WHAT))?;
    let mut writer = PackageWriter::new(Vec::new(), &manifest).map_err(damaged)?;
    let mut after = 0;
    loop {
        let items = view
            .snapshot
            .disclosure_items(manifest.delivery, after, PAGE)?;
        let Some(last) = items.last() else { break };
        after = last.sequence;
        for item in items {
            let DisclosureItemRecord { record, sealed, .. } =
                view.domain.check_disclosure_item(item)?;
            let record = document(view, &record)?;
            writer.item(&record, &sealed).map_err(damaged)?;
        }
    }
    writer.finish().map_err(damaged)
}
