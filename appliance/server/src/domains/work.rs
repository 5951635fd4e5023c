//! What takes longer, and goes on where it was broken off: moving a domain to another slot, removing one, taking back one that was not made.
//!
//! What is to be done stands in the registry before it begins, and each step may be done twice. The thread of the domain's slot goes on with
//! it until it is done, also after a crash.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use strongroom_hsm::{Hsm, HsmError};
use strongroom_keystore::domains::destroy_keys;
use strongroom_keystore::{Clock as _, SystemClock, checkpoint_key_label};
use strongroom_wire::audit::Act;

use super::registry::{Entry, FOLDER, Work};
use super::{Domain, Domains};
use crate::folder::sync_folder;

impl Domains {
    /// Goes on with what was begun with a domain.
    pub(super) fn go_on(&self, entry: &Entry) -> anyhow::Result<()> {
        // An operator's command is at it.
        let Ok(_alone) = self.operating.try_lock() else {
            return Ok(());
        };
        // It may be done since.
        let Some(entry) = self
            .entry(&entry.name)
            .filter(|now| now.number == entry.number)
        else {
            return Ok(());
        };
        match &entry.work {
            None => Ok(()),
            Some(Work::Create) => self.take_back(&entry),
            Some(Work::Move { to }) => self.go_on_moving(&entry, to),
            Some(Work::Leave { from }) => self.leave(&entry, from),
            Some(Work::Remove { .. }) => self.finish_removal(&entry).map(drop),
        }
    }

    /// Takes back a domain that was not made to its end: nobody has got its enrolment code.
    pub(super) fn take_back(&self, entry: &Entry) -> anyhow::Result<()> {
        let domain = self.require(&entry.name)?;
        let _held = domain.hold().context("the domain is still in use")?;
        destroy_keys(&*self.slots.hsm(&entry.slot)?, &entry.name)?;
        self.delete_files(entry)?;
        self.change(|registry| registry.forget(entry.number))?;
        tracing::warn!(
            domain = entry.number,
            "a domain that was not made to its end was taken back"
        );
        Ok(())
    }

    /// Removes a suspended domain for good. Answers whether its checkpoint key went as well.
    pub(super) fn finish_removal(&self, entry: &Entry) -> anyhow::Result<bool> {
        let (number, name) = (entry.number, &entry.name);
        let domain = self.require(name)?;
        let _held = domain
            .hold()
            .context("requests of the domain are still being answered")?;
        if entry.work != Some(Work::Remove { recorded: true }) {
            // Before anything is destroyed, so that nothing is without somebody having said so.
            let note = format!("domain {number}");
            self.first
                .keystore
                .record_operation(Act::DomainRemove, note)?;
            self.change(|registry| {
                registry.update(number, |entry| {
                    entry.work = Some(Work::Remove { recorded: true });
                });
            })?;
        }
        let all = destroy_keys(&*self.slots.hsm(&entry.slot)?, name)?;
        self.delete_files(entry)?;
        self.change(|registry| registry.remove(number, SystemClock.now()))?;
        tracing::warn!(domain = number, "a domain was removed");
        Ok(all)
    }

    /// Begins to move the domain, or begins again: what is there of the new master KEK is used.
    pub(super) fn begin_move(&self, entry: &Entry, to: &str) -> anyhow::Result<()> {
        let domain = self.require(&entry.name)?;
        reopen(&domain)?;
        let opened = self
            .open(&domain)
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        // From here on none is made.
        refuse_named_keys(&*self.slots.hsm(&entry.slot)?, entry)?;
        let hsm = self.slots.hsm(to)?;
        mend_signing_key(&*hsm, &entry.name)?;
        let has_begun = !hsm.master_kek_versions(&entry.name)?.is_empty();
        opened
            .keystore
            .begin_move(&format!("to slot {to}"), has_begun)?;
        Ok(())
    }

    fn go_on_moving(&self, entry: &Entry, to: &str) -> anyhow::Result<()> {
        let domain = self.require(&entry.name)?;
        let opened = self
            .open(&domain)
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let to_hsm = self.slots.hsm(to)?;
        if to_hsm.master_kek_versions(&entry.name)?.is_empty() {
            // It was broken off before the new master KEK was made.
            drop(opened);
            return self.begin_move(entry, to);
        }
        mend_signing_key(&*to_hsm, &entry.name)?;
        let keystore = &opened.keystore;
        // Idempotent: a move that was broken off between the master KEK and the checkpoint key.
        keystore.begin_move(&format!("to slot {to}"), true)?;
        while keystore.rewrap_some(self.config.keystore.rotation_rate.get())? > 0 {
            if self.closing.load(std::sync::atomic::Ordering::SeqCst) {
                return Ok(());
            }
        }
        keystore.sign_checkpoint()?;
        opened.kept.keep(keystore)?;
        let left = keystore.statistics()?;
        if left.rewraps_left > 0 {
            bail!(
                "{} keys cannot be moved to slot {to}: they do not match their seals, or somebody changes them; restore them from a backup",
                left.rewraps_left
            );
        }
        drop(opened);
        let from = entry.slot.clone();
        {
            let _held = domain
                .hold()
                .context("requests of the domain are still being answered")?;
            self.change(|registry| {
                registry.update(entry.number, |entry| {
                    to.clone_into(&mut entry.slot);
                    entry.work = Some(Work::Leave { from });
                });
            })?;
        }
        let entry = self.entry(&entry.name).context("the domain is gone")?;
        match &entry.work {
            Some(Work::Leave { from }) => self.leave(&entry, from),
            _ => Ok(()),
        }
    }

    /// The domain opens with the new slot alone: only then are its keys in the old one destroyed.
    fn leave(&self, entry: &Entry, from: &str) -> anyhow::Result<()> {
        let domain = self.require(&entry.name)?;
        let opened = self
            .open(&domain)
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let left = opened.keystore.statistics()?.rewraps_left;
        if left > 0 {
            bail!("{left} keys are still wrapped in slot {from}");
        }
        destroy_keys(&*self.slots.hsm(from)?, &entry.name)?;
        let note = format!("has moved from slot {from} to slot {}", entry.slot);
        opened.keystore.record_operation(Act::DomainMove, note)?;
        self.change(|registry| registry.update(entry.number, |entry| entry.work = None))?;
        tracing::info!(
            domain = entry.number,
            from,
            to = entry.slot,
            "a domain has moved to another HSM slot"
        );
        Ok(())
    }

    /// Deletes a domain's folder, durably, and its kept checkpoint where that is elsewhere.
    fn delete_files(&self, entry: &Entry) -> anyhow::Result<()> {
        let folder = self.config.data.join(FOLDER).join(&entry.name);
        delete(&folder).with_context(|| format!("{} cannot be deleted", folder.display()))?;
        let kept = self.config.of_domain(entry)?.kept_checkpoint();
        match fs::remove_file(&kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be deleted", kept.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses to move a domain that has keys in the HSM which are not to leave it.
fn refuse_named_keys(hsm: &dyn Hsm, entry: &Entry) -> anyhow::Result<()> {
    let count = match hsm.named() {
        Err(HsmError::NotOffered { .. }) => 0,
        named => named?.named_keys(&entry.name)?.len(),
    };
    if count > 0 {
        bail!(
            "the HSM of slot {} holds {count} keys of the domain of the protection level hsm, which never leave it: they would be lost; have their owners destroy them first",
            entry.slot
        );
    }
    Ok(())
}

/// Destroys a checkpoint key of which there is only one half: its generation was broken off, and nothing was signed by it.
fn mend_signing_key(hsm: &dyn Hsm, domain: &str) -> Result<(), HsmError> {
    let label = checkpoint_key_label(domain);
    let there = |outcome| match outcome {
        Ok(()) => Ok(true),
        Err(HsmError::KeyNotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    };
    let public = there(hsm.signing_public_key(&label).map(drop))?;
    let private = there(
        hsm.sign(&label, b"strongroom: is this key whole?")
            .map(drop),
    )?;
    if public != private {
        there(hsm.destroy_signing_key(&label))?;
    }
    Ok(())
}

fn delete(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sync_folder(folder)
}

/// Closes the domain, so that it is opened with the HSMs that it has now. Requests wait meanwhile.
fn reopen(domain: &Domain) -> anyhow::Result<()> {
    domain
        .hold()
        .map(drop)
        .context("requests of the domain are still being answered; try again")
}
