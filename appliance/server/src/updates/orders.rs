//! What people do with updates: each thing with its leaf, and what is refused as the problem that says so.

use std::io;

use strongroom_keystore::{Keystore, Presented, Refusal};
use strongroom_wire::account::Done;
use strongroom_wire::audit::Act;
use strongroom_wire::problem::Code;
use strongroom_wire::update::{ApplianceRelease, OrderedInstall, ReceivedUpdate};

use super::Updates;
use super::inbox::{Whole, Wrong};
use crate::problems::{Failure, sentence};

impl Updates {
    /// Which release runs, and what becomes of another.
    ///
    /// # Errors
    /// That the appliance failed: its log says why.
    pub(crate) fn told(&self) -> Result<ApplianceRelease, Failure> {
        self.release().map_err(|error| unreadable(&error))
    }

    /// Takes a piece of an update from somebody.
    ///
    /// # Errors
    /// The problem that says why it is not taken.
    pub(crate) fn receive_from(
        &self,
        keystore: &Keystore,
        caller: &Presented,
        offset: u64,
        piece: &[u8],
    ) -> Result<ReceivedUpdate, Failure> {
        let staged = |whole: &Whole| {
            let note = note(whole);
            Ok(keystore.record_update(caller, Act::UpdateStage, note)?.leaf)
        };
        self.receive(offset, piece, staged)
            .map_err(|stop: Stop| stop.told(keystore, caller))
    }

    /// Drops what has arrived, for somebody.
    ///
    /// # Errors
    /// The problem that says why not.
    pub(crate) fn drop_for(
        &self,
        keystore: &Keystore,
        caller: &Presented,
    ) -> Result<Done, Failure> {
        self.drop_update(|version| {
            let note = format!("version {version}");
            Ok(keystore.record_update(caller, Act::UpdateDrop, note)?)
        })
        .map_err(|stop: Stop| stop.told(keystore, caller))
    }

    /// Has what is staged installed, for somebody.
    ///
    /// # Errors
    /// The problem that says why not.
    pub(crate) fn install_for(
        &self,
        keystore: &Keystore,
        caller: &Presented,
    ) -> Result<OrderedInstall, Failure> {
        let ordered = self.install(|version| {
            let note = format!("version {version}");
            Ok(keystore
                .record_update(caller, Act::UpdateInstall, note)?
                .leaf)
        });
        ordered
            .map(|(version, leaf)| OrderedInstall { version, leaf })
            .map_err(|stop: Stop| stop.told(keystore, caller))
    }

    /// Has the machine restarted, for somebody.
    ///
    /// # Errors
    /// The problem that says why not.
    pub(crate) fn restart_for(
        &self,
        keystore: &Keystore,
        caller: &Presented,
    ) -> Result<Done, Failure> {
        self.restart(|version| {
            let note = format!("version {version}");
            Ok(keystore.record_update(caller, Act::UpdateRestart, note)?)
        })
        .map_err(|stop: Stop| stop.told(keystore, caller))
    }
}

/// Why something was not done: by the keystore, or by what there is in the inbox.
pub(super) enum Stop {
    Refused(Refusal),
    Wrong(Wrong),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl Stop {
    /// The problem that says so, once a leaf does where it is the update that is refused.
    pub(super) fn told(self, keystore: &Keystore, caller: &Presented) -> Failure {
        let wrong = match self {
            Self::Refused(refusal) => return refusal.into(),
            Self::Wrong(wrong) => wrong,
        };
        let detail = sentence(&wrong);
        let code = match &wrong {
            Wrong::Disk(error) | Wrong::Update(strongroom_update::Error::Io(error)) => {
                tracing::error!(%error, "the inbox for updates cannot be used");
                if matches!(error.kind(), io::ErrorKind::StorageFull) {
                    Code::StorageFull
                } else {
                    Code::Internal
                }
            }
            Wrong::State(error) => return unreadable(error),
            Wrong::Update(_) | Wrong::Flavour { .. } => {
                return refused(keystore, caller, detail, false);
            }
            Wrong::Security { .. } | Wrong::Older { .. } => {
                return refused(keystore, caller, detail, true);
            }
            Wrong::HeadInPieces => Code::Invalid,
            Wrong::NoRoom { .. } => Code::StorageFull,
            Wrong::Offset(_) => Code::Conflict,
            Wrong::Installing | Wrong::NothingStaged | Wrong::Nothing => {
                // How it stands is told to those alone who may do something about it.
                if let Err(refusal) = keystore.may_update(caller) {
                    return refusal.into();
                }
                Code::Conflict
            }
        };
        Failure::new(code, detail)
    }
}

fn refused(keystore: &Keystore, caller: &Presented, why: String, downgrade: bool) -> Failure {
    match keystore.refuse_update(caller, why, downgrade) {
        Err(refusal) => refusal.into(),
        // It never answers well.
        Ok(()) => Failure::internal(),
    }
}

fn note(whole: &Whole) -> String {
    format!(
        "version {}, security version {}, sha256 {}",
        whole.manifest.version, whole.manifest.security_version, whole.sha256
    )
}

fn unreadable(error: &anyhow::Error) -> Failure {
    tracing::error!(
        error = format!("{error:#}"),
        "what the image says of itself cannot be read"
    );
    Failure::internal()
}
