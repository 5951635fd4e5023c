//! Updates of the appliance's image: who may order them, and the leaves that say what became of them. What an update is, and whether it is
//! one, those know who serve the keystore.

use strongroom_audit::Detail;
use strongroom_wire::account::Done;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use crate::act::Presented;
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, LOCALHOST};
use crate::roles::May;

impl Keystore {
    /// Refuses who may not order updates: administrators and security officers do, with a sign-in as recent as the domain's policy wants it.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::StepUpRequired`].
    pub fn may_update(&self, caller: &Presented) -> Answer<()> {
        self.core.look(caller, |view, caller, _| {
            caller.require(May::RotateKeks)?;
            caller.require_recent(view.now)
        })
    }

    /// Records what somebody who may order updates does with one, before it is done.
    ///
    /// # Errors
    /// As for [`may_update`](Self::may_update). The end of a long upload needs no recent sign-in: its beginning did.
    pub fn record_update(&self, caller: &Presented, act: Act, note: String) -> Answer<Done> {
        let presented = caller.clone();
        self.core.act(act, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            caller.require(May::RotateKeks)?;
            if act != Act::UpdateStage {
                caller.require_recent(scope.now)?;
            }
            scope.detail.note = Some(shortened(&note));
            let leaf = scope.record(act)?;
            Ok(Done { leaf })
        })
    }

    /// Records that an update which somebody sent is refused. It never answers well.
    ///
    /// # Errors
    /// [`Error::Downgrade`] where it is one, [`Error::UpdateRefused`] otherwise, with the sentence that says why; and as for
    /// [`may_update`](Self::may_update).
    pub fn refuse_update(&self, caller: &Presented, why: String, downgrade: bool) -> Answer<()> {
        let presented = caller.clone();
        self.core
            .act(Act::UpdateStage, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require(May::RotateKeks)?;
                scope.about = Some(why.clone());
                Err(if downgrade {
                    Error::Downgrade(why.clone())
                } else {
                    Error::UpdateRefused(why.clone())
                })
            })
    }

    /// Records what became of the machine or its image without anybody's order to the service, at a moment by which it is told from others of its kind; once,
    /// however often it is told. Answers the leaf, or none where there was one.
    ///
    /// # Errors
    /// [`Error::Store`] when the store does not take it.
    pub fn record_outcome(
        &self,
        act: Act,
        at: Timestamp,
        note: String,
    ) -> Result<Option<u64>, Error> {
        let told = at.as_millis();
        let number = self.core.domain.number;
        // No receiver of the log has a name with a line feed.
        let name = format!("{act}\n");
        self.core
            .act(act, LOCALHOST, move |scope| {
                if scope.tx.as_snapshot().fed_up_to(number, &name)? == Some(told) {
                    return Ok(None);
                }
                scope.tx.set_fed_up_to(number, &name, told)?;
                scope.detail = Detail {
                    note: Some(shortened(&note)),
                    ..Detail::default()
                };
                scope.record(act).map(Some)
            })
            .map_err(|refusal| refusal.error)
    }
}

/// As much of a note as a leaf holds.
fn shortened(note: &str) -> String {
    let mut end = note.len().min(Detail::NOTE_MAX);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note[..end].to_owned()
}
